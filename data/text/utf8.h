// defines: Utf8Fault, Utf8Step, utf8_step, append_utf8, characters_in, Utf8Filter
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "data/corpus/entry.h"

namespace longhaul::data {

enum class Utf8Fault {
  kNone,
  kStrayContinuation,  // 0x80..0xBF where a character starts
  kOverlong,           // C0, C1, E0 80.., F0 80..: a longer form of a smaller code
  kSurrogate,          // ED A0..BF: U+D800..U+DFFF
  kTooLarge,           // F4 90.., F5..FF: above U+10FFFF
  kCutShort,           // a character that another one interrupts
  kCutAtEnd,           // a character that the end of the text interrupts
};
std::string_view name_of(Utf8Fault fault);  // "stray continuation byte", ...

/// One character, or one faulty run of bytes (the longest that begins like a character, at least one byte).
struct Utf8Step {
  char32_t code = 0;
  int length = 1;
  Utf8Fault fault = Utf8Fault::kNone;
};
/// The step at text[at]; at < text.size().
Utf8Step utf8_step(std::string_view text, size_t at);

void append_utf8(std::string& out, char32_t code);
/// "U+00E9"
std::string code_name(char32_t code);

/// Bytes that start a character: code points of valid UTF-8, and one for each stray byte that is no continuation.
int64_t characters_in(std::string_view text);

/// Checks a stream of bytes and passes it on in pieces that end between characters.
class Utf8Filter {
 public:
  using Take = std::function<void(std::string_view piece)>;
  /// `name` stands in messages. `policy` is kError, kReplace or kKeep; offsets count from `origin`.
  Utf8Filter(std::string name, InvalidUtf8 policy, int64_t origin, Take take);
  /// throws DataError under kError: name, byte offset, class of the fault
  void write(std::string_view bytes);
  /// The end of the stream: a character cut there is a fault.
  void finish();
  /// Faulty bytes that U+FFFD took the place of.
  int64_t replaced() const { return replaced_; }

 private:
  void pass(std::string_view bytes, bool last);
  std::string name_;
  InvalidUtf8 policy_;
  int64_t offset_;  // of the first byte of pending_
  Take take_;
  std::string pending_;  // the front of a character, fewer than 4 bytes
  int64_t replaced_ = 0;
};

}  // namespace longhaul::data
