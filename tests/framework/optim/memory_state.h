// defines: MemoryState and MemoryReader, a part's state without files, for tests
#pragma once
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "framework/base/error.h"
#include "framework/base/state.h"
#include "framework/tensor/tensor.h"

namespace longhaul {

class MemoryState final : public StateWriter {
 public:
  void integer(const std::string& name, int64_t value) override { integers_[name] = {value}; }
  void real(const std::string& name, double value) override { reals_[name] = {value}; }
  void text(const std::string& name, const std::string& value) override { texts_[name] = value; }
  void integers(const std::string& name, std::span<const int64_t> v) override {
    integers_[name] = {v.begin(), v.end()};
  }
  void reals(const std::string& name, std::span<const double> v) override { reals_[name] = {v.begin(), v.end()}; }
  void tensor(const std::string& name, const Tensor& value) override {
    Tensor copy = Tensor::empty(value.shape(), value.dtype(), value.device());
    std::memcpy(copy.raw(), value.raw(), static_cast<size_t>(value.bytes()));
    tensors_[name] = copy;
  }

 private:
  friend class MemoryReader;
  std::map<std::string, std::vector<int64_t>> integers_;
  std::map<std::string, std::vector<double>> reals_;
  std::map<std::string, std::string> texts_;
  std::map<std::string, Tensor> tensors_;
};

class MemoryReader final : public StateReader {
 public:
  explicit MemoryReader(const MemoryState& state) : state_(state) {}
  int64_t integer(const std::string& name) override { return state_.integers_.at(name).at(0); }
  double real(const std::string& name) override { return state_.reals_.at(name).at(0); }
  std::string text(const std::string& name) override { return state_.texts_.at(name); }
  std::vector<int64_t> integers(const std::string& name) override { return state_.integers_.at(name); }
  std::vector<double> reals(const std::string& name) override { return state_.reals_.at(name); }
  void tensor(const std::string& name, const Tensor& into) override {
    const Tensor& stored = state_.tensors_.at(name);
    check(stored.shape() == into.shape() && stored.dtype() == into.dtype(), "{} has another shape", name);
    std::memcpy(into.raw(), stored.raw(), static_cast<size_t>(into.bytes()));
  }
  std::vector<std::string> tensor_names() const override {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : state_.tensors_) names.push_back(name);
    return names;
  }
  Tensor tensor(const std::string& name) override { return state_.tensors_.at(name); }

 private:
  const MemoryState& state_;
};

}  // namespace longhaul
