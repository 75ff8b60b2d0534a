// defines: nn::Gauges
#pragma once
#include <algorithm>
#include <cstdint>
#include <map>
#include <string>

namespace longhaul::nn {

/// Figures that parts of a model tell of a pass beside its loss, by name: how well something works that no loss shows. One
/// name holds one kind. Told from the thread that runs the model.
class Gauges {
 public:
  /// The gauge is the mean of all values told.
  void mean(const std::string& name, double value) {
    Sum& sum = means_[name];
    sum.total += value;
    ++sum.count;
  }
  /// The gauge is the largest value told.
  void largest(const std::string& name, double value) {
    const auto [at, fresh] = largest_.emplace(name, value);
    if (!fresh) at->second = std::max(at->second, value);
  }
  std::map<std::string, double> values() const {
    std::map<std::string, double> out = largest_;
    for (const auto& [name, sum] : means_) out[name] = sum.total / static_cast<double>(sum.count);
    return out;
  }

 private:
  struct Sum {
    double total = 0;
    int64_t count = 0;
  };
  std::map<std::string, Sum> means_;
  std::map<std::string, double> largest_;
};

}  // namespace longhaul::nn
