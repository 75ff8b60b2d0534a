// defines: what tests of objectives share
#pragma once
#include <gmock/gmock.h>

#include "data/objectives/objective.h"
#include "tests/data/scratch.h"

namespace longhaul::data {

inline std::vector<int32_t> values(const Tensor& t) { return {t.data<int32_t>(), t.data<int32_t>() + t.elements()}; }
inline std::vector<int> bits(const Tensor& t) { return {t.data<uint8_t>(), t.data<uint8_t>() + t.elements()}; }

/// Row `b` of a tensor [B, N], up to `length`.
inline std::vector<int32_t> row(const Tensor& t, int64_t b, int64_t length) {
  const int32_t* begin = t.data<int32_t>() + b * t.size(1);
  return {begin, begin + length};
}

inline std::vector<Draw> draws(std::initializer_list<int64_t> samples) {
  std::vector<Draw> out;
  for (const int64_t sample : samples) out.push_back({sample, static_cast<uint64_t>(sample)});
  return out;
}

/// English of a few sentences, long enough for several samples.
inline std::string prose(int paragraphs = 12) {
  static const char* const kSentences[] = {
      "The whale swam past the boat in the morning. ", "Nobody on the boat had seen a whale before! ",
      "\"Was it a whale?\" asked Mr. Brown, who had slept. ", "The captain wrote the time of the morning in his book. ",
      "A storm came up from the west. ", "Every sail of the boat was taken down before the storm. "};
  std::string out;
  for (int i = 0; i < paragraphs; ++i) {
    for (int k = 0; k < 4; ++k) out += kSentences[(i * 5 + k * (1 + i % 3)) % 6];
    out += "\n\n";
  }
  return out;
}

}  // namespace longhaul::data
