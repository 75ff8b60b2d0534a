#include <limits>

#include "framework/backends/reference/attention_scene.h"
#include "framework/backends/reference/fill.h"

namespace longhaul::reference {
namespace {

using kernels::AttentionGradients;
using kernels::AttentionOptions;
using kernels::Status;

template <typename T>
Wide<T> dot(const T* a, const T* b, int64_t n) {
  Wide<T> sum = 0;
  for (int64_t c = 0; c < n; ++c) sum += converted<Wide<T>>(a[c]) * converted<Wide<T>>(b[c]);
  return sum;
}

/// The operands of one call with their element type.
template <typename T>
struct Operands {
  using R = Wide<T>;
  Operands(const View& query, const View& key, const View& value, const AttentionOptions& options)
      : scene(query, key, value, options),
        query(query),
        key(key),
        value(value),
        side_key(options.side_key),
        side_value(options.side_value),
        options(options) {}

  const T* key_row(int64_t b, int64_t h, const Scene::Seen& seen) const {
    return seen.side ? side_key.at(b, scene.key_head(h), seen.row) : key.at(b, scene.key_head(h), seen.row);
  }
  const T* value_row(int64_t b, int64_t h, const Scene::Seen& seen) const {
    return seen.side ? side_value.at(b, scene.key_head(h), seen.row) : value.at(b, scene.key_head(h), seen.row);
  }
  const T* relative_key(int64_t h, int64_t distance) const {
    const View& view = options.relative.key;
    return view.as<T>() + h * view.strides[0] + distance * view.strides[1];
  }

  R score(int64_t b, int64_t h, int64_t i, const Scene::Seen& seen) const {
    if (seen.last_resort) return R(kLastResortScore) + static_cast<R>(seen.add);
    R s = R(options.scale) * dot(query.at(b, h, i), key_row(b, h, seen), scene.head_dim);
    if (!seen.side && options.relative.query.present) {
      const View& view = options.relative.query;
      s += R(options.scale) * dot(Rows<T>(view).at(b, h, i), relative_key(h, seen.distance), view.shape[3]);
    }
    if (!seen.side && options.relative.bias.present) {
      const View& view = options.relative.bias;
      s += converted<R>(view.as<T>()[h * view.strides[0] + seen.distance * view.strides[1]]);
    }
    return s + static_cast<R>(seen.add);
  }

