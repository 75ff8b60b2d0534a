// defines: recompute, residual_sum, reversible_sequence, ReversibleBlock, ReversibleBackward, RebuiltInputs
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "framework/autograd/variable.h"

namespace longhaul {

using VariableFunction = std::function<std::vector<Variable>(std::span<const Variable>)>;

/// Runs `function` keeping only its inputs; its backward runs it again and differentiates that second run (Chen et al. 2016,
/// "Training deep nets with sublinear memory cost"). The function must be pure: randomness by counter only. Parameters it
/// uses receive their gradients as usual. Undefined inputs are passed through.
std::vector<Variable> recompute(VariableFunction function, std::span<const Variable> inputs);

/// x + branch in x's dtype; the branch may have a lower precision.
Variable residual_sum(const Variable& x, const Variable& branch);

/// One pair of residual branches; each maps [.., D] to the same shape. Without g, y2 = x2.
struct ReversibleBlock {
  std::function<Variable(const Variable&)> f;
  std::function<Variable(const Variable&)> g;
};

enum class ReversibleBackward { kRebuild, kStored, kRecomputed };

using RebuiltInputs = std::function<void(const Tensor& x1, const Tensor& x2)>;

/// y1 = x1 + f(x2), y2 = x2 + g(y1), block after block (Gomez et al. 2017; Reformer, Kitaev et al. 2020, section 3).
/// Rebuild: nothing but the last outputs is kept; the backward recovers x2 = y2 - g(y1), x1 = y1 - f(x2) on its way.
/// Stored: the same function with ordinary recorded operations. Recomputed: both streams of each block are kept and what is
/// inside is computed again. Streams stay in x1's dtype (f32 in mixed precision).
/// `rebuilt` sees the inputs that a rebuild came back to, x1 and x2 but for rounding. Returns {y1, y2}.
std::vector<Variable> reversible_sequence(std::vector<ReversibleBlock> blocks, const Variable& x1, const Variable& x2, ReversibleBackward mode, RebuiltInputs rebuilt = {});

}  // namespace longhaul
