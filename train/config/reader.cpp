#include "train/config/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "train/config/catalogue.h"
#include "train/config/schema.h"
#include "train/config/suggest.h"

namespace longhaul::config {
namespace {

std::string absolute_path(const std::string& path, const Mark& mark) {
  if (path.empty()) return path;
  std::filesystem::path joined = path;
  if (joined.is_relative() && mark.source) joined = std::filesystem::path(mark.source->folder) / joined;
  return joined.lexically_normal().string();
}

// Spellings that other YAML readers take to be something else: refused with the reason.
std::string trap(FieldKind kind, const std::string& text) {
  const bool whole = kind == FieldKind::kInteger || kind == FieldKind::kCount;
  if (kind == FieldKind::kBoolean) {
    for (const char* word :
         {"yes", "no", "on", "off", "y", "n", "Yes", "No", "On", "Off", "True", "False", "TRUE", "FALSE"}) {
      if (text == word) return "; only true and false are booleans";
    }
  }
  if (!whole && kind != FieldKind::kNumber) return "";
  const bool digits = !text.empty() && text.find_first_not_of("0123456789_.+-") == std::string::npos;
  if (digits && text.find('_') != std::string::npos) return "; write it without underscores";
  if (digits && text.size() > 1 && text[0] == '0' && text[1] != '.')
    return "; a leading 0 is not taken (octal to some)";
  if (text.starts_with("0x") || text.starts_with("0o")) return "; write it in decimal digits";
  if (text == ".inf" || text == "-.inf" || text == ".nan" || text == "inf" || text == "nan")
    return "; it must be finite";
  if (whole && text.find_first_not_of("0123456789.e+-") == std::string::npos && text.find('e') != std::string::npos) {
    return "; write it in digits";
  }
  return "";
}

class Reader final : public FieldVisitor {
 public:
  Reader(const Node& root, Problems& problems, ReadResult& result) : problems_(problems), result_(result) {
    frames_.push_back({&root, "", {}, false});
  }
  void finish() { report_unknown(); }

 private:
  struct Frame {
    const Node* node;  // a mapping, or null when the section is absent
    std::string prefix;
    std::vector<std::string> known;
    bool unchecked = false;  // a key that decides which keys exist is wrong
  };

  Frame& frame() { return frames_.back(); }

  // The member of that name in the current section, or nullptr; remembers that the key exists.
  const Member* member(std::string_view name) {
    frame().known.emplace_back(name);
    return frame().node ? frame().node->find(name) : nullptr;
  }
  std::string full(std::string_view name) { return frame().prefix + std::string(name); }
  void wrong(const Mark& mark, const std::string& key, std::string what) {
    if (!problems_.any_at(mark)) problems_.add(mark, std::move(what), key);  // a variable that is not set, for one
    result_.wrong.insert(key);
  }

  // Sets one value from a node; false when it was refused.
  bool take(const Field& field, const Node& node, const std::string& key) {
    if (node.kind == Node::Kind::kNull) {
      if (field.kind == FieldKind::kText && field.set("")) return true;
      wrong(node.mark, key, fmt::format("{} has no value: expected {}", key, field.expected));
      return false;
    }
    const bool scalar = node.kind == Node::Kind::kScalar;
    if (scalar && field.set(field.path ? absolute_path(node.text, node.mark) : node.text)) return true;
    std::string what = fmt::format("{} = {}: expected {}", key, node.brief(), field.expected);
    if (scalar && !field.choices.empty()) {
      if (const std::string near = nearest(node.text, field.choices); !near.empty()) {
        what += fmt::format("; did you mean \"{}\"?", near);
      }
    } else if (scalar) {
      what += trap(field.kind, node.text);
    }
    wrong(node.mark, key, what);
    return false;
  }

  void on_field(const Field& field) override {
    const Member* given = member(field.name);
    if (!given) return;
    const std::string key = full(field.name);
    result_.origins[key] = given->value.mark;
    if (!take(field, given->value, key) && field.discriminates) frame().unchecked = true;
  }

