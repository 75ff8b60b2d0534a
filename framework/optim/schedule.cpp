#include "framework/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "framework/base/error.h"

namespace longhaul::optim {
namespace {

// The warm-up in the unit of the horizon; 0 where that cannot be known.
double warmup_in(const Period& warmup, Period::Unit unit, const Progress& per_step) {
  if (warmup.off() || warmup.unit == unit) return warmup.amount;
  const double own = Period{1, warmup.unit}.measure(per_step);
  const double other = Period{1, unit}.measure(per_step);
  return own > 0 && other > 0 ? warmup.amount / own * other : 0;
}

double inverse_sqrt(const Period& warmup, const Progress& now) {
  const Period rise = warmup.off() ? Period{1, Period::Unit::kStep} : warmup;
  const double position = rise.measure(now) / rise.amount;
  return position <= 0 ? 0 : std::min(position, std::sqrt(1 / position));
}

}  // namespace

double schedule_factor(const Schedule& schedule, const Progress& now, const Progress& per_step) {
  if (schedule.kind == ScheduleKind::kInverseSqrt) return inverse_sqrt(schedule.warmup, now);
  if (!schedule.warmup.off()) {
    const double position = schedule.warmup.measure(now) / schedule.warmup.amount;
    if (position < 1) return position;
  }
  if (schedule.kind == ScheduleKind::kConstant) return 1;

  check<ConfigError>(!schedule.horizon.off(),
                     "[schedule] the learning rate falls towards a horizon, but there is none\n"
                     "  hint: give train.steps, train.tokens or train.schedule.horizon");
  const double total = schedule.horizon.amount;
  const double reached = schedule.horizon.measure(now);
  const double floor = schedule.final;
  if (schedule.kind == ScheduleKind::kWsd) {
    const double y = std::clamp((reached - (1 - schedule.decay) * total) / (schedule.decay * total), 0.0, 1.0);
    return floor + (1 - floor) * (1 - std::sqrt(y));
  }
  const double warmup = warmup_in(schedule.warmup, schedule.horizon.unit, per_step);
  const double x = total > warmup ? std::clamp((reached - warmup) / (total - warmup), 0.0, 1.0) : 1.0;
  if (schedule.kind == ScheduleKind::kLinear) return (1 - x) + floor * x;
  return floor + (1 - floor) * (1 + std::cos(std::numbers::pi * x)) / 2;
}

}  // namespace longhaul::optim
