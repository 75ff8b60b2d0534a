#include <gtest/gtest.h>

#include <cmath>

#include "tests/framework/kernels/support.h"

namespace longhaul::testing {
namespace {

using kernels::AdafactorOptions;
using kernels::AdamOptions;
using kernels::SgdOptions;

/// A parameter with `states` zero states of given shapes on both devices; the reference computes in f64 with the same
/// gradients.
struct Pair {
  Tensor fast, exact;
  Pair(const Shape& shape, DType) : fast(zeros(shape, DType::kF32)), exact(as(fast)) {}
  Pair(const Shape& shape, uint64_t seed) : fast(random(shape, DType::kF32, seed)), exact(as(fast)) {}
};

constexpr int kSteps = 50;
const Shape kShapes[] = {{1}, {37}, {40000}};

TEST(Adam, FollowsTheOracleOverFiftySteps) {
  for_each_isa([] {
    for (const bool decoupled : {true, false}) {
      for (const Shape& shape : kShapes) {
        Pair w(shape, 1), m(shape, DType::kF32), v(shape, DType::kF32);
        for (int t = 1; t <= (shape[0] > 1000 ? 5 : kSteps); ++t) {
          AdamOptions options{.learning_rate = 1e-2f,
                              .beta1 = 0.9f,
                              .beta2 = 0.99f,
                              .weight_decay = 0.1f,
                              .gradient_scale = 0.5f,
                              .decoupled = decoupled};
          options.correction1 = 1 - std::pow(options.beta1, static_cast<float>(t));
          options.correction2 = 1 - std::pow(options.beta2, static_cast<float>(t));
          const Tensor g = random(shape, DType::kF32, 100 + static_cast<uint64_t>(t));
          cpu().optimizer.adam(w.fast, g, m.fast, v.fast, options);
          reference().optimizer.adam(w.exact, as(g), m.exact, v.exact, options);
        }
        expect_close(w.fast, w.exact, 2e-5, 1e-6);
        expect_close(m.fast, m.exact, 1e-6, 1e-5);
        expect_close(v.fast, v.exact, 1e-6, 1e-5);
      }
    }
  });
}

TEST(Adam, TheFirstStepHasTheSizeOfTheLearningRate) {
  const Tensor w = Tensor::of<float>({2}, {1, 1}), g = Tensor::of<float>({2}, {0.25f, -3}), m = zeros({2}, DType::kF32),
               v = zeros({2}, DType::kF32);
  cpu().optimizer.adam(w, g, m, v, {.learning_rate = 0.1f, .correction1 = 0.1f, .correction2 = 1 - 0.999f});
  expect_close(w, Tensor::of<double>({2}, {0.9, 1.1}, Device::reference()), 1e-5, 0);
}

TEST(Sgd, FollowsTheOracleOverFiftySteps) {
  for_each_isa([] {
    for (const auto& [momentum, nesterov] : {std::pair{0.0f, false}, {0.9f, false}, {0.9f, true}}) {
      Pair w({53}, 1), velocity({53}, DType::kF32);
      const SgdOptions options{.learning_rate = 1e-2f,
                               .momentum = momentum,
                               .weight_decay = 0.01f,
                               .gradient_scale = 0.5f,
                               .nesterov = nesterov};
      for (int t = 1; t <= kSteps; ++t) {
        const Tensor g = random({53}, DType::kF32, 100 + static_cast<uint64_t>(t));
        cpu().optimizer.sgd(w.fast, g, momentum != 0 ? velocity.fast.view() : absent(), options);
        reference().optimizer.sgd(w.exact, as(g), momentum != 0 ? velocity.exact.view() : absent(), options);
      }
      expect_close(w.fast, w.exact, 1e-5, 1e-6);
    }
  });
}

TEST(Average, FollowsTheOracle) {
  Pair w({100}, 1), shadow({100}, 2);
  for (int t = 0; t < kSteps; ++t) {
    cpu().optimizer.average(w.fast, shadow.fast, 0.9f);
    reference().optimizer.average(w.exact, shadow.exact, 0.9f);
  }
  expect_close(shadow.fast, shadow.exact, 1e-6, 1e-5);
}

struct Factored {
  Shape shape, row, column;
};

AdafactorOptions adafactor_at(int t, float beta1) {
  return {.alpha = 1e-2f,
          .beta2 = 1 - std::pow(static_cast<float>(t), -0.8f),
          .beta1 = beta1,
          .weight_decay = 0.01f,
          .gradient_scale = 0.5f};
}

TEST(Adafactor, FollowsTheOracleOverFiftySteps) {
  for (const Factored& c : {Factored{{41}, {}, {}}, Factored{{13, 37}, {13}, {37}}, Factored{{3, 8, 5}, {3, 8}, {3, 5}},
                            Factored{{700, 90}, {700}, {90}}}) {
    for (const float beta1 : {0.0f, 0.9f}) {
      const bool factored = c.shape.rank() > 1;
      Pair w(c.shape, 1), v(c.shape, DType::kF32), first(c.shape, DType::kF32), update(c.shape, DType::kF32),
          row(c.row, DType::kF32), column(c.column, DType::kF32);
      const auto view = [](bool present, const Tensor& t) { return present ? t.view() : absent(); };
      for (int t = 1; t <= (c.shape[0] > 500 ? 5 : kSteps); ++t) {
        const AdafactorOptions options = adafactor_at(t, beta1);
        const Tensor g = random(c.shape, DType::kF32, 100 + static_cast<uint64_t>(t));
        cpu().optimizer.adafactor(w.fast, g, view(factored, row.fast), view(factored, column.fast),
                                  view(!factored, v.fast), view(beta1 != 0, first.fast), update.fast, options);
        reference().optimizer.adafactor(w.exact, as(g), view(factored, row.exact), view(factored, column.exact),
                                        view(!factored, v.exact), view(beta1 != 0, first.exact), update.exact, options);
      }
      expect_close(w.fast, w.exact, 2e-5, 1e-5);
      if (factored) expect_close(row.fast, row.exact, 1e-7, 1e-5);
      if (factored) expect_close(column.fast, column.exact, 1e-7, 1e-5);
    }
  }
}

TEST(Adafactor, FactoredEqualsDenseWhenTheSquaresHaveRankOne) {
  const int64_t rows = 6, columns = 9;
  std::vector<double> g;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) g.push_back((i + 1) * 0.3 * (j + 2) * ((i + j) % 2 ? 1 : -1));
  }
  const Tensor gradient = Tensor::of({rows, columns}, g, Device::reference());
  for (const kernels::Backend* device : {&cpu(), &reference()}) {
    const DType dtype = device == &cpu() ? DType::kF32 : DType::kF64;
    const Tensor factored = as(random({rows, columns}, DType::kF32, 1), dtype), dense = as(factored, dtype),
                 update = as(factored, dtype);
    const Tensor row = zeros({rows}, dtype), column = zeros({columns}, dtype), v = zeros({rows, columns}, dtype);
    for (int t = 1; t <= kSteps; ++t) {
      AdafactorOptions options = adafactor_at(t, 0);
      options.eps = 0;
      device->optimizer.adafactor(factored, as(gradient, dtype), row, column, absent(), absent(), update, options);
      device->optimizer.adafactor(dense, as(gradient, dtype), absent(), absent(), v, absent(), update, options);
    }
    expect_close(factored, dense, 1e-5, 1e-5);
  }
}

