// defines: Mutator, attack
#pragma once
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <string_view>

namespace longhaul::hostile {

/// Seeded changes of a sound file: of single bytes, of stretches, and of what a text of JSON or YAML is made of
/// (numbers, names, nesting), or of the little-endian fields of a binary one.
class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}
  uint64_t below(uint64_t n) { return n == 0 ? 0 : random_() % n; }

  std::string bytes(std::string sound);                          // 1 to 4 changes of bytes and stretches
  std::string text(std::string sound);                           // 1 to 3 changes, of the structure more often than not
  std::string fields(std::string sound, size_t from, size_t to);  // numbers of 1, 2, 4, 8 bytes inside [from, to)

 private:
  void change_bytes(std::string& s);
  void change_structure(std::string& s);
  std::string number();
  std::string name();
  std::mt19937_64 random_;
};

/// Runs `attempt` for many seeds: `often` times, in the long tier 200 times as often. A case may take 5 seconds of this
/// thread and all of them together may make the process grow by 1 GiB at most; an exception that leaves `attempt` fails
/// the test. When a case ends the process, its seed is printed first.
void attack(const char* target, int often, const std::function<void(Mutator&)>& attempt);

}  // namespace longhaul::hostile
