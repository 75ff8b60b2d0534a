#include "framework/backends/cpu/attention_code.h"

namespace longhaul::cpu {

const AttentionCode& attention_avx512_bf16() { return avx512_bf16::code<true>(); }

}  // namespace longhaul::cpu
