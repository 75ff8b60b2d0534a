#include "framework/backends/cpu/attention_code.h"

namespace longhaul::cpu {

const AttentionCode& attention_avx512() { return avx512::code<false>(); }

}  // namespace longhaul::cpu
