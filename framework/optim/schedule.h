// defines: optim::Schedule, optim::ScheduleKind, optim::schedule_factor
#pragma once
#include "framework/base/units.h"

namespace longhaul::optim {

enum class ScheduleKind { kConstant, kLinear, kCosine, kInverseSqrt, kWsd };

/// How the learning rate moves: a linear rise over the warm-up, then one of these curves (data spec 2.4). With s the
/// position of an update, W the warm-up, N the horizon, f = final and x = (s - W) / (N - W) clipped to [0, 1]:
///
///   constant      1
///   linear        (1 - x) + f x
///   cosine        f + (1 - f) (1 + cos(pi x)) / 2                      Loshchilov & Hutter 2017
///   inverse_sqrt  min(s / W, sqrt(W / s)), W at least one step         Vaswani et al. 2017, section 5.3
///   wsd           1, in the last `decay` of the horizon f + (1 - f) (1 - sqrt(y)), y the progress in that part
struct Schedule {
  ScheduleKind kind = ScheduleKind::kConstant;
  Period warmup;     // 0 = none
  Period horizon;    // linear, cosine, wsd; where the curve ends, after it the rate stays at `final`
  double final = 0;  // share of the peak
  double decay = 0.2;
};

/// The share of the peak learning rate of one update.
///
/// now       the position once the update is done: the first update has steps = 1
/// per_step  what one update adds to each figure, used only where warm-up and horizon have different units; a unit it
///           leaves at 0 is not converted, and the warm-up then counts as part of the curve
/// A pure function: nothing but the position is stored. throws ConfigError when the curve needs a horizon and has none
double schedule_factor(const Schedule& schedule, const Progress& now, const Progress& per_step);

}  // namespace longhaul::optim
