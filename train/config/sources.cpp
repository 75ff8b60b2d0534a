#include "train/config/sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "train/config/expand.h"
#include "train/config/prescan.h"
#include "train/config/yaml.h"

namespace longhaul::config {
namespace {

namespace fs = std::filesystem;

// Lays `over` on `under`. An empty section ("train:") changes nothing.
void merge(Node& under, Node over) {
  if (under.kind == Node::Kind::kMap && over.kind == Node::Kind::kNull) return;
  if (under.kind != Node::Kind::kMap || over.kind != Node::Kind::kMap) {
    under = std::move(over);
    return;
  }
  for (Member& member : over.members) {
    const auto at =
        std::find_if(under.members.begin(), under.members.end(), [&](const Member& m) { return m.key == member.key; });
    if (at == under.members.end()) {
      under.members.push_back(std::move(member));
    } else {
      at->mark = member.mark;
      merge(at->value, std::move(member.value));
    }
  }
}

class Sources {
 public:
  explicit Sources(Problems& problems) : problems_(problems) {}

  // Reads a file and everything below it; `from` is the place that names it.
  Node file(const std::string& shown, const Mark& from, std::shared_ptr<const Source>* source_out) {
    std::error_code error;
    const fs::path absolute = fs::weakly_canonical(shown, error);
    auto source = std::make_shared<Source>(Source{shown, absolute.parent_path().string(), true, order_++});
    if (source_out) *source_out = source;
    const Mark place = from.source ? from : Mark{source};
    const std::string quoted = from.source ? fmt::format("extends = {}: ", shown) : "";
    if (const auto in = std::find(chain_.begin(), chain_.end(), absolute); in != chain_.end()) {
      problems_.add(place,
                    fmt::format("extends = {}: the file extends itself through {}", shown, shown_chain(in, shown)));
      incomplete = true;
      return {};
    }
    if (names.size() + chain_.size() >= Limits::kFiles) {
      problems_.add(place, fmt::format("{}more than {} files", quoted, Limits::kFiles));
      incomplete = true;
      return {};
    }
    std::string text;
    if (const std::string reason = read(shown, text); !reason.empty()) {
      problems_.add(place, quoted + reason);
      incomplete = true;
      return {};
    }
    chain_.push_back(absolute);
    shown_.push_back(shown);
    bool readable = true;
    Node own = parse_yaml(std::move(text), source, nodes_, problems_, readable);
    incomplete = incomplete || !readable;
    Node merged = with_bases(std::move(own), shown);
    chain_.pop_back();
    shown_.pop_back();
    names.push_back(shown);
    return merged;
  }

  // key.of.a.value=yaml
  Node override_of(const std::string& text) {
    const auto source = std::make_shared<Source>(Source{"--set " + text, fs::current_path().string(), false, order_++});
    const Mark mark{source};
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      problems_.add(mark, "expected key=value, e.g. --set train.steps=100");
      return {};
    }
    bool readable = true;
    Node value = parse_yaml(text.substr(equals + 1), source, nodes_, problems_, readable);
    if (!readable) return {};
    value.mark = mark;
    expand_variables(value, problems_);
    std::string keys = text.substr(0, equals);
    if (keys == "extends") {
      problems_.add(mark, "extends belongs into a file");
      return {};
    }
    if (std::count(keys.begin(), keys.end(), '.') > Limits::kDepth || keys.starts_with('.') || keys.ends_with('.') ||
        keys.find("..") != std::string::npos) {
      problems_.add(mark, fmt::format("\"{}\" is no key, e.g. train.optimizer.learning_rate", keys));
      return {};
    }
    while (true) {
      const size_t dot = keys.rfind('.');
      Node outer;
      outer.kind = Node::Kind::kMap;
      outer.mark = mark;
      outer.members.push_back({keys.substr(dot == std::string::npos ? 0 : dot + 1), mark, std::move(value)});
      value = std::move(outer);
      if (dot == std::string::npos) return value;
      keys.resize(dot);
    }
  }

