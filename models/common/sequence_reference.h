// defines: PublicSequenceModel, ReadSequenceModel, public_spec, sequence_exchange, SequenceReference, sequence_reference
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "models/exchange/exchange.h"
#include "models/model.h"
#include "models/parity.h"

namespace longhaul::models {

/// An encoder-decoder of a public checkpoint.
struct PublicSequenceModel {
  ModelSpec spec;
  exchange::NameMap names;
  int32_t end = 0, pad = 0;                  // ids: after the last target token, and behind that
  int64_t target_positions = 0;              // longest target its position table serves
  std::map<std::string, Tensor> aux = {};    // recorded randomness as this build draws it
};

/// What config.json and the names of the tensors that are there say of a model.
using ReadSequenceModel = std::function<PublicSequenceModel(const std::string& config_json, const std::set<std::string>& tensors)>;

/// What an encoder-decoder of a public checkpoint is made with.
inline ModelSpec public_spec(const std::string& family, std::shared_ptr<const FamilyOptions> options, int64_t vocabulary) {
  ModelSpec out;
  out.family = family;
  out.options = std::move(options);
  out.form = Form::kEncoderDecoder;
  out.vocabulary = vocabulary;
  return out;
}

/// Public folders of a family of encoder-decoders.
exchange::Family sequence_exchange(const std::string& family, const std::string& model_type, ReadSequenceModel read,
                                   std::function<std::string(const ModelSpec& trained)> to_json, std::optional<exchange::LongerPositions> positions = {});

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

/// Stored cases of a family of encoder-decoders; `adapt` sets what the case itself says.
std::shared_ptr<const ReferenceLoader> sequence_reference(const std::string& family, ReadSequenceModel read, std::function<void(PublicSequenceModel&, const ReferenceCase&)> adapt);

}  // namespace longhaul::models
