#include "train/plan/process.h"

#include <unistd.h>

#include <algorithm>

#include "framework/base/error.h"
#include "framework/base/io.h"
#include "framework/base/units.h"
#include "framework/pattern/audit.h"
#include "models/registry.h"

namespace longhaul::train {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kProgramBytes = 20 * kMiB;  // program, shared libraries, heap of the tokenizer and the shards
constexpr int64_t kThreadBytes = 4 * kMiB;    // stack and packing buffers of one thread

// The limit of the process's control group in bytes; 0: none, or none that can be read.
int64_t group_limit() {
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    try {
      if (!io::exists(path)) continue;
      std::string text = io::read_file(path, 4096);
      while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
      if (const auto limit = units::parse_integer(text)) return *limit;
    } catch (const IoError&) {  // not ours to read: then it does not bind us in a way we could know
    }
  }
  return 0;
}

// Mean number of keys a query sees.
double visible_keys(const models::ModelSpec& spec, models::Form form, int64_t length) {
  const models::FamilyInfo* family = models::find_family(spec.family);
  if (!family || !family->pattern) return 0;
  const Pattern pattern = family->pattern(*spec.options, form, Extent::square(length));
  double pairs = 0;
  for (int layout = 0; layout < pattern.layouts(); ++layout) {
    for (int64_t tile = 0; tile < pattern.query_tiles(); ++tile) {
      for (const TileEntry& entry : pattern.row(layout, tile)) {
        pairs += static_cast<double>(visible_pairs(pattern, tile, entry));
      }
    }
  }
  return pairs / static_cast<double>(length * pattern.layouts());
}

}  // namespace

int64_t process_bytes(int threads) { return kProgramBytes + threads * kThreadBytes; }

int64_t available_memory() {
  const int64_t physical = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  const int64_t limit = group_limit();
  return limit > 0 ? std::min(physical, limit) : physical;
}

double flops_per_token(const models::ModelSpec& spec, const models::Model& model, int64_t sequence_length,
                       int64_t target_length) {
  const models::BodyOptions& body = spec.options->body;
  const bool sides = target_length > 0;
  double on_source = 0, on_target = 0;  // weights
  for (const auto& parameter : model.parameters()) {
    const Tensor& value = parameter.variable.value();
    // Tables are looked up, not multiplied; the token table of a tied model is its output projection as well.
    const bool table = parameter.name.find("embedding") != std::string::npos;
    const bool tied_head = body.tied_embeddings && spec.head.kind == models::HeadKind::kTokens &&
                           parameter.name == "token_embedding.weight";
    if (value.rank() != 2 || (table && !tied_head)) continue;
    const bool source = sides && (parameter.name.starts_with("encoder.") ||
                                  parameter.name.find(".cross.key_value.") != std::string::npos);
    // A class is read from one position.
    if (spec.head.kind == models::HeadKind::kClasses && parameter.name.starts_with("head.")) continue;
    (source ? on_source : on_target) += static_cast<double>(value.elements());
  }
  const double width = static_cast<double>(body.layers) * body.heads * static_cast<double>(body.head_dim);
  const auto from = static_cast<double>(sequence_length), to = static_cast<double>(target_length);
  if (!sides) return 6 * on_target + 12 * width * visible_keys(spec, spec.form, sequence_length);
  const double on_keys = from * visible_keys(spec, models::Form::kEncoder, sequence_length) +
                         to * visible_keys(spec, models::Form::kDecoder, target_length) + to * from;
  return (6 * (on_source * from + on_target * to) + 12 * width * on_keys) / (from + to);
}

}  // namespace longhaul::train
