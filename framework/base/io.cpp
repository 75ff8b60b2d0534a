#include "framework/base/io.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "framework/base/error.h"
#include "framework/base/interrupt.h"
#include "framework/base/io_calls.h"

namespace longhaul::io {

using calls::attempt;
using calls::raise;
using calls::record;

namespace {

int open_descriptor(const Path& path, int flags) {
  return attempt(Operation::kOpen, path, 0, [&](size_t) { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); });
}

struct stat examine(const Path& path, int descriptor) {
  struct stat found {};
  const int result = attempt(Operation::kStat, path, 0, [&](size_t) { return ::fstat(descriptor, &found); });
  if (result < 0) raise("examine", path, errno);
  return found;
}

Info info_from(const Path& path, int follow) {
  struct stat found {};
  const int result =
      attempt(Operation::kStat, path, 0, [&](size_t) { return ::fstatat(AT_FDCWD, path.c_str(), &found, follow); });
  if (result < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    raise("examine", path, errno);
  }
  Info out;
  out.kind = S_ISREG(found.st_mode)   ? Kind::kFile
             : S_ISDIR(found.st_mode) ? Kind::kFolder
             : S_ISLNK(found.st_mode) ? Kind::kLink
                                      : Kind::kOther;
  if (out.kind == Kind::kFile) out.size = static_cast<uint64_t>(found.st_size);
  out.modified_ns = int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec;
  return out;
}

}  // namespace

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

File::File(File&& other) noexcept { *this = std::move(other); }

File& File::operator=(File&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(offset_, other.offset_);
  std::swap(sync_failure_, other.sync_failure_);
  return *this;
}

File File::open_with(const Path& path, int flags) {
  const bool may_create = (flags & O_CREAT) != 0;
  const bool existed = faults::recording() && may_create && ::access(path.c_str(), F_OK) == 0;
  const int descriptor = open_descriptor(path, flags);
  const int code = descriptor < 0 ? errno : 0;
  record(Operation::kOpen, path, code,
         Event{.operation = Operation::kOpen, .created = may_create && !existed && code == 0});
  if (code != 0) raise(may_create ? "create" : "open", path, code);
  return File(path, descriptor, 0);
}

File File::open(const Path& path) {
  File file = open_with(path, O_RDONLY);
  if (S_ISDIR(file.mode())) raise("open", path, EISDIR);
  return file;
}

