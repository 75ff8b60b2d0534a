#include "framework/base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace longhaul::json {
namespace {

// Length of the well-formed UTF-8 sequence at the start of `text`; 0 when it is none (RFC 3629).
size_t sequence_length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto follows = [&](size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool second = follows(1) && (first != 0xE0 || byte(1) >= 0xA0) && (first != 0xED || byte(1) < 0xA0);
    return second && follows(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool second = follows(1) && (first != 0xF0 || byte(1) >= 0x90) && (first != 0xF4 || byte(1) < 0x90);
    return second && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

void write_text(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const size_t length = sequence_length(text);
    const char first = text.front();
    if (length == 0)
      out += "\xEF\xBF\xBD";
    else if (first == '"' || first == '\\')
      (out += '\\') += first;
    else if (first == '\n')
      out += "\\n";
    else if (static_cast<unsigned char>(first) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(first));
    else
      out += text.substr(0, length);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  out += '"';
}

void write_real(std::string& out, double value) {
  const std::string text = fmt::format("{}", value);
  out += text;
  if (text.find_first_of(".e") == std::string::npos) out += ".0";
}

void write_break(std::string& out, int indent, int depth) {
  if (indent == 0) return;
  out += '\n';
  out.append(static_cast<size_t>(indent) * static_cast<size_t>(depth), ' ');
}

void write_value(std::string& out, const Value& value, int indent, int depth);

template <typename Items, typename Write>
void write_items(std::string& out, const Items& items, char open, char close, int indent, int depth, Write&& write) {
  out += open;
  bool first = true;
  for (const auto& item : items) {
    if (!first) out += ',';
    first = false;
    write_break(out, indent, depth + 1);
    write(item);
  }
  if (!items.empty()) write_break(out, indent, depth);
  out += close;
}

void write_value(std::string& out, const Value& value, int indent, int depth) {
  if (const int64_t* integer = value.integer()) {
    out += std::to_string(*integer);
  } else if (const double* real = value.real()) {
    write_real(out, *real);
  } else if (const std::string* text = value.text()) {
    write_text(out, *text);
  } else if (const List* list = value.list()) {
    // A list of plain values stays on one line.
    const bool plain =
        std::none_of(list->begin(), list->end(), [](const Value& item) { return item.list() || item.object(); });
    write_items(out, *list, '[', ']', plain ? 0 : indent, depth,
                [&](const Value& item) { write_value(out, item, indent, depth + 1); });
  } else if (const Object* object = value.object()) {
    write_items(out, *object, '{', '}', indent, depth, [&](const auto& member) {
      write_text(out, member.first);
      out += indent == 0 ? ":" : ": ";
      write_value(out, member.second, indent, depth + 1);
    });
  } else if (const bool* truth = value.truth()) {
    out += *truth ? "true" : "false";
  } else {
    out += "null";
  }
}

// Builds the tree from the events of a parser that keeps its own stack.
class Builder {
 public:
  explicit Builder(size_t most_depth) : most_depth_(most_depth) {}

  bool null() { return add(Value()); }
  bool boolean(bool value) { return add(Value(value)); }
  bool number_integer(int64_t value) { return add(Value(value)); }
  bool number_unsigned(uint64_t value) {
    if (value > static_cast<uint64_t>(INT64_MAX))
      return refuse(fmt::format("the number {} does not fit 64 bits", value));
    return add(Value(static_cast<int64_t>(value)));
  }
  bool number_float(double value, const std::string& text) {
    if (text.find_first_of(".eE") == std::string::npos)
      return refuse(fmt::format("the number {} does not fit 64 bits", text));
    return add(Value(value));
  }
  bool string(std::string& text) { return add(Value(std::move(text))); }
  bool binary(nlohmann::json::binary_t&) { return refuse("binary data"); }
  bool start_object(size_t) { return open(Value(Object())); }
  bool start_array(size_t) { return open(Value(List())); }
  bool key(std::string& text) {
    open_.back().key = std::move(text);
    return true;
  }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) {
    return refuse(fmt::format("it is not JSON at byte {}", position));
  }

  Parsed result;

 private:
  struct Open {
    std::variant<List, Object> items;
    std::string key;
  };
  bool refuse(std::string reason) {
    result.error = std::move(reason);
    return false;
  }
  bool add(Value value) {
    if (open_.empty()) {
      result.value = std::move(value);
      return true;
    }
    Open& top = open_.back();
    if (auto* list = std::get_if<List>(&top.items))
      list->push_back(std::move(value));
    else
      std::get<Object>(top.items).emplace_back(std::move(top.key), std::move(value));
    return true;
  }
  bool open(const Value& empty) {
    if (open_.size() == most_depth_) return refuse(fmt::format("it is nested deeper than {}", most_depth_));
    if (empty.list())
      open_.push_back({List(), {}});
    else
      open_.push_back({Object(), {}});
    return true;
  }
  bool close() {
    Open top = std::move(open_.back());
    open_.pop_back();
    if (const Object* members = std::get_if<Object>(&top.items)) {
      std::vector<std::string_view> keys;
      for (const auto& [key, value] : *members) keys.push_back(key);
      std::sort(keys.begin(), keys.end());
      const auto twice = std::adjacent_find(keys.begin(), keys.end());
      if (twice != keys.end()) return refuse(fmt::format("\"{}\" stands twice", *twice));
    }
    return add(std::visit([](auto&& items) { return Value(std::move(items)); }, std::move(top.items)));
  }

  size_t most_depth_;
  std::vector<Open> open_;
};

}  // namespace

const Value* Value::find(std::string_view name) const {
  if (const Object* members = object()) {
    for (const auto& [key, value] : *members) {
      if (key == name) return &value;
    }
  }
  return nullptr;
}

std::string Value::dump(int indent) const {
  std::string out;
  write_value(out, *this, indent, 0);
  return out;
}

Parsed parse(std::string_view text, size_t most_depth) {
  Builder builder(most_depth);
  const bool good =
      nlohmann::json::sax_parse(text.begin(), text.end(), &builder, nlohmann::json::input_format_t::json, true);
  if (!good && builder.result.error.empty()) builder.result.error = "it is not JSON";
  if (!good) builder.result.value = Value();
  return std::move(builder.result);
}

}  // namespace longhaul::json
