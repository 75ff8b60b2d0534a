// defines: Listing, listed_before
#pragma once
#include <cstdint>

namespace longhaul {

/// How rounds of sorted chunks list keys for kFirstListing: each token lies in one chunk of every round, the chunks of all
/// rounds form a ring, and a token sees in each round its own chunk with the `before` in front of it and the `after` behind.
/// Rounds may list a pair several times; (round of the query, round of the key) orders its listings.
struct Listing {
  int32_t rounds = 0;   // R
  int32_t round = 0;    // of the query in this call; also of its main keys
  int32_t before = 0, after = 0;  // chunks, before + after < chunks
  int32_t chunks = 0;   // of all rounds
  int64_t slots = 0;    // of a round
  int64_t front = 0;    // side keys that lie in front of the first slot of the round; the others follow its last one
  int64_t stride = 0;   // between the chunks of a token in two rounds

  /// Whether the chunk `key` is in view of the chunk `query`.
  bool in_view(int32_t query, int32_t key) const {
    const int32_t ahead = (key - query + chunks) % chunks;
    return ahead <= after || chunks - ahead <= before;
  }
  /// The round that a side key comes from.
  int32_t round_of_side(int64_t slot) const {
    const int64_t ahead = slot < front ? slot - front : slots + slot - front, all = slots * rounds;
    return static_cast<int32_t>(((round * slots + ahead) % all + all) % all / slots);
  }
};

/// Whether an earlier listing than (listing.round, of) holds the pair of the tokens whose chunks are query[r stride] and
/// key[r stride] in round r.
inline bool listed_before(const Listing& listing, const int32_t* query, const int32_t* key, int32_t of) {
  for (int32_t p = 0; p <= listing.round; ++p) {
    const int32_t end = p < listing.round ? listing.rounds : of;
    for (int32_t q = 0; q < end; ++q) {
      if (listing.in_view(query[p * listing.stride], key[q * listing.stride])) return true;
    }
  }
  return false;
}

}  // namespace longhaul