TEST(Optimizers, BitsDoNotDependOnThreads) {
  expect_same_for_threads([] {
    const Shape shape{900, 77};
    const Tensor w = random(shape, DType::kF32, 1), g = random(shape, DType::kF32, 2),
                 update = zeros(shape, DType::kF32), row = zeros({900}, DType::kF32), column = zeros({77}, DType::kF32);
    const Tensor v = random({70000}, DType::kF32, 3), m = zeros({70000}, DType::kF32), s = zeros({70000}, DType::kF32);
    cpu().optimizer.adafactor(w, g, row, column, absent(), absent(), update, adafactor_at(2, 0));
    cpu().optimizer.adam(v, random({70000}, DType::kF32, 4), m, s, {.learning_rate = 0.1f});
    return std::vector{w, row, column, v, m, s};
  });
}

TEST(Optimizers, ANanGradientReachesTheParameter) {
  for_each_isa([] {
    const Tensor w = random({20}, DType::kF32, 1), g = random({20}, DType::kF32, 2), m = zeros({20}, DType::kF32),
                 v = zeros({20}, DType::kF32), update = zeros({20}, DType::kF32);
    g.data<float>()[3] = std::nanf("");
    cpu().optimizer.adam(w, g, m, v, {.learning_rate = 0.1f});
    EXPECT_TRUE(std::isnan(w.data<float>()[3]));
    EXPECT_TRUE(std::isfinite(w.data<float>()[4]));
    cpu().optimizer.adafactor(w, g, absent(), absent(), v, absent(), update, {.alpha = 0.1f});
    EXPECT_TRUE(std::isnan(w.data<float>()[4]));  // the clipping threshold looks at the whole tensor
  });
}

}  // namespace
}  // namespace longhaul::testing
