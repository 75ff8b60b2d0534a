// What the two memories of a Compressive Transformer are: who sees what, which loss trains what, and decoding with both.
#include <gtest/gtest.h>

#include <algorithm>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/base/threads.h"
#include "tests/models/compressive/support.h"

namespace longhaul::models {
namespace {

struct Variant {
  const char* name;
  std::function<void(CompressiveOptions&)> change;
};

const Variant kVariants[] = {
    {"Attention", {}},
    {"AttentionPreNorm", [](CompressiveOptions& o) { o.body.norm = NormPlacement::kPre, o.compression.weight = 0.5; }},
    {"AttentionDilated", [](CompressiveOptions& o) { o.compression.function = CompressionFunction::kDilatedConvolution, o.untied_biases = false; }},
    {"AutoEncoding", [](CompressiveOptions& o) { o.compression.loss = CompressionLoss::kAutoEncoding; }},
    {"ThroughTime", [](CompressiveOptions& o) { o.compression.loss = CompressionLoss::kThroughTime, o.memory.bptt_segments = 3; }},
    {"MeanPool", [](CompressiveOptions& o) { o.compression.function = CompressionFunction::kMeanPool, o.memory.start = MemoryStart::kZeros; }},
    {"MaxPool", [](CompressiveOptions& o) { o.compression.function = CompressionFunction::kMaxPool, o.memory.length = 9, o.memory.clamp = 7; }},
    {"MostUsed", [](CompressiveOptions& o) { o.compression.function = CompressionFunction::kMostUsed, o.memory.length = 9; }},
};

nn::StepContext evaluation(DType compute = DType::kF64) {
  nn::StepContext context;
  context.compute = compute;
  return context;
}

nn::StepContext training(DType compute = DType::kF64) { return {.training = true, .seed = 1, .step = 2, .first_row = 0, .compute = compute}; }

ModelInputs inputs_of(const Tensor& tokens, SegmentMemory* memory, const Tensor& documents = {}) {
  return {.tokens = tokens, .documents = documents, .valid = {}, .memory = memory};
}

std::unique_ptr<LanguageModel> small_model(const std::function<void(CompressiveOptions&)>& change = {}, Device device = Device::reference(), DType dtype = DType::kF64) {
  return make_model(small_compressive(change), 3, device, dtype);
}

class EveryCompression : public ::testing::TestWithParam<Variant> {
 protected:
  static std::unique_ptr<LanguageModel> model(const std::function<void(CompressiveOptions&)>& more = {}, Device device = Device::reference(), DType dtype = DType::kF64) {
    return small_model([&](CompressiveOptions& o) {
      if (GetParam().change) GetParam().change(o);
      if (more) more(o);
    }, device, dtype);
  }
};

/// The loss of tokens [first, first + length) after a memory, and its gradients.
double loss_of(const LanguageModel& model, int64_t first, int64_t length, SegmentMemory& memory, std::vector<std::vector<double>>* gradients) {
  TapeScope recording;
  const auto result = model.loss(inputs_of(stream_tokens(2, first, length, model.device()), &memory), stream_tokens(2, first + 1, length, model.device()), training(), {.scale = 0.05});
  if (gradients) {
    for (const auto& p : model.parameters()) p.variable.clear_gradient();
    recording.tape().backward(result.loss, Tensor::of<double>({1}, {1.0}, model.device()));
    for (const auto& p : model.parameters()) gradients->push_back(numbers_of(p.variable.gradient()));
  }
  return result.loss.value().data<double>()[0];
}

std::unique_ptr<SegmentMemory> copy_of(const LanguageModel& model, const SegmentMemory& memory) {
  auto out = model.start_memory({.rows = 2, .training = true, .length = 0, .compute = DType::kF64});
  const auto& from = dynamic_cast<const CompressedMemory&>(memory);
  CompressedMemory::Kept kept{.layers = {}, .documents = {}, .slots = {}, .slot_documents = {}, .usage = {}, .steps = from.steps(0, 2)};
  for (int64_t i = 0; i < 2; ++i) {
    kept.layers.push_back(ops::dense(from.layer(i, 0, 2)));
    kept.slots.push_back(ops::dense(from.slots(i, 0, 2)));
    if (from.compressed_plan().usage) kept.usage.push_back(ops::dense(from.usage(i, 0, 2)));
  }
  dynamic_cast<CompressedMemory&>(*out).store_both(0, 2, kept);
  return out;
}

TEST_P(EveryCompression, GradientsWithBothMemoriesEqualFiniteDifferences) {
  const auto one = model([](CompressiveOptions& o) { o.body.activation = Activation::kGelu, o.body.dropout = 0.1, o.body.attention_dropout = 0.1; });
  const auto& options = dynamic_cast<const CompressiveOptions&>(*one->spec().options);
  const auto kept = one->start_memory({.rows = 2, .training = true, .length = 0, .compute = DType::kF64});
  const int64_t length = 6 * options.memory.bptt_segments;
  for (int64_t first = 0; first < 24; first += 6) {
    const NoTapeScope quiet;
    one->hidden(inputs_of(stream_tokens(2, first, 6, one->device()), kept.get()), evaluation());
  }
  ASSERT_EQ(dynamic_cast<CompressedMemory&>(*kept).filled_slots(0, 2), 4);
  const auto loss = [&](std::vector<std::vector<double>>* gradients) { return loss_of(*one, 24, length, *copy_of(*one, *kept), gradients); };
  std::vector<std::vector<double>> gradients;
  loss(&gradients);
  const auto parameters = one->parameters();
  for (size_t k = 0; k < parameters.size(); ++k) {
    double* values = parameters[k].variable.value().data<double>();
    const int64_t count = parameters[k].variable.value().elements();
    // The target of the reconstruction is a constant, which differences do not know: only what compression owns is compared with the
    // whole loss, everything else with that of the targets.
    const bool own = parameters[k].name.starts_with("compression.") || !options.has_loss();
    // Within a group of segments the rows a slot is made of are constants too.
    if (options.compression.loss == CompressionLoss::kThroughTime && !parameters[k].name.starts_with("compression.")) continue;
    const auto value = [&] {
      if (own) return loss(nullptr);
      TapeScope recording;
      const auto memory = copy_of(*one, *kept);
      const auto result = one->loss(inputs_of(stream_tokens(2, 24, length, one->device()), memory.get()), stream_tokens(2, 25, length, one->device()), training(), {.scale = 0.05});
      double nats = 0;
      for (const double nll : numbers_of(result.nll)) nats += 0.05 * nll;
      return nats;
    };
    for (int64_t i = 0; i < count; i += 1 + count / 4) {
      const double before = values[i], step = 1e-5;
      values[i] = before + step;
      const double up = value();
      values[i] = before - step;
      const double down = value();
      values[i] = before;
      const double numeric = (up - down) / (2 * step);
      EXPECT_NEAR(gradients[k][static_cast<size_t>(i)], numeric, 1e-7 * std::max(1.0, std::abs(numeric))) << parameters[k].name << "[" << i << "]";
    }
  }
}

TEST_P(EveryCompression, LossesOfCompressionAndOfTargetsTrainDisjointParameters) {
  const auto one = model();
  const auto& options = dynamic_cast<const CompressiveOptions&>(*one->spec().options);
  if (!options.has_loss()) {
    // Nothing to train, or the loss of the targets does it: GradientsWithBothMemoriesEqualFiniteDifferences.
    const auto parameters = one->parameters();
    const bool learns = std::any_of(parameters.begin(), parameters.end(), [](const auto& p) { return p.name.starts_with("compression."); });
    EXPECT_EQ(learns, options.compression.loss == CompressionLoss::kThroughTime);
    for (const auto& p : parameters) EXPECT_FALSE(one->trained_apart(p.name));
    return;
  }
  EXPECT_TRUE(one->trained_apart("compression.0.convolution.weight"));
  EXPECT_FALSE(one->trained_apart("layers.0.attention.out.weight"));
  const auto gradients_with = [&](double scale) {
    const auto memory = one->start_memory({.rows = 2, .training = true, .length = 0, .compute = DType::kF64});
    {
      const NoTapeScope quiet;
      one->hidden(inputs_of(stream_tokens(2, 0, 6, one->device()), memory.get()), training());
    }
    TapeScope recording;
    const auto result = one->loss(inputs_of(stream_tokens(2, 6, 6, one->device()), memory.get()), stream_tokens(2, 7, 6, one->device()), training(), {.scale = scale});
    for (const auto& p : one->parameters()) p.variable.clear_gradient();
    recording.tape().backward(result.loss, Tensor::of<double>({1}, {1.0}, one->device()));
    std::map<std::string, std::vector<double>> out;
    for (const auto& p : one->parameters()) out[p.name] = numbers_of(p.variable.gradient());
    return out;
  };
  const auto both = gradients_with(0.05), compression_only = gradients_with(0);
  for (const auto& [name, gradient] : both) {
    const bool own = name.starts_with("compression.");
    const bool zero = std::all_of(compression_only.at(name).begin(), compression_only.at(name).end(), [](double g) { return g == 0; });
    EXPECT_EQ(zero, !own) << name;
    if (own) {
      EXPECT_EQ(gradient, compression_only.at(name)) << name;
    }
  }
}

TEST_P(EveryCompression, NothingAfterATokenReachesIt) {
  const auto one = model();
  const NoTapeScope quiet;
  const auto read = [&](int64_t changed) {
    const auto memory = one->start_memory({.rows = 1, .training = false, .length = 0, .compute = DType::kF64});
    std::vector<double> out;
    for (int64_t first = 0; first < 60; first += 6) {
      const Tensor tokens = stream_tokens(1, first, 6, one->device());
      if (changed >= first && changed < first + 6) tokens.data<int32_t>()[changed - first] = (tokens.data<int32_t>()[changed - first] + 1) % 11;
      const auto rows = numbers_of(one->hidden(inputs_of(tokens, memory.get()), evaluation()).value());
      out.insert(out.end(), rows.begin(), rows.end());
    }
    return out;
  };
  const std::vector<double> plain = read(-1), other = read(8);
  const auto differs = [&](int64_t from, int64_t to) { return !std::equal(plain.begin() + from * 16, plain.begin() + to * 16, other.begin() + from * 16); };
  EXPECT_FALSE(differs(0, 8));
  for (int64_t segment = 1; segment < 4; ++segment) EXPECT_TRUE(differs(6 * segment, 6 * segment + 6)) << segment;
}

TEST_P(EveryCompression, DecodingEqualsSegmentsAndGoesOnFromAState) {
  const auto one = model([](CompressiveOptions& o) { o.eval_compressed = 3, o.memory.eval_length = 9; });
  const NoTapeScope quiet;
  const auto memory = one->start_memory({.rows = 2, .training = false, .length = 0, .compute = DType::kF64});
  auto state = one->start_decoding(2, 80, evaluation());
  const auto prompt = stream_tokens(2, 0, 8, one->device());
  std::vector<double> decoded = numbers_of(one->decode(prompt, *state, evaluation()));
  std::vector<std::vector<double>> by_token(7);
  by_token.push_back(decoded);
  for (int64_t t = 8; t < 66; ++t) {
    if (t % 7 == 0) {  // elsewhere, with room for what is left
      auto next = one->start_decoding(2, 80 - t, evaluation());
      next->set_memory(state->memory());
      state = std::move(next);
    }
    by_token.push_back(numbers_of(one->decode(stream_tokens(2, t, 1, one->device()), *state, evaluation())));
  }
  for (int64_t first = 0; first < 66; first += 6) {
    const Variable logits = one->logits(inputs_of(stream_tokens(2, first, 6, one->device()), memory.get()), evaluation());
    for (int64_t t = std::max<int64_t>(first, 7); t < first + 6; ++t)
      EXPECT_LT(largest_difference(by_token[static_cast<size_t>(t)], numbers_of(logits.value().slice(1, t - first, t - first + 1))), 1e-11) << t;
  }
}

TEST_P(EveryCompression, TheProcessorAgreesWithTheReference) {
  const auto run = [&](Device device, DType dtype, DType compute) {
    const auto one = model([](CompressiveOptions& o) { o.body.dropout = 0.1; }, device, dtype);
    const int64_t length = 6 * dynamic_cast<const CompressiveOptions&>(*one->spec().options).memory.bptt_segments;
    const auto memory = one->start_memory({.rows = 2, .training = true, .length = 0, .compute = compute});
    std::vector<double> out;
    for (int64_t step = 0; step < 4; ++step) {
      TapeScope recording;
      const auto result = one->loss(inputs_of(stream_tokens(2, length * step, length, device), memory.get()), stream_tokens(2, length * step + 1, length, device), training(compute), {.scale = 0.05});
      out.push_back(numbers_of(result.loss.value())[0]);
      for (const auto& p : one->parameters()) p.variable.clear_gradient();
      const Tensor seed = ops::like(result.loss.value());
      ops::table(seed).elementwise.fill(seed, 1);
      recording.tape().backward(result.loss, seed);
    }
    for (const auto& p : one->parameters()) {
      for (const double g : numbers_of(p.variable.gradient())) out.push_back(g);
    }
    return out;
  };
  const auto expected = run(Device::reference(), DType::kF64, DType::kF64);
  EXPECT_LT(largest_difference(run(Device::cpu(), DType::kF32, DType::kF32), expected), 2e-5);
  set_thread_count(1);
  const auto one_thread = run(Device::cpu(), DType::kF32, DType::kBF16);
  set_thread_count(3);
  EXPECT_EQ(run(Device::cpu(), DType::kF32, DType::kBF16), one_thread);
  set_thread_count(0);
}

TEST_P(EveryCompression, RecomputationReadsTheMemoriesOfItsOwnStep) {
  const auto gradients = [](Recompute recompute) {
    ModelSpec spec = small_compressive(GetParam().change);
    spec.memory.recompute = recompute;
    const auto one = make_model(spec, 3, Device::cpu(), DType::kF32);
    const int64_t length = 6 * dynamic_cast<const CompressiveOptions&>(*spec.options).memory.bptt_segments;
    const auto memory = one->start_memory({.rows = 2, .training = true, .length = 0, .compute = DType::kF32});
    std::vector<std::vector<double>> out;
    for (int64_t step = 0; step < 4; ++step) {
      TapeScope recording;
      const auto result = one->loss(inputs_of(stream_tokens(2, length * step, length, one->device()), memory.get()), stream_tokens(2, length * step + 1, length, one->device()), training(DType::kF32), {.scale = 0.05});
      for (const auto& p : one->parameters()) p.variable.clear_gradient();
      recording.tape().backward(result.loss, Tensor::of<float>({1}, {1.0f}, one->device()));
    }
    for (const auto& p : one->parameters()) out.push_back(numbers_of(p.variable.gradient()));
    return out;
  };
  EXPECT_EQ(gradients(Recompute::kLayer), gradients(Recompute::kNone));
}

TEST_P(EveryCompression, DocumentsOfOneStreamDoNotSeeEachOther) {
  const auto one = model([](CompressiveOptions& o) { o.memory.reset = MemoryReset::kDocument; });
  const NoTapeScope quiet;
  // Documents begin at 0, 8 and 31; tokens of the first are changed.
  const auto read = [&](int64_t changed) {
    const auto memory = one->start_memory({.rows = 1, .training = false, .length = 0, .compute = DType::kF64});
    std::vector<double> out;
    for (int64_t first = 0; first < 60; first += 6) {
      const Tensor tokens = stream_tokens(1, first, 6, one->device());
      std::vector<int32_t> documents;
      for (int64_t t = first; t < first + 6; ++t) {
        documents.push_back(t < 8 ? 0 : t < 31 ? 1 : 2);
        if (t < changed) tokens.data<int32_t>()[t - first] = (tokens.data<int32_t>()[t - first] + 1) % 11;
      }
      const auto rows = numbers_of(one->hidden(inputs_of(tokens, memory.get(), Tensor::of<int32_t>({1, 6}, documents, one->device())), evaluation()).value());
      out.insert(out.end(), rows.begin(), rows.end());
    }
    return out;
  };
  const std::vector<double> plain = read(0), first = read(8), second = read(31);
  EXPECT_TRUE(std::equal(plain.begin() + 8 * 16, plain.end(), first.begin() + 8 * 16));
  EXPECT_TRUE(std::equal(plain.begin() + 31 * 16, plain.end(), second.begin() + 31 * 16));
  EXPECT_FALSE(std::equal(plain.begin() + 24 * 16, plain.begin() + 31 * 16, second.begin() + 24 * 16));
}

INSTANTIATE_TEST_SUITE_P(Variants, EveryCompression, ::testing::ValuesIn(kVariants), [](const auto& info) { return info.param.name; });

TEST(CompressedMemory, AtARateOfOneIsTheMemoryOfTransformerXl) {
  // Mean pooling has no parameters: equal seeds give equal weights.
  const auto both = small_model([](CompressiveOptions& o) { o.rate = 1, o.compressed = 5, o.memory.length = 6, o.compression.function = CompressionFunction::kMeanPool; });
  const auto one = make_model(small_recurrent([](RecurrentOptions& o) { o.memory.length = 11; }), 3, Device::reference(), DType::kF64);
  const auto read = [](const LanguageModel& model) {
    const NoTapeScope quiet;
    const auto memory = model.start_memory({.rows = 2, .training = false, .length = 0, .compute = DType::kF64});
    std::vector<double> out;
    for (int64_t first = 0; first < 42; first += 6) {
      const auto rows = numbers_of(model.hidden(inputs_of(stream_tokens(2, first, 6, model.device()), memory.get()), evaluation()).value());
      out.insert(out.end(), rows.begin(), rows.end());
    }
    return out;
  };
  EXPECT_LT(largest_difference(read(*both), read(*one)), 1e-12);
}

TEST(CompressedMemory, HoldsTheMeansOfWhatLeftInOrder) {
  const auto one = small_model([](CompressiveOptions& o) { o.compression.function = CompressionFunction::kMeanPool, o.compressed = 5, o.memory.length = 9; });
  const NoTapeScope quiet;
  const auto memory = one->start_memory({.rows = 2, .training = true, .length = 0, .compute = DType::kF64});
  auto& both = dynamic_cast<CompressedMemory&>(*memory);
  const auto& recurrent = dynamic_cast<const RecurrentModel&>(*one);
  std::vector<std::vector<double>> rows, slots;  // of the second layer and row 1 of the batch
  for (int64_t step = 0; step < 20; ++step) {
    if (step == 9) both.reset(), rows.clear(), slots.clear();
    SegmentTrace trace;
    // A segment that the rate does not divide is read and moves nothing.
    const int64_t length = step == 5 ? 4 : 6;
    recurrent.run(inputs_of(stream_tokens(2, 6 * step, length, one->device()), memory.get()), evaluation(), &trace);
    if (length == 6) {
      const auto inputs = numbers_of(trace.hidden[1].value().slice(0, 1, 2));
      for (int64_t t = 0; t < 6; ++t) rows.emplace_back(inputs.begin() + t * 16, inputs.begin() + (t + 1) * 16);
      while (rows.size() > 9) {
        std::vector<double> mean(16, 0);
        for (int64_t t = 0; t < 3; ++t) {
          for (size_t d = 0; d < 16; ++d) mean[d] += rows[static_cast<size_t>(t)][d] / 3;
        }
        rows.erase(rows.begin(), rows.begin() + 3);
        slots.push_back(mean);
        if (slots.size() > 5) slots.erase(slots.begin());
      }
    }
    const auto flat = [](const std::vector<std::vector<double>>& parts) {
      std::vector<double> out;
      for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
      return out;
    };
    ASSERT_EQ(both.filled(0, 2), static_cast<int64_t>(rows.size())) << step;
    ASSERT_EQ(both.filled_slots(0, 2), static_cast<int64_t>(slots.size())) << step;
    EXPECT_EQ(numbers_of(both.layer(1, 1, 1)), flat(rows)) << step;
    EXPECT_LT(largest_difference(numbers_of(both.slots(1, 1, 1)), flat(slots)), 1e-14) << step;
  }
}

TEST(CompressedMemory, ALengthThatTheRateDoesNotDivideIsRefused) {
  const auto one = small_model();
  EXPECT_THROW(one->start_memory({.rows = 1, .training = false, .length = 8, .compute = DType::kF64}), ConfigError);
  EXPECT_NO_THROW(one->start_memory({.rows = 1, .training = false, .length = 9, .compute = DType::kF64}));
}

TEST(CompressedMemory, AStateOfDecodingOfAnotherShapeIsRefused) {
  const auto one = small_model([](CompressiveOptions& o) { o.compression.function = CompressionFunction::kMostUsed; });
  const NoTapeScope quiet;
  const auto state = one->start_decoding(1, 40, evaluation());
  one->decode(stream_tokens(1, 0, 23, one->device()), *state, evaluation());
  const auto good = state->memory();
  const auto refuses = [&](const std::string& name, const Tensor& tensor) {
    auto bad = good;
    if (tensor.defined()) bad[name] = tensor;
    else bad.erase(name);
    const auto fresh = one->start_decoding(1, 40, evaluation());
    EXPECT_THROW(fresh->set_memory(bad), CheckpointError) << name;
  };
  for (const auto& [name, tensor] : good) refuses(name, {});
  const Device device = one->device();
  refuses("layers.1", Tensor::zeros({1, 3, 4, 8}, DType::kF64, device));
  refuses("layers.0", Tensor::zeros({1, 30, 4, 8}, DType::kF64, device));
  refuses("inputs.0", Tensor::zeros({1, 11, 15}, DType::kF64, device));
  refuses("inputs.0", Tensor::zeros({1, 2, 16}, DType::kF64, device));
  refuses("inputs.1", Tensor::zeros({1, 4, 16}, DType::kF64, device));
  refuses("usage.0", Tensor::zeros({1, 5}, DType::kF64, device));
  refuses("steps", Tensor::zeros({6}, DType::kI64, Device::cpu()));
  EXPECT_NO_THROW(one->start_decoding(1, 40, evaluation())->set_memory(good));
}

}  // namespace
}  // namespace longhaul::models
