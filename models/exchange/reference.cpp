#include "models/exchange/reference.h"

#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "framework/ops/support.h"
#include "models/exchange/exchange.h"

namespace longhaul::models {
namespace {

constexpr int64_t kIgnored = -100;  // label of a position that is not scored

template <typename T>
Tensor whole_numbers(const ReferenceCase& reference, const std::string& name) {
  const auto found = reference.tensors.find(name);
  if (found == reference.tensors.end()) return {};
  check<DataError>(found->second.dtype() == DType::kI64, "[parity] {}: {} holds no whole numbers", reference.name, name);
  std::vector<T> values;
  const int64_t* data = found->second.data<int64_t>();
  for (int64_t i = 0; i < found->second.elements(); ++i) values.push_back(data[i] == kIgnored ? T(-1) : static_cast<T>(data[i]));
  return Tensor::of<T>(found->second.shape(), values, reference.device);
}

}  // namespace

Tensor stored_ids(const ReferenceCase& reference, const std::string& name) { return whole_numbers<int32_t>(reference, name); }

Tensor stored_flags(const ReferenceCase& reference, const std::string& name) { return whole_numbers<uint8_t>(reference, name); }

Tensor needed_ids(const ReferenceCase& reference, const std::string& name) {
  const Tensor out = stored_ids(reference, name);
  check<DataError>(out.defined(), "[parity] {}: there is no {}", reference.name, name);
  return out;
}

bool in_training(const ReferenceCase& reference) { return nlohmann::json::parse(reference.meta).value("mode", "eval") == "train"; }

void set_weights(const Model& model, const io::Path& folder, const exchange::NameMap& names) {
  std::map<std::string, Tensor> read;
  for (auto& [name, tensor] : exchange::read_public(folder, names)) read[name] = tensor;
  for (const nn::NamedParameter& parameter : model.parameters()) {
    const auto found = read.find(parameter.name);
    check<CheckpointError>(found != read.end(), "[parity] no public tensor becomes \"{}\"", parameter.name);
    const Tensor& target = parameter.variable.value();
    check<CheckpointError>(found->second.shape() == target.shape(), "[parity] \"{}\" has the shape {}, the model's is {}", parameter.name, found->second.shape(), target.shape());
    ops::table(target).elementwise.copy(found->second, target);
    parameter.variable.changed();
    read.erase(found);
  }
  check<CheckpointError>(read.empty(), "[parity] the model has no parameter \"{}\"", read.empty() ? "" : read.begin()->first);
}

void public_gradients(const Model& model, const exchange::NameMap& names, std::map<std::string, Tensor>& out) {
  std::map<std::string, Tensor> gradients;
  for (const nn::NamedParameter& parameter : model.parameters()) {
    if (parameter.variable.needs_gradient()) gradients[parameter.name] = host_tensor(parameter.variable.gradient());
  }
  for (const exchange::NameRule& rule : names.rules) {
    const auto ours = gradients.find(rule.our_name);
    if (ours == gradients.end()) continue;
    const Tensor piece = exchange::our_side(rule, ours->second);
    Shape shape = piece.shape();
    if (rule.transpose) std::swap(shape[-1], shape[-2]);
    if (rule.public_shape.rank() > 0) shape = rule.public_shape;
    Tensor& whole = out["grad." + rule.public_name];
    if (!rule.public_part.whole()) {
      // Rules of one public tensor share all other sizes: the sum of their parts is its own.
      int64_t rows = 0;
      for (const exchange::NameRule& other : names.rules) rows += other.public_name == rule.public_name ? other.public_part.size : 0;
      shape[rule.public_part.axis] = rows;
    }
    if (!whole.defined()) whole = Tensor::zeros(shape, piece.dtype(), Device::cpu());
    ops::table(whole).elementwise.copy(piece, exchange::public_side(rule, whole));
  }
}

Tensor host_tensor(const Tensor& tensor) {
  const Tensor rows = ops::dense(is_floating(tensor.dtype()) ? ops::cast_tensor(tensor, DType::kF32) : tensor);
  const Tensor out = Tensor::empty(rows.shape(), rows.dtype(), Device::cpu());
  ops::table(rows).elementwise.copy(rows, out);
  return out;
}

}  // namespace longhaul::models
