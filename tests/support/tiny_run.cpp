#include "tests/support/tiny_run.h"

#include <limits>

#include "framework/base/sha256.h"

namespace longhaul::checkpoint {
namespace {

Tensor floats(std::initializer_list<int64_t> sizes, DType dtype = DType::kF32) {
  return Tensor::zeros(Shape(sizes), dtype, Device::cpu());
}

}  // namespace

void TinyPart::set_step(int64_t step) {
  step_ = step;
  for (const NamedTensor& tensor : tensors_) {
    std::string bytes;
    for (int block = 0; bytes.size() < static_cast<size_t>(tensor.tensor.bytes()); ++block) {
      bytes += sha256_hex(salt_ + tensor.name + "/" + std::to_string(step) + "/" + std::to_string(block));
    }
    tensor.tensor.copy_from_host(bytes.data(), tensor.tensor.bytes());
  }
}

void TinyPart::save_state(StateWriter& out) const {
  out.integer("step", step_);
  out.real("rate", 0.1 / static_cast<double>(step_ + 1));
  out.real("best", std::numeric_limits<double>::infinity());
  for (const NamedTensor& tensor : tensors_) out.tensor(tensor.name, tensor.tensor);
}

void TinyPart::load_state(StateReader& in) {
  step_ = in.integer("step");
  in.real("rate");
  in.real("best");
  for (const NamedTensor& tensor : tensors_) in.tensor(tensor.name, tensor.tensor);
}

TinyRun::TinyRun() {
  const auto add = [&](const std::string& name, Section section, const std::vector<NamedTensor>& tensors) {
    parts_.push_back(std::make_unique<TinyPart>(name, tensors));
    registry_.add(name, section, *parts_.back());
  };
  add("model", Section::kModel, {{"embedding.weight", floats({32, 24})}, {"layers.0.bias", floats({16})}});
  add("optimizer", Section::kOptimizer,
      {{"first.embedding.weight", floats({32, 24})}, {"second.embedding.weight", floats({32, 24})}});
  add("average", Section::kState, {{"embedding.weight", floats({32, 24}, DType::kBF16)}});
  add("sampler", Section::kState, {});
}

void TinyRun::set_step(int64_t step) {
  step_ = step;
  for (const auto& part : parts_) part->set_step(step);
}

int64_t TinyRun::step() const {
  for (const auto& part : parts_) {
    if (part->step() != parts_.front()->step()) return -2;
  }
  return parts_.front()->step();
}

CheckpointContent TinyRun::content() const {
  CheckpointContent content;
  content.step = step_;
  content.state = capture(registry_);
  content.files = {{"config.yaml", "run: {name: tiny}\n"}, {"tokenizer.json", "{\"kind\": \"byte\"}\n"}};
  content.cursor = 8 * step_;
  content.tokenizer_hash = sha256_hex("byte");
  content.data_hashes = {{"train.txt", sha256_hex("text")}};
  return content;
}

std::string TinyRun::hash_at(int64_t step) {
  TinyRun run;
  run.set_step(step);
  return run.hash();
}

SaveReport TinyRun::save(const io::Path& checkpoints, int64_t step, const Retention& retention) {
  TinyRun run;
  run.set_step(step);
  return save_checkpoint(checkpoints, run.content(), retention);
}

int64_t TinyRun::recovered_step(const io::Path& checkpoints) {
  const auto found = find_newest_sound(checkpoints);
  if (!found) return -1;
  TinyRun run;
  load_checkpoint(found->folder, run.registry());
  return run.hash() == hash_at(found->step) && run.step() == found->step ? found->step : -2;
}

}  // namespace longhaul::checkpoint
