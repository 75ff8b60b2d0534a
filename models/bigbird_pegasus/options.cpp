#include "models/bigbird_pegasus/options.h"

#include "models/bigbird/model.h"
#include "models/bigbird_pegasus/exchange.h"
#include "models/bigbird_pegasus/model.h"

namespace longhaul::models {

FamilyInfo bigbird_pegasus_family() {
  FamilyInfo info = sequence_family<BigBirdPegasusOptions>(
      "bigbird_pegasus", "encoder-decoder: BigBird's blocks over the source, a dense decoder",
      [](FieldVisitor& v, BigBirdPegasusOptions& o) {
        block_fields(v, o.blocks);
        v.boolean("scale_embeddings", o.scale_embeddings, {}, "token vectors are multiplied by the root of dim where they enter the model");
      },
      {},
      [](const BigBirdPegasusOptions& o, const ModelContext& context, const Complain& complain) {
        check_blocks(o.blocks, o.body, context.sequence_length, complain);
        if (o.blocks.extra_globals > 0) complain("extra_globals", "is for the encoder bigbird; the first and the last block of a source are global here");
      });
  info.pattern = [](const FamilyOptions& base, Form, const Extent& extent) {
    const auto& o = dynamic_cast<const BigBirdPegasusOptions&>(base);
    return block_pattern(o.blocks, o.body, 0, extent, true);
  };
  info.cost = "time O(N block (5 + random_blocks) D + M (N + M) D), memory O((N + M) D), for a source of N and a target of M tokens; drawn: the encoder";
  info.references = {bigbird_pegasus_reference()};
  info.build_sequence = build_bigbird_pegasus;
  return info;
}

}  // namespace longhaul::models
