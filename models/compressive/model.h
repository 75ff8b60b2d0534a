// defines: CompressiveModel, build_compressive
#pragma once
#include "models/compressive/compression.h"
#include "models/compressive/pass.h"
#include "models/recurrent/model.h"

namespace longhaul::models {

/// Compressive Transformer (Rae et al. 2019): Transformer-XL whose layers, besides the newest inputs of theirs, see slots that
/// stand for the ones before. Parameters: those of RecurrentModel, compression.<i>.* of the function of each layer.
///
/// In training with a memory, loss() adds the losses of compression, summed over layers and weighted; their gradients reach the
/// parameters of compression only, and the loss of the targets reaches none of these (unless compression.loss is bptt).
class CompressiveModel final : public RecurrentModel {
 public:
  CompressiveModel(const ModelSpec& spec, nn::Initializer& init);

  ops::CrossEntropyResult loss(const ModelInputs& inputs, const Tensor& targets, const nn::StepContext& context, const ops::LossOptions& options) const override;
  bool trained_apart(std::string_view parameter) const override { return compressive_->has_loss() && parameter.starts_with("compression."); }
  std::unique_ptr<SegmentMemory> start_memory(const MemoryRequest& request) const override;
  std::unique_ptr<DecodeState> start_decoding(int64_t batch, int64_t capacity, const nn::StepContext& context) const override;
  Tensor decode(const Tensor& tokens, DecodeState& state, const nn::StepContext& context) const override;
  std::unique_ptr<PassMemory> start_pass(SegmentMemory& state, int64_t batch, const nn::StepContext& context) const override;

 private:
  std::vector<CompressedLayer> memory_layers() const;
  std::shared_ptr<const CompressiveOptions> compressive_;
  std::vector<std::unique_ptr<Compression>> compressions_;
};

std::unique_ptr<LanguageModel> build_compressive(const ModelSpec& spec, nn::Initializer& init);

}  // namespace longhaul::models
