// defines: AdaptiveTokens
#pragma once
#include <memory>

#include "framework/nn/module.h"
#include "framework/ops/cross_entropy.h"
#include "models/recurrent/options.h"

namespace longhaul::models {

/// Token vectors and the distribution over tokens, in clusters of falling frequency.
///
///   input   e(w) = sqrt(D) P_i E_i[w - l_i]                                    (Baevski & Auli 2019, section 3)
///   output  p(w) = softmax([E_0 Q_0^T x + b_0; Wc Q_0^T x + bc])[w], or for w in cluster i
///           p(cluster i) softmax(E_i Q_i^T x + b_i)[w - l_i]                   (Grave et al. 2017, section 3)
///
/// With div_val 1 all clusters share one table, and one projection where its width is not D. Parameters:
/// embedding.tables.<i> [size_i, e_i], embedding.projections.<i> [D, e_i], head.tables.<i> and head.projections.<i> where
/// they are not tied, head.biases.<i> [size_i], head.clusters [n, e_0], head.cluster_bias [n].
class AdaptiveTokens final : public nn::Module {
 public:
  /// throws ConfigError when a cutoff lies beyond the vocabulary
  AdaptiveTokens(const RecurrentOptions& options, int64_t vocabulary, nn::Initializer& init);

  /// tokens [B, N] i32 -> [B, N, D] in the parameters' dtype.
  Variable embed(const Tensor& tokens) const;
  /// Of hidden [.., D]; nll in the order of the rows. Rows of a later cluster are gathered, so its products are as large as
  /// it has targets. throws ConfigError for label smoothing over clusters
  ops::CrossEntropyResult loss(const Variable& hidden, const Tensor& targets, const ops::LossOptions& options) const;
  /// Logits [.., V] in the parameters' dtype; with clusters they are log-probabilities.
  Variable logits(const Variable& hidden) const;

 private:
  int64_t clusters() const { return static_cast<int64_t>(bounds_.size()) - 1; }
  Variable output_table(int64_t cluster) const;
  Variable projected(const Variable& hidden, int64_t cluster) const;
  Variable head_weight() const;
  Variable head_bias() const;
  Variable bias(int64_t cluster) const;

  std::vector<int64_t> bounds_;  // 0, cutoffs, V
  int64_t dim_;
  bool shared_;                              // one table for all clusters
  std::vector<Variable> tables_, projections_;              // of the input
  std::vector<Variable> output_tables_, output_projections_;  // tied ones are the same variables
  std::vector<Variable> biases_;
  Variable cluster_weight_, cluster_bias_;
};

}  // namespace longhaul::models
