// defines: TokenField, TokenInfo
#pragma once
#include <cstdint>

#include "framework/pattern/listing.h"

namespace longhaul {

/// One number per row of a [B, H, rows] grid; a stride of 0 shares the row between batch entries or heads.
template <typename T>
struct TokenField {
  const T* data = nullptr;  // null: absent
  int64_t batch_stride = 0, head_stride = 0;

  explicit operator bool() const { return data != nullptr; }
  const T* at(int64_t batch, int64_t head) const { return data + batch * batch_stride + head * head_stride; }
};

/// Facts about the tokens of one side (queries, keys or side keys), indexed by the row of the tensor. All may be
/// absent.
struct TokenInfo {
  TokenField<int32_t> position;  // absent: row + the pattern's offset of this side
  TokenField<int32_t> segment;   // for kSegmentId
  TokenField<int32_t> bucket;    // for kSameBucket
  TokenField<uint8_t> global;    // for kNotGlobal
  TokenField<uint8_t> valid;     // 0: a key nobody sees; a query without a visible key
  TokenField<int32_t> rows;      // tensor row of every tile row, -1 for padding; replaces the pattern's own permutation
  TokenField<int32_t> chunk;     // for kFirstListing: chunk of the token at a position, in round 0; see Listing::stride
  Listing listing;               // for kFirstListing
};

}  // namespace longhaul
