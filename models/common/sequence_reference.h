// defines: PublicSequenceModel, public_spec, SequenceReference
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "models/exchange/name_map.h"
#include "models/model.h"
#include "models/parity.h"

namespace longhaul::models {

/// An encoder-decoder of a public checkpoint.
struct PublicSequenceModel {
  ModelSpec spec;
  exchange::NameMap names;
  int32_t end = 0, pad = 0;                  // ids: after the last target token, and behind that
  std::map<std::string, Tensor> aux = {};    // recorded randomness as this build draws it
};

/// What an encoder-decoder of a public checkpoint is made with.
inline ModelSpec public_spec(const std::string& family, std::shared_ptr<const FamilyOptions> options, int64_t vocabulary) {
  ModelSpec out;
  out.family = family;
  out.options = std::move(options);
  out.form = Form::kEncoderDecoder;
  out.vocabulary = vocabulary;
  return out;
}

/// Runs stored cases of encoder-decoders: logits, loss, hidden states of both sides, gradients, and greedy generation with
/// the cache.
class SequenceReference final : public ReferenceLoader {
 public:
  /// `open` reads config.json; the case tells it the mode and the recorded randomness.
  using Open = std::function<PublicSequenceModel(const std::string& config_json, const ReferenceCase&)>;
  SequenceReference(std::string system, Open open) : system_(std::move(system)), open_(std::move(open)) {}
  std::string_view system() const override { return system_; }
  std::map<std::string, Tensor> run(const ReferenceCase& reference) const override;

 private:
  std::string system_;
  Open open_;
};

}  // namespace longhaul::models