  void on_list(const ListField& field) override {
    const Member* given = member(field.item.name);
    if (!given) return;
    const std::string key = full(field.item.name);
    const Node& node = given->value;
    result_.origins[key] = node.mark;
    if (node.kind == Node::Kind::kNull || node.kind == Node::Kind::kMap) {
      wrong(node.mark, key,
            fmt::format("{}{}: expected a list, each item {}", key,
                        node.kind == Node::Kind::kNull ? " has no value" : " = " + node.brief(), field.item.expected));
      return;
    }
    const std::vector<Node> items = node.kind == Node::Kind::kList ? node.items : std::vector<Node>{node};
    if (items.size() < field.traits.min_size || items.size() > field.traits.max_size) {
      const bool exact = field.traits.min_size == field.traits.max_size;
      wrong(node.mark, key,
            fmt::format("{} = {}: expected {} {} items, received {}", key, node.brief(),
                        exact                                  ? "exactly"
                        : items.size() < field.traits.min_size ? "at least"
                                                               : "at most",
                        items.size() < field.traits.min_size ? field.traits.min_size : field.traits.max_size,
                        items.size()));
      return;
    }
    field.resize(0);
    field.resize(items.size());
    for (size_t i = 0; i < items.size(); ++i) {
      field.select(i);
      if (!take(field.item, items[i], node.kind == Node::Kind::kList ? fmt::format("{}[{}]", key, i) : key)) {
        result_.wrong.insert(key);
      }
    }
  }

  void on_section(std::string_view name, const SectionTraits&, std::string_view,
                  const std::function<void(FieldVisitor&)>& body) override {
    const Member* given = member(name);
    const std::string key = full(name);
    const Node* node = given ? &given->value : nullptr;
    if (given) result_.origins[key] = given->mark;
    if (node && node->kind != Node::Kind::kMap) {
      if (node->kind != Node::Kind::kNull) {
        wrong(node->mark, key, fmt::format("{} = {}: expected a section with keys", key, node->brief()));
      }
      node = nullptr;
    }
    enter(node, key, [&] { body(*this); });
  }

  void on_records(const RecordsField& field) override {
    const Member* given = member(field.name);
    if (!given) return;
    const std::string key = full(field.name);
    const Node& node = given->value;
    result_.origins[key] = node.mark;
    const bool single =
        node.kind == Node::Kind::kMap || (node.kind == Node::Kind::kScalar && !field.traits.shorthand.empty());
    if (!single && node.kind != Node::Kind::kList) {
      wrong(node.mark, key,
            fmt::format("{}{}: expected a list", key,
                        node.kind == Node::Kind::kNull ? " has no value" : " = " + node.brief()));
      return;
    }
    const std::vector<Node> items = single ? std::vector<Node>{node} : node.items;
    field.resize(0);
    field.resize(items.size());
    for (size_t i = 0; i < items.size(); ++i) record(field, items[i], fmt::format("{}[{}]", key, i), i);
  }

  void record(const RecordsField& field, const Node& item, const std::string& key, size_t index) {
    result_.origins[key] = item.mark;
    if (item.kind == Node::Kind::kMap) {
      enter(&item, key, [&] { field.visit(*this, index); });
    } else if (item.kind == Node::Kind::kScalar && !field.traits.shorthand.empty()) {
      Node whole;
      whole.kind = Node::Kind::kMap;
      whole.mark = item.mark;
      whole.members.push_back({std::string(field.traits.shorthand), item.mark, item});
      enter(&whole, key, [&] { field.visit(*this, index); });
    } else {
      wrong(item.mark, key,
            fmt::format("{} = {}: expected {}keys and values in braces", key, item.brief(),
                        field.traits.shorthand.empty() ? "" : fmt::format("a {} or ", field.traits.shorthand)));
      enter(nullptr, key, [&] { field.visit(*this, index); });  // the element still needs its defaults
    }
  }

  template <typename F>
  void enter(const Node* node, const std::string& key, F body) {
    frames_.push_back({node, key + ".", {}, false});
    body();
    report_unknown();
    frames_.pop_back();
  }

  void report_unknown() {
    const Frame& now = frame();
    if (!now.node || now.unchecked) return;
    for (const Member& given : now.node->members) {
      if (std::find(now.known.begin(), now.known.end(), given.key) != now.known.end()) continue;
      const std::string key = now.prefix + given.key;
      const Suggestion found = problems_.full() ? Suggestion{} : suggest_key(now.prefix, given.key, now.known);
      if (!found.key.empty()) result_.wrong.insert(found.key);
      problems_.add(given.mark, fmt::format("unknown key \"{}\"{}", key, found.text), found.key);
    }
  }

  Problems& problems_;
  ReadResult& result_;
  std::vector<Frame> frames_;
};

}  // namespace

ReadResult read_config(const Node& root, Config& config, Problems& problems) {
  ReadResult result;
  const Node empty;
  Reader reader(root.kind == Node::Kind::kMap ? root : empty, problems, result);
  fields(reader, config);
  reader.finish();
  return result;
}

}  // namespace longhaul::config
