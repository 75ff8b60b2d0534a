#include "framework/checkpoint/registry.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "framework/base/sha256.h"
#include "framework/checkpoint/elements.h"

namespace longhaul::checkpoint {
namespace {

// JSON has no infinity and no NaN; their bits are kept as text.
json::Value exact(double value) {
  if (std::isfinite(value)) return value;
  return fmt::format("bits:{:016x}", std::bit_cast<uint64_t>(value));
}

class Writer final : public StateWriter {
 public:
  Writer(const std::string& part, Section section, json::Object& scalars, std::vector<NamedTensor>& tensors)
      : part_(part), section_(section), scalars_(scalars), tensors_(tensors) {}

  void integer(const std::string& name, int64_t value) override { put(name, value); }
  void real(const std::string& name, double value) override { put(name, exact(value)); }
  void text(const std::string& name, const std::string& value) override { put(name, value); }
  void integers(const std::string& name, std::span<const int64_t> values) override {
    put(name, json::List(values.begin(), values.end()));
  }
  void reals(const std::string& name, std::span<const double> values) override {
    json::List list;
    for (const double value : values) list.push_back(exact(value));
    put(name, std::move(list));
  }
  void tensor(const std::string& name, const Tensor& value) override {
    if (!value.defined()) throw InternalError(fmt::format("state \"{}.{}\" is an undefined tensor", part_, name));
    tensors_.push_back({section_ == Section::kState ? part_ + "." + name : name, value});
  }

 private:
  void put(const std::string& name, json::Value value) {
    for (const auto& [known, before] : scalars_) {
      if (known == name) throw InternalError(fmt::format("state \"{}.{}\" is written twice", part_, name));
    }
    scalars_.emplace_back(name, std::move(value));
  }

  const std::string& part_;
  Section section_;
  json::Object& scalars_;
  std::vector<NamedTensor>& tensors_;
};

}  // namespace

const char* file_name(Section section) {
  switch (section) {
    case Section::kModel:
      return "model.safetensors";
    case Section::kOptimizer:
      return "optimizer.safetensors";
    case Section::kState:
      break;
  }
  return "state.safetensors";
}

void StateRegistry::add(const std::string& name, Section section, Stateful& part) {
  if (name.empty() || name.find('.') != std::string::npos) {
    throw InternalError(fmt::format("\"{}\" is no name of a stateful part", name));
  }
  for (const auto& [other, known] : parts_) {
    if (known.section == section && section != Section::kState) {
      throw InternalError(fmt::format("stateful parts \"{}\" and \"{}\" share {}", other, name, file_name(section)));
    }
  }
  if (!parts_.emplace(name, Part{section, &part}).second) {
    throw InternalError(fmt::format("two stateful parts are named \"{}\"", name));
  }
}

CapturedState capture(const StateRegistry& registry) {
  CapturedState out;
  json::Object parts;
  for (const auto& [name, part] : registry.parts()) {
    json::Object scalars;
    Writer writer(name, part.section, scalars, out.tensors[part.section]);
    part.state->save_state(writer);
    parts.emplace_back(name, std::move(scalars));
  }
  for (auto& [section, tensors] : out.tensors) {
    std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    const auto twice = std::adjacent_find(tensors.begin(), tensors.end(),
                                          [](const auto& a, const auto& b) { return a.name == b.name; });
    if (twice != tensors.end()) throw InternalError(fmt::format("state tensor \"{}\" is written twice", twice->name));
  }
  std::erase_if(out.tensors, [](const auto& entry) { return entry.second.empty(); });
  json::Object state;
  state.emplace_back("format", 1);
  state.emplace_back("parts", std::move(parts));
  out.scalars = json::Value(std::move(state)).dump(2) + "\n";
  return out;
}

std::string CapturedState::hash() const {
  Sha256 hash;
  for (const auto& [section, list] : tensors) {
    for (const NamedTensor& named : list) {
      hash.update(
          fmt::format("{}/{} {} {}\n", file_name(section), named.name, named.tensor.dtype(), named.tensor.shape()));
      visit_bytes(named.tensor.view(), [&](std::span<const std::byte> piece) { hash.update(piece); });
    }
  }
  hash.update(scalars);
  return hash.finish_hex();
}

}  // namespace longhaul::checkpoint
