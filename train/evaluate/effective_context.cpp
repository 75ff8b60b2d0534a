#include "train/evaluate/effective_context.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "framework/base/error.h"
#include "train/evaluate/evaluate.h"

namespace longhaul::train {
namespace {

/// The smallest loss of every target over all models at one context.
std::vector<float> best_of(const std::vector<LossesByContext>& group, size_t context) {
  std::vector<float> best = group.front()[context];
  for (const LossesByContext& model : group) {
    for (size_t t = 0; t < best.size(); ++t) best[t] = std::min(best[t], model[context][t]);
  }
  return best;
}

/// The targets with the largest losses, `share` of them, at least one.
std::vector<size_t> hardest(const std::vector<float>& losses, double share) {
  std::vector<size_t> order(losses.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto count = std::clamp<size_t>(
      static_cast<size_t>(std::llround(share * static_cast<double>(order.size()))), 1, order.size());
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return losses[a] > losses[b]; });
  order.resize(count);
  return order;
}

double mean(const std::vector<float>& losses) {
  double sum = 0;
  for (const float loss : losses) sum += loss;
  return sum / static_cast<double>(losses.size());
}

std::vector<float> losses_at(const ComparedModel& compared, const std::shared_ptr<const data::TokenSource>& source,
                             const EffectiveContextRequest& request, int64_t context) {
  std::vector<float> losses;
  const int64_t first = request.longest + request.step;
  evaluate(*compared.model, source,
           {.protocol = EvaluationProtocol::kStrided,
            .context = context + request.step - 1,
            .stride = request.step,
            .batch = request.batch,
            .compute = compared.compute,
            .per_token = [&](const TokenLoss& t) {
              if (t.position >= first) losses.push_back(static_cast<float>(t.nll));
            }});
  return losses;
}

}  // namespace

std::vector<EffectiveContext> effective_context(const std::vector<LossesByContext>& group, double share) {
  std::vector<EffectiveContext> out(group.size());
  const size_t contexts = group.front().size();
  std::vector<bool> open(group.size(), true);
  for (EffectiveContext& model : out) model.steps = 1;
  for (size_t c = 0; c + 1 < contexts; ++c) {
    const std::vector<float> best = best_of(group, c);
    const std::vector<size_t> counted = hardest(best, share);
    for (size_t i = 0; i < group.size(); ++i) {
      double before = 0, after = 0;
      for (const size_t t : counted) {
        before += best[t];
        after += std::min(best[t], group[i][c + 1][t]);
      }
      const double gain = -std::expm1((after - before) / static_cast<double>(counted.size()));
      out[i].gains.push_back(gain);
      open[i] = open[i] && gain >= kLeastGain;
      if (open[i]) out[i].steps = static_cast<int64_t>(c) + 2;
    }
  }
  for (size_t i = 0; i < group.size(); ++i) out[i].reached_end = open[i];
  return out;
}

EffectiveContexts measure_effective_context(const std::vector<ComparedModel>& group,
                                            const std::shared_ptr<const data::TokenSource>& source,
                                            const EffectiveContextRequest& request) {
  check<ConfigError>(request.step >= 1 && request.longest >= 2 * request.step,
                     "[eval] the effective context grows by {} tokens and needs two of these steps at least, but the longest "
                     "context is {}\n  hint: raise --context or lower --recl-step",
                     request.step, request.longest);
  EffectiveContexts out;
  out.step = request.step, out.longest = request.longest / request.step * request.step, out.shares = request.shares;
  const auto start = std::chrono::steady_clock::now();
  const int64_t contexts = request.longest / request.step;
  const int64_t evaluations = contexts * static_cast<int64_t>(group.size());
  std::vector<LossesByContext> losses;
  int64_t done = 0;
  for (const ComparedModel& compared : group) {
    out.names.push_back(compared.name);
    out.losses.emplace_back();
    losses.emplace_back();
    for (int64_t c = 1; c <= contexts; ++c, ++done) {
      if (request.progress) check(request.progress(done, evaluations), "[eval] stopped after {} of {} evaluations", done, evaluations);
      losses.back().push_back(losses_at(compared, source, request, c * request.step));
      check<DataError>(!losses.back().back().empty(),
                       "[eval] no document has more than {} tokens, which the longest context and one step more need\n"
                       "  hint: lower --context, or use longer documents",
                       request.longest + request.step);
      out.losses.back().push_back(mean(losses.back().back()));
    }
  }
  out.targets = static_cast<int64_t>(losses.front().front().size());
  for (const double share : request.shares) out.by_share.push_back(effective_context(losses, share));
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

std::string to_json(const EffectiveContexts& result) {
  using Json = nlohmann::ordered_json;
  Json json{{"targets", result.targets}, {"step", result.step}, {"longest", result.longest}, {"least_gain", kLeastGain}};
  Json models = Json::array();
  for (size_t i = 0; i < result.names.size(); ++i) {
    Json model{{"model", result.names[i]}, {"losses", result.losses[i]}};
    for (size_t s = 0; s < result.shares.size(); ++s) {
      const EffectiveContext& found = result.by_share[s][i];
      model["effective_context"].push_back({{"share", result.shares[s]},
                                            {"tokens", found.steps * result.step},
                                            {"reached_end", found.reached_end},
                                            {"gains", found.gains}});
    }
    models.push_back(std::move(model));
  }
  json["models"] = std::move(models);
  json["seconds"] = result.seconds;
  return json.dump();
}

std::string to_text(const EffectiveContexts& result) {
  size_t width = 5;
  for (const std::string& name : result.names) width = std::max(width, name.size());
  std::string text = fmt::format("relative effective context length in tokens, by the share of the hardest of {} targets\n{:<{}}",
                                 result.targets, "model", width);
  for (const double share : result.shares) text += fmt::format("  {:>8.0f} %", 100 * share);
  bool open = false;
  for (size_t i = 0; i < result.names.size(); ++i) {
    text += fmt::format("\n{:<{}}", result.names[i], width);
    for (const auto& models : result.by_share) {
      open = open || models[i].reached_end;
      text += fmt::format("  {:>10}", fmt::format("{}{}", models[i].reached_end ? ">= " : "", models[i].steps * result.step));
    }
  }
  text += fmt::format("\nloss by context, nats/token\n{:<{}}", "context", width);
  for (size_t c = 0; c < result.losses.front().size(); ++c) {
    text += fmt::format("\n{:<{}}", (static_cast<int64_t>(c) + 1) * result.step, width);
    for (const auto& model : result.losses) text += fmt::format("  {:>10.4f}", model[c]);
  }
  if (open) text += fmt::format("\n>= : the longest context tried, {}, still gained {:.0f} % or more", result.longest, 100 * kLeastGain);
  return text;
}

}  // namespace longhaul::train
