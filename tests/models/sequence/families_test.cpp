// LED and BigBird-Pegasus: gradients in f64, lengths of every kind, padding, and decoding with the cache.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/support.h"
#include "models/bigbird_pegasus/options.h"
#include "models/led/options.h"
#include "models/model.h"

namespace longhaul::models {
namespace {

constexpr int64_t kVocabulary = 13;

struct Variant {
  const char* name;
  const char* family;
  std::function<void(FamilyOptions&)> set = {};
};

ModelSpec spec_of(const Variant& variant, int64_t source, int64_t target) {
  const FamilyInfo* info = find_family(variant.family);
  auto options = info->make();
  BodyOptions& body = options->body;
  body.dim = 16, body.layers = 2, body.heads = 2, body.feedforward = 24, body.init_std = 0.2;
  body.positions = Positions::kLearned, body.max_positions = std::max(source, target);
  if (variant.set) variant.set(*options);
  const ModelContext context{.sequence_length = std::max(source, target), .target_length = target, .form = Form::kEncoderDecoder};
  info->resolve(*options, context);
  info->check(*options, context, [&](std::string_view key, const std::string& what) { ADD_FAILURE() << variant.family << "." << key << " " << what; });
  ModelSpec spec;
  spec.family = variant.family;
  spec.options = options;
  spec.form = Form::kEncoderDecoder;
  spec.vocabulary = kVocabulary;
  return spec;
}

ModelInputs tokens(int64_t batch, int64_t length, int step, Device device) {
  std::vector<int32_t> values;
  for (int64_t i = 0; i < batch * length; ++i) values.push_back(static_cast<int32_t>((i * step + i / 4) % kVocabulary));
  ModelInputs out;
  out.tokens = Tensor::of<int32_t>({batch, length}, values, device);
  return out;
}

/// Row b keeps all but 3 b tokens, at least one.
Tensor padded(int64_t batch, int64_t length, Device device) {
  std::vector<uint8_t> valid;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t i = 0; i < length; ++i) valid.push_back(i < std::max<int64_t>(1, length - 3 * b));
  }
  return Tensor::of<uint8_t>({batch, length}, valid, device);
}

double loss_of(const SequenceModel& model, int64_t source_length, bool backward) {
  const Device device = model.device();
  ModelInputs source = tokens(2, source_length, 3, device);
  source.valid = padded(2, source_length, device);
  TapeScope scope;
  const auto result = model.loss(source, tokens(2, 5, 5, device), tokens(2, 5, 4, device).tokens, {.training = true, .compute = DType::kF64}, {.scale = 0.1});
  if (backward) {
    for (const auto& p : model.parameters()) p.variable.clear_gradient();
    scope.tape().backward(result.loss, Tensor::of<double>({1}, {1.0}, device));
  }
  return result.loss.value().data<double>()[0];
}

void led(FamilyOptions& base) {
  auto& o = dynamic_cast<LedOptions&>(base);
  o.window = {2, 4};
  o.decoder = {.layers = 1, .heads = 4, .feedforward = 20, .max_positions = 5};
}

void blocks(FamilyOptions& base) {
  auto& o = dynamic_cast<BigBirdPegasusOptions&>(base);
  o.blocks.block = 3, o.blocks.random_blocks = 1, o.blocks.short_full = false;
  o.decoder = {.layers = 1, .heads = 4, .feedforward = 20, .max_positions = 5};
}

const Variant kVariants[] = {
    {"led", "led", led},
    {"led_without_globals", "led", [](FamilyOptions& o) { led(o); dynamic_cast<LedOptions&>(o).global_tokens = GlobalChoice::kNone; }},
    {"led_all_global", "led", [](FamilyOptions& o) {
       led(o);
       auto& options = dynamic_cast<LedOptions&>(o);
       options.global_tokens = GlobalChoice::kList;
       for (int64_t i = 0; i < 11; ++i) options.global_positions.push_back(i);
     }},
    {"bigbird_pegasus", "bigbird_pegasus", blocks},
    {"bigbird_pegasus_unscaled_with_biases", "bigbird_pegasus", [](FamilyOptions& o) {
       blocks(o);
       o.body.attention_bias = true;
       dynamic_cast<BigBirdPegasusOptions&>(o).scale_embeddings = false;
     }},
};

class SequenceFamily : public testing::TestWithParam<Variant> {};

