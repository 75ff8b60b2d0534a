// defines: SelfCheck, CheckOutcome, self_checks
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "framework/tensor/device.h"

namespace longhaul::train {

struct CheckOutcome {
  bool passed = false;
  std::string detail;  // the measured figure, or what is wrong
};

/// One thing that must hold on any machine; a few seconds at most.
struct SelfCheck {
  std::string name;
  std::function<CheckOutcome(Device device)> run;
};

/// What `longhaul check` looks at: whole models, dense and local, against the plain loops; equal bits for one and many
/// threads; a short training run that must learn; a checkpoint that must come back bit by bit.
const std::vector<SelfCheck>& self_checks();

}  // namespace longhaul::train
