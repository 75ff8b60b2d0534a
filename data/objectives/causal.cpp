#include "data/objectives/kinds.h"
#include "data/sampler/batches.h"

namespace longhaul::data {
namespace {

class Causal final : public Objective {
 public:
  using Objective::Objective;
  std::shared_ptr<const Samples> samples(const Split& split, const SampleShape& shape) const override {
    return causal_windows(split.columns[0], shape.sequence_length, shape.cross_documents);
  }
};

}  // namespace

ObjectiveInfo causal_objective() {
  ObjectiveInfo info;
  info.kind = ObjectiveKind::kCausal;
  info.name = "causal";
  info.summary = "each token from those before it";
  info.make = [](const ObjectiveOptions& options, std::shared_ptr<const ExtendedTokenizer> tokenizer) {
    return std::unique_ptr<Objective>(new Causal(options, std::move(tokenizer)));
  };
  return info;
}

}  // namespace longhaul::data
