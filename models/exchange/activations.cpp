#include "models/exchange/activations.h"

#include "framework/base/error.h"

namespace longhaul::models::exchange {

Activation activation_named(const char* key, const std::string& name) {
  if (name == "gelu") return Activation::kGelu;
  if (name == "gelu_new" || name == "gelu_fast" || name == "gelu_pytorch_tanh") return Activation::kGeluTanh;
  if (name == "relu") return Activation::kRelu;
  fail<CheckpointError>("[exchange] config.json: {} = \"{}\" is not supported\n  hint: gelu, gelu_new, gelu_fast, gelu_pytorch_tanh and relu are", key, name);
}

std::string activation_name(const char* key, Activation activation) {
  switch (activation) {
    case Activation::kGelu: return "gelu";
    case Activation::kGeluTanh: return "gelu_new";
    case Activation::kRelu: return "relu";
    case Activation::kSwiglu: break;
  }
  fail<CheckpointError>("[exchange] model.activation = swiglu: {} of the public layout is gelu, gelu_new or relu", key);
}

}  // namespace longhaul::models::exchange
