// defines: ByteStream, open_bytes, unpacked_name, data_errors
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "data/dataset.h"

namespace longhaul::data {

/// The unpacked bytes of a file, front to back, in constant memory whatever its size.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  /// Up to `size` bytes; 0 only at the sound end. throws DataError naming the file: cut off, damaged, changed meanwhile
  virtual size_t read(char* into, size_t size) = 0;
};

/// Opens a file: gzip (any number of members) for .gz, zstd (any number of frames) for .zst, else as it is.
/// With `mark` the file on disk is hashed while it is read; the mark is complete once read() has returned 0.
std::unique_ptr<ByteStream> open_bytes(const std::string& path, FileMark* mark = nullptr);

/// The name without .gz or .zst, whose suffix tells the format.
std::string unpacked_name(const std::string& path);

/// Size, time and hash of both ends. throws DataError
FileMark mark_file(const std::string& path);

/// Runs `body`; an IoError inside becomes a DataError, because what failed is a user's input.
void data_errors(const std::function<void()>& body);

}  // namespace longhaul::data
