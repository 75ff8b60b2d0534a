#include "framework/backends/cpu/attention_code.h"

namespace longhaul::cpu {

const AttentionCode& attention_avx2() { return avx2::code<false>(); }

}  // namespace longhaul::cpu
