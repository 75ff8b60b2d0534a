// defines: relative_call, takes_relative, carve_relative
#pragma once
#include "framework/backends/cpu/attention_call.h"

namespace longhaul::cpu {

/// Operands and blocks of the relative term of a call; scratch is carved later.
RelativeCall relative_call(const Pattern& pattern, const kernels::RelativeTerm& term);

/// Whether these kernels know the dtypes and strides of a term, and of the places for its gradients.
bool takes_relative(const View& query, const kernels::RelativeTerm& term);
bool takes_relative(const kernels::AttentionGradients& gradients);

/// Places packed tables and sums at `at`, the relative part of the shared workspace; call.splits is set.
void carve_relative(AttentionCall& call, char* at, bool backward);

}  // namespace longhaul::cpu
