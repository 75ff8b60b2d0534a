// What a step needs grows like the sequence, as much a token as the layers of a Transformer keep (Korthikanti et al. 2022).
#include <gtest/gtest.h>

#include <cctype>
#include <string>
#include <vector>

#include "tests/support/paths.h"
#include "train/config/load.h"
#include "train/plan/plan.h"

namespace longhaul::train {
namespace {

struct Line {
  double slope = 0, r_squared = 0;
};

Line fit(const std::vector<double>& x, const std::vector<double>& y) {
  double mean_x = 0, mean_y = 0, xx = 0, xy = 0, yy = 0;
  const auto n = static_cast<double>(x.size());
  for (size_t i = 0; i < x.size(); ++i) mean_x += x[i] / n, mean_y += y[i] / n;
  for (size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    xy += (x[i] - mean_x) * (y[i] - mean_y);
    yy += (y[i] - mean_y) * (y[i] - mean_y);
  }
  return {xy / xx, xy * xy / (xx * yy)};
}

class LinearMemory : public testing::TestWithParam<const char*> {};

TEST_P(LinearMemory, FromTwoToSixtyFourThousandTokens) {
  std::vector<double> lengths, bytes;
  double per_token = 0;  // 34 bytes of bf16 for each element of a layer's width, twice that in f32
  for (int64_t n = 2048; n <= 65536; n *= 2) {
    const config::Config config =
        config::load_config(source_folder() + "/configs/" + GetParam() + ".yaml",
                            {"data.sequence_length=" + std::to_string(n), "train.batch_size=1", "train.micro_batch=1",
                             "run.precision=f32"})
            .config;
    const models::BodyOptions& body = config.model.options->body;
    per_token = 2.0 * 34 * static_cast<double>(body.dim * body.layers);
    const Plan plan = make_plan(config, {.vocabulary = 256});
    lengths.push_back(static_cast<double>(n));
    bytes.push_back(static_cast<double>(plan.tensor_peak_bytes));
  }
  const Line line = fit(lengths, bytes);
  EXPECT_GT(line.r_squared, 0.99);
  EXPECT_LT(line.slope, 1.3 * per_token);
}

// Of the encoder-decoders the source grows, not what is written of it.
INSTANTIATE_TEST_SUITE_P(Families, LinearMemory,
                         testing::Values("bench/dense", "bench/window", "bench/longformer", "bench/bigbird", "led-books", "bigbird-pegasus-books"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

}  // namespace
}  // namespace longhaul::train
