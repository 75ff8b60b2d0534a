// defines: PublicEncoder, EncoderReference
#pragma once
#include <functional>
#include <map>
#include <string>

#include "models/exchange/name_map.h"
#include "models/model.h"
#include "models/parity.h"

namespace longhaul::models {

/// An encoder of a public checkpoint with its head.
struct PublicEncoder {
  ModelSpec spec;
  exchange::NameMap names;
  int32_t question_end = -1;  // kSpans: the id whose first place ends the question, where the public code lets no span lie; -1: none
  std::map<std::string, Tensor> aux = {};  // recorded randomness as this build draws it
};

/// Runs stored cases of encoders: logits, loss, hidden states and gradients.
class EncoderReference final : public ReferenceLoader {
 public:
  /// `open` reads config.json; the case tells it the sizes of its inputs and the mode.
  using Open = std::function<PublicEncoder(const std::string& config_json, const ReferenceCase&)>;
  EncoderReference(std::string system, Open open) : system_(std::move(system)), open_(std::move(open)) {}
  std::string_view system() const override { return system_; }
  std::map<std::string, Tensor> run(const ReferenceCase& reference) const override;

 private:
  std::string system_;
  Open open_;
};

}  // namespace longhaul::models
