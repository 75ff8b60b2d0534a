// defines: SafetensorsEntry, SafetensorsHeader, SafetensorsReader, write_safetensors
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/io.h"
#include "framework/checkpoint/manifest.h"
#include "framework/checkpoint/registry.h"
#include "framework/tensor/tensor.h"

/// The safetensors format (github.com/huggingface/safetensors, README "Format"): 8 bytes of header length, little
/// endian, a JSON header, the tensors row-major without hole or overlap. The reader is as strict as the reference and
/// bounded: every number is checked before it is used, memory is a small multiple of the header, nesting needs no
/// stack.
namespace longhaul::checkpoint {

/// The reference's limit on the header, in bytes.
inline constexpr uint64_t kMostHeaderBytes = 100'000'000;

struct SafetensorsEntry {
  std::string name;
  std::string dtype;           // "F32", "BF16", "I64", ... every dtype of the format
  std::vector<int64_t> shape;  // slowest axis first; empty: a scalar
  uint64_t begin = 0;          // bytes from the end of the header
  uint64_t end = 0;
};

struct SafetensorsHeader {
  uint64_t data_offset = 0;                     // where the tensors begin in the file
  std::vector<SafetensorsEntry> entries;        // by position in the file
  std::map<std::string, std::string> metadata;  // "__metadata__"
};

/// Reads header text (without its length). `data_bytes` is what follows it in the file; `where` begins the messages.
/// throws CheckpointError, a message of its own for each kind of fault
SafetensorsHeader parse_safetensors_header(std::string_view json, uint64_t data_bytes, const std::string& where);

/// The dtype of a tag such as "F32"; nothing for those that Longhaul keeps but does not compute with ("BOOL", "I16",
/// ...).
std::optional<DType> dtype_of_tag(std::string_view tag);
std::string_view tag_of(DType dtype);

/// An open safetensors file.
class SafetensorsReader {
 public:
  /// Reads and checks the header. throws CheckpointError for a malformed file, IoError when it cannot be read
  explicit SafetensorsReader(const io::Path& path);

  const io::Path& path() const { return file_.path(); }
  const SafetensorsHeader& header() const { return header_; }
  /// SHA-256 (hex) of everything before the first tensor.
  const std::string& header_sha256() const { return header_sha256_; }
  const SafetensorsEntry* find(std::string_view name) const;
  /// throws CheckpointError naming file and tensor when there is none
  const SafetensorsEntry& entry(std::string_view name) const;

  /// Reads a tensor into place, through a small buffer only where `into` is strided or of another dtype (floating-point
  /// dtypes convert into each other). Shapes must be equal. Returns the SHA-256 of the stored bytes when `hashed`.
  std::string read(const SafetensorsEntry& entry, const Tensor& into, bool hashed) const;
  /// A new host tensor. throws CheckpointError for a dtype or rank that Longhaul has no tensor for
  Tensor read(const SafetensorsEntry& entry) const;
  /// The stored bytes as they are, for any dtype.
  std::string read_bytes(const SafetensorsEntry& entry) const;

 private:
  io::File file_;
  SafetensorsHeader header_;
  std::string header_sha256_;
  std::map<std::string, size_t, std::less<>> index_;
};

/// A tensor to be written: either of a Tensor or of bytes with the dtype and shape of `raw`.
struct SafetensorsItem {
  std::string name;
  Tensor tensor;
  SafetensorsEntry raw;   // used when `tensor` is undefined
  std::string raw_bytes;  // row-major
};

/// Writes a new file, fsyncs and closes it; streams the tensors, hashing on the way. Tensors are ordered by element
/// size (largest first) and name, as the reference does, and the header is padded with spaces to 8 bytes, so every
/// tensor is aligned to its elements. Strided views are written row-major. The result lists size and hashes.
ManifestFile write_safetensors(const io::Path& path, const std::vector<SafetensorsItem>& items,
                               const std::map<std::string, std::string>& metadata);
ManifestFile write_safetensors(const io::Path& path, const std::vector<NamedTensor>& tensors,
                               const std::map<std::string, std::string>& metadata);

}  // namespace longhaul::checkpoint
