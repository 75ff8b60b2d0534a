#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "framework/base/error.h"
#include "framework/base/io.h"
#include "framework/base/io_calls.h"

namespace longhaul::io {

using calls::attempt;
using calls::carry_out;
using calls::raise;
using calls::record;

std::vector<std::string> list(const Path& folder) {
  std::vector<std::string> names;
  const int result = attempt(Operation::kList, folder, 0, [&](size_t) {
    names.clear();
    std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(folder.c_str()), ::closedir);
    if (!stream) return -1;
    // Taking memory for a name may set errno; only what readdir itself says counts.
    for (errno = 0; const dirent* entry = ::readdir(stream.get()); errno = 0) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    const int code = errno;
    stream.reset();
    errno = code;
    return code == 0 ? 0 : -1;
  });
  if (result < 0) raise("list", folder, errno);
  std::sort(names.begin(), names.end());
  return names;
}

void make_folder(const Path& folder) {
  carry_out(Operation::kMakeFolder, "create folder", folder, [&] { return ::mkdir(folder.c_str(), 0777); });
}

void make_folders(const Path& folder) {
  if (info_followed(folder).kind == Kind::kFolder) return;
  const Path parent = parent_of(folder);
  if (parent != folder) make_folders(parent);
  try {
    make_folder(folder);
  } catch (const IoError& error) {
    // Another process may have made it since it was looked for.
    if (error.code() != EEXIST || info_followed(folder).kind != Kind::kFolder) throw;
  }
  sync_folder(parent);
}

void rename(const Path& from, const Path& to) {
  carry_out(
      Operation::kRename, "rename", from, [&] { return ::rename(from.c_str(), to.c_str()); }, to);
}

void unlink(const Path& file) {
  carry_out(Operation::kUnlink, "remove", file, [&] { return ::unlink(file.c_str()); });
}

void remove_folder(const Path& folder) {
  carry_out(Operation::kRemoveFolder, "remove folder", folder, [&] { return ::rmdir(folder.c_str()); });
}

void remove_all(const Path& path) {
  const Kind kind = info(path).kind;
  if (kind == Kind::kMissing) return;
  if (kind != Kind::kFolder) return unlink(path);
  for (const std::string& name : list(path)) io::remove_all(path / name);
  remove_folder(path);
}

void sync_folder(const Path& folder) {
  const int descriptor = attempt(Operation::kOpen, folder, 0,
                                 [&](size_t) { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (descriptor < 0) raise("open folder", folder, errno);
  const int result = attempt(Operation::kSyncFolder, folder, 0, [&](size_t) { return ::fsync(descriptor); });
  const int code = result < 0 ? errno : 0;
  ::close(descriptor);
  record(Operation::kSyncFolder, folder, code);
  if (code != 0) raise("sync folder", folder, code);
}

Path parent_of(const Path& path) {
  const Path trimmed = path.has_filename() ? path : path.parent_path();
  const Path parent = trimmed.parent_path();
  return parent.empty() ? Path(".") : parent;
}

}  // namespace longhaul::io