  Scene scene;
  Rows<T> query, key, value, side_key, side_value;
  const AttentionOptions& options;
};

template <typename T>
Status forward(const Operands<T>& in, const View& out, const View& lse) {
  using R = Wide<T>;
  const Scene& scene = in.scene;
  const int64_t rows = lse.shape[2];
  std::vector<R> scores, sum(static_cast<size_t>(scene.value_dim));
  for (int64_t b = 0; b < scene.batch; ++b) {
    for (int64_t h = 0; h < scene.heads; ++h) {
      scene.each_query(b, h, [&](int64_t i, const std::vector<Scene::Seen>& seen) {
        R peak = -std::numeric_limits<R>::infinity(), total = 0;
        scores.clear();
        for (const Scene::Seen& key : seen) {
          scores.push_back(in.score(b, h, i, key));
          if (scores.back() > peak || std::isnan(scores.back())) peak = scores.back();
        }
        std::fill(sum.begin(), sum.end(), R(0));
        if (!(std::isinf(peak) && peak < 0)) {
          for (R& s : scores) total += s = std::exp(s - peak);
          for (size_t n = 0; n < seen.size(); ++n) {
            if (seen[n].keep == 0) continue;
            const R p = scores[n] / total * static_cast<R>(seen[n].keep);
            const T* v = in.value_row(b, h, seen[n]);
            for (int64_t c = 0; c < scene.value_dim; ++c) sum[static_cast<size_t>(c)] += p * converted<R>(v[c]);
          }
        }
        visit(out.dtype, [&](auto element) {
          using O = decltype(element);
          O* o = Rows<O>(out).at(b, h, i);
          for (int64_t c = 0; c < scene.value_dim; ++c) o[c] = converted<O>(sum[static_cast<size_t>(c)]);
          return Status::kOk;
        });
        lse.as<R>()[(b * scene.heads + h) * rows + i] =
            total > 0 || std::isnan(peak) ? peak + std::log(total) : -std::numeric_limits<R>::infinity();
      });
    }
  }
  return Status::kOk;
}

/// Sums of one gradient in R, all of [B, H, rows, d]; written out in the dtype of the view at the end.
template <typename R>
class Sums {
 public:
  explicit Sums(const View& view)
      : view_(view), values_(view.present ? static_cast<size_t>(view.elements()) : 0, R(0)) {}
  void add(int64_t b, int64_t h, int64_t row, R factor, const auto* x, int64_t n) {
    if (!view_.present) return;
    R* at = values_.data() + ((b * view_.shape[1] + h) * view_.shape[2] + row) * view_.shape[3];
    for (int64_t c = 0; c < n; ++c) at[c] += factor * converted<R>(x[c]);
  }
  /// Writes the rows that `named` admits.
  void write(const std::vector<uint8_t>& named) const {
    if (!view_.present) return;
    visit(view_.dtype, [&](auto element) {
      using O = decltype(element);
      const R* from = values_.data();
      for (int64_t b = 0; b < view_.shape[0]; ++b) {
        for (int64_t h = 0; h < view_.shape[1]; ++h) {
          for (int64_t r = 0; r < view_.shape[2]; ++r, from += view_.shape[3]) {
            if (!named.empty() && !named[static_cast<size_t>((b * view_.shape[1] + h) * view_.shape[2] + r)]) continue;
            O* to = Rows<O>(view_).at(b, h, r);
            for (int64_t c = 0; c < view_.shape[3]; ++c) to[c] = converted<O>(from[c]);
          }
        }
      }
      return Status::kOk;
    });
  }

 private:
  View view_;
  std::vector<R> values_;
};

/// [B, H, rows]: 1 where a permutation names the row; empty where there is no permutation.
std::vector<uint8_t> named_rows(const TokenInfo& info, const Permutation& permutation, int64_t batch, int64_t heads,
                                int64_t head_step, int64_t tile_rows, int64_t rows) {
  if (!info.rows && permutation.empty()) return {};
  std::vector<uint8_t> named(static_cast<size_t>(batch * heads * rows), 0);
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t h = 0; h < heads * head_step; ++h) {
      const int64_t shared =
          ((permutation.batches > 1 ? b : 0) * permutation.heads + (permutation.heads > 1 ? h : 0)) * tile_rows;
      const int32_t* at = info.rows ? info.rows.at(b, h) : permutation.rows.data() + shared;
      for (int64_t r = 0; r < tile_rows; ++r) {
        if (at[r] >= 0) named[static_cast<size_t>((b * heads + h / head_step) * rows + at[r])] = 1;
      }
    }
  }
  return named;
}

