// defines: code(): the functions of the instruction set this file is compiled for
#pragma once
#include "framework/backends/cpu/attention_backward.h"
#include "framework/backends/cpu/attention_few.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

template <bool kPairs>
static const AttentionCode& code() {
  static constexpr AttentionCode table = {forward_task<kPairs>,  forward_few_task, merge_few,
                                          backward_task<kPairs>, add_splits,       pack_relative<kPairs>,
                                          add_relative_splits,   add_relative};
  return table;
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
