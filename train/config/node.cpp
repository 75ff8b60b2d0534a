#include "train/config/node.h"

#include <algorithm>
#include <tuple>

#include "framework/base/error.h"

namespace longhaul::config {
namespace {

constexpr size_t kBrief = 60;      // characters of a value that a message quotes
constexpr size_t kMostShown = 50;  // problems a message lists

void append_brief(const Node& node, std::string& out) {
  if (out.size() > kBrief) return;
  switch (node.kind) {
    case Node::Kind::kNull:
      out += "null";
      break;
    case Node::Kind::kScalar:
      if (node.text.empty()) out += "\"\"";
      for (const char c : node.text.substr(0, kBrief + 1)) {
        if (c == '\n') {
          out += "\\n";
        } else {
          out += c;
        }
      }
      break;
    case Node::Kind::kList:
      out += "[";
      for (size_t i = 0; i < node.items.size(); ++i) {
        if (i > 0) out += ", ";
        append_brief(node.items[i], out);
      }
      out += "]";
      break;
    case Node::Kind::kMap:
      out += "{";
      for (size_t i = 0; i < node.members.size(); ++i) {
        if (i > 0) out += ", ";
        out += node.members[i].key + ": ";
        append_brief(node.members[i].value, out);
      }
      out += "}";
      break;
  }
}

}  // namespace

std::string Mark::show() const {
  if (!source) return "configuration";
  if (line == 0 || !source->file) return source->name;
  return fmt::format("{}:{}:{}", source->name, line, column);
}

const Member* Node::find(std::string_view key) const {
  for (const Member& member : members) {
    if (member.key == key) return &member;
  }
  return nullptr;
}

std::string Node::brief() const {
  std::string out;
  append_brief(*this, out);
  if (out.size() <= kBrief) return out;
  size_t end = kBrief;
  while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xC0) == 0x80) --end;  // not inside a character
  return out.substr(0, end) + "...";
}

void Problems::add(const Mark& mark, std::string what, std::string key) {
  ++count_;
  if (!full()) list_.push_back({mark, std::move(what), std::move(key)});
}

bool Problems::any_at(const Mark& mark) const {
  return std::any_of(list_.begin(), list_.end(), [&](const Problem& problem) {
    return mark.line > 0 && problem.mark.source == mark.source && problem.mark.line == mark.line &&
           problem.mark.column == mark.column;
  });
}

void Problems::raise(const std::string& subject) const {
  if (list_.empty()) return;
  std::vector<Problem> sorted = list_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Problem& a, const Problem& b) {
    const auto order = [](const Mark& mark) { return mark.source ? mark.source->order : 0; };
    return std::tuple(order(a.mark), a.mark.line, a.mark.column) <
           std::tuple(order(b.mark), b.mark.line, b.mark.column);
  });
  std::string message =
      fmt::format("[config] {} error{} in {}, nothing was created", count_, count_ == 1 ? "" : "s", subject);
  for (size_t i = 0; i < std::min(sorted.size(), kMostShown); ++i) {
    message += fmt::format("\n  {}: {}", sorted[i].mark.show(), sorted[i].what);
  }
  if (count_ > kMostShown) message += fmt::format("\n  and {} more", count_ - kMostShown);
  const auto known = std::find_if(sorted.begin(), sorted.end(), [](const Problem& p) { return !p.key.empty(); });
  if (known != sorted.end()) message += fmt::format("\n  next: longhaul config explain {}", known->key);
  throw ConfigError(message);
}

}  // namespace longhaul::config
