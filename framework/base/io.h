// defines: io::File, io::Info, whole-file reads and durable writes, folders
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// All file access of Longhaul goes through this layer. EINTR and short transfers are loops inside it; every failure is
/// an IoError that says operation, path, reason and errno, and for a full disk the needed and the free bytes:
///
///   [io] cannot write runs/a/model.safetensors: No space left on device (ENOSPC)
///     needed 65536 bytes, free 1024 bytes
///     hint: free space on the file system of runs/a
///
/// Every system call passes the fault hook of io_faults.h first.
namespace longhaul::io {

using Path = std::filesystem::path;

enum class Kind { kMissing, kFile, kFolder, kLink, kOther };

struct Info {
  Kind kind = Kind::kMissing;
  uint64_t size = 0;        // bytes; files only
  int64_t modified_ns = 0;  // since the epoch
  bool exists() const { return kind != Kind::kMissing; }
};

/// An open file. Movable; a destructor closes in silence, so writers call close() to learn of errors.
class File {
 public:
  File() = default;
  ~File();
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  /// Opens for reading; links are followed. Folders are refused.
  static File open(const Path& path);
  /// Opens for reading what must be a regular file itself: links, folders, devices, sockets and pipes are refused, and
  /// opening never blocks. throws IoError (ELOOP for a link, EINVAL for the others)
  static File open_regular(const Path& path);
  /// Creates a new file for writing; one that exists is an error (EEXIST).
  static File create(const Path& path);
  /// Opens for writing at the end, creating the file if needed.
  static File append(const Path& path);
  /// Opens for reading and writing, creating the file if needed, without changing its content.
  static File open_or_create(const Path& path);

  bool is_open() const { return descriptor_ >= 0; }
  const Path& path() const { return path_; }
  /// Length in bytes, now.
  uint64_t size() const;

  /// Reads from `offset`; returns fewer bytes than asked only at the end of the file. throws Interrupted while an
  /// Interruptible lives and a stop is asked for
  size_t read_some(uint64_t offset, std::span<std::byte> into) const;
  /// Reads exactly into.size() bytes from `offset`; a file that ends earlier is an IoError with both positions.
  void read(uint64_t offset, std::span<std::byte> into) const;
  /// Writes all bytes at the current end of what was written.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// fsync. After a failure the content on disk is unknown, so every later call fails as well without calling the
  /// system again: such a file is to be dropped and written anew under another name.
  void sync();
  void truncate(uint64_t size);
  /// Takes an exclusive lock that ends with the process; false when another open file holds it.
  bool try_lock();
  /// Closes and reports an error of closing. Closing a closed file does nothing.
  void close();

 private:
  File(Path path, int descriptor, int64_t offset) : path_(std::move(path)), descriptor_(descriptor), offset_(offset) {}
  static File open_with(const Path& path, int flags);
  unsigned mode() const;

  Path path_;
  int descriptor_ = -1;
  int64_t offset_ = 0;    // where the next write lands
  int sync_failure_ = 0;  // errno of the first failed fsync
};

/// What is at `path` itself (links are not followed); a missing path is Kind::kMissing, not an error.
Info info(const Path& path);
/// What is at `path` or where its links lead.
Info info_followed(const Path& path);
bool exists(const Path& path);
/// Bytes an unprivileged process can still write on the file system that holds `path`.
uint64_t free_bytes(const Path& path);

/// Whole content; `limit` bounds the memory (IoError with EFBIG beyond it).
std::string read_file(const Path& path, uint64_t limit = uint64_t{1} << 32);
/// Creates `path` with this content and fsyncs it. The entry itself is durable after sync_folder(parent).
void write_new_file(const Path& path, std::string_view content);
/// Puts `content` at `path` atomically and durably: a reader, also one after a power loss, sees the old or the new
/// content. Writes `path` + ".tmp", fsyncs it, renames it, fsyncs the folder.
void replace_file(const Path& path, std::string_view content);

/// Names in a folder, sorted, without "." and "..".
std::vector<std::string> list(const Path& folder);
/// Creates one folder; one that exists is an error.
void make_folder(const Path& folder);
/// Creates the folder and those above it where they are missing, and fsyncs the parents of new ones.
void make_folders(const Path& folder);
void rename(const Path& from, const Path& to);
void unlink(const Path& file);
void remove_folder(const Path& folder);
/// Removes a file, link or whole folder; links are not followed. A missing path is fine.
void remove_all(const Path& path);
/// fsync of a folder: makes its entries (new names, renames, removals) durable.
void sync_folder(const Path& folder);
/// The folder that holds `path`: "." for a bare name.
Path parent_of(const Path& path);

}  // namespace longhaul::io
