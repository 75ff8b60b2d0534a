// defines: plan_text, plan_json
#pragma once
#include <string>
#include <vector>

#include "train/plan/plan.h"

namespace longhaul::train {

/// A plan as a table for a person.
std::string plan_text(const Plan& plan, int64_t longest, const std::vector<Lever>& levers);
/// The same as one JSON object.
std::string plan_json(const Plan& plan, int64_t longest, const std::vector<Lever>& levers);

}  // namespace longhaul::train