TEST_P(SequenceFamily, GradientsAreThoseOfTheFormula) {
  // 16 tokens are five blocks of three and one more.
  const int64_t length = GetParam().name == std::string("led_all_global") ? 11 : 16;
  const auto model = make_sequence_model(spec_of(GetParam(), length, 5), 5, Device::reference(), DType::kF64);
  loss_of(*model, length, true);
  for (const auto& p : model->parameters()) {
    if (!p.variable.needs_gradient()) continue;
    const Tensor gradient = ops::cast_tensor(p.variable.gradient(), DType::kF64);
    double* values = p.variable.value().data<double>();
    for (int64_t i = 0; i < gradient.elements(); i += 1 + gradient.elements() / 2) {
      const double original = values[i];
      const auto at = [&](double value) {
        values[i] = value;
        const double loss = loss_of(*model, length, false);
        values[i] = original;
        return loss;
      };
      EXPECT_NEAR(gradient.data<double>()[i], (at(original + 1e-5) - at(original - 1e-5)) / 2e-5, 1e-7) << p.name << " element " << i;
    }
  }
}

TEST_P(SequenceFamily, AnySourceLengthAndPaddingGiveTheSameLogits) {
  const NoTapeScope quiet;
  const bool in_blocks = GetParam().family == std::string("bigbird_pegasus");
  const auto model = make_sequence_model(spec_of(GetParam(), 12, 5), 5, Device::cpu());
  const ModelInputs target = tokens(1, 4, 5, Device::cpu());
  for (const int64_t length : {1, 2, 5, 11}) {
    const Tensor expected = model->logits(tokens(1, length, 3, Device::cpu()), target, {}).value();
    // The last block of three is global: padding may fill it, another block would take its place.
    const int64_t whole = in_blocks ? (length + 2) / 3 * 3 : 12;
    ModelInputs longer = tokens(1, whole, 3, Device::cpu());
    std::vector<uint8_t> valid(static_cast<size_t>(whole), 0);
    std::fill_n(valid.begin(), length, uint8_t{1});
    longer.valid = Tensor::of<uint8_t>({1, whole}, valid, Device::cpu());
    const Tensor found = model->logits(longer, target, {}).value();
    for (int64_t i = 0; i < expected.elements(); ++i) ASSERT_NEAR(found.data<float>()[i], expected.data<float>()[i], 2e-5) << length;
  }
}

TEST_P(SequenceFamily, BothSidesDropElementsOfTheirOwn) {
  // With feed-forward and cross-attention at 0 a layer adds its attention alone, and what it leaves out is what was dropped.
  constexpr int64_t kSource = 12, kTarget = 5;
  Variant variant = GetParam();
  const auto set = variant.set;
  variant.set = [set](FamilyOptions& o) {
    if (set) set(o);
    o.body.norm = NormPlacement::kPre, o.body.dropout = 0.5;
    auto* led = dynamic_cast<LedOptions*>(&o);
    (led ? led->decoder : dynamic_cast<BigBirdPegasusOptions&>(o).decoder).layers = 2;  // what stands before the second one is seen
  };
  const auto model = make_sequence_model(spec_of(variant, kSource, kTarget), 3, Device::cpu());
  for (const auto& parameter : model->parameters()) {
    if (parameter.name.find("feed_forward.out") == std::string::npos && parameter.name.find("cross.out") == std::string::npos) continue;
    const Tensor value = parameter.variable.value();
    std::fill_n(value.data<float>(), value.elements(), 0.0f);
    parameter.variable.changed();
  }
  std::vector<Variable> states[2];
  ModelInputs source = tokens(1, kSource, 3, model->device()), target = tokens(1, kTarget, 3, model->device());
  source.hidden_states = &states[0], target.hidden_states = &states[1];
  const NoTapeScope quiet;
  model->logits(source, target, {.training = true, .seed = 1, .step = 1});
  std::vector<bool> dropped[2];
  for (int side = 0; side < 2; ++side) {
    const Tensor before = states[side].at(0).value(), after = states[side].at(1).value();
    const int64_t elements = kTarget * before.size(2);  // of the rows that both sides have
    for (int64_t i = 0; i < elements; ++i) dropped[side].push_back(before.data<float>()[i] == after.data<float>()[i]);
    const auto count = std::count(dropped[side].begin(), dropped[side].end(), true);
    EXPECT_GT(count, elements / 3);
    EXPECT_LT(count, elements * 2 / 3);
  }
  EXPECT_NE(dropped[0], dropped[1]);
}

TEST_P(SequenceFamily, ASourceOfPaddingAloneIsNoNumberTrap) {
  const NoTapeScope quiet;
  const auto model = make_sequence_model(spec_of(GetParam(), 11, 5), 5, Device::cpu());
  ModelInputs source = tokens(2, 11, 3, Device::cpu());
  source.valid = Tensor::zeros({2, 11}, DType::kU8, Device::cpu());
  const Tensor logits = model->logits(source, tokens(2, 4, 5, Device::cpu()), {}).value();
  for (int64_t i = 0; i < logits.elements(); ++i) ASSERT_TRUE(std::isfinite(logits.data<float>()[i]));
}

