// defines: LshHash, LshNeighbours, LshSelect, LshOwn, LshKernels
#pragma once
#include <vector>

#include "framework/kernels/attention.h"
#include "framework/kernels/kernel.h"

namespace longhaul::kernels {

/// Angular hashing: the number of buckets is the product of `factors`, each of them even.
struct LshHash {
  std::vector<int64_t> factors;
  int64_t buckets() const {
    int64_t product = 1;
    for (const int64_t factor : factors) product *= factor;
    return product;
  }
  /// Columns of the rotations of one round.
  int64_t columns() const {
    int64_t sum = 0;
    for (const int64_t factor : factors) sum += factor / 2;
    return sum;
  }
};

/// The chunks beyond the borders of a round: the last `before` slots of the round before and the first `after` slots of
/// the round behind, the rounds taken as a ring.
struct LshNeighbours {
  int64_t round = 0, before = 0, after = 0;
};

/// Keys for one query while decoding.
struct LshSelect {
  int64_t position = 0;  // of the query; keys 0 .. position exist
};

/// Dropout of the pair of a row with itself, numbered as in AttentionDropout.
struct LshOwn {
  AttentionDropout dropout;
  int64_t side_keys = 0;
};

/// What attention with locality-sensitive hashing needs beside the block-sparse primitive (Kitaev et al. 2020, section
/// 2). Token rows are i32, -1 stands for padding. Nothing here has a gradient except gather and own.
struct LshKernels {
  /// rotations: independent standard normal numbers, element e from element e of the stream.
  Kernel<const View& /*rotations*/, const RandomStream&> rotations{"lsh.rotations"};
  /// buckets [B, H, R, N] of query [B, H, N, d] (last stride 1) under rotations [H, d, R, columns], R >= 1. For each
  /// factor argmax([x R; -x R]), the lowest index where several are largest; the first factor counts fastest. Tokens
  /// whose valid [B, N] u8 is 0 get bucket hash.buckets(). Sums in f32 (f64).
  Kernel<const View& /*query*/, const View& /*rotations*/, const View& /*valid*/, const View& /*buckets*/,
         const LshHash&>
      buckets{"lsh.buckets"};
  /// rows [R, B, H, L]: tokens by (bucket, position), L >= N, padding last. A stable counting sort; starts [B, H, R,
  /// bins + 1] i32 is workspace. Fails on a bucket outside 0 .. bins - 1.
  Kernel<const View& /*buckets*/, const View& /*rows*/, const View& /*starts*/> sort{"lsh.sort"};
  /// chunks [B, H, R, N]: the chunk of every token in every round, counted on from round to round, from rows [R, B, H, L] and
  /// the slots of a chunk.
  Kernel<const View& /*rows*/, const View& /*chunks*/, int64_t /*chunk*/> places{"lsh.places"};
  /// position, valid and segment [B, H, before + after] of the neighbours of one round, from rows [R, B, H, L], valid
  /// [B, N] u8 and segment [B, N] i32 (either may be absent; segment in and out go together). Padding: position -1,
  /// valid 0.
  Kernel<const View& /*rows*/, const View& /*valid*/, const View& /*segment*/, const View& /*out_position*/,
         const View& /*out_valid*/, const View& /*out_segment*/, const LshNeighbours&>
      neighbours{"lsh.neighbours"};
  /// rows [B, H, K]: the K keys of highest priority for the query at `position`, from buckets [B, H, R, capacity]:
  /// those that share a bucket with it in any round come first, newer ones before older ones. K <= position + 1.
  Kernel<const View& /*buckets*/, const View& /*rows*/, const LshSelect&> select{"lsh.select"};
  /// y [B, H, S, d] = x[b, h, row[b, h, s]]; x has free strides except the last, y is contiguous; row -1 gives zeros.
  Kernel<const View& /*x*/, const View& /*row*/, const View& /*y*/> gather{"lsh.gather"};
  /// x[b, h, row[b, h, s]] += y, in the order of s.
  Kernel<const View& /*y*/, const View& /*row*/, const View& /*x*/> scatter_add{"lsh.scatter_add"};
  /// Rows that saw nothing (lse -inf) see themselves: out = value there, after dropout.
  Kernel<const View& /*value*/, const View& /*lse*/, const View& /*out*/, const LshOwn&> own{"lsh.own"};
  /// dvalue += dout in those rows, after dropout.
  Kernel<const View& /*dout*/, const View& /*lse*/, const View& /*dvalue*/, const LshOwn&> own_backward{
      "lsh.own_backward"};

  template <typename F>
  void each(F f) {
    f(rotations), f(buckets), f(sort), f(places), f(neighbours), f(select), f(gather), f(scatter_add), f(own), f(own_backward);
  }
};

}  // namespace longhaul::kernels
