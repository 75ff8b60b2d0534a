#include "models/bigbird_pegasus/options.h"

#include "models/bigbird/model.h"
#include "models/bigbird_pegasus/exchange.h"
#include "models/bigbird_pegasus/model.h"
#include "models/common/fields.h"

namespace longhaul::models {

FamilyInfo bigbird_pegasus_family() {
  FamilyInfo info = family_of<BigBirdPegasusOptions>("bigbird_pegasus", "encoder-decoder: BigBird's blocks over the source, a dense decoder");
  info.fields = [](FieldVisitor& v, FamilyOptions& base) {
    auto& o = dynamic_cast<BigBirdPegasusOptions&>(base);
    body_fields(v, o.body);
    decoder_side_fields(v, o.decoder);
    block_fields(v, o.blocks);
    v.boolean("scale_embeddings", o.scale_embeddings, {}, "token vectors are multiplied by the root of dim where they enter the model");
  };
  info.resolve = [](FamilyOptions& base, const ModelContext& context) {
    auto& o = dynamic_cast<BigBirdPegasusOptions&>(base);
    resolve_body(o.body, context);
    resolve_decoder_side(o.decoder, o.body);
  };
  info.check = [](const FamilyOptions& base, const ModelContext& context, const Complain& complain) {
    const auto& o = dynamic_cast<const BigBirdPegasusOptions&>(base);
    check_body(o.body, context, complain);
    check_decoder_side(o.decoder, o.body, context, complain);
    check_blocks(o.blocks, o.body, context.sequence_length, complain);
    if (o.blocks.extra_globals > 0) complain("extra_globals", "is for the encoder bigbird; the first and the last block of a source are global here");
  };
  info.pattern = [](const FamilyOptions& base, Form, const Extent& extent) {
    const auto& o = dynamic_cast<const BigBirdPegasusOptions&>(base);
    return block_pattern(o.blocks, o.body, 0, extent, true);
  };
  info.drawn = Form::kEncoderDecoder;
  info.cost = "time O(N block (5 + random_blocks) D + M (N + M) D), memory O((N + M) D), for a source of N and a target of M tokens; drawn: the encoder";
  info.references = {bigbird_pegasus_reference()};
  info.build_sequence = build_bigbird_pegasus;
  return info;
}

}  // namespace longhaul::models
