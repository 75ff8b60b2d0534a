// defines: Sha256, sha256
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace longhaul {

/// SHA-256 of a stream of bytes (libcrypto, which uses the SHA instructions where the processor has them).
class Sha256 {
 public:
  using Digest = std::array<uint8_t, 32>;

  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);
  /// Digest of everything so far; the object starts anew.
  Digest finish();
  /// The same as 64 lower-case hexadecimal digits.
  std::string finish_hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string to_hex(const Sha256::Digest& digest);
/// 64 lower-case hexadecimal digits.
std::string sha256_hex(std::span<const std::byte> bytes);
std::string sha256_hex(std::string_view text);
/// Digest of a whole file, read in pieces of 1 MiB. throws IoError
std::string sha256_hex_of_file(const std::string& path);

}  // namespace longhaul
