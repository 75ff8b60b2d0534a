// defines: json::Value, json::parse
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

/// JSON for what must not fail badly: parsing is bounded in depth and refuses a key that stands twice, and destroying a
/// value takes no memory, so that running out of it is an exception like any other. Where that matters, build lists and
/// objects with emplace_back: g++ 12 destroys elements of a braced list that were never made when copying one throws.
namespace longhaul::json {

class Value;
using List = std::vector<Value>;
/// Members in the order they were added or read.
using Object = std::vector<std::pair<std::string, Value>>;

class Value {
 public:
  Value() = default;  // null
  Value(bool value) : value_(value) {}
  Value(int value) : value_(int64_t{value}) {}
  Value(int64_t value) : value_(value) {}
  Value(uint64_t value) : value_(static_cast<int64_t>(value)) {}  // sizes and offsets; always below 2^63
  Value(double value) : value_(value) {}                          // finite
  Value(const char* value) : value_(std::string(value)) {}
  Value(std::string value) : value_(std::move(value)) {}
  Value(std::string_view value) : value_(std::string(value)) {}
  Value(List value) : value_(std::move(value)) {}
  Value(Object value) : value_(std::move(value)) {}

  /// Null when the value is of another kind.
  const bool* truth() const { return std::get_if<bool>(&value_); }
  const int64_t* integer() const { return std::get_if<int64_t>(&value_); }
  const double* real() const { return std::get_if<double>(&value_); }
  const std::string* text() const { return std::get_if<std::string>(&value_); }
  const List* list() const { return std::get_if<List>(&value_); }
  const Object* object() const { return std::get_if<Object>(&value_); }
  /// The member of that name; null when this is no object or has none.
  const Value* find(std::string_view name) const;

  /// JSON text. `indent` spaces a level, or a single line when 0. Reals are the shortest text that reads back to the
  /// same bits, and stay reals; bytes that are not UTF-8 become U+FFFD.
  std::string dump(int indent = 0) const;

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, List, Object> value_;
};

/// What parse found: a value, or the reason why there is none ("byte 12: ...").
struct Parsed {
  Value value;
  std::string error;  // empty: good
};

/// Reads one JSON text. Integers that do not fit 64 bits, signed, are refused.
Parsed parse(std::string_view text, size_t most_depth = 16);

}  // namespace longhaul::json
