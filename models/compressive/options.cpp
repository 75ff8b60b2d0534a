#include "models/compressive/options.h"

#include <fmt/format.h>

#include "models/compressive/model.h"
#include "models/compressive/reference.h"
#include "models/recurrent/pattern.h"

namespace longhaul::models {
namespace {

void fields(FieldVisitor& v, FamilyOptions& base) {
  auto& o = dynamic_cast<CompressiveOptions&>(base);
  recurrent_fields(v, o, [&o](FieldVisitor& in) {
    in.integer("compressed", o.compressed, {.min = 0, .unit = "slots", .default_text = "memory.length"}, "kept of each layer in training; 0 = memory.length");
    in.integer("eval_compressed", o.eval_compressed, {.min = 1, .unit = "slots", .automatic = SegmentOptions::kAsInTraining}, "kept in evaluation and generation; auto = compressed");
    in.integer("rate", o.rate, {.min = 1, .unit = "tokens"}, "that leave the memory together and become one slot");
  });
  v.section("compression", {}, "how tokens that leave the memory become slots", [&o](FieldVisitor& in) {
    using Function = CompressionFunction;
    using Loss = CompressionLoss;
    in.choice("function", o.compression.function,
              {{"mean_pool", Function::kMeanPool},
               {"max_pool", Function::kMaxPool},
               {"conv", Function::kConvolution},
               {"dilated_conv", Function::kDilatedConvolution},
               {"most_used", Function::kMostUsed}},
              {}, "mean or largest of the rows, a convolution over them, one with gaps, or the rows that attention used most");
    in.choice("loss", o.compression.loss,
              {{"auto", Loss::kAuto}, {"attention", Loss::kAttention}, {"autoencode", Loss::kAutoEncoding}, {"bptt", Loss::kThroughTime}, {"none", Loss::kNone}}, {},
              "what trains a convolution: attention to slots as to the rows they replace, the rows told from the slots, or the loss of the step's next segments; auto: attention");
    in.number("weight", o.compression.weight, {.min = 0, .above_min = true}, "factor on that loss");
  });
}

void resolve(FamilyOptions& base, const ModelContext& context) {
  auto& o = dynamic_cast<CompressiveOptions&>(base);
  resolve_recurrent(o, context);
  if (o.compressed == 0) o.compressed = o.memory.length;
  if (o.eval_compressed == SegmentOptions::kAsInTraining) o.eval_compressed = o.compressed;
  if (o.compression.loss == CompressionLoss::kAuto) o.compression.loss = o.learns() ? CompressionLoss::kAttention : CompressionLoss::kNone;
}

void check_sizes(const CompressiveOptions& o, const ModelContext& context, const Complain& complain) {
  const int64_t segment = context.sequence_length;
  if (segment % o.rate != 0) complain("memory.rate", fmt::format("does not divide data.sequence_length = {}", segment));
  for (const auto& [key, length] : {std::pair{"memory.length", o.memory.length}, std::pair{"memory.eval_length", o.memory.eval_length}}) {
    if (length % o.rate != 0) complain(key, fmt::format("must be a multiple of model.memory.rate = {}", o.rate));
    if (length < segment) complain(key, fmt::format("must be data.sequence_length = {} or more, so that a segment leaves the memory whole", segment));
    if (o.memory.eval_length == o.memory.length) break;
  }
}

void check(const FamilyOptions& base, const ModelContext& context, const Complain& complain) {
  const auto& o = dynamic_cast<const CompressiveOptions&>(base);
  check_recurrent(o, context, complain);
  if (o.memory.same_length != SameLength::kOff) complain("memory.same_length", "must be off: a slot stands for several tokens");
  check_sizes(o, context, complain);
  const CompressionLoss loss = o.compression.loss;
  if (!o.learns() && loss != CompressionLoss::kNone) complain("compression.loss", "has nothing to train: only conv and dilated_conv have parameters");
  if (o.learns() && loss == CompressionLoss::kNone) complain("compression.loss", "must not be none: nothing would train the convolution");
  if (loss == CompressionLoss::kThroughTime && o.memory.bptt_segments < 2)
    complain("compression.loss", "goes with model.memory.bptt_segments of 2 or more: the segment after the slots is what trains them");
}

}  // namespace

FamilyInfo compressive_family() {
  FamilyInfo info = family_of<CompressiveOptions>("compressive", "Transformer-XL whose oldest states are compressed before they are forgotten");
  info.cost = "time O(N (C + M + L) D) for segments of L tokens that see a memory of M and C slots, memory O((C + M + L) D); a generated token O((C + M + L) D)";
  info.fields = fields;
  info.resolve = resolve;
  info.check = check;
  info.pattern = [](const FamilyOptions& base, Form, const Extent& extent) {
    const auto& o = dynamic_cast<const CompressiveOptions&>(base);
    return stream_pattern(extent, o.segment, o.memory.length, 0);
  };
  info.streams = [](const FamilyOptions& base) {
    const auto& o = dynamic_cast<const CompressiveOptions&>(base);
    StreamNeeds needs = stream_needs(o);
    needs.slots = o.compressed, needs.rate = o.rate;
    // What trains it decides as well which parameters there are.
    needs.function = static_cast<int>(o.compression.function) * 8 + static_cast<int>(o.compression.loss);
    return needs;
  };
  info.references = {std::make_shared<CompressiveReference>()};
  info.build = build_compressive;
  return info;
}

}  // namespace longhaul::models
