#include "models/exchange/name_map.h"

#include <algorithm>
#include <utility>

#include "framework/base/error.h"

namespace longhaul::models::exchange {
namespace {

std::string with_layer(std::string name, int64_t layer) {
  if (const size_t at = name.find("{}"); at != std::string::npos) name.replace(at, 2, std::to_string(layer));
  return name;
}

Tensor slice_of(const Part& part, const Tensor& tensor) {
  return part.whole() ? tensor : tensor.slice(part.axis, part.begin, part.begin + part.size);
}

void swap_last_two(Shape& shape, const NameRule& rule, const std::string& where) {
  if (!rule.transpose) return;
  check<CheckpointError>(shape.rank() >= 2, "[exchange] {}: tensor \"{}\" of shape {} cannot be transposed", where,
                         rule.public_name, shape);
  std::swap(shape[-1], shape[-2]);
}

// Checks that parts of one tensor cover axis rows 0..total exactly once.
void check_cover(std::vector<Part> parts, const std::string& name, int64_t total, const std::string& where) {
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.begin < b.begin; });
  int64_t at = 0;
  for (const Part& part : parts) {
    check<CheckpointError>(part.axis == parts.front().axis && part.begin == at,
                           "[exchange] {}: the parts of \"{}\" leave a gap or overlap at row {}", where, name, at);
    at += part.size;
  }
  check<CheckpointError>(at == total, "[exchange] {}: \"{}\" has {} rows along axis {}, its parts take {}", where, name,
                         total, parts.front().axis, at);
}

}  // namespace

void NameMap::add_layers(int64_t layers, const NameRule& rule) {
  for (int64_t layer = 0; layer < layers; ++layer) {
    NameRule one = rule;
    one.public_name = with_layer(rule.public_name, layer);
    one.our_name = with_layer(rule.our_name, layer);
    rules.push_back(std::move(one));
  }
}

void add_projections(NameMap& map, int64_t layers, const std::vector<std::string>& public_names, const std::string& our_name, int64_t width, bool bias) {
  for (size_t part = 0; part < public_names.size(); ++part) {
    const Part rows{.axis = 0, .begin = static_cast<int64_t>(part) * width, .size = width};
    const Part ours = public_names.size() == 1 ? Part{} : rows;
    map.add_layers(layers, {public_names[part] + ".weight", our_name + ".weight", false, {}, ours});
    if (bias) map.add_layers(layers, {public_names[part] + ".bias", our_name + ".bias", false, {}, ours});
  }
}

void add_linear(NameMap& map, int64_t layers, const std::string& public_name, const std::string& our_name, bool bias) {
  add_projections(map, layers, {public_name}, our_name, 0, bias);
}

std::map<std::string, Shape> our_shapes(const NameMap& map, const std::map<std::string, Shape>& shapes,
                                        const std::string& where) {
  std::map<std::string, std::vector<Part>> public_parts;
  std::map<std::string, std::vector<Part>> our_parts;
  std::map<std::string, Shape> out;
  for (const NameRule& rule : map.rules) {
    const auto found = shapes.find(rule.public_name);
    check<CheckpointError>(found != shapes.end(), "[exchange] {}: there is no tensor \"{}\", which becomes \"{}\"",
                           where, rule.public_name, rule.our_name);
    Shape piece = found->second;
    std::vector<Part>& parts = public_parts[rule.public_name];
    const Part& taken = rule.public_part;
    check<CheckpointError>(parts.empty() || (!taken.whole() && !parts.front().whole()),
                           "[exchange] {}: \"{}\" is taken as a whole and in parts", where, rule.public_name);
    parts.push_back(taken);
    if (!taken.whole()) {
      check<CheckpointError>(taken.axis < piece.rank(), "[exchange] {}: tensor \"{}\" of shape {} has no axis {}",
                             where, rule.public_name, piece, taken.axis);
      piece[taken.axis] = taken.size;
    }
    swap_last_two(piece, rule, where);
    if (rule.public_shape.rank() > 0) {
      check<CheckpointError>(piece == rule.public_shape, "[exchange] {}: tensor \"{}\" has the shape {}, expected {}",
                             where, rule.public_name, piece, rule.public_shape);
      piece = rule.our_shape;
    }

    std::vector<Part>& places = our_parts[rule.our_name];
    const Part& place = rule.our_part;
    check<CheckpointError>(places.empty() || (!place.whole() && !places.front().whole()),
                           "[exchange] {}: two tensors become \"{}\"", where, rule.our_name);
    places.push_back(place);
    if (place.whole()) {
      out[rule.our_name] = piece;
      continue;
    }
    check<CheckpointError>(place.axis < piece.rank() && piece[place.axis] == place.size,
                           "[exchange] {}: \"{}\" gives {}, which is not {} rows along axis {} of \"{}\"", where,
                           rule.public_name, piece, place.size, place.axis, rule.our_name);
    Shape& whole = out.try_emplace(rule.our_name, piece).first->second;
    whole[place.axis] = std::max(whole[place.axis], place.begin + place.size);
    piece[place.axis] = whole[place.axis];
    check<CheckpointError>(piece == whole,
                           "[exchange] {}: the tensors that become \"{}\" have shapes that do not fit: {} beside {}",
                           where, rule.our_name, piece, whole);
  }
  for (const auto& [name, shape] : shapes) {
    const auto parts = public_parts.find(name);
    check<CheckpointError>(parts != public_parts.end(),
                           "[exchange] {}: the tensor \"{}\" has no place in this family\n  hint: the folder holds "
                           "another kind of model, or one with parts that are not supported",
                           where, name);
    const Part& first = parts->second.front();
    if (!first.whole()) check_cover(parts->second, name, shape[first.axis], where);
  }
  for (const auto& [name, parts] : our_parts) {
    if (!parts.front().whole()) check_cover(parts, name, out.at(name)[parts.front().axis], where);
  }
  return out;
}

Tensor public_side(const NameRule& rule, const Tensor& tensor) {
  const Tensor piece = slice_of(rule.public_part, tensor);
  if (rule.public_shape.rank() > 0) return piece.reshape(rule.our_shape);
  if (!rule.transpose) return piece;
  Shape shape = piece.shape();
  Strides strides = piece.strides();
  const auto last = static_cast<size_t>(shape.rank() - 1);
  std::swap(shape[-1], shape[-2]);
  std::swap(strides[last], strides[last - 1]);
  return piece.as_strided(shape, strides, 0);
}

Tensor our_side(const NameRule& rule, const Tensor& tensor) { return slice_of(rule.our_part, tensor); }

}  // namespace longhaul::models::exchange
