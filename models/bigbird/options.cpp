#include "models/bigbird/options.h"

#include <fmt/format.h>

#include "framework/base/error.h"
#include "models/bigbird/exchange.h"
#include "models/bigbird/model.h"
#include "models/bigbird/random_blocks.h"
#include "models/common/fields.h"

namespace longhaul::models {

void block_fields(FieldVisitor& v, BlockOptions& o) {
  v.boolean("sparse", o.sparse, {}, "false: every token sees all, whatever the keys of blocks say");
  v.integer("block", o.block, {.min = 1, .unit = "tokens"}, "tokens of a block; 64 and its multiples fill whole tiles of the kernel, smaller ones are padded to them");
  v.integer("random_blocks", o.random_blocks, {.min = 0, .max = 1024}, "random key blocks of every query block and head");
  v.choice("random", o.random, {{"counter", RandomRule::kCounter}, {"public", RandomRule::kPublic}, {"public_training", RandomRule::kPublicTraining}}, {},
           "counter: drawn from random_seed, layer, head and block; public: the table of the published code, which checkpoints were "
           "trained with; public_training: that table in training, and in evaluation block 0 in every slot, as transformers has it");
  v.integer("random_seed", o.random_seed, {.min = 0}, "seed of random: counter");
  v.integer("extra_globals", o.extra_globals, {.min = 0, .max = 65536, .unit = "tokens"},
            "learned global tokens in front of the sequence (ETC); 0: the first and the last block are global (ITC)");
  v.boolean("short_full", o.short_full, {}, "sequences of at most (5 + 2 random_blocks) block tokens see everything, as in the published code (ITC)");
}

void check_blocks(const BlockOptions& o, const BodyOptions& body, int64_t length, const Complain& complain) {
  if (o.random == RandomRule::kCounter || !o.sparse) return;
  if (o.extra_globals > 0) {
    complain("random", "has no table for extra_globals; use model.random = counter");
    return;
  }
  if (length <= o.full_below()) return;
  try {
    public_random_blocks({.length = length, .block = o.block, .slots = o.random_blocks, .heads = body.heads}, body.max_positions, 0);
  } catch (const ConfigError& error) {
    complain("random", fmt::format("has no table here: {}", error.what()));
  }
}

FamilyInfo bigbird_family() {
  FamilyInfo info = family_of<BigBirdOptions>("bigbird", "blocks that see their neighbours, a few random blocks and global ones");
  info.cost = "time O(N b (5 + r) D) for blocks of b tokens and r random ones: 2 n + (n - 2)(5 + r) - 2 pairs of n = N / b blocks a head; memory O(N D)";
  info.drawn = Form::kEncoder;
  info.fields = [](FieldVisitor& v, FamilyOptions& base) {
    auto& o = dynamic_cast<BigBirdOptions&>(base);
    body_fields(v, o.body);
    block_fields(v, o.blocks);
    encoder_layout_fields(v, o.layout);
  };
  info.resolve = [](FamilyOptions& o, const ModelContext& context) { resolve_body(o.body, context); };
  info.check = [](const FamilyOptions& base, const ModelContext& context, const Complain& complain) {
    const auto& o = dynamic_cast<const BigBirdOptions&>(base);
    check_body(o.body, context, complain);
    if (o.body.form == Form::kDecoder) {
      complain("family",
               "is two-sided: its global blocks see the whole sequence and are seen by all, so a token would see "
               "the future; set data.objective = masked (or another one for encoders), or use longformer for a decoder");
    }
    check_blocks(o.blocks, o.body, context.sequence_length, complain);
    check_encoder_layout(o.layout, o.body, complain);
  };
  info.pattern = [](const FamilyOptions& base, Form, const Extent& extent) {
    const auto& o = dynamic_cast<const BigBirdOptions&>(base);
    return block_pattern(o.blocks, o.body, 0, extent, true);
  };
  info.build = build_bigbird;
  info.references = {std::make_shared<EncoderReference>("bigbird", open_bigbird)};
  return info;
}

}  // namespace longhaul::models