TEST_P(SequenceFamily, DecodingWithACacheEqualsTheWholeTarget) {
  const NoTapeScope quiet;
  const auto model = make_sequence_model(spec_of(GetParam(), 16, 5), 5, Device::cpu());
  ModelInputs source = tokens(2, 11, 3, Device::cpu());
  source.valid = padded(2, 11, Device::cpu());
  const ModelInputs target = tokens(2, 5, 5, Device::cpu());
  const Tensor expected = model->logits(source, target, {}).value();
  const auto state = model->start_decoding(source, 5, {});
  int64_t at = 0;
  for (const int64_t count : {1, 3, 1}) {
    const Tensor logits = model->decode(ops::dense(target.tokens.slice(1, at, at + count)), *state, {});
    at += count;
    for (int64_t b = 0; b < 2; ++b) {
      for (int64_t v = 0; v < kVocabulary; ++v) EXPECT_NEAR(logits.data<float>()[b * kVocabulary + v], expected.data<float>()[(b * 5 + at - 1) * kVocabulary + v], 1e-5);
    }
  }
  EXPECT_THROW(model->start_decoding(source, 6, {}), ConfigError) << "the decoder's table has 5 rows";
}

INSTANTIATE_TEST_SUITE_P(Variants, SequenceFamily, testing::ValuesIn(kVariants), [](const auto& info) { return std::string(info.param.name); });

/// The keys that a family complains about.
std::vector<std::string> complaints(const char* family, const ModelContext& context, const std::function<void(FamilyOptions&)>& set) {
  const FamilyInfo* info = find_family(family);
  auto options = info->make();
  options->body.dim = 16, options->body.heads = 2;
  set(*options);
  info->resolve(*options, context);
  std::vector<std::string> keys;
  info->check(*options, context, [&](std::string_view key, const std::string&) { keys.emplace_back(key); });
  return keys;
}

TEST(SequenceFamilies, OptionsThatCannotWorkAreNamed) {
  using Keys = std::vector<std::string>;
  const ModelContext context{.sequence_length = 64, .target_length = 32, .form = Form::kEncoderDecoder};
  const auto nothing = [](FamilyOptions&) {};
  EXPECT_EQ(complaints("led", context, nothing), Keys{});
  EXPECT_EQ(complaints("bigbird_pegasus", context, nothing), Keys{});
  for (const char* family : {"led", "bigbird_pegasus"}) {
    EXPECT_EQ(complaints(family, {.sequence_length = 64, .form = Form::kDecoder}, nothing), Keys{"family"}) << family;
    EXPECT_EQ(complaints(family, {.sequence_length = 64, .form = Form::kEncoder}, nothing), Keys{"family"}) << family;
  }
  EXPECT_EQ(complaints("led", context, [](FamilyOptions& o) { dynamic_cast<LedOptions&>(o).decoder.heads = 3; }), Keys{"decoder_heads"});
  EXPECT_EQ(complaints("led", context, [](FamilyOptions& o) { dynamic_cast<LedOptions&>(o).decoder.max_positions = 31; }), Keys{"decoder_max_positions"});
  EXPECT_EQ(complaints("led", context, [](FamilyOptions& o) { dynamic_cast<LedOptions&>(o).window = {4, 8}; }), Keys{"window"}) << "two windows for six layers";
  EXPECT_EQ(complaints("led", context, [](FamilyOptions& o) {
              auto& led = dynamic_cast<LedOptions&>(o);
              led.global_tokens = GlobalChoice::kList;
              led.global_positions = {0, 64};
            }), Keys{"global_positions"}) << "beyond the sequence";
  EXPECT_EQ(complaints("bigbird_pegasus", context, [](FamilyOptions& o) { dynamic_cast<BigBirdPegasusOptions&>(o).blocks.extra_globals = 2; }), Keys{"extra_globals"});
  EXPECT_EQ(complaints("bigbird_pegasus", {.sequence_length = 1024, .target_length = 32, .form = Form::kEncoderDecoder}, [](FamilyOptions& o) {
              auto& options = dynamic_cast<BigBirdPegasusOptions&>(o);
              options.blocks.random = RandomRule::kPublic;
              options.blocks.random_blocks = 40, options.blocks.short_full = false;
            }), Keys{"random"}) << "more random blocks than there are";
}

TEST(SequenceFamilies, OtherFormsAreRefused) {
  ModelSpec spec = spec_of(kVariants[0], 16, 5);
  spec.form = Form::kDecoder;
  EXPECT_THROW(make_model(spec, 1, Device::cpu()), ConfigError);
}

}  // namespace
}  // namespace longhaul::models
