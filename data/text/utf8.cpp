#include "data/text/utf8.h"

#include <utility>

#include "framework/base/error.h"

namespace longhaul::data {
namespace {

bool continues(char byte) { return (static_cast<uint8_t>(byte) & 0xC0u) == 0x80u; }

// The length that a first byte announces, and the range its second byte must lie in (Unicode standard, table 3-7).
struct Lead {
  int length = 0;
  uint8_t low = 0x80, high = 0xBF;
  Utf8Fault below = Utf8Fault::kCutShort;  // a continuation byte under `low`
  Utf8Fault above = Utf8Fault::kCutShort;  // a continuation byte over `high`
};

Lead lead_of(uint8_t byte) {
  if (byte >= 0xC2 && byte <= 0xDF) return {.length = 2};
  if (byte == 0xE0) return {.length = 3, .low = 0xA0, .below = Utf8Fault::kOverlong};
  if (byte == 0xED) return {.length = 3, .high = 0x9F, .above = Utf8Fault::kSurrogate};
  if (byte >= 0xE1 && byte <= 0xEF) return {.length = 3};
  if (byte == 0xF0) return {.length = 4, .low = 0x90, .below = Utf8Fault::kOverlong};
  if (byte >= 0xF1 && byte <= 0xF3) return {.length = 4};
  if (byte == 0xF4) return {.length = 4, .high = 0x8F, .above = Utf8Fault::kTooLarge};
  return {};
}

}  // namespace

std::string_view name_of(Utf8Fault fault) {
  switch (fault) {
    case Utf8Fault::kNone:
      return "valid";
    case Utf8Fault::kStrayContinuation:
      return "stray continuation byte";
    case Utf8Fault::kOverlong:
      return "overlong form";
    case Utf8Fault::kSurrogate:
      return "surrogate";
    case Utf8Fault::kTooLarge:
      return "code above U+10FFFF";
    case Utf8Fault::kCutShort:
      return "character cut short";
    case Utf8Fault::kCutAtEnd:
      return "character cut at the end";
  }
  return "";
}

Utf8Step utf8_step(std::string_view text, size_t at) {
  const auto first = static_cast<uint8_t>(text[at]);
  if (first < 0x80) return {first, 1, Utf8Fault::kNone};
  if (first < 0xC0) return {0, 1, Utf8Fault::kStrayContinuation};
  if (first < 0xC2) return {0, 1, Utf8Fault::kOverlong};
  if (first > 0xF4) return {0, 1, Utf8Fault::kTooLarge};
  const Lead lead = lead_of(first);
  char32_t code = first & (0xFFu >> (lead.length + 1));
  for (int i = 1; i < lead.length; ++i) {
    if (at + i >= text.size()) return {0, i, Utf8Fault::kCutAtEnd};
    const auto byte = static_cast<uint8_t>(text[at + i]);
    if (!continues(text[at + i])) return {0, i, Utf8Fault::kCutShort};
    if (i == 1 && byte < lead.low) return {0, 1, lead.below};
    if (i == 1 && byte > lead.high) return {0, 1, lead.above};
    code = code << 6 | (byte & 0x3Fu);
  }
  return {code, lead.length, Utf8Fault::kNone};
}

void append_utf8(std::string& out, char32_t code) {
  const auto put = [&out](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0u | code >> 6);
    put(0x80u | (code & 0x3Fu));
  } else if (code < 0x10000) {
    put(0xE0u | code >> 12);
    put(0x80u | (code >> 6 & 0x3Fu));
    put(0x80u | (code & 0x3Fu));
  } else {
    put(0xF0u | code >> 18);
    put(0x80u | (code >> 12 & 0x3Fu));
    put(0x80u | (code >> 6 & 0x3Fu));
    put(0x80u | (code & 0x3Fu));
  }
}

std::string code_name(char32_t code) { return fmt::format("U+{:04X}", static_cast<uint32_t>(code)); }

int64_t characters_in(std::string_view text) {
  int64_t count = 0;
  for (const char byte : text) count += !continues(byte);
  return count;
}

Utf8Filter::Utf8Filter(std::string name, InvalidUtf8 policy, int64_t origin, Take take)
    : name_(std::move(name)), policy_(policy), offset_(origin), take_(std::move(take)) {}

void Utf8Filter::write(std::string_view bytes) {
  if (bytes.empty()) return;
  if (pending_.empty()) {
    pass(bytes, false);
    return;
  }
  std::string joined = std::exchange(pending_, {});
  joined.append(bytes);
  pass(joined, false);
}

void Utf8Filter::finish() {
  if (pending_.empty()) return;
  const std::string rest = std::exchange(pending_, {});
  pass(rest, true);
}

void Utf8Filter::pass(std::string_view bytes, bool last) {
  size_t begin = 0;  // of what has not been passed on
  size_t at = 0;
  while (at < bytes.size()) {
    if (static_cast<uint8_t>(bytes[at]) < 0x80) {
      ++at;
      continue;
    }
    const Utf8Step step = utf8_step(bytes, at);
    if (step.fault == Utf8Fault::kNone) {
      at += step.length;
      continue;
    }
    if (step.fault == Utf8Fault::kCutAtEnd && !last) break;
    check<DataError>(
        policy_ != InvalidUtf8::kError,
        "[data] {}: invalid UTF-8 at byte {}: {} (0x{:02X})\n"
        "  hint: repair the file, replace such bytes (data.invalid_utf8: replace) or use the byte tokenizer",
        name_, offset_ + static_cast<int64_t>(at), name_of(step.fault), static_cast<uint8_t>(bytes[at]));
    if (policy_ == InvalidUtf8::kReplace) {
      if (at > begin) take_(bytes.substr(begin, at - begin));
      take_("\xEF\xBF\xBD");
      begin = at + step.length;
      replaced_ += step.length;
    }
    at += step.length;
  }
  if (at > begin) take_(bytes.substr(begin, at - begin));
  offset_ += static_cast<int64_t>(at);
  pending_.assign(bytes.substr(at));
}

}  // namespace longhaul::data
