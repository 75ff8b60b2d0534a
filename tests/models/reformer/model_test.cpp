#include "models/reformer/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/base/threads.h"
#include "framework/ops/support.h"
#include "models/model.h"
#include "tests/support/tensor_compare.h"

namespace longhaul::models {
namespace {

using testing::number;
using testing::relative_distance;
using testing::same_bits;

constexpr int64_t kVocabulary = 11, kLength = 18;

struct Shape4 {
  Form form = Form::kDecoder;
  int layers = 4;
  std::vector<std::string> attention = {"local", "lsh"};
  double dropout = 0;
  int64_t chunk = 4, rounds = 2, eval_rounds = 0;
  ReversibleBackward backward = ReversibleBackward::kRebuild;
  Recompute recompute = Recompute::kNone;
  bool reversible = true;
};

ModelSpec spec_of(const Shape4& shape) {
  const FamilyInfo* info = find_family("reformer");
  auto options = info->make();
  auto& o = dynamic_cast<ReformerOptions&>(*options);
  o.body.dim = 16, o.body.layers = shape.layers, o.body.heads = 2, o.body.feedforward = 24, o.body.max_positions = 40;
  o.body.init_std = 0.06, o.body.activation = Activation::kGelu;
  o.body.dropout = o.body.attention_dropout = o.body.embedding_dropout = o.lsh_attention_dropout = shape.dropout;
  if (shape.form != Form::kEncoderDecoder) o.attention_layers = shape.attention;
  o.lsh_chunk = shape.chunk, o.local_chunk = 4, o.rounds = shape.rounds, o.eval_rounds = shape.eval_rounds;
  o.buckets = {4};
  info->resolve(o, {.sequence_length = 40, .form = shape.form, .reversible = shape.reversible});
  ModelSpec spec;
  spec.family = "reformer";
  spec.options = options;
  spec.form = shape.form;
  spec.vocabulary = kVocabulary;
  spec.memory = {.reversible = shape.reversible, .reversible_backward = shape.backward, .recompute = shape.recompute};
  return spec;
}

Tensor tokens(int64_t batch, int64_t length, Device device, int32_t step = 3) {
  std::vector<int32_t> values;
  for (int64_t i = 0; i < batch * length; ++i) values.push_back(static_cast<int32_t>((i * step + i * i / 5) % kVocabulary));
  return Tensor::of<int32_t>({batch, length}, values, device);
}

ModelInputs inputs_of(const Tensor& tokens, const std::shared_ptr<Selections>& selections = {}) {
  ModelInputs in;
  in.tokens = tokens;
  in.selections = selections;
  return in;
}

struct StepResult {
  double loss = 0;
  std::vector<Tensor> gradients;
};

/// One step of a model of one or two sequences.
StepResult step_of(const Model& model, const nn::StepContext& context, const std::shared_ptr<Selections>& selections = {}, int64_t length = kLength) {
  ModelBatch batch;
  batch.inputs = inputs_of(tokens(2, length, model.device()), selections);
  batch.targets = tokens(2, length, model.device(), 5);
  if (model.spec().form == Form::kEncoderDecoder) batch.source = inputs_of(tokens(2, length + 3, model.device(), 4));
  for (const auto& p : model.parameters()) p.variable.clear_gradient();
  TapeScope scope;
  const auto result = model.loss(batch, context, {.scale = 1.0 / static_cast<double>(2 * length)});
  const Tensor seed = ops::like(result.loss.value());
  ops::table(seed).elementwise.fill(seed, 1.0);
  StepResult out;
  out.loss = number(result.loss.value(), 0);
  scope.tape().backward(result.loss, seed);
  for (const auto& p : model.parameters()) {
    const Tensor copy = ops::like(p.variable.value());
    ops::table(copy).elementwise.copy(p.variable.gradient(), copy);
    out.gradients.push_back(copy);
  }
  return out;
}

void expect_finite_differences(const Model& model, const nn::StepContext& context, const std::shared_ptr<Selections>& frozen) {
  const StepResult analytic = step_of(model, context, frozen);
  const auto parameters = model.parameters();
  for (size_t k = 0; k < parameters.size(); ++k) {
    double* values = parameters[k].variable.value().data<double>();
    for (int64_t i = 0; i < parameters[k].variable.value().elements(); i += 1 + parameters[k].variable.value().elements() / 3) {
      const double original = values[i];
      const auto loss_at = [&](double value) {
        values[i] = value;
        parameters[k].variable.changed();
        const double loss = step_of(model, context, frozen).loss;
        values[i] = original;
        return loss;
      };
      const double numeric = (loss_at(original + 1e-5) - loss_at(original - 1e-5)) / 2e-5;
      EXPECT_NEAR(analytic.gradients[k].data<double>()[i], numeric, 1e-7) << parameters[k].name << " element " << i;
    }
    parameters[k].variable.changed();
  }
}

TEST(Reformer, GradientsEqualFiniteDifferencesWithFrozenBuckets) {
  for (const Form form : {Form::kDecoder, Form::kEncoder}) {
    const auto model = make_model(spec_of({.form = form, .dropout = 0.1}), 5, Device::reference(), DType::kF64);
    const auto frozen = std::make_shared<Selections>();
    const nn::StepContext context{.training = true, .seed = 1, .step = 2, .compute = DType::kF64};
    step_of(*model, context, frozen);
    ASSERT_EQ(frozen->buckets.size(), 4u);
    ASSERT_TRUE(frozen->buckets[1].defined() && !frozen->buckets[0].defined());
    expect_finite_differences(*model, context, frozen);
  }
}

TEST(Reformer, GradientsOfTheEncoderDecoderEqualFiniteDifferences) {
  for (const int layers : {2, 3}) {  // three sub-layers: an odd number of layers leaves one alone
    const auto model = make_sequence_model(spec_of({.form = Form::kEncoderDecoder, .layers = layers, .dropout = 0.1}), 5, Device::reference(), DType::kF64);
    expect_finite_differences(*model, {.training = true, .seed = 1, .step = 2, .compute = DType::kF64}, {});
  }
}

TEST(Reformer, RebuiltAndRecomputedLayersGiveTheGradientsOfStoredOnes) {
  for (const Form form : {Form::kDecoder, Form::kEncoderDecoder}) {
    const auto with = [&](ReversibleBackward backward, Recompute recompute, DType dtype) {
      const Device device = dtype == DType::kF64 ? Device::reference() : Device::cpu();
      const auto model = make_any_model(spec_of({.form = form, .dropout = 0.2, .backward = backward, .recompute = recompute}), 5, device, dtype);
      return step_of(*model, {.training = true, .seed = 3, .step = 1, .compute = dtype});
    };
    for (const DType dtype : {DType::kF64, DType::kF32}) {
      const StepResult stored = with(ReversibleBackward::kStored, Recompute::kNone, dtype), rebuilt = with(ReversibleBackward::kRebuild, Recompute::kNone, dtype),
                       again = with(ReversibleBackward::kStored, Recompute::kLayer, dtype);
      EXPECT_EQ(stored.loss, rebuilt.loss);
      for (size_t k = 0; k < stored.gradients.size(); ++k) {
        EXPECT_LE(relative_distance(rebuilt.gradients[k], stored.gradients[k]), dtype == DType::kF64 ? 1e-10 : 1e-4) << "parameter " << k;
        // The embedding gets the same two gradients in the other order.
        EXPECT_LE(relative_distance(again.gradients[k], stored.gradients[k]), dtype == DType::kF64 ? 1e-14 : 1e-6) << "parameter " << k;
      }
    }
  }
}

TEST(Reformer, FortyEightRebuiltLayersKeepTheGradient) {
  const auto with = [](ReversibleBackward backward, nn::Gauges* gauges) {
    const auto model = make_model(spec_of({.layers = 48, .dropout = 0.1, .backward = backward}), 5, Device::cpu());
    return step_of(*model, {.training = true, .seed = 3, .step = 1, .gauges = gauges});
  };
  nn::Gauges gauges;
  const StepResult stored = with(ReversibleBackward::kStored, nullptr), rebuilt = with(ReversibleBackward::kRebuild, &gauges);
  for (size_t k = 0; k < stored.gradients.size(); ++k) EXPECT_LE(relative_distance(rebuilt.gradients[k], stored.gradients[k]), 1e-4) << "parameter " << k;
  const auto values = gauges.values();
  ASSERT_TRUE(values.contains("reconstruction_error"));
  EXPECT_GT(values.at("reconstruction_error"), 0);
  EXPECT_LT(values.at("reconstruction_error"), 1e-4);
}

TEST(Reformer, WithFrozenBucketsNothingBeforeAChangedTokenChanges) {
  const auto model = make_model(spec_of({}), 5, Device::cpu());
  const NoTapeScope quiet;
  const Tensor first = tokens(1, kLength, Device::cpu()), second = tokens(1, kLength, Device::cpu());
  second.data<int32_t>()[13] = (first.data<int32_t>()[13] + 1) % kVocabulary;
  const auto frozen = std::make_shared<Selections>();
  const Tensor a = model->logits(inputs_of(first, frozen), {}).value(), b = model->logits(inputs_of(second, frozen), {}).value();
  EXPECT_EQ(0, std::memcmp(a.raw(), b.raw(), 13 * kVocabulary * sizeof(float)));
  EXPECT_NE(0, std::memcmp(a.data<float>() + 13 * kVocabulary, b.data<float>() + 13 * kVocabulary, kVocabulary * sizeof(float)));
}

TEST(Reformer, RotationsBelongToTheStepAndTheLayer) {
  const auto model = make_model(spec_of({.eval_rounds = 3}), 5, Device::cpu());
  const auto chosen = [&](bool training, uint64_t step) {
    const NoTapeScope quiet;
    const auto selections = std::make_shared<Selections>();
    model->logits(inputs_of(tokens(2, kLength, Device::cpu()), selections), {.training = training, .seed = 1, .step = step});
    return selections->buckets;
  };
  EXPECT_TRUE(same_bits(chosen(true, 4)[1], chosen(true, 4)[1]));
  EXPECT_FALSE(same_bits(chosen(true, 4)[1], chosen(true, 5)[1]));
  EXPECT_FALSE(same_bits(chosen(true, 4)[1], chosen(true, 4)[3]));
  EXPECT_TRUE(same_bits(chosen(false, 4)[1], chosen(false, 5)[1]));
  EXPECT_EQ(chosen(true, 4)[1].size(2), 2);
  EXPECT_EQ(chosen(false, 4)[1].size(2), 3);
}

TEST(Reformer, CpuAgreesWithTheReference) {
  for (const bool reversible : {true, false}) {
    const auto exact = make_model(spec_of({.reversible = reversible}), 5, Device::reference(), DType::kF64);
    const auto fast = make_model(spec_of({.reversible = reversible}), 5, Device::cpu());
    const auto frozen = std::make_shared<Selections>();
    const StepResult expected = step_of(*exact, {.compute = DType::kF64}, frozen);
    const auto same = std::make_shared<Selections>();
    for (const Tensor& buckets : frozen->buckets) {
      Tensor& copy = Selections::of(same->buckets, static_cast<int>(same->buckets.size()));
      if (!buckets.defined()) continue;
      copy = Tensor::empty(buckets.shape(), DType::kI32, Device::cpu());
      std::memcpy(copy.raw(), buckets.raw(), static_cast<size_t>(buckets.bytes()));
    }
    const StepResult found = step_of(*fast, {}, same), rounded = step_of(*fast, {.compute = DType::kBF16}, same);
    EXPECT_NEAR(found.loss, expected.loss, 1e-5);
    EXPECT_NEAR(rounded.loss, expected.loss, 3e-2);
    const auto parameters = fast->parameters();
    for (size_t k = 0; k < parameters.size(); ++k) {
      EXPECT_LE(relative_distance(found.gradients[k], expected.gradients[k]), 2e-4) << parameters[k].name;
      EXPECT_LE(relative_distance(rounded.gradients[k], expected.gradients[k]), 8e-2) << parameters[k].name << " in bf16";
    }
  }
}

TEST(Reformer, GradientsHaveTheSameBitsForAnyThreadCount) {
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    const auto model = make_model(spec_of({.dropout = 0.1}), 5, Device::cpu());
    const nn::StepContext context{.training = true, .seed = 9, .step = 4, .compute = compute};
    set_thread_count(1);
    const StepResult one = step_of(*model, context, {}, 37);
    for (const int threads : {2, 3, 8}) {
      set_thread_count(threads);
      const StepResult several = step_of(*model, context, {}, 37);
      EXPECT_EQ(one.loss, several.loss);
      for (size_t k = 0; k < one.gradients.size(); ++k) EXPECT_TRUE(same_bits(one.gradients[k], several.gradients[k])) << threads << " threads, parameter " << k;
    }
    set_thread_count(0);
  }
}

/// Logits [V] behind each token from `first` on, read in pieces of the given sizes.
std::vector<Tensor> decoded(const LanguageModel& model, const Tensor& all, const std::vector<int64_t>& pieces) {
  const NoTapeScope quiet;
  const auto state = model.start_decoding(all.size(0), all.size(1), {});
  std::vector<Tensor> out;
  int64_t at = 0;
  for (const int64_t count : pieces) {
    out.push_back(model.decode(ops::dense(all.slice(1, at, at + count)), *state, {}));
    at += count;
  }
  return out;
}

void expect_rows(const std::vector<Tensor>& found, const Tensor& whole, const std::vector<int64_t>& pieces) {
  int64_t at = 0;
  for (size_t p = 0; p < found.size(); ++p) {
    at += pieces[p];
    for (int64_t b = 0; b < whole.size(0); ++b) {
      for (int64_t v = 0; v < kVocabulary; ++v)
        EXPECT_NEAR(found[p].data<float>()[b * kVocabulary + v], whole.data<float>()[(b * whole.size(1) + at - 1) * kVocabulary + v], 2e-5) << "after " << at << " tokens";
    }
  }
}

TEST(ReformerDecoding, EqualsFullAttentionWhileTheCacheIsShort) {
  // Two rounds of chunks of 4 that see one other reach 16 keys; a chunk of 64 is full attention with the same weights.
  const auto model = make_model(spec_of({.attention = {"lsh"}}), 5, Device::cpu()), full = make_model(spec_of({.attention = {"lsh"}, .chunk = 64}), 5, Device::cpu());
  const Tensor all = tokens(2, 16, Device::cpu());
  const NoTapeScope quiet;
  const Tensor expected = full->logits(inputs_of(all), {}).value();
  for (const std::vector<int64_t>& pieces : {std::vector<int64_t>{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {7, 1, 3, 4, 1}, {16}}) expect_rows(decoded(*model, all, pieces), expected, pieces);
}

TEST(ReformerDecoding, ReadsALongPromptAsTheModelDoes) {
  const auto model = make_model(spec_of({}), 5, Device::cpu());
  const Tensor all = tokens(2, 30, Device::cpu());
  const NoTapeScope quiet;
  expect_rows(decoded(*model, all, {30}), model->logits(inputs_of(all), {}).value(), {30});
}

TEST(ReformerDecoding, GoesOnBeyondItsReachTheSameWayInPieces) {
  const auto model = make_model(spec_of({}), 5, Device::cpu());
  const Tensor all = tokens(2, 40, Device::cpu());
  const auto one_by_one = decoded(*model, all, {20, 1, 1, 1, 1, 1}), at_once = decoded(*model, all, {20, 5});
  for (int64_t i = 0; i < at_once.back().elements(); ++i) {
    EXPECT_TRUE(std::isfinite(number(at_once.back(), i)));
    EXPECT_NEAR(number(at_once.back(), i), number(one_by_one.back(), i), 2e-5);
  }
}

TEST(ReformerDecoding, BeyondItsReachItStaysNearFullAttention) {
  // The layers above reach 16 of 40 keys. How far the logits are from those of full attention over the same weights is told as a
  // property of the test.
  const auto model = make_model(spec_of({.attention = {"lsh"}}), 5, Device::cpu()), full = make_model(spec_of({.attention = {"lsh"}, .chunk = 64}), 5, Device::cpu());
  const Tensor all = tokens(2, 40, Device::cpu());
  std::vector<int64_t> pieces(25, 1);
  pieces[0] = 16;
  const auto found = decoded(*model, all, pieces);
  const NoTapeScope quiet;
  const Tensor expected = full->logits(inputs_of(all), {}).value();
  const auto distance_at = [&](size_t length) {
    const Tensor row = ops::dense(expected.slice(1, static_cast<int64_t>(length) - 1, static_cast<int64_t>(length)));
    return relative_distance(found[length - 16], row);
  };
  EXPECT_LT(distance_at(16), 1e-5);
  for (const size_t length : {24u, 32u, 40u}) {
    const double distance = distance_at(length);
    RecordProperty("relative_distance_at_" + std::to_string(length), std::to_string(distance));
    EXPECT_GT(distance, 0);
    EXPECT_LT(distance, 0.1);
  }
}

TEST(ReformerDecoding, BeamsTakeTheirCachesAlong) {
  const auto model = make_model(spec_of({}), 5, Device::cpu());
  const NoTapeScope quiet;
  const Tensor all = tokens(2, 22, Device::cpu());
  const auto state = model->start_decoding(2, 24, {}), straight = model->start_decoding(2, 24, {});
  model->decode(ops::dense(all.slice(1, 0, 20)), *state, {});
  model->decode(ops::dense(all.slice(1, 0, 20)), *straight, {});
  const int64_t swapped[] = {1, 0};
  ASSERT_TRUE(state->select(swapped));
  const Tensor next = Tensor::of<int32_t>({2, 1}, {3, 8}), other = Tensor::of<int32_t>({2, 1}, {8, 3});
  const Tensor a = model->decode(next, *state, {}), b = model->decode(other, *straight, {});
  for (int64_t v = 0; v < kVocabulary; ++v) EXPECT_NEAR(number(a, v), number(b, kVocabulary + v), 2e-5);
}

TEST(ReformerGauges, TellHowMuchOfExactAttentionTheBucketsCover) {
  const auto told = [](const Shape4& shape, int64_t length) {
    const auto model = make_model(spec_of(shape), 5, Device::cpu());
    nn::Gauges gauges;
    step_of(*model, {.training = true, .seed = 3, .step = 1, .gauges = &gauges}, {}, length);
    return gauges.values();
  };
  // One round of two chunks that see each other misses nothing.
  EXPECT_DOUBLE_EQ(told({.rounds = 1}, 8).at("lsh_coverage"), 1);
  const auto few = told({.rounds = 1}, 40), many = told({.rounds = 8}, 40);
  EXPECT_GT(few.at("lsh_coverage"), 0);
  EXPECT_LT(few.at("lsh_coverage"), many.at("lsh_coverage"));
  EXPECT_LE(many.at("lsh_coverage"), 1);
  EXPECT_GE(many.at("lsh_balance"), 1);
  EXPECT_LE(many.at("lsh_balance"), 4);
}

}  // namespace
}  // namespace longhaul::models
