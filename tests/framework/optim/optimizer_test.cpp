#include "framework/optim/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "framework/optim/clip.h"
#include "framework/tensor/memory.h"
#include "framework/tensor/random.h"
#include "tests/framework/optim/memory_state.h"

namespace longhaul::optim {
namespace {

constexpr int kSteps = 50;

// A parameter of the test and its copy in f64.
struct Twin {
  Parameter parameter;
  std::vector<double> w;
};

std::vector<float> normals(int64_t count, uint64_t step) {
  const RandomStream stream{.seed = 7, .step = step};
  std::vector<float> out;
  for (int64_t i = 0; i < count; ++i) out.push_back(static_cast<float>(stream.normal(static_cast<uint64_t>(i))));
  return out;
}

Twin twin(const std::string& name, const Shape& shape, uint64_t key, Device device) {
  const std::vector<float> values = normals(shape.elements(), 1000 + key);
  Tensor value = Tensor::of(shape, values, device);
  return {{name, Variable::parameter(value)}, {values.begin(), values.end()}};
}

std::vector<double> fill_gradient(const Parameter& parameter, uint64_t step) {
  const std::vector<float> values = normals(parameter.variable.value().elements(), step);
  parameter.variable.gradient().copy_from_host(values.data(), static_cast<int64_t>(values.size() * sizeof(float)));
  return {values.begin(), values.end()};
}

void expect_close(const Twin& twin, double tolerance) {
  const float* got = twin.parameter.variable.value().data<float>();
  for (size_t i = 0; i < twin.w.size(); ++i)
    EXPECT_NEAR(got[i], twin.w[i], tolerance) << twin.parameter.name << " " << i;
}

// Runs kSteps updates against `oracle(w, g, t, decays)`, which moves the f64 copy.
using Oracle = std::function<void(Twin&, const std::vector<double>&, int, bool)>;

void compare(const OptimizerOptions& options, const Oracle& oracle, Device device,
             const std::vector<Shape>& shapes = {{4, 6}, {5}}) {
  std::vector<Twin> twins;
  std::vector<Parameter> parameters;
  for (size_t i = 0; i < shapes.size(); ++i) {
    twins.push_back(twin(i == 0 ? "layers.0.weight" : "layers.0.bias" + std::to_string(i), shapes[i], i, device));
    parameters.push_back(twins.back().parameter);
  }
  const auto optimizer = make_optimizer(parameters, options);
  for (int t = 1; t <= kSteps; ++t) {
    for (size_t i = 0; i < twins.size(); ++i) {
      oracle(twins[i], fill_gradient(twins[i].parameter, static_cast<uint64_t>(t) * 10 + i), t, i == 0);
    }
    optimizer->update(0.01, 0.5);
    EXPECT_EQ(optimizer->updates(), t);
    for (const Twin& one : twins) expect_close(one, 2e-6 * (1 + t));
  }
}

class OptimizerOn : public testing::TestWithParam<Device> {};

TEST_P(OptimizerOn, AdamWFollowsItsFormula) {
  std::map<std::string, std::vector<double>> m, v;
  const OptimizerOptions options{
      .kind = OptimizerKind::kAdamW, .weight_decay = 0.1, .no_decay = {"*bias*"}, .beta2 = 0.95};
  compare(
      options,
      [&](Twin& p, const std::vector<double>& g, int t, bool decays) {
        auto &mi = m[p.parameter.name], &vi = v[p.parameter.name];
        mi.resize(p.w.size()), vi.resize(p.w.size());
        for (size_t i = 0; i < p.w.size(); ++i) {
          const double gi = 0.5 * g[i];
          mi[i] = 0.9 * mi[i] + 0.1 * gi;
          vi[i] = 0.95 * vi[i] + 0.05 * gi * gi;
          const double step = mi[i] / (1 - std::pow(0.9, t)) / (std::sqrt(vi[i] / (1 - std::pow(0.95, t))) + 1e-8);
          p.w[i] -= 0.01 * (step + (decays ? 0.1 * p.w[i] : 0));
        }
      },
      GetParam());
}

TEST_P(OptimizerOn, AdamAddsItsDecayToTheGradient) {
  std::map<std::string, std::vector<double>> m, v;
  const OptimizerOptions options{.kind = OptimizerKind::kAdam, .weight_decay = 0.1, .no_decay = {"*bias*"}};
  compare(
      options,
      [&](Twin& p, const std::vector<double>& g, int t, bool decays) {
        auto &mi = m[p.parameter.name], &vi = v[p.parameter.name];
        mi.resize(p.w.size()), vi.resize(p.w.size());
        for (size_t i = 0; i < p.w.size(); ++i) {
          const double gi = 0.5 * g[i] + (decays ? 0.1 * p.w[i] : 0);
          mi[i] = 0.9 * mi[i] + 0.1 * gi;
          vi[i] = 0.999 * vi[i] + 0.001 * gi * gi;
          p.w[i] -= 0.01 * (mi[i] / (1 - std::pow(0.9, t)) / (std::sqrt(vi[i] / (1 - std::pow(0.999, t))) + 1e-8));
        }
      },
      GetParam());
}

TEST_P(OptimizerOn, SgdGathersVelocity) {
  std::map<std::string, std::vector<double>> u;
  for (const bool nesterov : {false, true}) {
    u.clear();
    const OptimizerOptions options{
        .kind = OptimizerKind::kSgd, .weight_decay = 0.1, .momentum = 0.9, .nesterov = nesterov};
    compare(
        options,
        [&](Twin& p, const std::vector<double>& g, int, bool) {
          auto& ui = u[p.parameter.name];
          ui.resize(p.w.size());
          for (size_t i = 0; i < p.w.size(); ++i) {
            const double gi = 0.5 * g[i] + 0.1 * p.w[i];
            ui[i] = 0.9 * ui[i] + gi;
            p.w[i] -= 0.01 * (nesterov ? gi + 0.9 * ui[i] : ui[i]);
          }
        },
        GetParam());
  }
}

// Algorithms 4 and 6 of Shazeer & Stern 2018 on [.., rows, columns].
struct AdafactorOracle {
  OptimizerOptions o;
  std::map<std::string, std::vector<double>> row, column, v, first;

