#include "train/config/expand.h"

#include <fmt/format.h>

#include <cstdlib>

namespace longhaul::config {
namespace {

bool name_character(char c, bool first) {
  return c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (!first && c >= '0' && c <= '9');
}

std::string expanded(const std::string& text, const Mark& mark, Problems& problems) {
  std::string out;
  size_t at = 0;
  while (at < text.size()) {
    if (text.compare(at, 3, "$${") == 0) {
      out += "${";
      at += 3;
      continue;
    }
    if (text.compare(at, 2, "${") != 0) {
      out += text[at++];
      continue;
    }
    size_t end = at + 2;
    while (end < text.size() && name_character(text[end], end == at + 2)) ++end;
    const std::string name = text.substr(at + 2, end - at - 2);
    const size_t close = text.find('}', end);
    const bool has_default = text.compare(end, 2, ":-") == 0;
    if (name.empty() || close == std::string::npos || (!has_default && close != end)) {
      problems.add(mark, fmt::format("\"{}\": expected ${{NAME}} or ${{NAME:-default}}; $${{ stands for ${{ itself",
                                     text.substr(at, 40)));
      return text;
    }
    const char* value = std::getenv(name.c_str());
    if (has_default && (value == nullptr || *value == '\0')) {
      out += text.substr(end + 2, close - end - 2);
    } else if (value == nullptr) {
      problems.add(mark,
                   fmt::format("the environment has no variable {}; set it, or write ${{{}:-default}}", name, name));
      return text;
    } else {
      out += value;
    }
    at = close + 1;
  }
  return out;
}

}  // namespace

void expand_variables(Node& node, Problems& problems) {
  if (node.kind == Node::Kind::kScalar && node.text.find("${") != std::string::npos) {
    node.text = expanded(node.text, node.mark, problems);
  }
  for (Node& item : node.items) expand_variables(item, problems);
  for (Member& member : node.members) expand_variables(member.value, problems);
}

}  // namespace longhaul::config
