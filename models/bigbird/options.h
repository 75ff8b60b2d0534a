// defines: RandomRule, BlockOptions, BigBirdOptions, block_fields, check_blocks, bigbird_family
#pragma once
#include "models/common/encoder_layout.h"
#include "models/registry.h"

namespace longhaul::models {

/// Where the random blocks come from.
enum class RandomRule {
  kCounter,         // drawn from (random_seed, layer, head, block), in training and in evaluation
  kPublic,          // the table of the public code, in training and in evaluation
  kPublicTraining,  // that table in training; in evaluation block 0 in every slot, as transformers since 2023
};

/// What decides the block pattern; shared by the encoder and by encoder-decoders over it.
struct BlockOptions {
  bool sparse = true;               // false: full attention (attention_type original_full of public checkpoints)
  int64_t block = 64;               // tokens
  int64_t random_blocks = 3;        // r, for each query block and head
  RandomRule random = RandomRule::kCounter;
  int64_t random_seed = 0;          // for kCounter
  int64_t extra_globals = 0;        // learned tokens in front that are global (ETC); 0: the first and last block are (ITC)
  bool short_full = true;           // at most (5 + 2 r) block tokens see everything

  int64_t full_below() const { return short_full && extra_globals == 0 ? (5 + 2 * random_blocks) * block : 0; }
};

struct BigBirdOptions : FamilyOptions {
  BlockOptions blocks;
  EncoderLayout layout;
};

/// Declares and checks the keys of BlockOptions.
void block_fields(FieldVisitor& v, BlockOptions& o);
void check_blocks(const BlockOptions& o, const BodyOptions& body, int64_t length, const Complain& complain);

FamilyInfo bigbird_family();

}  // namespace longhaul::models
