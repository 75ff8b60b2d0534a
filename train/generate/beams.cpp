#include "train/generate/beams.h"

#include <algorithm>

namespace longhaul::train {
namespace {

struct Beam {
  std::vector<int32_t> tokens;
  double log_probability = 0;
  int64_t parent = 0;  // its row before the last token

  double score(bool ended) const {
    return log_probability / static_cast<double>(std::max<size_t>(1, tokens.size() + ended));
  }
};

struct Step {
  int64_t parent;
  int32_t token;
  double log_probability;  // of the whole text
};

// The most likely next steps of all beams; ties go to the earlier beam and the smaller id.
std::vector<Step> best_steps(const std::vector<Beam>& beams, const Tensor& logits, size_t choices, size_t wanted) {
  const int64_t vocabulary = logits.size(1);
  std::vector<Step> steps;
  for (size_t b = 0; b < beams.size(); ++b) {
    const std::span<const float> row(logits.data<float>() + static_cast<int64_t>(b) * vocabulary,
                                     choices);
    const double normaliser = log_probability(row, 0) - row[0];
    for (int32_t token = 0; token < static_cast<int32_t>(choices); ++token) {
      steps.push_back(
          {static_cast<int64_t>(b), token, beams[b].log_probability + row[static_cast<size_t>(token)] + normaliser});
    }
  }
  const size_t count = std::min(wanted, steps.size());
  std::partial_sort(steps.begin(), steps.begin() + static_cast<ptrdiff_t>(count), steps.end(),
                    [](const Step& a, const Step& b) {
                      if (a.log_probability != b.log_probability) return a.log_probability > b.log_probability;
                      return a.parent != b.parent ? a.parent < b.parent : a.token < b.token;
                    });
  steps.resize(count);
  return steps;
}

}  // namespace

Generation search_beams(Decoder& decoder, const Tensor& first_logits, const GenerateRequest& request) {
  const auto width = static_cast<size_t>(request.beams);
  std::vector<Beam> alive(1), ended;
  Tensor logits = first_logits;
  const auto better = [](bool finished) {
    return [finished](const Beam& a, const Beam& b) { return a.score(finished) > b.score(finished); };
  };
  for (int64_t made = 0; made < request.max_new && !alive.empty(); ++made) {
    std::vector<Beam> next;
    // Twice the width: even if half of the best steps end a text, enough stay alive.
    for (const Step& step : best_steps(alive, logits, request.choices(logits.size(1)), 2 * width)) {
      Beam beam = alive[static_cast<size_t>(step.parent)];
      beam.parent = step.parent;
      beam.log_probability = step.log_probability;
      if (step.token == request.end) {
        ended.push_back(std::move(beam));
      } else if (next.size() < width) {
        beam.tokens.push_back(step.token);
        next.push_back(std::move(beam));
      }
    }
    alive = std::move(next);
    std::stable_sort(ended.begin(), ended.end(), better(true));
    if (ended.size() > width) ended.resize(width);
    // Log-probabilities only fall, but a longer text divides by more: stop when the best open text is already worse.
    if (ended.size() == width && (alive.empty() || alive[0].score(false) <= ended.back().score(true))) break;
    if (made + 1 == request.max_new || alive.empty()) break;
    std::vector<int32_t> tokens;
    std::vector<int64_t> parents;
    for (const Beam& beam : alive) tokens.push_back(beam.tokens.back()), parents.push_back(beam.parent);
    logits = decoder.append(tokens, parents);
  }
  std::stable_sort(alive.begin(), alive.end(), better(false));
  const bool take_ended = !ended.empty() && (alive.empty() || ended[0].score(true) >= alive[0].score(false));
  Generation result;
  const Beam best = take_ended ? ended[0] : alive.empty() ? Beam{} : alive[0];
  result.tokens = best.tokens;
  result.ended = take_ended;
  result.log_probability = best.log_probability;
  return result;
}

}  // namespace longhaul::train