  void operator()(Twin& p, const std::vector<double>& gradient, int t, bool decays) {
    const Shape& shape = p.parameter.variable.shape();
    const size_t n = p.w.size();
    const double beta2 = 1 - std::pow(t, -o.decay_rate);
    const double rho = o.relative_step ? std::min(o.warmup_init ? 1e-6 * t : 1e-2, 1 / std::sqrt(t)) : 0.01;
    double squares = 0;
    for (const double w : p.w) squares += w * w;
    const double alpha = rho * (o.scale_parameter ? std::max(1e-3, std::sqrt(squares / static_cast<double>(n))) : 1);
    std::vector<double> g(n), s(n), u(n);
    for (size_t i = 0; i < n; ++i) g[i] = 0.5 * gradient[i], s[i] = g[i] * g[i] + 1e-30;
    if (shape.rank() >= 2) {
      const size_t rows = static_cast<size_t>(shape[-2]), columns = static_cast<size_t>(shape[-1]),
                   count = n / rows / columns;
      auto &r = row[p.parameter.name], &c = column[p.parameter.name];
      r.resize(count * rows), c.resize(count * columns);
      for (size_t k = 0; k < count; ++k) {
        double mean_row = 0;
        for (size_t i = 0; i < rows; ++i) {
          double mean = 0;
          for (size_t j = 0; j < columns; ++j) mean += s[(k * rows + i) * columns + j] / static_cast<double>(columns);
          r[k * rows + i] = beta2 * r[k * rows + i] + (1 - beta2) * mean;
          mean_row += r[k * rows + i] / static_cast<double>(rows);
        }
        for (size_t j = 0; j < columns; ++j) {
          double mean = 0;
          for (size_t i = 0; i < rows; ++i) mean += s[(k * rows + i) * columns + j] / static_cast<double>(rows);
          c[k * columns + j] = beta2 * c[k * columns + j] + (1 - beta2) * mean;
        }
        for (size_t i = 0; i < rows; ++i) {
          for (size_t j = 0; j < columns; ++j) {
            const size_t at = (k * rows + i) * columns + j;
            u[at] = g[at] / (std::sqrt(r[k * rows + i] / mean_row) * std::sqrt(c[k * columns + j]));
          }
        }
      }
    } else {
      auto& vi = v[p.parameter.name];
      vi.resize(n);
      for (size_t i = 0; i < n; ++i) vi[i] = beta2 * vi[i] + (1 - beta2) * s[i], u[i] = g[i] / std::sqrt(vi[i]);
    }
    double mean = 0;
    for (const double x : u) mean += x * x / static_cast<double>(n);
    const double clip = std::max(1.0, std::sqrt(mean) / o.clip_threshold);
    auto& moment = first[p.parameter.name];
    moment.resize(n);
    for (size_t i = 0; i < n; ++i) {
      double step = alpha * u[i] / clip;
      if (o.factor_beta1 != 0) step = moment[i] = o.factor_beta1 * moment[i] + (1 - o.factor_beta1) * step;
      p.w[i] = p.w[i] - (decays ? o.weight_decay : 0) * alpha * p.w[i] - step;
    }
  }
};

TEST_P(OptimizerOn, AdafactorFollowsItsAlgorithm) {
  const std::vector<OptimizerOptions> variants = {
      {.kind = OptimizerKind::kAdafactor},
      {.kind = OptimizerKind::kAdafactor,
       .weight_decay = 0.1,
       .no_decay = {"*bias*"},
       .factor_beta1 = 0.9,
       .scale_parameter = false},
      {.kind = OptimizerKind::kAdafactor, .clip_threshold = 0.5, .relative_step = true},
      {.kind = OptimizerKind::kAdafactor, .relative_step = true, .warmup_init = true}};
  for (const OptimizerOptions& options : variants) {
    AdafactorOracle oracle{.o = options, .row = {}, .column = {}, .v = {}, .first = {}};
    compare(options, std::ref(oracle), GetParam(), {{4, 6}, {5}, {2, 3, 4}});
  }
}

TEST_P(OptimizerOn, AStateTakenOverContinuesBitForBit) {
  for (const OptimizerKind kind :
       {OptimizerKind::kAdamW, OptimizerKind::kAdam, OptimizerKind::kAdafactor, OptimizerKind::kSgd}) {
    const OptimizerOptions options{.kind = kind, .weight_decay = 0.1, .factor_beta1 = 0.9};
    Twin one = twin("w", {3, 5}, 1, GetParam());
    const auto unbroken = make_optimizer({one.parameter}, options);
    for (int t = 1; t <= 3; ++t) fill_gradient(one.parameter, t), unbroken->update(0.01, 1);

    MemoryState state;
    unbroken->save_state(state);
    Twin other = twin("w", {3, 5}, 2, GetParam());
    std::memcpy(other.parameter.variable.value().raw(), one.parameter.variable.value().raw(), 15 * sizeof(float));
    const auto continued = make_optimizer({other.parameter}, options);
    MemoryReader reader(state);
    continued->load_state(reader);
    EXPECT_EQ(continued->updates(), 3);

    for (int t = 4; t <= 8; ++t) {
      fill_gradient(one.parameter, t), unbroken->update(0.01, 1);
      fill_gradient(other.parameter, t), continued->update(0.01, 1);
    }
    EXPECT_EQ(
        std::memcmp(one.parameter.variable.value().raw(), other.parameter.variable.value().raw(), 15 * sizeof(float)),
        0);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, OptimizerOn, testing::Values(Device::reference(), Device::cpu()),
                         [](const auto& info) { return std::string(name_of(info.param.kind)); });

TEST(Optimizer, ItsTensorsBelongToTheOptimizerFamily) {
  const auto live = [] {
    return device_memory(Device::cpu()).report().live[static_cast<int>(MemoryFamily::kOptimizer)];
  };
  const int64_t before = live();
  const Twin one = twin("w", {16, 16}, 1, Device::cpu());
  const auto optimizer = make_optimizer({one.parameter}, {.kind = OptimizerKind::kAdamW});
  EXPECT_EQ(live() - before, 2 * 16 * 16 * static_cast<int64_t>(sizeof(float)));
}

TEST(Optimizer, AnUpdateInvalidatesRoundedCopies) {
  const Twin one = twin("w", {4, 4}, 1, Device::cpu());
  const auto optimizer = make_optimizer({one.parameter}, {.kind = OptimizerKind::kSgd, .momentum = 0});
  const float before = static_cast<float>(one.parameter.variable.value_as(DType::kBF16).data<bfloat16>()[0]);
  fill_gradient(one.parameter, 1);
  optimizer->update(1.0, 1);
  const float after = static_cast<float>(one.parameter.variable.value_as(DType::kBF16).data<bfloat16>()[0]);
  EXPECT_NE(before, after);
  EXPECT_EQ(after, static_cast<float>(bfloat16(one.parameter.variable.value().data<float>()[0])));
}

TEST(Optimizer, RebindRefusesOtherParameters) {
  const Twin one = twin("w", {4, 4}, 1, Device::cpu()), other = twin("w", {4, 5}, 1, Device::cpu());
  const auto optimizer = make_optimizer({one.parameter}, {});
  EXPECT_THROW(optimizer->rebind({other.parameter}), InternalError);
  EXPECT_THROW(optimizer->rebind({}), InternalError);
}

}  // namespace
}  // namespace longhaul::optim
