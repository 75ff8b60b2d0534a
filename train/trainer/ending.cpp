#include "train/trainer/ending.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace longhaul::train {

bool Ending::reached(const Progress& now) const {
  return (steps > 0 && now.steps >= steps) || (tokens > 0 && now.tokens >= tokens) ||
         (seconds > 0 && now.seconds >= seconds);
}

double Ending::remaining(const Progress& now, double seconds_per_step, double tokens_per_second) const {
  double nearest = std::numeric_limits<double>::infinity();
  if (steps > 0 && seconds_per_step > 0) nearest = static_cast<double>(steps - now.steps) * seconds_per_step;
  if (tokens > 0 && tokens_per_second > 0) {
    nearest = std::min(nearest, static_cast<double>(tokens - now.tokens) / tokens_per_second);
  }
  if (seconds > 0) nearest = std::min(nearest, seconds - now.seconds);
  return std::isfinite(nearest) ? std::max(nearest, 0.0) : std::nan("");
}

Ending ending_of(const config::Config& config) {
  Ending out{.steps = config.train.steps, .tokens = config.train.tokens, .seconds = config.train.time};
  int64_t staged = 0;
  for (const config::StageConfig& stage : config.train.stages) staged += stage.steps;
  if (staged > 0) out.steps = out.steps > 0 ? std::min(out.steps, staged) : staged;
  return out;
}

}  // namespace longhaul::train
