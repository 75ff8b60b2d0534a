// What the memory of recurrent models is: the same states as one long pass, without the past's gradients, within bounds.
#include <gtest/gtest.h>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/base/threads.h"
#include "tests/models/recurrent/support.h"

namespace longhaul::models {
namespace {

struct Variant {
  const char* name;
  std::function<void(RecurrentOptions&)> change;
};

const Variant kVariants[] = {
    {"PostNorm", {}},
    {"PreNorm", [](RecurrentOptions& o) { o.body.norm = NormPlacement::kPre; }},
    {"PreNormWithoutFinalNorm", [](RecurrentOptions& o) { o.body.norm = NormPlacement::kPre, o.final_norm = RecurrentOptions::FinalNorm::kNo; }},
    {"SharedBiases", [](RecurrentOptions& o) { o.untied_biases = false; }},
    {"Clamped", [](RecurrentOptions& o) { o.memory.clamp = 4; }},
    {"HeadsWiderThanTheModel", [](RecurrentOptions& o) { o.body.head_dim = 11, o.body.activation = Activation::kGelu; }},
    {"Zeros", [](RecurrentOptions& o) { o.memory.start = MemoryStart::kZeros; }},
    {"GeluTanh", [](RecurrentOptions& o) { o.body.activation = Activation::kGeluTanh; }},
    {"SwigluRms", [](RecurrentOptions& o) { o.body.activation = Activation::kSwiglu, o.body.norm_kind = NormKind::kRms, o.body.bias = false; }},
    {"Clusters", [](RecurrentOptions& o) { o.adaptive.cutoffs = {3, 7}, o.adaptive.div_val = 2; }},
    {"ClustersOfOneTable", [](RecurrentOptions& o) { o.adaptive.cutoffs = {4, 6}, o.adaptive.embed_dim = 12, o.body.tied_embeddings = false; }},
};

class EveryRecurrent : public ::testing::TestWithParam<Variant> {
 protected:
  std::unique_ptr<LanguageModel> model(const std::function<void(RecurrentOptions&)>& more = {}, Device device = Device::reference(), DType dtype = DType::kF64) const {
    return make_model(small_recurrent([&](RecurrentOptions& o) {
                        if (GetParam().change) GetParam().change(o);
                        if (more) more(o);
                      }), 3, device, dtype);
  }
};

nn::StepContext evaluation(DType compute = DType::kF64) {
  nn::StepContext context;
  context.compute = compute;
  return context;
}

Variable hidden_of(const LanguageModel& model, const Tensor& tokens, SegmentMemory* memory, const nn::StepContext& context) {
  return model.hidden({.tokens = tokens, .documents = {}, .valid = {}, .memory = memory}, context);
}

/// Hidden states of `batch` streams read in segments of the given lengths.
std::vector<double> in_segments(const LanguageModel& model, int64_t batch, const std::vector<int64_t>& lengths, int64_t memory_length) {
  const NoTapeScope quiet;
  const auto memory = model.start_memory({.rows = batch, .training = false, .length = memory_length, .compute = DType::kF64});
  std::vector<Variable> parts;
  int64_t first = 0;
  for (const int64_t length : lengths) {
    parts.push_back(hidden_of(model, stream_tokens(batch, first, length, model.device()), memory.get(), evaluation()));
    first += length;
  }
  std::vector<double> out;
  const int64_t width = parts[0].size(2);
  for (int64_t b = 0; b < batch; ++b) {
    for (const Variable& part : parts) {
      const std::vector<double> rows = numbers_of(part.value().slice(0, b, b + 1));
      out.insert(out.end(), rows.begin(), rows.end());
    }
  }
  EXPECT_EQ(out.size(), static_cast<size_t>(batch * first * width));
  return out;
}

TEST_P(EveryRecurrent, SegmentsWithEnoughMemoryEqualOnePass) {
  const auto one = model([](RecurrentOptions& o) { o.memory.start = MemoryStart::kEmpty; });  // zeros leave the memory in time
  const std::vector<double> whole = in_segments(*one, 2, {23}, 40);
  for (const auto& lengths : std::vector<std::vector<int64_t>>{{1, 22}, {6, 6, 6, 5}, {1, 1, 1, 20}, {9, 2, 12}}) {
    EXPECT_LT(largest_difference(in_segments(*one, 2, lengths, 40), whole), 1e-11);
  }
}

TEST_P(EveryRecurrent, WithEquallyManyKeysTheSegmentLengthDoesNotMatter) {
  for (const SameLength same : {SameLength::kMemory, SameLength::kMemoryAndOne}) {
    const auto one = model([&](RecurrentOptions& o) { o.memory.same_length = same; });
    const std::vector<double> by_token = in_segments(*one, 2, std::vector<int64_t>(20, 1), 5);
    EXPECT_LT(largest_difference(in_segments(*one, 2, {5, 5, 5, 5}, 5), by_token), 1e-11);
    EXPECT_LT(largest_difference(in_segments(*one, 2, {20}, 5), by_token), 1e-11);
  }
}

TEST_P(EveryRecurrent, NothingAfterATokenReachesItAndMemoryEndsWhereItSays) {
  const auto one = model();
  const NoTapeScope quiet;
  const auto read = [&](int64_t changed) {
    const auto memory = one->start_memory({.rows = 1, .training = false, .length = 4, .compute = DType::kF64});
    std::vector<double> out;
    for (int64_t first = 0; first < 24; first += 4) {
      const Tensor tokens = stream_tokens(1, first, 4, one->device());
      if (changed >= first && changed < first + 4) tokens.data<int32_t>()[changed - first] = (tokens.data<int32_t>()[changed - first] + 1) % 11;
      const auto rows = numbers_of(hidden_of(*one, tokens, memory.get(), evaluation()).value());
      out.insert(out.end(), rows.begin(), rows.end());
    }
    return out;
  };
  const std::vector<double> plain = read(-1), other = read(5);
  const auto differs = [&](int64_t token) { return !std::equal(plain.begin() + token * 16, plain.begin() + (token + 1) * 16, other.begin() + token * 16); };
  for (int64_t t = 0; t < 5; ++t) EXPECT_FALSE(differs(t)) << t;
  EXPECT_TRUE(differs(5));
  EXPECT_TRUE(differs(9)) << "the next segment sees it";
  // Two layers carry it two segments further; then it is forgotten.
  for (int64_t t = 16; t < 24; ++t) EXPECT_FALSE(differs(t)) << t;
}

TEST_P(EveryRecurrent, DecodingTokenByTokenEqualsSegmentsOfOneToken) {
  const auto one = model([](RecurrentOptions& o) { o.memory.eval_length = 5; });
  const NoTapeScope quiet;
  const auto memory = one->start_memory({.rows = 2, .training = false, .length = 0, .compute = DType::kF64});
  const auto state = one->start_decoding(2, 30, evaluation());
  const auto prompt = stream_tokens(2, 0, 4, one->device());
  Variable logits = one->logits({.tokens = prompt, .documents = {}, .valid = {}, .memory = memory.get()}, evaluation());
  EXPECT_LT(largest_difference(numbers_of(one->decode(prompt, *state, evaluation())), numbers_of(logits.value().slice(1, 3, 4))), 1e-11);
  for (int64_t t = 4; t < 30; ++t) {
    const Tensor next = stream_tokens(2, t, 1, one->device());
    logits = one->logits({.tokens = next, .documents = {}, .valid = {}, .memory = memory.get()}, evaluation());
    EXPECT_LT(largest_difference(numbers_of(one->decode(next, *state, evaluation())), numbers_of(logits.value())), 1e-11) << t;
  }
  EXPECT_THROW(one->decode(stream_tokens(2, 30, 1, one->device()), *state, evaluation()), ShapeError);
}

TEST_P(EveryRecurrent, AStateOfDecodingGoesOnElsewhere) {
  const auto one = model([](RecurrentOptions& o) { o.memory.eval_length = 5; });
  const NoTapeScope quiet;
  const auto first = one->start_decoding(1, 40, evaluation());
  one->decode(stream_tokens(1, 0, 17, one->device()), *first, evaluation());
  const auto second = one->start_decoding(1, 10, evaluation());
  second->set_memory(first->memory());
  for (int64_t t = 17; t < 27; ++t) {
    const Tensor next = stream_tokens(1, t, 1, one->device());
    EXPECT_LT(largest_difference(numbers_of(one->decode(next, *first, evaluation())), numbers_of(one->decode(next, *second, evaluation()))), 1e-12) << t;
  }
  EXPECT_EQ(first->memory().at("layers.0").size(1), 5);
  auto broken = first->memory();
  broken.erase("layers.1");
  EXPECT_THROW(second->set_memory(broken), CheckpointError);
  broken["layers.1"] = Tensor::zeros({1, 5, 3, 8}, DType::kF64, one->device());
  EXPECT_THROW(second->set_memory(broken), CheckpointError);
}

/// Finite differences need a function without kinks.
void smooth(RecurrentOptions& o) {
  if (o.body.activation == Activation::kRelu) o.body.activation = Activation::kGelu;
}

/// The loss of a group of segments and its gradients.
double group_loss(const LanguageModel& model, int64_t length, std::vector<std::vector<double>>* gradients) {
  const auto memory = model.start_memory({.rows = 2, .training = true, .length = 0, .compute = DType::kF64});
  const nn::StepContext context{.training = true, .seed = 1, .step = 2, .first_row = 0, .compute = DType::kF64};
  TapeScope recording;
  const auto result = model.loss({.tokens = stream_tokens(2, 0, length, model.device()), .documents = {}, .valid = {}, .memory = memory.get()}, stream_tokens(2, 1, length, model.device()), context, {.scale = 0.05});
  if (gradients) {
    for (const auto& p : model.parameters()) p.variable.clear_gradient();
    recording.tape().backward(result.loss, Tensor::of<double>({1}, {1.0}, model.device()));
    for (const auto& p : model.parameters()) gradients->push_back(numbers_of(p.variable.gradient()));
  }
  return result.loss.value().data<double>()[0];
}

/// Every parameter, some elements of each, against central differences.
void expect_gradients(const LanguageModel& model, const std::function<double(std::vector<std::vector<double>>*)>& loss) {
  std::vector<std::vector<double>> gradients;
  loss(&gradients);
  const auto parameters = model.parameters();
  for (size_t k = 0; k < parameters.size(); ++k) {
    double* values = parameters[k].variable.value().data<double>();
    const int64_t count = parameters[k].variable.value().elements();
    for (int64_t i = 0; i < count; i += 1 + count / 4) {
      const double before = values[i], step = 1e-5;
      values[i] = before + step;
      const double up = loss(nullptr);
      values[i] = before - step;
      const double down = loss(nullptr);
      values[i] = before;
      const double numeric = (up - down) / (2 * step), analytic = gradients[k][static_cast<size_t>(i)];
      EXPECT_NEAR(analytic, numeric, 1e-7 * std::max(1.0, std::abs(numeric))) << parameters[k].name << "[" << i << "]";
    }
  }
}

TEST_P(EveryRecurrent, GradientsThroughGroupsOfSegmentsEqualFiniteDifferences) {
  const auto one = model([](RecurrentOptions& o) {
    o.memory.bptt_segments = 3, o.memory.length = 5;
    smooth(o);
    o.body.dropout = 0.1, o.body.attention_dropout = 0.1, o.body.embedding_dropout = 0.1;
  });
  expect_gradients(*one, [&](auto* gradients) { return group_loss(*one, 12, gradients); });
}

TEST_P(EveryRecurrent, GradientsOfASegmentHoldItsMemoryFixed) {
  const auto one = model([](RecurrentOptions& o) {
    o.memory.length = 5;
    smooth(o);
  });
  // The memory that the first segment leaves with unchanged weights, given to every perturbed pass.
  const nn::StepContext context{.training = true, .seed = 1, .step = 2, .first_row = 0, .compute = DType::kF64};
  const auto kept = one->start_memory({.rows = 2, .training = true, .length = 0, .compute = DType::kF64});
  {
    const NoTapeScope quiet;
    hidden_of(*one, stream_tokens(2, 0, 6, one->device()), kept.get(), context);
  }
  const auto loss = [&](std::vector<std::vector<double>>* gradients) {
    const auto memory = one->start_memory({.rows = 2, .training = true, .length = 0, .compute = DType::kF64});
    memory->store(0, 2, {ops::dense(kept->layer(0, 0, 2)), ops::dense(kept->layer(1, 0, 2))}, {});
    TapeScope recording;
    const auto result = one->loss({.tokens = stream_tokens(2, 6, 6, one->device()), .documents = {}, .valid = {}, .memory = memory.get()}, stream_tokens(2, 7, 6, one->device()), context, {.scale = 0.05});
    if (gradients) {
      for (const auto& p : one->parameters()) p.variable.clear_gradient();
      recording.tape().backward(result.loss, Tensor::of<double>({1}, {1.0}, one->device()));
      for (const auto& p : one->parameters()) gradients->push_back(numbers_of(p.variable.gradient()));
    }
    return result.loss.value().data<double>()[0];
  };
  expect_gradients(*one, loss);
}

TEST_P(EveryRecurrent, TheProcessorAgreesWithTheReference) {
  const auto run = [&](Device device, DType dtype, DType compute) {
    const auto one = model([](RecurrentOptions& o) { o.memory.bptt_segments = 2, o.memory.length = 7, o.body.dropout = 0.1, o.body.attention_dropout = 0.1; }, device, dtype);
    const auto memory = one->start_memory({.rows = 2, .training = true, .length = 0, .compute = compute});
    std::vector<double> out;
    for (int64_t step = 0; step < 3; ++step) {
      const nn::StepContext context{.training = true, .seed = 1, .step = static_cast<uint64_t>(step), .first_row = 0, .compute = compute};
      TapeScope recording;
      const auto result = one->loss({.tokens = stream_tokens(2, 10 * step, 10, device), .documents = {}, .valid = {}, .memory = memory.get()}, stream_tokens(2, 10 * step + 1, 10, device), context, {.scale = 0.05});
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
  EXPECT_LT(largest_difference(run(Device::cpu(), DType::kF32, DType::kBF16), expected), 8e-2) << "operands have 8 bits of mantissa";
  set_thread_count(1);
  const auto one_thread = run(Device::cpu(), DType::kF32, DType::kBF16);
  set_thread_count(3);
  EXPECT_EQ(run(Device::cpu(), DType::kF32, DType::kBF16), one_thread);
  set_thread_count(0);
}

INSTANTIATE_TEST_SUITE_P(Variants, EveryRecurrent, ::testing::ValuesIn(kVariants), [](const auto& info) { return info.param.name; });

TEST(SegmentMemory, RecomputationReadsTheMemoryOfItsOwnStep) {
  const auto gradients = [](Recompute recompute, Device device, DType dtype) {
    ModelSpec spec = small_recurrent([](RecurrentOptions& o) { o.memory.length = 6; });
    spec.memory.recompute = recompute;
    const auto one = make_model(spec, 3, device, dtype);
    const auto memory = one->start_memory({.rows = 2, .training = true, .length = 0, .compute = dtype});
    std::vector<std::vector<double>> out;
    for (int64_t step = 0; step < 3; ++step) {
      nn::StepContext context = evaluation(dtype);
      context.training = true;
      TapeScope recording;
      const auto result = one->loss({.tokens = stream_tokens(2, 6 * step, 6, one->device()), .documents = {}, .valid = {}, .memory = memory.get()}, stream_tokens(2, 6 * step + 1, 6, one->device()), context, {.scale = 0.05});
      for (const auto& p : one->parameters()) p.variable.clear_gradient();
      const Tensor seed = ops::like(result.loss.value());
      ops::table(seed).elementwise.fill(seed, 1);
      recording.tape().backward(result.loss, seed);
    }
    for (const auto& p : one->parameters()) out.push_back(numbers_of(p.variable.gradient()));
    return out;
  };
  EXPECT_EQ(gradients(Recompute::kLayer, Device::cpu(), DType::kF32), gradients(Recompute::kNone, Device::cpu(), DType::kF32));
  // Of the three parts of a residual stream's gradient, queries' and keys' are added first under recomputed attention, so
  // that equal bits are not to be had; in f64 what remains shows that nothing but the order differs.
  const auto plain = gradients(Recompute::kNone, Device::reference(), DType::kF64);
  const auto attention = gradients(Recompute::kAttention, Device::reference(), DType::kF64);
  for (size_t k = 0; k < plain.size(); ++k) EXPECT_LT(largest_difference(attention[k], plain[k]), 1e-13) << k;
}

TEST(SegmentMemory, TokensOfTheFirstSegmentGetNoGradientFromTheSecondButProjectionsDo) {
  const auto spec = small_recurrent([](RecurrentOptions& o) { o.body.tied_embeddings = false; });
  const auto one = make_model(spec, 3, Device::reference(), DType::kF64);
  const auto memory = one->start_memory({.rows = 1, .training = true, .length = 0, .compute = DType::kF64});
  nn::StepContext context = evaluation();
  context.training = true;
  const auto only = [&](int32_t id) { return Tensor::of<int32_t>({1, 6}, std::vector<int32_t>(6, id), one->device()); };
  {
    const NoTapeScope quiet;
    hidden_of(*one, only(3), memory.get(), context);
  }
  TapeScope recording;
  const auto result = one->loss({.tokens = only(5), .documents = {}, .valid = {}, .memory = memory.get()}, only(7), context, {});
  for (const auto& p : one->parameters()) p.variable.clear_gradient();
  recording.tape().backward(result.loss, Tensor::of<double>({1}, {1.0}, one->device()));
  for (const auto& p : one->parameters()) {
    if (p.name != "embedding.tables.0") continue;
    const auto gradient = numbers_of(p.variable.gradient());
    for (int64_t c = 0; c < 16; ++c) {
      EXPECT_EQ(gradient[static_cast<size_t>(3 * 16 + c)], 0);
      EXPECT_NE(gradient[static_cast<size_t>(5 * 16 + c)], 0);
    }
  }
}

TEST(SegmentMemory, DocumentsOfOneStreamDoNotSeeEachOther) {
  const auto spec = small_recurrent([](RecurrentOptions& o) { o.memory.reset = MemoryReset::kDocument, o.memory.eval_length = 8; });
  const auto one = make_model(spec, 3, Device::reference(), DType::kF64);
  const NoTapeScope quiet;
  // Documents of 7, 2 and 11 tokens in segments of 4.
  const std::vector<int64_t> begins = {0, 7, 9, 20};
  const auto document_of = [&](int64_t t) { return t < 7 ? 0 : t < 9 ? 1 : 2; };
  const auto memory = one->start_memory({.rows = 1, .training = false, .length = 0, .compute = DType::kF64});
  std::vector<double> joined;
  for (int64_t first = 0; first < 20; first += 4) {
    std::vector<int32_t> documents;
    for (int64_t t = first; t < first + 4; ++t) documents.push_back(document_of(t));
    const Variable part = one->hidden({.tokens = stream_tokens(1, first, 4, one->device()), .documents = Tensor::of<int32_t>({1, 4}, documents, one->device()), .valid = {}, .memory = memory.get()}, evaluation());
    const auto rows = numbers_of(part.value());
    joined.insert(joined.end(), rows.begin(), rows.end());
  }
  for (size_t d = 0; d + 1 < begins.size(); ++d) {
    // The same cuts, so that the memory holds the same tokens.
    const auto own = one->start_memory({.rows = 1, .training = false, .length = 0, .compute = DType::kF64});
    std::vector<double> alone;
    for (int64_t from = begins[d]; from < begins[d + 1];) {
      const int64_t to = std::min(begins[d + 1], (from / 4 + 1) * 4);
      const std::vector<int32_t> documents(static_cast<size_t>(to - from), 0);
      const Variable part = one->hidden({.tokens = stream_tokens(1, from, to - from, one->device()), .documents = Tensor::of<int32_t>({1, to - from}, documents, one->device()), .valid = {}, .memory = own.get()}, evaluation());
      const auto rows = numbers_of(part.value());
      alone.insert(alone.end(), rows.begin(), rows.end());
      from = to;
    }
    EXPECT_LT(largest_difference(alone, {joined.begin() + begins[d] * 16, joined.begin() + begins[d + 1] * 16}), 1e-11) << d;
  }
}

TEST(SegmentMemory, RowsOfABatchMayBeReadApart) {
  const auto one = make_model(small_recurrent([](RecurrentOptions& o) { o.body.dropout = 0.2, o.body.attention_dropout = 0.2, o.body.embedding_dropout = 0.2; }), 3, Device::cpu());
  const NoTapeScope quiet;
  const auto read = [&](int64_t rows) {
    const auto memory = one->start_memory({.rows = 4, .training = true, .length = 0, .compute = DType::kF32});
    std::vector<double> last(4 * 6 * 16);
    for (uint64_t step = 0; step < 3; ++step) {
      for (int64_t first = 0; first < 4; first += rows) {
        const nn::StepContext context{.training = true, .seed = 1, .step = step, .first_row = first, .compute = DType::kF32};
        const Tensor tokens = ops::dense(stream_tokens(4, 6 * static_cast<int64_t>(step), 6, one->device()).slice(0, first, first + rows));
        const auto values = numbers_of(hidden_of(*one, tokens, memory.get(), context).value());
        std::copy(values.begin(), values.end(), last.begin() + first * 6 * 16);
      }
    }
    return last;
  };
  EXPECT_LT(largest_difference(read(2), read(4)), 1e-6);
  EXPECT_LT(largest_difference(read(1), read(4)), 1e-6);
}

}  // namespace
}  // namespace longhaul::models
