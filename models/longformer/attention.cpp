#include "models/longformer/attention.h"

#include "framework/base/error.h"
#include "framework/ops/rows.h"
#include "framework/ops/shape.h"
#include "framework/pattern/builders.h"

namespace longhaul::models {
namespace {

/// Layer numbers of the dropout of global rows, apart from those of local rows and of attention to a source.
constexpr uint32_t kGlobalStream = 0x40000000u;

}  // namespace

GlobalWindowAttention::GlobalWindowAttention(const SelfAttentionOptions& o, const GlobalOptions& globals, std::shared_ptr<PatternCache> patterns, nn::Initializer& init)
    : options_(o),
      globals_(globals),
      patterns_(std::move(patterns)),
      everything_(pattern::dense),
      qkv_(o.dim, (o.heads + 2 * o.key_heads) * o.head_dim, o.bias, o.deviation, init),
      out_(o.heads * o.head_dim, o.dim, o.bias, o.out_deviation, init) {
  add("qkv", qkv_);
  if (globals.choice != GlobalChoice::kNone) {
    query_global_ = std::make_unique<nn::Linear>(o.dim, o.heads * o.head_dim, o.bias, o.deviation, init);
    key_value_global_ = std::make_unique<nn::Linear>(o.dim, 2 * o.key_heads * o.head_dim, o.bias, o.deviation, init);
    add("query_global", *query_global_);
    add("key_value_global", *key_value_global_);
  }
  add("out", out_);
}

Variable GlobalWindowAttention::global_rows(const Variable& hidden, const GlobalTokens& globals, const SequenceInfo& sequence, const nn::StepContext& context) const {
  const int64_t batch = sequence.batch, width = options_.heads * options_.head_dim;
  const Variable rows = ops::gather_rows(ops::reshape(hidden, {batch * sequence.length, options_.dim}), globals.rows);
  const Variable query = ops::reshape((*query_global_)(rows), {batch, globals.count, width});
  attention::AttentionSpec spec;
  spec.pattern = everything_.get({globals.count, sequence.length, 0, 0}, sequence.documents.defined());
  spec.query = {.position = {}, .segment = globals.documents, .bucket = {}, .global = {}, .valid = globals.valid, .rows = {}};
  spec.key.valid = by_token(sequence.valid);
  spec.key.segment = by_token(sequence.documents);
  spec.dropout = options_.dropout_of(kGlobalStream, context);
  const Variable seen = attention::projected_attention(query, (*key_value_global_)(hidden), options_.heads, options_.key_heads, spec);
  return ops::reshape(seen, {batch * globals.count, width});
}

Variable GlobalWindowAttention::forward(const Variable& hidden, const SequenceInfo& sequence, const nn::StepContext& context) const {
  const int64_t batch = sequence.batch, length = sequence.length, width = (options_.heads + 2 * options_.key_heads) * options_.head_dim;
  const GlobalTokens globals = find_globals(globals_, sequence, hidden.device());
  const Variable qkv = with_positions(qkv_(hidden), options_, sequence);  // [B, N, (H + 2 Hk) d]
  attention::AttentionSpec spec;
  spec.pattern = patterns_->get(Extent::square(length), sequence.documents.defined(), globals.count);
  spec.query = {.position = {}, .segment = by_token(sequence.documents), .bucket = {}, .global = {}, .valid = globals.query_valid, .rows = {}};
  spec.key = {.position = {}, .segment = by_token(sequence.documents), .bucket = {}, .global = globals.flags, .valid = by_token(sequence.valid), .rows = {}};
  spec.dropout = options_.dropout_of(0, context);
  if (globals.count > 0) {
    spec.side.valid = globals.valid;
    spec.side.segment = globals.documents;
    const Variable rows = ops::gather_rows(ops::reshape(qkv, {batch * length, width}), globals.rows);
    const Variable by_head = ops::permute(ops::reshape(rows, {batch, globals.count, options_.heads + 2 * options_.key_heads, options_.head_dim}), {0, 2, 1, 3});
    spec.side_key = ops::slice(by_head, 1, options_.heads, options_.heads + options_.key_heads);
    spec.side_value = ops::slice(by_head, 1, options_.heads + options_.key_heads, options_.heads + 2 * options_.key_heads);
  }
  const Variable local = attention::self_attention(qkv, options_.heads, options_.key_heads, spec);
  if (globals.count == 0) return out_(local);
  const int64_t inner = options_.heads * options_.head_dim;
  const Variable all = ops::overwrite_rows(ops::reshape(local, {batch * length, inner}), globals.rows, global_rows(hidden, globals, sequence, context));
  return out_(ops::reshape(all, {batch, length, inner}));
}

std::unique_ptr<MixerState> GlobalWindowAttention::start(int64_t, int64_t, const nn::StepContext&) const {
  fail<ConfigError>("[longformer] a two-sided window does not generate from left to right");
}

Variable GlobalWindowAttention::step(const Variable&, MixerState&, const SequenceInfo&, const nn::StepContext&) const {
  fail<InternalError>("a two-sided layer was asked for a step");
}

}  // namespace longhaul::models
