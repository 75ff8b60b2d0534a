// defines: LocalKind, LocalOptions, local_family
#pragma once
#include "models/registry.h"

namespace longhaul::models {

enum class LocalKind { kSliding, kBlock };

struct LocalOptions : FamilyOptions {
  /// kSliding, causal: keys a query sees, its own included; two-sided: tokens on each side. kBlock: tokens of a block.
  int64_t window = 512;
  LocalKind kind = LocalKind::kSliding;
};

FamilyInfo local_family();

}  // namespace longhaul::models
