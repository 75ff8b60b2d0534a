#include "framework/backends/cpu/attention_code.h"

namespace longhaul::cpu {

const AttentionCode& attention_portable() { return portable::code<false>(); }

}  // namespace longhaul::cpu
