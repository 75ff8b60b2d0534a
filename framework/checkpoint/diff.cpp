#include "framework/checkpoint/diff.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "framework/base/error.h"
#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/elements.h"
#include "framework/checkpoint/safetensors.h"

namespace longhaul::checkpoint {
namespace {

using Json = nlohmann::json;

std::string value_text(DType dtype, const std::byte* element) {
  switch (dtype) {
    case DType::kI64:
    case DType::kI32:
    case DType::kU8: {
      int64_t value = 0;
      std::memcpy(&value, element, size_of(dtype));
      if (dtype == DType::kI32) value = static_cast<int32_t>(value);
      return std::to_string(value);
    }
    default:
      break;
  }
  double value = 0;
  convert_elements(dtype, element, DType::kF64, reinterpret_cast<std::byte*>(&value), 1);
  return fmt::format("{}", value);
}

std::string index_text(int64_t position, const std::vector<int64_t>& shape) {
  std::vector<int64_t> index(shape.size());
  for (size_t axis = shape.size(); axis-- > 0;) {
    index[axis] = position % shape[axis];
    position /= shape[axis];
  }
  return fmt::format("[{}]", fmt::join(index, ", "));
}

// Compares two tensors of one shape and dtype whose bytes are known to differ.
std::string compare_elements(const SafetensorsReader& left, const SafetensorsReader& right,
                             const ManifestTensor& tensor) {
  const std::optional<DType> dtype = dtype_of_tag(tensor.dtype);
  if (!dtype) return "the bytes differ";
  const std::string a = left.read_bytes(left.entry(tensor.name));
  const std::string b = right.read_bytes(right.entry(tensor.name));
  const size_t size = size_of(*dtype);
  const auto count = static_cast<int64_t>(a.size() / size);
  const auto at = [&](const std::string& bytes, int64_t i) {
    return reinterpret_cast<const std::byte*>(bytes.data()) + static_cast<size_t>(i) * size;
  };
  int64_t differing = 0;
  int64_t first = -1;
  double largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (std::memcmp(at(a, i), at(b, i), size) == 0) continue;
    ++differing;
    if (first < 0) first = i;
    if (!is_floating(*dtype)) continue;
    double x = 0;
    double y = 0;
    convert_elements(*dtype, at(a, i), DType::kF64, reinterpret_cast<std::byte*>(&x), 1);
    convert_elements(*dtype, at(b, i), DType::kF64, reinterpret_cast<std::byte*>(&y), 1);
    // A NaN on either side is the largest distance there is.
    const double distance = std::isnan(x - y) ? INFINITY : std::abs(x - y);
    largest = std::max(largest, distance);
  }
  std::string text =
      fmt::format("{} of {} elements differ, first at {}: {} against {}", differing, count,
                  index_text(first, tensor.shape), value_text(*dtype, at(a, first)), value_text(*dtype, at(b, first)));
  if (is_floating(*dtype)) text += fmt::format(", largest distance {}", largest);
  return text;
}

// Calls visit(key, left or null, right or null) for the union of two sorted maps.
template <typename Map, typename Visit>
void for_each_pair(const Map& left, const Map& right, Visit&& visit) {
  std::set<std::string> keys;
  for (const auto& [key, value] : left) keys.insert(key);
  for (const auto& [key, value] : right) keys.insert(key);
  for (const std::string& key : keys) {
    const auto a = left.find(key);
    const auto b = right.find(key);
    visit(key, a == left.end() ? nullptr : &a->second, b == right.end() ? nullptr : &b->second);
  }
}

std::map<std::string, const ManifestTensor*> tensors_of(const ManifestFile& file) {
  std::map<std::string, const ManifestTensor*> out;
  for (const ManifestTensor& tensor : file.tensors) out.emplace(tensor.name, &tensor);
  return out;
}

std::map<std::string, std::string> scalars_of(const io::Path& path) {
  std::map<std::string, std::string> out;
  const Json json = Json::parse(io::read_file(path), nullptr, false);
  if (!json.is_object() || !json.contains("parts") || !json["parts"].is_object()) return out;
  for (const auto& [part, entries] : json["parts"].items()) {
    for (const auto& [name, value] : entries.items()) out[part + "." + name] = value.dump();
  }
  return out;
}

class Comparison {
 public:
  Comparison(const io::Path& left, const io::Path& right) : left_(left), right_(right) {}

  std::vector<Difference> run() {
    const auto files = [](const Manifest& manifest) {
      std::map<std::string, const ManifestFile*> out;
      for (const ManifestFile& file : manifest.files) out.emplace(file.name, &file);
      return out;
    };
    const Manifest a = read_manifest(left_);
    const Manifest b = read_manifest(right_);
    for_each_pair(files(a), files(b), [&](const std::string& name, auto* x, auto* y) {
      if (one_sided(name, "", x, y) || (*x)->sha256 == (*y)->sha256) return;
      if (!(*x)->header_sha256.empty() && !(*y)->header_sha256.empty())
        tensors(**x, **y);
      else if (name == "state.json")
        scalars(name);
      else
        add(name, "", "the content differs");
    });
    return std::move(out_);
  }

 private:
  void add(const std::string& file, const std::string& name, std::string what) {
    out_.push_back({file, name, std::move(what)});
  }

  bool one_sided(const std::string& file, const std::string& name, const void* x, const void* y) {
    if (x == nullptr) add(file, name, "only in the second");
    if (y == nullptr) add(file, name, "only in the first");
    return x == nullptr || y == nullptr;
  }

  void tensors(const ManifestFile& a, const ManifestFile& b) {
    const SafetensorsReader left(left_ / a.name);
    const SafetensorsReader right(right_ / b.name);
    for_each_pair(tensors_of(a), tensors_of(b), [&](const std::string& name, auto* x, auto* y) {
      if (one_sided(a.name, name, x, y)) return;
      const ManifestTensor& p = **x;
      const ManifestTensor& q = **y;
      if (p.dtype != q.dtype) return add(a.name, name, fmt::format("{} against {}", p.dtype, q.dtype));
      if (p.shape != q.shape)
        return add(a.name, name,
                   fmt::format("shape [{}] against [{}]", fmt::join(p.shape, ", "), fmt::join(q.shape, ", ")));
      if (p.sha256 != q.sha256) add(a.name, name, compare_elements(left, right, p));
    });
  }

  void scalars(const std::string& file) {
    for_each_pair(scalars_of(left_ / file), scalars_of(right_ / file), [&](const std::string& name, auto* x, auto* y) {
      if (!one_sided(file, name, x, y) && *x != *y) add(file, name, fmt::format("{} against {}", *x, *y));
    });
  }

  const io::Path& left_;
  const io::Path& right_;
  std::vector<Difference> out_;
};

}  // namespace

std::vector<Difference> differences(const io::Path& left, const io::Path& right) {
  for (const io::Path* folder : {&left, &right}) {
    const std::vector<Damage> damage = verify(*folder);
    if (!damage.empty()) throw CheckpointError(damage.front().message);
  }
  return Comparison(left, right).run();
}

}  // namespace longhaul::checkpoint
