#include "train/config/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <map>
#include <optional>
#include <sstream>
#include <utility>

#include "train/config/prescan.h"

namespace longhaul::config {
namespace {

// Ends the reading at once; the place and the reason become a problem.
struct Stop {
  Mark mark;
  std::string what;
};

size_t count_nodes(const Node& node) {
  size_t count = 1;
  for (const Node& item : node.items) count += count_nodes(item);
  for (const Member& member : node.members) count += count_nodes(member.value);
  return count;
}

// Builds nodes from the reader's events; recursion and growth stop at the limits.
class Builder final : public YAML::EventHandler {
 public:
  Builder(const std::shared_ptr<const Source>& source, size_t& nodes, Problems& problems)
      : source_(source), nodes_(nodes), problems_(problems) {}

  Node take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (at_key()) throw Stop{place(mark), "a key without a name"};
    add(make(Node::Kind::kNull, mark), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (at_key()) throw Stop{place(mark), "an alias as a key"};
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw Stop{place(mark), "an alias inside the value it names"};
    count(found->second.size, place(mark));
    Node copy = found->second.node;
    add(std::move(copy), 0);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_tag(tag, mark);
    if (at_key()) {
      if (value == "<<") throw Stop{place(mark), "a merge key (<<), which is not taken; use extends"};
      Frame& frame = stack_.back();
      frame.key = value;
      frame.key_mark = place(mark);
      return;
    }
    Node node = make(Node::Kind::kScalar, mark);
    node.text = value;
    add(std::move(node), anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Node::Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Node::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    Node node;
    YAML::anchor_t anchor = 0;
    std::optional<std::string> key;  // kMap: the key whose value comes next
    Mark key_mark;
    std::map<std::string, Mark> seen;
  };
  struct Anchored {
    Node node;
    size_t size = 0;
  };

  Mark place(const YAML::Mark& mark) const { return {source_, mark.line + 1, mark.column + 1}; }
  bool at_key() const { return !stack_.empty() && stack_.back().node.kind == Node::Kind::kMap && !stack_.back().key; }

  Node make(Node::Kind kind, const YAML::Mark& mark) {
    count(1, place(mark));
    Node node;
    node.kind = kind;
    node.mark = place(mark);
    return node;
  }
  void count(size_t more, const Mark& where) {
    nodes_ += more;
    if (nodes_ <= Limits::kNodes) return;
    throw Stop{where, fmt::format("more than {} values after aliases are expanded", Limits::kNodes)};
  }
  // "?" is a plain value without a tag, "!" a quoted one.
  void check_tag(const std::string& tag, const YAML::Mark& mark) const {
    if (!tag.empty() && tag != "?" && tag != "!")
      throw Stop{place(mark), fmt::format("a tag ({}), which is not taken", tag)};
  }
  void open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    check_tag(tag, mark);
    if (at_key()) throw Stop{place(mark), "a key that is a list or a mapping, or a bracket that is not closed"};
    if (stack_.size() >= static_cast<size_t>(Limits::kDepth)) {
      throw Stop{place(mark), fmt::format("more than {} levels of nesting", Limits::kDepth)};
    }
    Frame frame;
    frame.node = make(kind, mark);
    frame.anchor = anchor;
    stack_.push_back(std::move(frame));
  }
  void close() {
    Frame done = std::move(stack_.back());
    stack_.pop_back();
    add(std::move(done.node), done.anchor);
  }
  void add(Node node, YAML::anchor_t anchor) {
    if (anchor > Limits::kAnchors) throw Stop{node.mark, fmt::format("more than {} anchors", Limits::kAnchors)};
    if (anchor != 0) {
      const size_t size = count_nodes(node);
      count(size, node.mark);  // what an alias may ask for is held until the end
      anchors_[anchor] = {node, size};
    }
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = stack_.back();
    if (frame.node.kind == Node::Kind::kList) {
      frame.node.items.push_back(std::move(node));
      return;
    }
    std::string key = std::move(*frame.key);
    frame.key.reset();
    if (frame.seen.size() >= Limits::kKeys) {
      throw Stop{frame.key_mark, fmt::format("more than {} keys in one mapping", Limits::kKeys)};
    }
    const auto [first, fresh] = frame.seen.emplace(key, frame.key_mark);
    if (!fresh) {
      problems_.add(frame.key_mark, fmt::format("duplicate key \"{}\" (first at {}:{})", key, first->second.line,
                                                first->second.column));
      return;
    }
    if (node.kind == Node::Kind::kNull) node.mark = frame.key_mark;  // the reader places nothing at the next thing
    frame.node.members.push_back({std::move(key), frame.key_mark, std::move(node)});
  }

  std::shared_ptr<const Source> source_;
  size_t& nodes_;
  Problems& problems_;
  std::vector<Frame> stack_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  Node root_;
};

// The reader speaks of its own states.
std::string in_plain_words(const std::string& message) {
  if (message == "end of map not found") return "the indentation does not fit the lines above, or a key has no colon";
  if (message == "end of sequence not found") return "the indentation does not fit the lines above";
  if (message == "end of sequence flow not found" || message == "end of map flow not found") {
    return "a bracket or a quote is not closed";
  }
  if (message == "illegal flow end") return "a bracket closes another kind than was opened";
  if (message == "illegal map value") return "a colon where no key can stand; a text with a colon needs quotes";
  return message;
}

// The line of a syntax error often holds a ${NAME} whose brace ends a flow mapping.
bool line_has_variable(const std::string& text, int line) {
  size_t start = 0;
  for (int i = 1; i < line && start < text.size(); ++i) start = std::min(text.find('\n', start), text.size()) + 1;
  if (start >= text.size()) return false;
  return text.substr(start, text.find('\n', start) - start).find("${") != std::string::npos;
}

// Whether there is more than blank lines, comments and document marks.
bool holds_anything(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t start = line.find_first_not_of(" \t");
    if (start != std::string::npos && line[start] != '#' && !line.starts_with("---") && !line.starts_with("..."))
      return true;
  }
  return false;
}

}  // namespace

Node parse_yaml(std::string text, const std::shared_ptr<const Source>& source, size_t& nodes, Problems& problems,
                bool& readable) {
  if (const auto fault = prescan(text)) {
    problems.add({source, fault->line, fault->column}, fault->what);
    readable = false;
    return {};
  }
  Builder builder(source, nodes, problems);
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    Node root = builder.take();
    if (root.kind == Node::Kind::kNull && holds_anything(text)) {
      throw Stop{{source, 1, 1}, "expected the sections run, data, model, memory, train"};
    }
    Problems ignored;
    size_t more = 0;
    Builder second(source, more, ignored);
    if (parser.HandleNextDocument(second)) {
      const Mark mark = second.take().mark;
      problems.add(mark.source ? mark : Mark{source}, "a second document; a configuration is one");
    }
    return root;
  } catch (const Stop& stop) {
    problems.add(stop.mark, stop.what);
  } catch (const YAML::Exception& error) {
    const int line = error.mark.is_null() ? 0 : error.mark.line + 1;
    std::string what = fmt::format("not YAML: {}", in_plain_words(error.msg));
    if (line_has_variable(text, line)) what += "; put a value with ${...} in quotes";
    problems.add({source, line, line ? error.mark.column + 1 : 0}, what);
  }
  readable = false;
  return {};
}

}  // namespace longhaul::config
