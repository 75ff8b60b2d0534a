#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "framework/base/error.h"
#include "framework/base/sha256.h"
#include "framework/checkpoint/elements.h"
#include "framework/checkpoint/safetensors.h"

namespace longhaul::checkpoint {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little endian");

constexpr int64_t kPieceBytes = int64_t{1} << 20;

struct Known {
  std::string_view tag;
  DType dtype;
};
constexpr std::array<Known, 7> kKnown = {{{"F32", DType::kF32},
                                          {"BF16", DType::kBF16},
                                          {"F16", DType::kF16},
                                          {"F64", DType::kF64},
                                          {"I32", DType::kI32},
                                          {"I64", DType::kI64},
                                          {"U8", DType::kU8}}};

std::string shape_text(const std::vector<int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::span<std::byte> bytes_at(void* data, int64_t size) {
  return {static_cast<std::byte*>(data), static_cast<size_t>(size)};
}

}  // namespace

std::optional<DType> dtype_of_tag(std::string_view tag) {
  for (const Known& known : kKnown) {
    if (known.tag == tag) return known.dtype;
  }
  return std::nullopt;
}

std::string_view tag_of(DType dtype) {
  for (const Known& known : kKnown) {
    if (known.dtype == dtype) return known.tag;
  }
  throw InternalError("a dtype without a safetensors tag");
}

SafetensorsReader::SafetensorsReader(const io::Path& path) : file_(io::File::open_regular(path)) {
  const std::string where = path.string();
  const uint64_t size = file_.size();
  check<CheckpointError>(size >= 8, "[safetensors] {}: the file has {} bytes, at least 8 are needed", where, size);
  uint64_t length = 0;
  file_.read(0, std::as_writable_bytes(std::span(&length, 1)));
  check<CheckpointError>(length > 0, "[safetensors] {}: the header length is 0", where);
  check<CheckpointError>(length <= kMostHeaderBytes,
                         "[safetensors] {}: the header length {} is beyond the limit of {} bytes", where, length,
                         kMostHeaderBytes);
  check<CheckpointError>(length <= size - 8,
                         "[safetensors] {}: the header length {} is beyond the end of the file of {} bytes", where,
                         length, size);
  std::string json(length, '\0');
  file_.read(8, std::as_writable_bytes(std::span(json)));
  header_ = parse_safetensors_header(json, size - 8 - length, where);
  header_.data_offset = 8 + length;
  Sha256 hash;
  hash.update(std::as_bytes(std::span(&length, 1)));
  hash.update(json);
  header_sha256_ = hash.finish_hex();
  for (size_t i = 0; i < header_.entries.size(); ++i) index_.emplace(header_.entries[i].name, i);
}

const SafetensorsEntry* SafetensorsReader::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &header_.entries[found->second];
}

const SafetensorsEntry& SafetensorsReader::entry(std::string_view name) const {
  const SafetensorsEntry* found = find(name);
  check<CheckpointError>(found != nullptr, "[safetensors] {}: there is no tensor \"{}\"", path().string(), name);
  return *found;
}

std::string SafetensorsReader::read(const SafetensorsEntry& entry, const Tensor& into, bool hashed) const {
  const std::string where = path().string();
  const std::optional<DType> stored = dtype_of_tag(entry.dtype);
  check<CheckpointError>(stored == into.dtype() || (stored && is_floating(*stored) && is_floating(into.dtype())),
                         "[safetensors] {}: tensor \"{}\" is {}, expected {}", where, entry.name, entry.dtype,
                         tag_of(into.dtype()));
  check<CheckpointError>(std::ranges::equal(entry.shape, into.shape().sizes()),
                         "[safetensors] {}: tensor \"{}\" has shape {}, expected {}", where, entry.name,
                         shape_text(entry.shape), into.shape());
  if (into.device().is_meta()) return {};
  if (!into.device().is_host())
    throw InternalError(fmt::format("tensor \"{}\" is read into memory of {}", entry.name, name_of(into.device())));
  Sha256 hash;
  uint64_t at = header_.data_offset + entry.begin;
  const int64_t bytes = static_cast<int64_t>(entry.end - entry.begin);
  if (stored == into.dtype() && into.contiguous()) {
    for (int64_t done = 0; done < bytes; done += kPieceBytes) {
      // Hashed in pieces that are still in the cache.
      const auto piece = bytes_at(static_cast<char*>(into.raw()) + done, std::min(kPieceBytes, bytes - done));
      file_.read(at + static_cast<uint64_t>(done), piece);
      if (hashed) hash.update(piece);
    }
    return hashed ? hash.finish_hex() : std::string();
  }
  const View view = into.view();
  const auto size = static_cast<int64_t>(size_of(*stored));
  const int64_t rows = kPieceBytes / 8;
  std::vector<std::byte> raw(static_cast<size_t>(rows * size));
  std::vector<std::byte> converted(static_cast<size_t>(rows) * size_of(view.dtype));
  for (int64_t done = 0; done < into.elements(); done += rows) {
    const int64_t count = std::min(rows, into.elements() - done);
    const auto piece = std::span(raw).first(static_cast<size_t>(count * size));
    file_.read(at + static_cast<uint64_t>(done * size), piece);
    if (hashed) hash.update(piece);
    convert_elements(*stored, piece.data(), view.dtype, converted.data(), count);
    scatter_elements(view, done, count, converted.data());
  }
  return hashed ? hash.finish_hex() : std::string();
}

Tensor SafetensorsReader::read(const SafetensorsEntry& entry) const {
  const std::optional<DType> dtype = dtype_of_tag(entry.dtype);
  check<CheckpointError>(dtype.has_value(),
                         "[safetensors] {}: tensor \"{}\" is {}, for which there are no tensors here", path().string(),
                         entry.name, entry.dtype);
  check<CheckpointError>(entry.shape.size() <= kMaxRank,
                         "[safetensors] {}: tensor \"{}\" has {} dimensions, at most {} are supported", path().string(),
                         entry.name, entry.shape.size(), kMaxRank);
  Tensor out = Tensor::empty(Shape(std::span<const int64_t>(entry.shape)), *dtype, Device::cpu());
  read(entry, out, false);
  return out;
}

std::string SafetensorsReader::read_bytes(const SafetensorsEntry& entry) const {
  std::string bytes(entry.end - entry.begin, '\0');
  file_.read(header_.data_offset + entry.begin, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

}  // namespace longhaul::checkpoint
