// defines: Source, Mark, Node, Member, Problem, Problems
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul::config {

/// A text that configuration was read from.
struct Source {
  std::string name;    // as a user knows it: "run.yaml", "--set train.steps=5"
  std::string folder;  // absolute; relative paths in it start here
  bool file = true;    // false: the command line, which has no lines
  size_t order = 0;    // in which messages list them
};

/// A place in a source; line and column count from 1, 0 = the source as a whole.
struct Mark {
  std::shared_ptr<const Source> source;
  int line = 0;
  int column = 0;

  /// "run.yaml:9:11"
  std::string show() const;
};

struct Member;

/// A YAML value with its place; aliases are expanded.
struct Node {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  Mark mark;
  std::string text;             // kScalar
  std::vector<Node> items;      // kList
  std::vector<Member> members;  // kMap, in the order of the file

  const Member* find(std::string_view key) const;
  /// For messages: "12.5", "[a, b]", "{kind: char}", at most about 60 characters.
  std::string brief() const;
};

struct Member {
  std::string key;
  Mark mark;  // of the key
  Node value;
};

/// One mistake. `key` is the full name of the key it is about, empty when none is known.
struct Problem {
  Mark mark;
  std::string what;
  std::string key;
};

/// Mistakes are collected, so that a user sees all of them at once.
class Problems {
 public:
  void add(const Mark& mark, std::string what, std::string key = "");
  bool empty() const { return list_.empty(); }
  /// True when no further problem will be shown, so that its text need not be good.
  bool full() const { return list_.size() >= kMostKept; }
  bool any_at(const Mark& mark) const;
  const std::vector<Problem>& list() const { return list_; }
  /// throws ConfigError with all problems, sorted by place, when there are any; `subject` is the file the user named
  void raise(const std::string& subject) const;

 private:
  static constexpr size_t kMostKept = 1000;

  std::vector<Problem> list_;
  size_t count_ = 0;  // those that were not kept included
};

}  // namespace longhaul::config
