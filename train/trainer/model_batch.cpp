#include "train/trainer/model_batch.h"

namespace longhaul::train {
namespace {

Tensor on_device(const Tensor& tensor, Device device) {
  if (!tensor.defined() || tensor.device() == device) return tensor;
  const Tensor copy = Tensor::empty(tensor.shape(), tensor.dtype(), device);
  copy.copy_from_host(tensor.raw(), tensor.bytes());
  return copy;
}

}  // namespace

models::ModelBatch model_batch(const data::Batch& batch, Device device) {
  models::ModelBatch out;
  out.inputs.tokens = on_device(batch.tokens, device);
  out.inputs.valid = on_device(batch.valid, device);
  out.inputs.focus = on_device(batch.focus, device);
  out.targets = on_device(batch.targets, device);
  out.source.tokens = on_device(batch.source, device);
  out.source.valid = on_device(batch.source_valid, device);
  return out;
}

}  // namespace longhaul::train
