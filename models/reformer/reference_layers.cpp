#include "models/reformer/reference_layers.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/elementwise.h"
#include "framework/ops/shape.h"
#include "framework/ops/support.h"
#include "models/reformer/attention.h"
#include "models/reformer/model.h"

namespace longhaul::models {
namespace {

using Json = nlohmann::json;
using Tensors = std::map<std::string, Tensor>;

/// One case: its configuration and its tensors where it is computed.
class Case {
 public:
  explicit Case(const ReferenceCase& reference) : reference_(reference), config_(Json::parse(reference.meta).at("config")) {}
  const Json& config() const { return config_; }
  bool has(const std::string& name) const { return reference_.tensors.contains(name); }
  Device device() const { return reference_.device; }
  DType dtype() const { return reference_.dtype; }

  Tensor tensor(const std::string& name) const { return cast_to(name, reference_.dtype); }
  Tensor cast_to(const std::string& name, DType dtype) const {
    const auto found = reference_.tensors.find(name);
    check<DataError>(found != reference_.tensors.end(), "[parity] {}: there is no tensor {}", reference_.name, name);
    const Tensor out = Tensor::empty(found->second.shape(), dtype, reference_.device);
    ops::table(out).elementwise.copy(found->second, out);
    return out;
  }
  /// [B, N] u8 or undefined.
  Tensor valid() const {
    const auto found = reference_.tensors.find("aux.key_ok");
    if (found == reference_.tensors.end()) return {};
    const uint8_t* from = found->second.data<uint8_t>();
    return Tensor::of<uint8_t>(found->second.shape(), {from, from + found->second.elements()}, reference_.device);
  }

