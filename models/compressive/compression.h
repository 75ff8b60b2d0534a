// defines: Compression, mean_square, most_used
#pragma once
#include <memory>

#include "framework/nn/layers.h"
#include "models/compressive/options.h"

namespace longhaul::models {

/// What turns the rows that leave a layer's memory into slots, and how it is trained (Rae et al. 2019, sections 3.1, 3.2).
/// Parameters: convolution.{weight [D, c D], bias [D]} of conv and dilated_conv, input c of a slot being row c;
/// decoder.{weight [c D, D], bias [D]} where auto-encoding trains them.
class Compression final : public nn::Module {
 public:
  Compression(const CompressiveOptions& options, nn::Initializer& init);

  /// rows [B, e, D] -> [B, e / rate, D]; slot s stands for rows s c .. s c + c - 1:
  ///   mean_pool, max_pool  their mean or largest, channel by channel
  ///   conv                 b + sum_t W_t row[s c + t]
  ///   dilated_conv         b + sum_t W_t row[s c + c - 1 - 2 t], rows before the first being 0
  ///   most_used            rows `kept` [B e / rate] of [B e]
  /// Gradients reach the parameters, and through conv and dilated_conv the rows.
  Variable operator()(const Variable& rows, const Tensor& kept) const;
  /// What the slots [B, g, D] tell of their rows: a transposed convolution, [B, g c, D].
  Variable decode(const Variable& slots) const;
  /// Row that is the oldest slot s is made of.
  int64_t oldest(int64_t slot) const;

 private:
  Variable convolved(const Variable& rows) const;
  Tensor pooled(const Tensor& rows) const;

  CompressionFunction function_;
  int64_t rate_;
  Variable weight_, bias_;                // of the convolution
  Variable decoder_weight_, decoder_bias_;
};

/// mean((a - b)^2), [1], at least in f32.
Variable mean_square(const Variable& a, const Variable& b);

/// The rows of [B e] that most_used keeps, [B e / rate] i32: of each sequence the e / rate whose usage [B, e] is largest for each of
/// the `steps` [e] it is summed over, in their order; of equals the older.
Tensor most_used(const Tensor& usage, const std::vector<int64_t>& steps, int64_t rate);

}  // namespace longhaul::models
