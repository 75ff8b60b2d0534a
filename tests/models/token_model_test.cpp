#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "framework/autograd/gradient_check.h"
#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/base/threads.h"
#include "framework/ops/support.h"
#include "framework/tensor/memory.h"
#include "models/local/options.h"
#include "models/model.h"
#include "tests/support/tensor_compare.h"

namespace longhaul::models {
namespace {

using testing::relative_distance;
using testing::same_bits;

/// A small model of a family; `change` edits its options before they are resolved.
ModelSpec small(const std::string& family, const std::function<void(FamilyOptions&)>& change = {}, Form form = Form::kDecoder) {
  const FamilyInfo* info = find_family(family);
  auto options = info->make();
  options->body.dim = 16, options->body.layers = 2, options->body.heads = 2, options->body.feedforward = 24;
  options->body.max_positions = 40;
  if (auto* local = dynamic_cast<LocalOptions*>(options.get())) local->window = 5;
  if (change) change(*options);
  info->resolve(*options, {.sequence_length = 40, .form = form, .reversible = false});
  ModelSpec spec;
  spec.family = family;
  spec.options = options;
  spec.form = form;
  spec.vocabulary = 11;
  return spec;
}

Tensor tokens(int64_t batch, int64_t length, Device device, int32_t step = 3) {
  std::vector<int32_t> values;
  for (int64_t i = 0; i < batch * length; ++i) values.push_back(static_cast<int32_t>((i * step + i / 4) % 11));
  return Tensor::of<int32_t>({batch, length}, values, device);
}

ModelInputs inputs(const Tensor& tokens) { return {tokens, {}, {}}; }

struct StepResult {
  double loss = 0;
  std::vector<Tensor> gradients;
  Tensor nll;
};

StepResult step_towards(const LanguageModel& model, const Tensor& targets, const nn::StepContext& context) {
  TapeScope scope;
  const auto result = model.loss(inputs(tokens(targets.size(0), targets.size(1), model.device())), targets, context, {.scale = 1.0 / 18});
  StepResult out;
  out.nll = result.nll;
  const Tensor seed = Tensor::empty({1}, result.loss.dtype(), model.device());
  ops::table(seed).elementwise.fill(seed, 1.0);
  out.loss = result.loss.dtype() == DType::kF64 ? result.loss.value().data<double>()[0] : result.loss.value().data<float>()[0];
  for (const auto& p : model.parameters()) p.variable.clear_gradient();
  scope.tape().backward(result.loss, seed);
  for (const auto& p : model.parameters()) {
    const Tensor copy = ops::like(p.variable.value());
    ops::table(copy).elementwise.copy(p.variable.gradient(), copy);
    out.gradients.push_back(copy);
  }
  return out;
}

StepResult one_step(const LanguageModel& model, const nn::StepContext& context, int64_t batch = 2, int64_t length = 9) {
  return step_towards(model, tokens(batch, length, model.device(), 5), context);
}

struct Variant {
  const char* name;
  const char* family;
  std::function<void(FamilyOptions&)> change;
};

const Variant kVariants[] = {
    {"Dense", "transformer", {}},
    {"PostNorm", "transformer", [](FamilyOptions& o) { o.body.norm = NormPlacement::kPost; }},
    {"RotarySwigluRmsGrouped", "transformer",
     [](FamilyOptions& o) {
       o.body.positions = Positions::kRotary, o.body.activation = Activation::kSwiglu, o.body.norm_kind = NormKind::kRms, o.body.bias = false;
       o.body.dim = 32, o.body.heads = 4, o.body.kv_heads = 2;
     }},
    {"SinusoidalUntied", "transformer", [](FamilyOptions& o) { o.body.positions = Positions::kSinusoidal, o.body.tied_embeddings = false; }},
    {"Axial", "transformer", [](FamilyOptions& o) { o.body.positions = Positions::kAxial, o.body.axial_shape = {5, 8}; }},
    {"NoPositions", "transformer", [](FamilyOptions& o) { o.body.positions = Positions::kNone; }},
    {"Window", "local", {}},
    {"Blocks", "local", [](FamilyOptions& o) { dynamic_cast<LocalOptions&>(o).kind = LocalKind::kBlock; }},
};

class EveryBody : public ::testing::TestWithParam<Variant> {
 protected:
  ModelSpec spec() const { return small(GetParam().family, GetParam().change); }
};

TEST_P(EveryBody, GradientsOfAllParametersEqualFiniteDifferences) {
  const auto model = make_model(spec(), 5, Device::reference(), DType::kF64);
  const nn::StepContext context{.training = true, .seed = 1, .step = 2, .first_row = 0, .compute = DType::kF64};
  const StepResult analytic = one_step(*model, context);
  const auto parameters = model->parameters();
  for (size_t k = 0; k < parameters.size(); ++k) {
    double* values = parameters[k].variable.value().data<double>();
    for (int64_t i = 0; i < parameters[k].variable.value().elements(); i += 1 + parameters[k].variable.value().elements() / 5) {
      const double original = values[i];
      const auto loss_at = [&](double value) {
        values[i] = value;
        parameters[k].variable.changed();
        const double loss = one_step(*model, context).loss;
        values[i] = original;
        return loss;
      };
      const double numeric = (loss_at(original + 1e-5) - loss_at(original - 1e-5)) / 2e-5;
      EXPECT_NEAR(analytic.gradients[k].data<double>()[i], numeric, 1e-7) << parameters[k].name << " element " << i;
    }
  }
}

// The loss is a sum over rows, so the parts that score every fourth row add up to the whole, dropout and all.
TEST_P(EveryBody, FewScoredRowsAreScoredAsAmongAll) {
  for (const bool reversible : {false, true}) {
    ModelSpec with = spec();
    if (reversible && with.options->body.norm == NormPlacement::kPost) continue;
    const auto options = find_family(with.family)->copy(*with.options);
    options->body.dropout = 0.3;
    with.options = options;
    with.memory.reversible = reversible;
    const auto model = make_model(with, 5, Device::reference(), DType::kF64);
    const nn::StepContext context{.training = true, .seed = 1, .step = 2, .first_row = 3, .compute = DType::kF64};
    const Tensor all = tokens(2, 9, model->device(), 5);
    const StepResult whole = step_towards(*model, all, context);
    double loss = 0;
    std::vector<std::vector<double>> sums;
    for (const auto& gradient : whole.gradients) sums.emplace_back(static_cast<size_t>(gradient.elements()), 0.0);
    for (int64_t part = 0; part < 4; ++part) {
      std::vector<int32_t> targets(all.data<int32_t>(), all.data<int32_t>() + all.elements());
      for (size_t i = 0; i < targets.size(); ++i) targets[i] = static_cast<int64_t>(i % 4) == part ? targets[i] : -1;
      const StepResult few = step_towards(*model, Tensor::of<int32_t>({2, 9}, targets, model->device()), context);
      loss += few.loss;
      ASSERT_EQ(few.nll.elements(), all.elements());
      for (int64_t i = 0; i < all.elements(); ++i) EXPECT_NEAR(few.nll.data<double>()[i], i % 4 == part ? whole.nll.data<double>()[i] : 0.0, 1e-12) << "row " << i;
      for (size_t k = 0; k < sums.size(); ++k) {
        for (size_t i = 0; i < sums[k].size(); ++i) sums[k][i] += few.gradients[k].data<double>()[i];
      }
    }
    EXPECT_NEAR(loss, whole.loss, 1e-12);
    for (size_t k = 0; k < sums.size(); ++k) {
      for (size_t i = 0; i < sums[k].size(); ++i) EXPECT_NEAR(sums[k][i], whole.gradients[k].data<double>()[i], 1e-12) << model->parameters()[k].name << " element " << i;
    }
  }
}

TEST_P(EveryBody, CpuAgreesWithTheReference) {
  const auto exact = make_model(spec(), 5, Device::reference(), DType::kF64);
  const auto fast = make_model(spec(), 5, Device::cpu());
  const StepResult expected = one_step(*exact, {.compute = DType::kF64}), found = one_step(*fast, {}), rounded = one_step(*fast, {.compute = DType::kBF16});
  EXPECT_NEAR(found.loss, expected.loss, 1e-5);
  EXPECT_NEAR(rounded.loss, expected.loss, 2e-2);
  const auto parameters = fast->parameters();
  for (size_t k = 0; k < parameters.size(); ++k) {
    EXPECT_LE(relative_distance(found.gradients[k], expected.gradients[k]), 2e-4) << parameters[k].name;
    EXPECT_LE(relative_distance(rounded.gradients[k], expected.gradients[k]), 8e-2) << parameters[k].name << " in bf16";
  }
}

TEST_P(EveryBody, DecodingWithACacheEqualsTheWholeSequence) {
  const auto model = make_model(spec(), 5, Device::cpu());
  const nn::StepContext context;
  const NoTapeScope quiet;
  const Tensor all = tokens(2, 20, Device::cpu());
  const Tensor expected = model->logits(inputs(all), context).value();  // [2, 20, V]
  const auto state = model->start_decoding(2, 20, context);
  int64_t at = 0;
  for (const int64_t count : {7, 1, 1, 3, 1, 6, 1}) {
    const Tensor logits = model->decode(ops::dense(all.slice(1, at, at + count)), *state, context);
    at += count;
    for (int64_t b = 0; b < 2; ++b) {
      for (int64_t v = 0; v < 11; ++v) EXPECT_NEAR(logits.data<float>()[b * 11 + v], expected.data<float>()[(b * 20 + at - 1) * 11 + v], 1e-5) << "after " << at << " tokens";
    }
  }
  EXPECT_EQ(state->length(), 20);
}

TEST_P(EveryBody, NothingBeforeAChangedTokenChanges) {
  const auto model = make_model(spec(), 5, Device::cpu());
  const NoTapeScope quiet;
  const Tensor first = tokens(1, 20, Device::cpu()), second = tokens(1, 20, Device::cpu());
  second.data<int32_t>()[13] = (first.data<int32_t>()[13] + 1) % 11;
  const Tensor a = model->logits(inputs(first), {}).value(), b = model->logits(inputs(second), {}).value();
  EXPECT_EQ(0, std::memcmp(a.raw(), b.raw(), 13 * 11 * sizeof(float)));
  EXPECT_NE(0, std::memcmp(a.data<float>() + 13 * 11, b.data<float>() + 13 * 11, 11 * sizeof(float)));
}

TEST_P(EveryBody, RecomputationAndChunksGiveTheSameGradients) {
  const nn::StepContext context{.training = true, .seed = 1, .step = 2, .first_row = 4};
  const auto with = [&](const MemoryOptions& memory) {
    ModelSpec changed = small(GetParam().family, [&](FamilyOptions& o) {
      if (GetParam().change) GetParam().change(o);
      o.body.dropout = o.body.attention_dropout = o.body.embedding_dropout = 0.2;
    });
    changed.memory = memory;
    return one_step(*make_model(changed, 5, Device::cpu()), context);
  };
  const StepResult plain = with({});
  for (const MemoryOptions& memory : {MemoryOptions{.recompute = Recompute::kLayer}, MemoryOptions{.recompute = Recompute::kAttention}, MemoryOptions{.chunk_feedforward = 5, .chunk_loss = 4},
                                      MemoryOptions{.recompute = Recompute::kLayer, .chunk_feedforward = 7}}) {
    const StepResult other = with(memory);
    EXPECT_NEAR(other.loss, plain.loss, 1e-6);
    for (size_t k = 0; k < plain.gradients.size(); ++k) {
      if (memory.chunk_feedforward == 0) EXPECT_TRUE(same_bits(other.gradients[k], plain.gradients[k])) << "parameter " << k;
      else EXPECT_LE(relative_distance(other.gradients[k], plain.gradients[k]), 1e-5) << "parameter " << k;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Bodies, EveryBody, ::testing::ValuesIn(kVariants), [](const auto& info) { return std::string(info.param.name); });

TEST(Reversible, RebuiltInputsGiveTheGradientsOfStoredOnes) {
  const auto with = [](ReversibleBackward mode, DType compute) {
    ModelSpec spec = small("transformer", [](FamilyOptions& o) { o.body.layers = 12, o.body.dropout = 0.1; });
    spec.memory = {.reversible = true, .reversible_backward = mode};
    return one_step(*make_model(spec, 5, Device::cpu()), {.training = true, .seed = 3, .step = 1, .compute = compute});
  };
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    const StepResult stored = with(ReversibleBackward::kStored, compute), rebuilt = with(ReversibleBackward::kRebuild, compute);
    EXPECT_EQ(stored.loss, rebuilt.loss);
    for (size_t k = 0; k < stored.gradients.size(); ++k) EXPECT_LE(relative_distance(rebuilt.gradients[k], stored.gradients[k]), compute == DType::kF32 ? 1e-4 : 3e-2) << "parameter " << k;
  }
}

int64_t planned_activations(int layers, bool reversible) {
  const MetaMemoryScope scope;
  ModelSpec spec = small("transformer", [layers](FamilyOptions& o) { o.body.layers = layers, o.body.max_positions = 512; });
  spec.memory.reversible = reversible;
  const auto model = make_model(spec, 5, Device::meta());
  TapeScope tape;
  const auto result = model->loss(inputs(tokens(2, 512, Device::meta())), tokens(2, 512, Device::meta()), {.training = true}, {});
  tape.tape().backward(result.loss, Tensor::empty({1}, DType::kF32, Device::meta()));
  return device_memory(Device::meta()).report().peak[static_cast<int>(MemoryFamily::kActivations)];
}

TEST(Reversible, ActivationsDoNotGrowWithDepth) {
  const int64_t few = planned_activations(4, true), many = planned_activations(24, true);
  EXPECT_LE(static_cast<double>(many), 1.05 * static_cast<double>(few));
  EXPECT_GT(planned_activations(24, false), 3 * planned_activations(4, false));
}

TEST(Determinism, GradientsHaveTheSameBitsForAnyThreadCount) {
  for (const char* family : {"transformer", "local"}) {
    for (const DType compute : {DType::kF32, DType::kBF16}) {
      const auto model = make_model(small(family, [](FamilyOptions& o) { o.body.dropout = o.body.attention_dropout = 0.1; }), 5, Device::cpu());
      const nn::StepContext context{.training = true, .seed = 9, .step = 4, .compute = compute};
      set_thread_count(1);
      const StepResult one = one_step(*model, context, 3, 37);
      for (const int threads : {2, 3, 8}) {
        set_thread_count(threads);
        const StepResult several = one_step(*model, context, 3, 37);
        EXPECT_EQ(one.loss, several.loss);
        for (size_t k = 0; k < one.gradients.size(); ++k) EXPECT_TRUE(same_bits(one.gradients[k], several.gradients[k])) << threads << " threads, parameter " << k;
      }
      set_thread_count(0);
    }
  }
}

TEST(Determinism, ARowDoesNotDependOnTheOthersOfItsMicroBatch) {
  // Dropout follows the global row, so rows 0..3 in one pass and rows 2..3 in a pass of their own drop the same elements.
  const auto model = make_model(small("transformer", [](FamilyOptions& o) { o.body.dropout = o.body.attention_dropout = o.body.embedding_dropout = 0.3; }), 5, Device::cpu());
  const NoTapeScope quiet;
  const Tensor all = tokens(4, 9, Device::cpu());
  const Tensor together = model->logits(inputs(all), {.training = true, .seed = 1, .step = 7, .first_row = 0}).value();
  const Tensor apart = model->logits(inputs(ops::dense(all.slice(0, 2, 4))), {.training = true, .seed = 1, .step = 7, .first_row = 2}).value();
  for (int64_t i = 0; i < apart.elements(); ++i) EXPECT_NEAR(apart.data<float>()[i], together.data<float>()[apart.elements() + i], 1e-6);
}

TEST(Encoder, SeesBothSidesButNeverPadding) {
  const auto model = make_model(small("transformer", {}, Form::kEncoder), 5, Device::cpu());
  const NoTapeScope quiet;
  const Tensor first = tokens(1, 12, Device::cpu()), second = tokens(1, 12, Device::cpu());
  second.data<int32_t>()[9] = (first.data<int32_t>()[9] + 1) % 11;
  const auto row0 = [&](const Tensor& t, const Tensor& valid) { return model->logits({t, {}, valid}, {}).value().data<float>()[0]; };
  EXPECT_NE(row0(first, {}), row0(second, {}));
  const Tensor valid = Tensor::of<uint8_t>({1, 12}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0});
  EXPECT_EQ(row0(first, valid), row0(second, valid));
}

TEST(Documents, TokensSeeOnlyTheirOwnDocument) {
  const auto model = make_model(small("local"), 5, Device::cpu());
  const NoTapeScope quiet;
  const Tensor first = tokens(1, 12, Device::cpu()), second = tokens(1, 12, Device::cpu());
  second.data<int32_t>()[3] = (first.data<int32_t>()[3] + 1) % 11;
  const Tensor documents = Tensor::of<int32_t>({1, 12}, {0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1});
  const Tensor a = model->logits({first, documents, {}}, {}).value(), b = model->logits({second, documents, {}}, {}).value();
  EXPECT_EQ(0, std::memcmp(a.data<float>() + 5 * 11, b.data<float>() + 5 * 11, 7 * 11 * sizeof(float)));
}

TEST(Decoding, LongerThanThePositionTableIsRefused) {
  const auto model = make_model(small("transformer"), 5, Device::cpu());
  try {
    model->start_decoding(1, 41, {});
    FAIL() << "a cache of 41 tokens was made";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(), "[generate] 41 tokens are asked for, the model's position table has 40 rows (model.max_positions)");
  }
}

}  // namespace
}  // namespace longhaul::models
