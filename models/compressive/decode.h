// defines: CompressedDecode
#pragma once
#include <map>

#include "models/compressive/compression.h"
#include "models/compressive/pass.h"
#include "models/model.h"

namespace longhaul::models {

/// Both memories while decoding. Tokens gather in a segment as long as those of training; when it is full, the memories move as
/// they do behind a segment of a stream. Keys and values of everything that is seen are kept, and the inputs of the layers for what
/// may still be compressed.
class CompressedDecode final : public DecodeState {
 public:
  CompressedDecode(const CompressiveOptions& options, std::vector<CompressedLayer> layers, int64_t batch, const Variable& distances, const nn::StepContext& context);

  int64_t room() const { return options_.segment - segment_; }          // tokens until the segment is full, 1 or more
  int64_t keys() const { return slots_ + rows_ + segment_; }            // before the next token
  /// The next tokens of one layer, at most `room`: its residual stream x [B, n, D] -> [B, n, D].
  Variable step(size_t layer, const Variable& x, const Pattern& pattern, const nn::StepContext& context);
  /// All layers have read `count` more tokens.
  void finish(int64_t count, const nn::StepContext& context);

  std::map<std::string, Tensor> memory() const override;
  void set_memory(const std::map<std::string, Tensor>& memory) override;

 private:
  struct Layer {
    CompressedLayer parts;
    TokenCache cache;  // of slots, memory and segment
    Tensor inputs;     // [B, memory + segment, D], of memory and segment
    Tensor usage;      // [B, memory], the newest row last; of most_used only
  };
  void move(Layer& layer, int64_t leaving, const nn::StepContext& context);

  const CompressiveOptions& options_;
  std::vector<Layer> layers_;
  std::vector<int64_t> steps_;  // segments that have seen each row of the memory; of most_used only
  int64_t slots_ = 0, rows_ = 0, segment_ = 0;
};

}  // namespace longhaul::models