template <typename T>
Status backward(const Operands<T>& in, const View& out, const View& lse, const View& dout, const View& dlse,
                const View& dquery, const View& dkey, const View& dvalue, const AttentionGradients& extra) {
  using R = Wide<T>;
  const Scene& scene = in.scene;
  const AttentionOptions& options = in.options;
  const int64_t rows = lse.shape[2];
  Sums<R> dq(dquery), dk(dkey), dv(dvalue), dside_key(extra.side_key), dside_value(extra.side_value),
      drelative(extra.relative_query);
  View table = extra.relative_key, bias = extra.relative_bias;
  if (table.present) std::fill(table.as<R>(), table.as<R>() + table.elements(), R(0));
  if (bias.present) std::fill(bias.as<R>(), bias.as<R>() + bias.elements(), R(0));
  std::vector<R> go(static_cast<size_t>(scene.value_dim)), o(go.size());
  const auto widen = [&](const View& view, int64_t b, int64_t h, int64_t i, std::vector<R>& to) {
    return visit(view.dtype, [&](auto element) {
      const auto* from = Rows<decltype(element)>(view).at(b, h, i);
      for (size_t c = 0; c < to.size(); ++c) to[c] = converted<R>(from[c]);
      return Status::kOk;
    });
  };
  for (int64_t b = 0; b < scene.batch; ++b) {
    for (int64_t h = 0; h < scene.heads; ++h) {
      const int64_t hk = scene.key_head(h);
      scene.each_query(b, h, [&](int64_t i, const std::vector<Scene::Seen>& seen) {
        const int64_t at = (b * scene.heads + h) * rows + i;
        const R l = lse.as<R>()[at];
        if (std::isinf(l) && l < 0) return;
        R delta = 0;
        if (dout.present) {
          widen(dout, b, h, i, go), widen(out, b, h, i, o);
          for (size_t c = 0; c < go.size(); ++c) delta += go[c] * o[c];
        }
        if (dlse.present) delta -= dlse.as<R>()[at];
        for (const Scene::Seen& key : seen) {
          const R p = std::exp(in.score(b, h, i, key) - l);
          const T* v = in.value_row(b, h, key);
          R dp = 0;
          if (dout.present && key.keep != 0) {
            for (size_t c = 0; c < go.size(); ++c) dp += go[c] * converted<R>(v[c]);
            dp *= static_cast<R>(key.keep);
            (key.side ? dside_value : dv).add(b, hk, key.row, p * static_cast<R>(key.keep), go.data(), scene.value_dim);
          }
          if (key.last_resort) continue;
          const R ds = p * (dp - delta), scaled = ds * R(options.scale);
          dq.add(b, h, i, scaled, in.key_row(b, h, key), scene.head_dim);
          (key.side ? dside_key : dk).add(b, hk, key.row, scaled, in.query.at(b, h, i), scene.head_dim);
          if (key.side) continue;
          if (options.relative.query.present) {
            const int64_t width = options.relative.query.shape[3];
            drelative.add(b, h, i, scaled, in.relative_key(h, key.distance), width);
            const T* from = Rows<T>(options.relative.query).at(b, h, i);
            if (table.present) {
              R* to = table.as<R>() + (h * table.shape[1] + key.distance) * width;
              for (int64_t c = 0; c < width; ++c) to[c] += scaled * converted<R>(from[c]);
            }
          }
          if (bias.present) bias.as<R>()[h * bias.shape[1] + key.distance] += ds;
        }
      });
    }
  }
  const Pattern& pattern = *options.pattern;
  const auto query_rows = named_rows(options.query_info, pattern.query_permutation(), scene.batch, scene.heads, 1,
                                     pattern.query_rows(), pattern.queries());
  const auto key_rows = named_rows(options.key_info, pattern.key_permutation(), scene.batch, scene.key_heads,
                                   scene.heads / scene.key_heads, pattern.key_rows(), pattern.keys());
  dq.write(query_rows), dk.write(key_rows), dv.write(key_rows), dside_key.write({}), dside_value.write({}),
      drelative.write(query_rows);
  return Status::kOk;
}

}  // namespace

void fill_attention(kernels::AttentionKernels& kernels) {
  kernels.forward.set(
      [](const View& query, const View& key, const View& value, const View& out, const View& lse, const View&,
         const AttentionOptions& options) {
        return visit(query.dtype, [&](auto element) {
          return forward(Operands<decltype(element)>(query, key, value, options), out, lse);
        });
      },
      kFloating);
  kernels.backward.set(
      [](const View& query, const View& key, const View& value, const View& out, const View& lse, const View& dout,
         const View& dlse, const View& dquery, const View& dkey, const View& dvalue, const AttentionGradients& extra,
         const View&, const AttentionOptions& options) {
        return visit(query.dtype, [&](auto element) {
          return backward(Operands<decltype(element)>(query, key, value, options), out, lse, dout, dlse, dquery, dkey,
                          dvalue, extra);
        });
      },
      kFloating);
}

}  // namespace longhaul::reference
