#include "train/parity/compare.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "framework/base/error.h"

namespace longhaul::train {
namespace {

using Json = nlohmann::json;

// Scores beyond this size are masked ones: a number near -1e6 that f32 rounds to 1/16.
constexpr double kMaskedScore = 1e5;
// Gradients below this share of the largest one overall are exact zeros plus rounding: relative errors mean nothing.
constexpr double kSmallGradient = 1e-4;

template <typename T>
void append(const Tensor& tensor, std::vector<double>& out) {
  const T* data = tensor.data<T>();
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    if constexpr (std::is_arithmetic_v<T>) {
      out.push_back(static_cast<double>(data[i]));
    } else {
      out.push_back(static_cast<float>(data[i]));  // bf16 and f16 convert to f32 alone
    }
  }
}

std::vector<double> values_of(const Tensor& tensor) {
  check(tensor.contiguous(), "[parity] a tensor of shape {} is a strided view: a loader gives row-major ones",
        tensor.shape());
  std::vector<double> out;
  out.reserve(static_cast<size_t>(tensor.elements()));
  switch (tensor.dtype()) {
    case DType::kF32:
      append<float>(tensor, out);
      break;
    case DType::kF64:
      append<double>(tensor, out);
      break;
    case DType::kBF16:
      append<bfloat16>(tensor, out);
      break;
    case DType::kF16:
      append<float16>(tensor, out);
      break;
    case DType::kI32:
      append<int32_t>(tensor, out);
      break;
    case DType::kI64:
      append<int64_t>(tensor, out);
      break;
    case DType::kU8:
      append<uint8_t>(tensor, out);
      break;
  }
  return out;
}

double largest(const std::vector<double>& values) {
  double most = 0;
  for (const double value : values) most = std::max(most, std::abs(value));
  return most;
}

bool starts_with_any(const std::string& name, std::initializer_list<const char*> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const char* prefix) { return name.starts_with(prefix); });
}

class Comparer {
 public:
  Comparer(const TensorMap& stored, const TensorMap& computed, const Json& meta, bool f64)
      : stored_(stored), computed_(computed), model_(meta.contains("family")) {
    const char* key = !model_ && !f64 && meta.contains("tolerance_f32") ? "tolerance_f32" : "tolerance";
    check<DataError>(meta.contains(key) && meta[key].is_object(), "[parity] meta.json has no object \"{}\"", key);
    for (const auto& [name, value] : meta[key].items()) {
      check<DataError>(value.is_number(), "[parity] meta.json: {}.{} is not a number", key, name);
      tolerance_[name] = value.get<double>();
    }
    for (const auto& [name, tensor] : stored_) {
      if (name.starts_with("grad.")) largest_gradient_ = std::max(largest_gradient_, largest(values_of(tensor)));
    }
  }

  Comparison run() {
    int compared = 0;
    for (const auto& [name, want] : stored_) {
      const bool wanted = name.starts_with("out.") || name.starts_with("grad.");
      const auto got = computed_.find(name);
      if (!wanted && !(name.starts_with("aux.") && got != computed_.end())) continue;
      ++compared;
      if (got == computed_.end()) {
        fail_with(fmt::format("{} was not computed", name));
      } else {
        compare(name, want, got->second);
      }
    }
    if (compared == 0) fail_with("the case stores no out.* and no grad.*");
    result_.passed = result_.reason.empty();
    return result_;
  }

 private:
  void fail_with(const std::string& reason) {
    if (result_.reason.empty()) result_.reason = reason;
  }

  double tolerance(const std::string& kind) const {
    const auto found = tolerance_.find(kind);
    check<DataError>(found != tolerance_.end(), "[parity] meta.json has no tolerance for \"{}\"", kind);
    return found->second;
  }

  // Which of the tolerances of a model case belongs to an output.
  static const char* kind_of(const std::string& name) {
    if (starts_with_any(name, {"out.loss"})) return "loss";
    if (name.find("logits") != std::string::npos) return "logits";
    return "hidden";
  }

