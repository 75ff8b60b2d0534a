// defines: GlobalChoice, GlobalOptions, GlobalTokens, find_globals
#pragma once
#include <vector>

#include "models/common/mixer.h"

namespace longhaul::models {

/// Which tokens see all tokens and are seen by all.
enum class GlobalChoice {
  kAuto,   // kFirst for an encoder, kNone for a decoder; never after options are resolved
  kFirst,  // the first token of a sequence, and of every document in it
  kNone,
  kList,  // positions
  kData,  // those of ModelInputs::focus; none where there is none
};

struct GlobalOptions {
  GlobalChoice choice = GlobalChoice::kFirst;
  std::vector<int64_t> positions;  // for kList
};

/// The global tokens of one batch. Rows with fewer than `count` are filled up with absent ones. Padding is never global.
struct GlobalTokens {
  int64_t count = 0;     // G: columns of the tensors below; 0: there are none, and only query_valid may be defined
  Tensor flags;          // [B, 1, N] u8: is global
  Tensor rows;           // [B G] i32: row of the flattened [B N] tokens, -1 = absent
  Tensor valid;          // [B, 1, G] u8: is present
  Tensor documents;      // [B, 1, G] i32, or undefined without documents
  Tensor query_valid;    // [B, 1, N] u8: neither padding nor global; undefined: all
};

/// Looks the global tokens up. On meta, the marked tokens are taken to be kPlannedGlobals.
GlobalTokens find_globals(const GlobalOptions& options, const SequenceInfo& sequence, Device device);

inline constexpr int64_t kPlannedGlobals = 64;

}  // namespace longhaul::models