File File::open_regular(const Path& path) {
  // Without O_NONBLOCK opening a pipe waits for a writer.
  File file = open_with(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  const unsigned mode = file.mode();
  if (S_ISDIR(mode)) raise("open", path, EISDIR);
  if (!S_ISREG(mode)) raise("open", path, EINVAL);
  return file;
}

File File::create(const Path& path) { return open_with(path, O_WRONLY | O_CREAT | O_EXCL); }

File File::append(const Path& path) {
  File file = open_with(path, O_WRONLY | O_CREAT);
  file.offset_ = static_cast<int64_t>(file.size());
  return file;
}

File File::open_or_create(const Path& path) { return open_with(path, O_RDWR | O_CREAT); }

uint64_t File::size() const { return static_cast<uint64_t>(examine(path_, descriptor_).st_size); }
unsigned File::mode() const { return examine(path_, descriptor_).st_mode; }

size_t File::read_some(uint64_t offset, std::span<std::byte> into) const {
  poll_interrupt();
  size_t done = 0;
  while (done < into.size()) {
    const ssize_t got =
        attempt(Operation::kRead, path_, std::min(into.size() - done, calls::kMostBytes), [&](size_t bytes) {
          return ::pread(descriptor_, into.data() + done, bytes, static_cast<off_t>(offset + done));
        });
    if (got < 0) raise("read", path_, errno);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  record(
      Operation::kRead, path_, 0,
      Event{.operation = Operation::kRead, .offset = static_cast<int64_t>(offset), .size = static_cast<int64_t>(done)});
  return done;
}

void File::read(uint64_t offset, std::span<std::byte> into) const {
  const size_t got = read_some(offset, into);
  if (got == into.size()) return;
  throw IoError(fmt::format("[io] {} ends at byte {}; bytes {} to {} were expected\n"
                            "  hint: it was cut off or changed while it was read",
                            path_.string(), offset + got, offset, offset + into.size()),
                EIO);
}

void File::write(std::span<const std::byte> bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t put =
        attempt(Operation::kWrite, path_, std::min(bytes.size() - done, calls::kMostBytes),
                [&](size_t count) { return ::pwrite(descriptor_, bytes.data() + done, count, offset_); });
    // A write that transfers nothing and reports nothing would otherwise loop for ever.
    const int code = put < 0 ? errno : put == 0 ? ENOSPC : 0;
    if (faults::recording()) {
      Event event{.operation = Operation::kWrite, .offset = offset_, .size = std::max<int64_t>(put, 0)};
      if (put > 0) event.data.assign(reinterpret_cast<const char*>(bytes.data()) + done, static_cast<size_t>(put));
      record(Operation::kWrite, path_, code, std::move(event));
    }
    if (code != 0) raise("write", path_, code, bytes.size() - done);
    done += static_cast<size_t>(put);
    offset_ += put;
  }
}

void File::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

void File::sync() {
  if (sync_failure_ == 0) {
    const int result = attempt(Operation::kSync, path_, 0, [&](size_t) { return ::fsync(descriptor_); });
    sync_failure_ = result < 0 ? errno : 0;
    record(Operation::kSync, path_, sync_failure_);
  }
  if (sync_failure_ != 0) raise("sync", path_, sync_failure_);
}

void File::truncate(uint64_t size) {
  const int result = attempt(Operation::kTruncate, path_, 0,
                             [&](size_t) { return ::ftruncate(descriptor_, static_cast<off_t>(size)); });
  const int code = result < 0 ? errno : 0;
  record(Operation::kTruncate, path_, code,
         Event{.operation = Operation::kTruncate, .size = static_cast<int64_t>(size)});
  if (code != 0) raise("truncate", path_, code);
  offset_ = static_cast<int64_t>(size);
}

bool File::try_lock() {
  const int result =
      attempt(Operation::kLock, path_, 0, [&](size_t) { return ::flock(descriptor_, LOCK_EX | LOCK_NB); });
  if (result == 0) return true;
  if (errno == EWOULDBLOCK) return false;
  raise("lock", path_, errno);
}

void File::close() {
  if (descriptor_ < 0) return;
  const int descriptor = std::exchange(descriptor_, -1);
  const faults::Verdict verdict = faults::enter(Operation::kClose, path_.native(), 0);
  // Linux frees the descriptor whatever close returns, so there is one call and no second try.
  int code = ::close(descriptor) < 0 ? errno : 0;
  if (verdict.error != 0) code = verdict.error;
  if (code == EINTR) code = 0;
  record(Operation::kClose, path_, code);
  if (code != 0) raise("close", path_, code);
}

Info info(const Path& path) { return info_from(path, AT_SYMLINK_NOFOLLOW); }
Info info_followed(const Path& path) { return info_from(path, 0); }
bool exists(const Path& path) { return info(path).exists(); }

uint64_t free_bytes(const Path& path) {
  struct statvfs fs {};
  const int result = attempt(Operation::kStat, path, 0, [&](size_t) { return ::statvfs(path.c_str(), &fs); });
  if (result < 0) raise("examine the file system of", path, errno);
  return static_cast<uint64_t>(fs.f_bavail) * fs.f_frsize;
}

std::string read_file(const Path& path, uint64_t limit) {
  const File file = File::open(path);
  std::string content(std::min<uint64_t>(file.size(), limit), '\0');
  size_t filled = file.read_some(0, std::as_writable_bytes(std::span(content)));
  content.resize(filled);
  // Pipes and files of /proc report no length: read on until the end.
  for (std::string piece(1 << 16, '\0');;) {
    const size_t got = file.read_some(filled, std::as_writable_bytes(std::span(piece)));
    if (got == 0) return content;
    if (filled + got > limit) raise("read", path, EFBIG);
    content.append(piece, 0, got);
    filled += got;
  }
}

void write_new_file(const Path& path, std::string_view content) {
  File file = File::create(path);
  file.write(content);
  file.sync();
  file.close();
}

void replace_file(const Path& path, std::string_view content) {
  const Path temporary = path.string() + ".tmp";
  io::remove_all(temporary);
  write_new_file(temporary, content);
  io::rename(temporary, path);
  sync_folder(parent_of(path));
}

}  // namespace longhaul::io
