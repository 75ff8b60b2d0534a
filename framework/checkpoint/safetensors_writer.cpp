#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "framework/base/sha256.h"
#include "framework/checkpoint/elements.h"
#include "framework/checkpoint/safetensors.h"

namespace longhaul::checkpoint {
namespace {

// The layout of one tensor in the file.
struct Placed {
  const SafetensorsItem* item;
  SafetensorsEntry entry;
  uint64_t element_bytes;  // for the order only
};

Placed described(const SafetensorsItem& item) {
  Placed placed{.item = &item, .entry = item.raw, .element_bytes = 1};
  placed.entry.name = item.name;
  placed.entry.end = item.raw_bytes.size();
  if (item.tensor.defined()) {
    if (!item.tensor.device().is_host()) {
      throw InternalError(
          fmt::format("tensor \"{}\" to be written is on {}", item.name, name_of(item.tensor.device())));
    }
    const auto sizes = item.tensor.shape().sizes();
    placed.entry.dtype = tag_of(item.tensor.dtype());
    placed.entry.shape.assign(sizes.begin(), sizes.end());
    placed.entry.end = static_cast<uint64_t>(item.tensor.bytes());
  }
  if (const auto dtype = dtype_of_tag(placed.entry.dtype))
    placed.element_bytes = size_of(*dtype);
  else if (placed.entry.dtype.ends_with("64"))
    placed.element_bytes = 8;
  else if (placed.entry.dtype.ends_with("32"))
    placed.element_bytes = 4;
  else if (placed.entry.dtype.ends_with("16"))
    placed.element_bytes = 2;
  return placed;
}

}  // namespace

ManifestFile write_safetensors(const io::Path& path, const std::vector<SafetensorsItem>& items,
                               const std::map<std::string, std::string>& metadata) {
  std::vector<Placed> placed;
  placed.reserve(items.size());
  for (const SafetensorsItem& item : items) placed.push_back(described(item));
  std::sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
    return std::tie(b.element_bytes, a.entry.name) < std::tie(a.element_bytes, b.entry.name);
  });

  json::Object header;
  if (!metadata.empty()) {
    json::Object members;
    for (const auto& [key, value] : metadata) members.emplace_back(key, value);
    header.emplace_back("__metadata__", std::move(members));
  }
  std::set<std::string_view> names = {"__metadata__"};
  uint64_t at = 0;
  for (Placed& tensor : placed) {
    SafetensorsEntry& entry = tensor.entry;
    check<CheckpointError>(names.insert(entry.name).second, "[safetensors] {}: two tensors are named \"{}\"",
                           path.string(), entry.name);
    const uint64_t bytes = entry.end;
    entry.begin = at;
    entry.end = at += bytes;
    json::List offsets;
    offsets.emplace_back(entry.begin);
    offsets.emplace_back(entry.end);
    json::Object described;
    described.emplace_back("dtype", entry.dtype);
    described.emplace_back("shape", json::List(entry.shape.begin(), entry.shape.end()));
    described.emplace_back("data_offsets", std::move(offsets));
    header.emplace_back(entry.name, std::move(described));
  }
  std::string text = json::Value(std::move(header)).dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  check<CheckpointError>(text.size() <= kMostHeaderBytes,
                         "[safetensors] {}: a header of {} bytes is beyond the limit of {}", path.string(), text.size(),
                         kMostHeaderBytes);

  const uint64_t length = text.size();
  std::string head(reinterpret_cast<const char*>(&length), sizeof length);
  head += text;
  ManifestFile out{.name = path.filename().string(),
                   .size = head.size() + at,
                   .sha256 = {},
                   .header_sha256 = sha256_hex(head),
                   .tensors = {}};
  io::File file = io::File::create(path);
  Sha256 whole;
  file.write(head);
  whole.update(head);
  for (const Placed& tensor : placed) {
    Sha256 own;
    const auto put = [&](std::span<const std::byte> piece) {
      file.write(piece);
      whole.update(piece);
      own.update(piece);
    };
    if (tensor.item->tensor.defined())
      visit_bytes(tensor.item->tensor.view(), put);
    else
      put(std::as_bytes(std::span(tensor.item->raw_bytes)));
    const SafetensorsEntry& entry = tensor.entry;
    out.tensors.push_back(
        {entry.name, entry.dtype, entry.shape, head.size() + entry.begin, head.size() + entry.end, own.finish_hex()});
  }
  out.sha256 = whole.finish_hex();
  file.sync();
  file.close();
  return out;
}

ManifestFile write_safetensors(const io::Path& path, const std::vector<NamedTensor>& tensors,
                               const std::map<std::string, std::string>& metadata) {
  std::vector<SafetensorsItem> items;
  items.reserve(tensors.size());
  for (const NamedTensor& tensor : tensors)
    items.push_back({.name = tensor.name, .tensor = tensor.tensor, .raw = {}, .raw_bytes = {}});
  return write_safetensors(path, items, metadata);
}

}  // namespace longhaul::checkpoint
