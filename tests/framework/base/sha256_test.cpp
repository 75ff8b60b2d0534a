#include "framework/base/sha256.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

// FIPS 180-4 example vectors.
TEST(Sha256, MatchesThePublishedVectors) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, GivesTheSameDigestForAnyPieces) {
  const std::string text(1000, 'x');
  for (const size_t size : {1, 7, 63, 64, 65, 999}) {
    Sha256 hash;
    for (size_t at = 0; at < text.size(); at += size) hash.update(std::string_view(text).substr(at, size));
    EXPECT_EQ(hash.finish_hex(), sha256_hex(text)) << size;
  }
}

TEST(Sha256, StartsAnewAfterFinishing) {
  Sha256 hash;
  hash.update("something");
  hash.finish();
  hash.update("abc");
  EXPECT_EQ(hash.finish_hex(), sha256_hex("abc"));
}

}  // namespace
}  // namespace longhaul