 private:
  const ReferenceCase& reference_;
  Json config_;
};

/// In its own dtype on the host.
Tensor on_host(const Tensor& tensor) {
  const Tensor rows = ops::dense(tensor), out = Tensor::empty(rows.shape(), rows.dtype(), Device::cpu());
  ops::table(rows).elementwise.copy(rows, out);
  return out;
}

ReformerOptions options_of(const Case& one) {
  const Json& config = one.config();
  ReformerOptions o;
  o.body.form = config.at("causal").get<bool>() ? Form::kDecoder : Form::kEncoder;
  o.body.heads = o.body.kv_heads = config.at("H").get<int>();
  o.body.head_dim = config.at("d").get<int64_t>();
  o.body.dim = config.value("D", o.body.heads * o.body.head_dim);
  o.body.layers = 1;
  const bool hashed = config.at("form") != "local";
  o.attention_layers = {hashed ? "lsh" : "local"};
  (hashed ? o.lsh_chunk : o.local_chunk) = config.at("chunk").get<int64_t>();
  (hashed ? o.lsh_before : o.local_before) = config.at("chunks_before").get<int64_t>();
  (hashed ? o.lsh_after : o.local_after) = config.at("chunks_after").get<int64_t>();
  o.local_ring = config.value("wrap", false);
  if (hashed) {
    o.rounds = o.eval_rounds = config.at("rounds").get<int64_t>();
    o.count_once = config.value("dedup_rounds", false);
    o.buckets = config.at("num_buckets").get<std::vector<int64_t>>();
  }
  return o;
}

/// Rotations [H, d, R, columns]; one shared by the heads is repeated.
Tensor rotations_of(const Case& one, int64_t heads) {
  const Tensor stored = one.cast_to("aux.rotations", ops::statistics_dtype(one.dtype()));
  if (stored.rank() == 4) return stored;
  const Tensor all = Tensor::empty({heads, stored.size(0), stored.size(1), stored.size(2)}, stored.dtype(), stored.device());
  for (int64_t h = 0; h < heads; ++h) ops::table(all).elementwise.copy(stored.reshape({1, stored.size(0), stored.size(1), stored.size(2)}), all.slice(0, h, h + 1));
  return all;
}

/// [B, H, R N], numbered on from round to round; padding has a bucket of its own in every round.
Tensor numbered(const Tensor& buckets, int64_t count, bool pads) {
  const int64_t rounds = buckets.size(2), length = buckets.size(3);
  const Tensor out = Tensor::empty({buckets.size(0), buckets.size(1), rounds * length}, DType::kI64, Device::cpu());
  for (int64_t i = 0; i < out.elements(); ++i) out.data<int64_t>()[i] = buckets.data<int32_t>()[i] + i / length % rounds * (count + (pads ? 1 : 0));
  return out;
}

/// The log-sum-exp of each round, [B, H, R, N], where a key's weight is divided by the number of its listings: the paper's
/// split of attention among rounds. The kernels give the whole weight to the first listing, which makes the same sum of all
/// rounds, so this split is made here from its definition.
Tensor divided_lse(const LshAttention& layer, const Variable& x, const Tensor& buckets, const ReformerOptions& o) {
  const int64_t batch = buckets.size(0), heads = buckets.size(1), rounds = buckets.size(2), length = buckets.size(3), width = x.size(2), d = width / heads;
  const NoTapeScope quiet;
  const Tensor query = ops::cast_tensor(layer.queries(x).value(), DType::kF64), key = ops::cast_tensor(layer.keys(x).value(), DType::kF64);
  const int64_t per_round = pattern::chunked_rows(length, o.lsh_chunk) / o.lsh_chunk, all = rounds * per_round;
  const Tensor out = Tensor::empty(buckets.shape(), x.dtype(), Device::cpu());
  for (int64_t plane = 0; plane < batch * heads; ++plane) {
    std::vector<std::vector<int64_t>> members(static_cast<size_t>(all));
    std::vector<int64_t> chunk_of(static_cast<size_t>(rounds * length));
    for (int64_t r = 0; r < rounds; ++r) {
      std::vector<std::pair<int32_t, int64_t>> order;
      for (int64_t n = 0; n < length; ++n) order.emplace_back(buckets.data<int32_t>()[(plane * rounds + r) * length + n], n);
      std::ranges::sort(order);
      for (int64_t slot = 0; slot < length; ++slot) {
        const int64_t token = order[static_cast<size_t>(slot)].second, chunk = r * per_round + slot / o.lsh_chunk;
        members[static_cast<size_t>(chunk)].push_back(token);
        chunk_of[static_cast<size_t>(r * length + token)] = chunk;
      }
    }
    const auto score = [&](int64_t i, int64_t j) {
      double sum = 0;
      const int64_t b = plane / heads, h = plane % heads;
      for (int64_t c = 0; c < d; ++c) sum += query.data<double>()[(b * length + i) * width + h * d + c] * key.data<double>()[(b * length + j) * width + h * d + c];
      return sum;
    };
    for (int64_t i = 0; i < length; ++i) {
      std::vector<std::vector<int64_t>> listed(static_cast<size_t>(rounds));
      std::map<int64_t, int64_t> times;
      for (int64_t r = 0; r < rounds; ++r) {
        for (int64_t ahead = -o.lsh_before; ahead <= o.lsh_after; ++ahead) {
          for (const int64_t j : members[static_cast<size_t>(((chunk_of[static_cast<size_t>(r * length + i)] + ahead) % all + all) % all)]) {
            if (j == i || (o.causal() && j > i)) continue;
            listed[static_cast<size_t>(r)].push_back(j);
            ++times[j];
          }
        }
      }
      for (int64_t r = 0; r < rounds; ++r) {
        double sum = 0;
        for (const int64_t j : listed[static_cast<size_t>(r)]) sum += std::exp(score(i, j)) / static_cast<double>(times[j]);
        const double lse = sum > 0 ? std::log(sum) : kLastResortScore;
        const int64_t at = (plane * rounds + r) * length + i;
        if (out.dtype() == DType::kF64) {
          out.data<double>()[at] = lse;
        } else {
          out.data<float>()[at] = static_cast<float>(lse);
        }
      }
    }
  }
  return out;
}

/// The layer of the family with the weights of the case. y precedes the output projection where the case has none.
void run_layer(const Case& one, const ReformerOptions& o, Tensors& out) {
  nn::Initializer init(0, one.device(), one.dtype());
  const auto layer = reformer_mixers(o)(0, init);
  const int64_t width = o.body.heads * o.body.head_dim;
  for (const nn::NamedParameter& parameter : layer->parameters()) {
    const Tensor target = parameter.variable.value();
    const auto fill = [&](const std::string& name, const Tensor& to) { ops::table(to).elementwise.copy(one.tensor("param." + name + ".weight"), to); };
    if (parameter.name == "qkv.weight") {
      fill("query", target.slice(0, 0, width)), fill("key", target.slice(0, width, 2 * width)), fill("value", target.slice(0, 2 * width, 3 * width));
    } else if (parameter.name != "out.weight") {
      fill(parameter.name.substr(0, parameter.name.find('.')), target);
    } else if (one.has("param.output.weight")) {
      fill("output", target);
    } else {
      ops::table(target).elementwise.fill(target, 0);
      for (int64_t i = 0; i < width; ++i) ops::table(target).elementwise.fill(target.slice(0, i, i + 1).slice(1, i, i + 1), 1);
    }
    parameter.variable.changed();
    parameter.variable.clear_gradient();
  }
  const Variable x = Variable::leaf(one.tensor("in.x"));
  SequenceInfo sequence;
  sequence.batch = x.size(0), sequence.length = x.size(1);
  sequence.valid = one.valid();
  sequence.selections = std::make_shared<Selections>();
  if (one.has("aux.rotations")) Selections::of(sequence.selections->rotations, 0) = rotations_of(one, o.body.heads);
  TapeScope scope;
  const Variable y = layer->forward(x, sequence, {.compute = one.dtype()});
  out["out.y"] = on_host(y.value());
  scope.tape().backward(y, one.tensor("cotangent.y"));
  out["grad.x"] = on_host(x.gradient());
  for (const nn::NamedParameter& parameter : layer->parameters()) {
    const Tensor gradient = on_host(parameter.variable.gradient());
    if (parameter.name == "qkv.weight") {
      const char* parts[] = {"query", "key", "value"};
      for (int k = 0; k < 3; ++k) out[std::string("grad.") + parts[k] + ".weight"] = on_host(gradient.slice(0, k * width, (k + 1) * width));
    } else if (parameter.name != "out.weight") {
      out["grad." + parameter.name] = gradient;
    } else if (one.has("param.output.weight")) {
      out["grad.output.weight"] = gradient;
    }
  }
  if (sequence.selections->buckets.empty()) return;
  int64_t count = 1;
  for (const int64_t factor : o.buckets) count *= factor;
  const Tensor buckets = sequence.selections->buckets[0];
  out["out.buckets"] = numbered(buckets, count, sequence.valid.defined());
  const auto& hashed = dynamic_cast<const LshAttention&>(*layer);
  const Variable fixed(x.value());
  out["out.lse"] = o.count_once ? divided_lse(hashed, fixed, buckets, o) : on_host(hashed.round_lse(fixed, sequence, {.compute = one.dtype()}));
}

/// [B, H, N, d] as [B, N, H d].
Variable by_token_rows(const Variable& x) { return ops::reshape(ops::permute(x, {0, 2, 1, 3}), {x.size(0), x.size(2), x.size(1) * x.size(3)}); }

/// Attention alone, with keys of length 1 whose scores are divided by sqrt(d).
void run_core(const Case& one, const ReformerOptions& o, Tensors& out) {
  const Variable qk = Variable::leaf(one.tensor("in.qk")), v = Variable::leaf(one.tensor("in.v"));  // [B, H, N, d]
  const int64_t batch = qk.size(0), heads = qk.size(1), length = qk.size(2), d = qk.size(3);
  TapeScope scope;
  const Variable query = by_token_rows(qk), value = by_token_rows(v);
  const Variable key = ops::scale(attention::unit_keys(query, heads), 1 / std::sqrt(static_cast<double>(d)));
  const kernels::LshHash hash{o.buckets};
  const Tensor buckets = attention::lsh_buckets(query.value(), rotations_of(one, heads), hash, {});
  attention::LshOptions lsh;
  lsh.pattern = pattern::sorted_chunks(length, o.lsh_chunks());
  lsh.chunks = o.lsh_chunks();
  lsh.buckets = hash.buckets();
  const Variable y = attention::lsh_attention(query, key, value, buckets, lsh, {});
  const Variable heads_first = ops::permute(ops::reshape(y, {batch, length, heads, d}), {0, 2, 1, 3});
  out["out.y"] = on_host(heads_first.value());
  out["out.buckets"] = numbered(buckets, hash.buckets(), false);
  scope.tape().backward(heads_first, one.tensor("cotangent.y"));
  out["grad.qk"] = on_host(qk.gradient());
  out["grad.v"] = on_host(v.gradient());
}

class LshLayerReference final : public ReferenceLoader {
 public:
  std::string_view system() const override { return "lsh"; }
  Tensors run(const ReferenceCase& reference) const override {
    const Case one(reference);
    const ReformerOptions options = options_of(one);
    Tensors out;
    if (one.config().at("form") == "lsh_core") {
      run_core(one, options, out);
    } else {
      run_layer(one, options, out);
    }
    std::erase_if(out, [&](const auto& entry) { return !one.has(entry.first); });
    return out;
  }
};

}  // namespace

std::shared_ptr<const ReferenceLoader> lsh_layer_reference() { return std::make_shared<LshLayerReference>(); }

}  // namespace longhaul::models
