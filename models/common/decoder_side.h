// defines: DecoderSide, decoder_side_fields, resolve_decoder_side, check_decoder_side, decoder_body, sequence_family
#pragma once
#include "models/common/fields.h"
#include "models/registry.h"

namespace longhaul::models {

/// The decoder of an encoder-decoder whose encoder is the common body. A 0 stands for the encoder's value.
struct DecoderSide {
  int layers = 0;
  int heads = 0;
  int64_t feedforward = 0;
  int64_t max_positions = 0;
};

/// Declares decoder_layers, decoder_heads, decoder_feedforward and decoder_max_positions.
void decoder_side_fields(FieldVisitor& v, DecoderSide& o);
/// After resolve_body.
void resolve_decoder_side(DecoderSide& o, const BodyOptions& encoder);
/// Reports a form other than encoder_decoder, heads that do not divide the width, and tables too short for the targets.
void check_decoder_side(const DecoderSide& o, const BodyOptions& encoder, const ModelContext& context, const Complain& complain);
/// The whole body of the decoder: the encoder's with the values of `o`, and dense heads.
BodyOptions decoder_body(const BodyOptions& encoder, const DecoderSide& o);

/// A family of encoder-decoders alone, whose options have a `body` and a `decoder`; the functions are for what is its own.
template <typename Own>
FamilyInfo sequence_family(std::string name, std::string summary, std::function<void(FieldVisitor&, Own&)> fields, std::function<void(Own&)> resolve,
                           std::function<void(const Own&, const ModelContext&, const Complain&)> check) {
  FamilyInfo info = family_of<Own>(std::move(name), std::move(summary));
  info.drawn = Form::kEncoderDecoder;
  info.fields = [own = std::move(fields)](FieldVisitor& v, FamilyOptions& base) {
    auto& o = dynamic_cast<Own&>(base);
    body_fields(v, o.body);
    decoder_side_fields(v, o.decoder);
    own(v, o);
  };
  info.resolve = [own = std::move(resolve)](FamilyOptions& base, const ModelContext& context) {
    auto& o = dynamic_cast<Own&>(base);
    resolve_body(o.body, context);
    resolve_decoder_side(o.decoder, o.body);
    if (own) own(o);
  };
  info.check = [own = std::move(check)](const FamilyOptions& base, const ModelContext& context, const Complain& complain) {
    const auto& o = dynamic_cast<const Own&>(base);
    check_body(o.body, context, complain);
    check_decoder_side(o.decoder, o.body, context, complain);
    own(o, context, complain);
  };
  return info;
}

}  // namespace longhaul::models
