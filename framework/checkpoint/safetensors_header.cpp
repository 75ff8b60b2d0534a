#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "framework/base/error.h"
#include "framework/checkpoint/safetensors.h"

namespace longhaul::checkpoint {
namespace {

using Json = nlohmann::json;

struct Tag {
  std::string_view name;
  uint64_t bits;
};
// The dtypes of the reference implementation, 0.7.
constexpr std::array<Tag, 20> kTags = {{{"BOOL", 8}, {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
                                        {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"I16", 16},
                                        {"U16", 16}, {"F16", 16},    {"BF16", 16},   {"I32", 32},    {"U32", 32},
                                        {"F32", 32}, {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}}};

// No tensor has more dimensions; bounds the memory that a header of nothing but zeros takes.
constexpr size_t kMostNumbers = 64;

uint64_t bits_of(std::string_view tag) {
  for (const Tag& known : kTags) {
    if (known.name == tag) return known.bits;
  }
  return 0;
}

// For messages: names come from the file and may be long.
std::string shown(const std::string& name) { return name.size() <= 200 ? name : name.substr(0, 200) + "..."; }

// Takes the events of the JSON parser, which keeps its own stack, so that depth costs nothing; the only accepted form
// is
// {"name": {"dtype": text, "shape": [n...], "data_offsets": [n, n]}, ..., "__metadata__": {text: text}}.
class HeaderHandler {
 public:
  explicit HeaderHandler(const std::string& where) : where_(where) {}

  bool start_object(size_t) {
    if (depth_ == 0) {
      depth_ = 1;
      return true;
    }
    if (depth_ == 2) refuse_value("an object");
    depth_ = 2;
    return true;
  }

  bool end_object() {
    if (depth_ == 2 && !in_metadata_) finish_entry();
    --depth_;
    return true;
  }

  bool key(std::string& text) {
    if (depth_ == 1) {
      in_metadata_ = text == "__metadata__";
      check<CheckpointError>(names_.insert(text).second, "[safetensors] {}: \"{}\" stands twice in the header", where_,
                             shown(text));
      entry_ = SafetensorsEntry{.name = text, .dtype = {}, .shape = {}};
      seen_.clear();
      return true;
    }
    field_ = text;
    check<CheckpointError>(seen_.insert(text).second, "[safetensors] {}: \"{}\" of \"{}\" stands twice", where_,
                           shown(text), shown(entry_.name));
    check<CheckpointError>(in_metadata_ || text == "dtype" || text == "shape" || text == "data_offsets",
                           "[safetensors] {}: tensor \"{}\" has an unknown member \"{}\"", where_, shown(entry_.name),
                           shown(text));
    return true;
  }

  bool string(std::string& text) {
    if (depth_ != 2 || in_array_) refuse_value("text");
    if (in_metadata_) {
      header.metadata[field_] = text;
      return true;
    }
    if (field_ != "dtype") refuse_value("text");
    check<CheckpointError>(bits_of(text) != 0, "[safetensors] {}: tensor \"{}\" has the unknown dtype \"{}\"", where_,
                           shown(entry_.name), shown(text));
    entry_.dtype = text;
    return true;
  }

  bool start_array(size_t) {
    if (depth_ != 2 || in_metadata_ || in_array_ || field_ == "dtype") refuse_value("an array");
    in_array_ = true;
    numbers_.clear();
    return true;
  }

  bool end_array() {
    in_array_ = false;
    if (field_ == "shape") {
      entry_.shape.assign(numbers_.begin(), numbers_.end());
      return true;
    }
    check<CheckpointError>(numbers_.size() == 2,
                           "[safetensors] {}: data_offsets of tensor \"{}\" hold {} numbers, expected 2", where_,
                           shown(entry_.name), numbers_.size());
    entry_.begin = numbers_[0];
    entry_.end = numbers_[1];
    return true;
  }

  bool number_unsigned(uint64_t value) {
    if (!in_array_) refuse_value("a number");
    check<CheckpointError>(value <= static_cast<uint64_t>(INT64_MAX),
                           "[safetensors] {}: {} of tensor \"{}\" holds {}, which is beyond 2^63", where_, field_,
                           shown(entry_.name), value);
    check<CheckpointError>(numbers_.size() < kMostNumbers,
                           "[safetensors] {}: {} of tensor \"{}\" holds more than {} numbers", where_, field_,
                           shown(entry_.name), kMostNumbers);
    numbers_.push_back(value);
    return true;
  }

  bool number_integer(int64_t) { refuse_value("a negative number"); }
  bool number_float(double, const std::string&) { refuse_value("a fraction or a number beyond 64 bits"); }
  bool null() { refuse_value("null"); }
  bool boolean(bool) { refuse_value("a truth value"); }
  bool binary(Json::binary_t&) { refuse_value("binary data"); }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error ...": the reason follows the
    // place.
    const std::string text = error.what();
    const size_t reason = text.find(": ");
    fail<CheckpointError>("[safetensors] {}: the header is not JSON at byte {}: {}", where_, position,
                          shown(reason == std::string::npos ? text : text.substr(reason + 2)));
  }

  SafetensorsHeader header;

 private:
  [[noreturn]] void refuse_value(std::string_view what) const {
    if (depth_ == 0) fail<CheckpointError>("[safetensors] {}: the header is {}, expected an object", where_, what);
    if (depth_ == 1)
      fail<CheckpointError>("[safetensors] {}: \"{}\" is {}, expected an object", where_, shown(entry_.name), what);
    fail<CheckpointError>("[safetensors] {}: \"{}\" of \"{}\" holds {}, expected {}", where_, shown(field_),
                          shown(entry_.name), what,
                          in_metadata_        ? "text"
                          : field_ == "dtype" ? "the name of a dtype"
                                              : "whole numbers of 0 or more");
  }

  void finish_entry() {
    for (const char* needed : {"dtype", "shape", "data_offsets"}) {
      check<CheckpointError>(seen_.contains(needed), "[safetensors] {}: tensor \"{}\" has no {}", where_,
                             shown(entry_.name), needed);
    }
    header.entries.push_back(std::move(entry_));
  }

  const std::string& where_;
  int depth_ = 0;
  bool in_metadata_ = false;
  bool in_array_ = false;
  std::set<std::string> names_;
  std::set<std::string> seen_;
  SafetensorsEntry entry_{};
  std::string field_;
  std::vector<uint64_t> numbers_;
};

// Bytes of a tensor from its shape; every product is checked.
uint64_t bytes_of(const SafetensorsEntry& entry, const std::string& where) {
  uint64_t bits = bits_of(entry.dtype);
  for (const int64_t size : entry.shape) {
    check<CheckpointError>(!__builtin_mul_overflow(bits, static_cast<uint64_t>(size), &bits),
                           "[safetensors] {}: the shape of tensor \"{}\" has more than 2^64 bits", where,
                           shown(entry.name));
  }
  check<CheckpointError>(bits % 8 == 0, "[safetensors] {}: tensor \"{}\" of {} does not end on a whole byte", where,
                         shown(entry.name), entry.dtype);
  return bits / 8;
}

void check_layout(SafetensorsHeader& header, uint64_t data_bytes, const std::string& where) {
  std::sort(header.entries.begin(), header.entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t at = 0;
  for (const SafetensorsEntry& entry : header.entries) {
    check<CheckpointError>(entry.begin <= entry.end,
                           "[safetensors] {}: tensor \"{}\" begins at {} and ends before, at {}", where,
                           shown(entry.name), entry.begin, entry.end);
    check<CheckpointError>(
        entry.begin >= at,
        "[safetensors] {}: tensor \"{}\" begins at {}, inside the tensor before it, which ends at {}", where,
        shown(entry.name), entry.begin, at);
    check<CheckpointError>(entry.begin == at,
                           "[safetensors] {}: bytes {} to {}, before tensor \"{}\", belong to no tensor", where, at,
                           entry.begin, shown(entry.name));
    const uint64_t bytes = bytes_of(entry, where);
    check<CheckpointError>(entry.end - entry.begin == bytes,
                           "[safetensors] {}: tensor \"{}\" has {} bytes, its dtype and shape need {}", where,
                           shown(entry.name), entry.end - entry.begin, bytes);
    at = entry.end;
  }
  check<CheckpointError>(at <= data_bytes,
                         "[safetensors] {}: the tensors need {} bytes, the file has {}: it was cut off", where, at,
                         data_bytes);
  check<CheckpointError>(at == data_bytes, "[safetensors] {}: {} bytes follow the last tensor", where, data_bytes - at);
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view json, uint64_t data_bytes, const std::string& where) {
  check<CheckpointError>(!json.empty() && json.front() == '{', "[safetensors] {}: the header does not begin with '{{'",
                         where);
  HeaderHandler handler(where);
  Json::sax_parse(json.begin(), json.end(), &handler, nlohmann::json::input_format_t::json, true);
  check_layout(handler.header, data_bytes, where);
  return std::move(handler.header);
}

}  // namespace longhaul::checkpoint