  std::vector<std::string> names;
  bool incomplete = false;

 private:
  static std::string read(const std::string& path, std::string& text) {
    std::error_code error;
    const auto status = fs::status(path, error);
    if (!fs::exists(status))
      return error && error != std::errc::no_such_file_or_directory ? error.message() : "no such file";
    if (fs::is_directory(status)) return "is a folder, not a configuration file";
    if (fs::is_regular_file(status)) {
      const auto size = fs::file_size(path, error);
      if (!error && size > Limits::kFileBytes) {
        return fmt::format("{} bytes; a configuration has at most {}", size, Limits::kFileBytes);
      }
    }
    errno = 0;
    std::ifstream stream(path, std::ios::binary);
    if (!stream) return fmt::format("cannot be read: {}", std::strerror(errno));
    // One byte more than allowed is enough to know; a pipe has no size to ask for.
    text.resize(Limits::kFileBytes + 1);
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (stream.bad()) return fmt::format("cannot be read: {}", std::strerror(errno));
    text.resize(static_cast<size_t>(stream.gcount()));
    return "";
  }

  template <typename Iterator>
  std::string shown_chain(Iterator in, const std::string& last) const {
    std::string out;
    for (size_t i = static_cast<size_t>(in - chain_.begin()); i < shown_.size(); ++i) out += shown_[i] + " -> ";
    return out + last;
  }

  Node with_bases(Node own, const std::string& shown) {
    if (own.kind == Node::Kind::kNull) return own;
    if (own.kind != Node::Kind::kMap) {
      problems_.add(own.mark, "expected the sections run, data, model, memory, train");
      incomplete = true;
      return {};
    }
    expand_variables(own, problems_);
    const auto at =
        std::find_if(own.members.begin(), own.members.end(), [](const Member& m) { return m.key == "extends"; });
    if (at == own.members.end()) return own;
    const Node bases = at->value;
    own.members.erase(at);
    std::vector<Node> list = bases.kind == Node::Kind::kList ? bases.items : std::vector<Node>{bases};
    Node merged;
    for (const Node& base : list) {
      if (base.kind != Node::Kind::kScalar || base.text.empty()) {
        problems_.add(base.mark, fmt::format("extends = {}: expected a path or a list of paths", base.brief()));
        continue;
      }
      const fs::path path = (fs::path(shown).parent_path() / base.text).lexically_normal();
      Node read = file(path.string(), base.mark, nullptr);
      if (merged.kind == Node::Kind::kNull) {
        merged = std::move(read);
      } else {
        merge(merged, std::move(read));
      }
    }
    if (merged.kind == Node::Kind::kNull) return own;
    merge(merged, std::move(own));
    return merged;
  }

  Problems& problems_;
  size_t nodes_ = 0;
  size_t order_ = 0;
  std::vector<fs::path> chain_;     // files being read, outermost first
  std::vector<std::string> shown_;  // the same as the user knows them
};

void lay_over(Merged& result, Sources& sources, const std::vector<std::string>& overrides) {
  for (const std::string& text : overrides) {
    Node node = sources.override_of(text);
    if (node.kind == Node::Kind::kNull) continue;
    if (result.root.kind == Node::Kind::kNull) {
      result.root = std::move(node);
    } else {
      merge(result.root, std::move(node));
    }
  }
  result.files = sources.names;
  result.incomplete = sources.incomplete;
}

}  // namespace

Merged read_sources(const std::string& path, const std::vector<std::string>& overrides, Problems& problems) {
  Sources sources(problems);
  Merged result;
  result.root = sources.file(path, {}, &result.file);
  lay_over(result, sources, overrides);
  return result;
}

Merged read_overrides(const std::vector<std::string>& overrides, Problems& problems) {
  Sources sources(problems);
  Merged result;
  result.file = std::make_shared<Source>(Source{"the command line", "", false, 0});
  lay_over(result, sources, overrides);
  return result;
}

}  // namespace longhaul::config
