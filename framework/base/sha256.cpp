#include "framework/base/sha256.h"

#include <openssl/evp.h>

#include <algorithm>
#include <vector>

#include "framework/base/error.h"
#include "framework/base/io.h"

namespace longhaul {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() { start(); }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  void start() {
    check(context != nullptr && EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1,
          "[sha256] libcrypto offers no SHA-256\n  hint: check the installation of OpenSSL 3");
  }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::span<const std::byte> bytes) {
  if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1) throw InternalError("SHA-256 update failed");
}

void Sha256::update(std::string_view text) { update(std::as_bytes(std::span(text))); }

Sha256::Digest Sha256::finish() {
  Digest digest{};
  if (EVP_DigestFinal_ex(state_->context, digest.data(), nullptr) != 1) throw InternalError("SHA-256 failed to finish");
  state_->start();
  return digest;
}

std::string Sha256::finish_hex() { return to_hex(finish()); }

std::string to_hex(const Sha256::Digest& digest) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * digest.size());
  for (const uint8_t byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string sha256_hex(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish_hex();
}

std::string sha256_hex(std::string_view text) { return sha256_hex(std::as_bytes(std::span(text))); }

std::string sha256_hex_of_file(const std::string& path) {
  const io::File file = io::File::open(path);
  Sha256 hash;
  std::vector<std::byte> piece(size_t{1} << 20);
  for (uint64_t offset = 0;;) {
    const size_t got = file.read_some(offset, piece);
    if (got == 0) return hash.finish_hex();
    hash.update(std::span(piece).first(got));
    offset += got;
  }
}

}  // namespace longhaul