  // The tokens that are real, for an output whose first axes are those of attention_mask.
  std::vector<double> mask_of(const std::string& name, const Tensor& want) const {
    const auto mask = stored_.find("attention_mask");
    if (!model_ || mask == stored_.end() || !name.starts_with("out.")) return {};
    // With a decoder only the encoder's rows belong to attention_mask.
    if (stored_.contains("decoder_input_ids") && !name.starts_with("out.encoder_")) return {};
    if (want.rank() < 2 || mask->second.rank() != 2) return {};
    if (want.size(0) != mask->second.size(0) || want.size(1) != mask->second.size(1)) return {};
    return values_of(mask->second);
  }

  void compare(const std::string& name, const Tensor& want, const Tensor& got) {
    if (got.shape() != want.shape()) {
      return fail_with(fmt::format("{} has shape {}, expected {}", name, got.shape(), want.shape()));
    }
    const std::vector<double> wanted = values_of(want), found = values_of(got);
    if (!is_floating(want.dtype())) {
      for (size_t i = 0; i < wanted.size(); ++i) {
        if (found[i] != wanted[i]) {
          return fail_with(fmt::format("{} differs at element {}: {}, expected {}", name, i, found[i], wanted[i]));
        }
      }
      return;
    }
    const bool gradient = name.starts_with("grad.");
    const double peak = largest(wanted);
    const double limit = tolerance(!model_ ? (gradient ? "grad" : "out") : gradient ? "grad" : kind_of(name));
    const double unit = model_ ? 1 : std::max(1.0, peak);
    const std::vector<double> mask = mask_of(name, want);
    const size_t row = mask.empty() ? 1 : wanted.size() / mask.size();

    double worst = 0;  // in units of the limit's scale
    size_t where = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (!mask.empty() && mask[i / row] == 0) continue;
      const bool masked_score = model_ && !gradient && std::abs(wanted[i]) > kMaskedScore;
      double error = std::abs(found[i] - wanted[i]) / (masked_score ? std::abs(wanted[i]) : unit);
      if (!std::isfinite(found[i]) || !std::isfinite(wanted[i])) error = INFINITY;
      if (error > worst) worst = error, where = i;
    }
    note(gradient, worst, limit);
    if (!(worst <= limit)) {
      return fail_with(fmt::format("{} differs by {:.2g} (tolerance {:.2g}) at element {}: {:.9g}, expected {:.9g}",
                                   name, worst, limit, where, found[where], wanted[where]));
    }
    if (!model_ || !gradient || !tolerance_.contains("grad_rel") || peak <= kSmallGradient * largest_gradient_) return;
    const double relative = worst / peak;
    if (!(relative <= tolerance_.at("grad_rel"))) {
      fail_with(
          fmt::format("{} differs by {:.2g} of its largest entry (tolerance {:.2g}) at element {}: {:.9g}, "
                      "expected {:.9g}",
                      name, relative, tolerance_.at("grad_rel"), where, found[where], wanted[where]));
    }
  }

  // Keeps the error that is nearest to, or furthest beyond, its tolerance.
  void note(bool gradient, double error, double limit) {
    double& worst = gradient ? result_.grad_error : result_.out_error;
    double& at = gradient ? result_.grad_tolerance : result_.out_tolerance;
    if (at != 0 && error / limit <= worst / at) return;
    worst = error;
    at = limit;
  }

  const TensorMap& stored_;
  const TensorMap& computed_;
  const bool model_;
  std::map<std::string, double> tolerance_;
  double largest_gradient_ = 0;
  Comparison result_;
};

}  // namespace

Comparison compare_case(const TensorMap& stored, const TensorMap& computed, const std::string& meta, bool f64) {
  const Json json = Json::parse(meta, nullptr, false);
  check<DataError>(json.is_object(), "[parity] meta.json is not a JSON object");
  return Comparer(stored, computed, json, f64).run();
}

}  // namespace longhaul::train
