#include "train/plan/report.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "framework/base/units.h"
#include "train/observe/format.h"

namespace longhaul::train {
namespace {

constexpr MemoryFamily kFamilies[] = {MemoryFamily::kParameters,  MemoryFamily::kGradients, MemoryFamily::kOptimizer,
                                      MemoryFamily::kActivations, MemoryFamily::kWorkspace, MemoryFamily::kState};

std::string bytes_text(int64_t bytes) { return units::approximate_bytes(static_cast<double>(bytes)); }

}  // namespace

std::string plan_text(const Plan& plan, int64_t longest, const std::vector<Lever>& levers) {
  const double tokens = static_cast<double>(plan.micro_batch * plan.sequence_length);
  std::string text = fmt::format("{:<14}{:>10}   {}\n", "family", "bytes", "per token of a forward");
  for (const MemoryFamily family : kFamilies) {
    const int64_t bytes = plan.bytes[static_cast<size_t>(family)];
    const bool grows = family == MemoryFamily::kActivations || family == MemoryFamily::kWorkspace;
    text += fmt::format("{:<14}{:>10}", name_of(family), bytes_text(bytes));
    if (grows) text += fmt::format("   {}", units::approximate_bytes(static_cast<double>(bytes) / tokens));
    text += "\n";
  }
  text += fmt::format("{:<14}{:>10}   live tensors at the highest moment of a step\n", "tensors",
                      bytes_text(plan.tensor_peak_bytes));
  text += fmt::format("{:<14}{:>10}   of the process; {} of the budget of {}\n", "peak", bytes_text(plan.peak_bytes),
                      plan.fits() ? "inside" : "OUTSIDE", bytes_text(plan.budget));
  text += fmt::format("{:<14}{:>10}   {} trained\n", "parameters", short_count(static_cast<double>(plan.parameters)),
                      short_count(static_cast<double>(plan.trained_parameters)));
  text += fmt::format("{:<14}{:>10}   for each token of a step, recomputation not counted\n", "operations",
                      short_count(plan.flops_per_token));
  text += fmt::format("micro-batch {} of {} tokens; longest sequence in {}: {} tokens", plan.micro_batch,
                      plan.sequence_length, bytes_text(plan.budget), grouped(static_cast<double>(longest)));
  for (const Lever& lever : levers) text += fmt::format("\nlever: {} saves {}", lever.change, bytes_text(lever.saved));
  for (const std::string& kernel : plan.missing_kernels) text += fmt::format("\nmissing on this device: {}", kernel);
  return text;
}

std::string plan_json(const Plan& plan, int64_t longest, const std::vector<Lever>& levers) {
  nlohmann::ordered_json json;
  json["parameters"] = plan.parameters;
  json["trained_parameters"] = plan.trained_parameters;
  json["flops_per_token"] = plan.flops_per_token;
  for (const MemoryFamily family : kFamilies) {
    json["bytes"][std::string(name_of(family))] = plan.bytes[static_cast<size_t>(family)];
  }
  json["tensor_peak_bytes"] = plan.tensor_peak_bytes;
  json["reserved_bytes"] = plan.reserved_bytes;
  json["peak_bytes"] = plan.peak_bytes;
  json["budget_bytes"] = plan.budget;
  json["micro_batch"] = plan.micro_batch;
  json["sequence_length"] = plan.sequence_length;
  json["longest_sequence"] = longest;
  json["levers"] = nlohmann::ordered_json::array();
  for (const Lever& lever : levers) json["levers"].push_back({{"change", lever.change}, {"saves_bytes", lever.saved}});
  json["missing_kernels"] = plan.missing_kernels;
  return json.dump();
}

}  // namespace longhaul::train
