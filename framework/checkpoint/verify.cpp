#include <cerrno>
#include <cstring>
#include <span>

#include "framework/base/error.h"
#include "framework/base/sha256.h"
#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/safetensors.h"

namespace longhaul::checkpoint {
namespace {

constexpr uint64_t kPieceBytes = uint64_t{1} << 20;

// Errors that speak of the folder itself; the others (no permission, no memory, too many open files) of this process.
bool means_damage(const IoError& error) {
  switch (error.code()) {
    case EIO:
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case EINVAL:
    case ENXIO:
    case EFBIG:
    case ESTALE:
      return true;
    default:
      return false;
  }
}

std::string hash_of_range(const io::File& file, uint64_t begin, uint64_t end) {
  Sha256 hash;
  std::vector<std::byte> piece(static_cast<size_t>(std::min(kPieceBytes, end - begin)));
  for (uint64_t at = begin; at < end; at += piece.size()) {
    const auto part = std::span(piece).first(static_cast<size_t>(std::min<uint64_t>(piece.size(), end - at)));
    file.read(at, part);
    hash.update(part);
  }
  return hash.finish_hex();
}

// Says when a file belongs to another step or run, from its own metadata; empty when it does not tell.
std::string origin_of(const io::Path& path, const Manifest& manifest) {
  try {
    const SafetensorsReader reader(path);
    const auto& metadata = reader.header().metadata;
    const auto step = metadata.find("step");
    const auto config = metadata.find("config");
    if (step == metadata.end() || config == metadata.end()) return "";
    if (step->second != std::to_string(manifest.step))
      return fmt::format(": it is of step {}, this is step {}", step->second, manifest.step);
    if (config->second != manifest.config_hash) return ": it is of a run with another configuration";
  } catch (const Error&) {
    // A file that cannot be read tells nothing.
  }
  return "";
}

class Verifier {
 public:
  Verifier(const io::Path& folder, const Manifest& manifest) : folder_(folder), manifest_(manifest) {}

  std::vector<Damage> run() {
    for (const ManifestFile& file : manifest_.files) {
      try {
        examine(file);
      } catch (const IoError& error) {
        if (!means_damage(error)) throw;
        add(file.name, "", error.what());
      }
    }
    return std::move(damage_);
  }

 private:
  void add(const std::string& file, const std::string& tensor, std::string message) {
    damage_.push_back({file, tensor, std::move(message)});
  }

  void examine(const ManifestFile& expected) {
    const io::Path path = folder_ / expected.name;
    const std::string where = path.string();
    const io::Info info = io::info(path);
    switch (info.kind) {
      case io::Kind::kMissing:
        return add(expected.name, "", fmt::format("[checkpoint] {}: the file is missing", where));
      case io::Kind::kFolder:
        return add(expected.name, "", fmt::format("[checkpoint] {}: a folder stands in place of the file", where));
      case io::Kind::kLink:
        return add(expected.name, "", fmt::format("[checkpoint] {}: a link stands in place of the file", where));
      case io::Kind::kOther:
        return add(expected.name, "",
                   fmt::format("[checkpoint] {}: a device, pipe or socket stands in place of the file", where));
      case io::Kind::kFile:
        break;
    }
    const bool tensors = !expected.header_sha256.empty();
    if (info.size != expected.size) {
      return add(expected.name, "",
                 fmt::format("[checkpoint] {}: the file has {} bytes, the manifest says {}{}", where, info.size,
                             expected.size, tensors ? origin_of(path, manifest_) : ""));
    }
    const io::File file = io::File::open_regular(path);
    if (!tensors) {
      if (hash_of_range(file, 0, expected.size) != expected.sha256)
        add(expected.name, "", fmt::format("[checkpoint] {}: the file does not match its hash", where));
      return;
    }
    const uint64_t data = expected.tensors.empty() ? expected.size : expected.tensors.front().begin;
    if (hash_of_range(file, 0, data) != expected.header_sha256) {
      add(expected.name, "",
          fmt::format("[checkpoint] {}: the header does not match its hash{}", where, origin_of(path, manifest_)));
    }
    for (const ManifestTensor& tensor : expected.tensors) {
      if (hash_of_range(file, tensor.begin, tensor.end) == tensor.sha256) continue;
      add(expected.name, tensor.name,
          fmt::format("[checkpoint] {}: tensor \"{}\" does not match its hash (bytes {}..{})", where, tensor.name,
                      tensor.begin, tensor.end - 1));
    }
  }

  const io::Path& folder_;
  const Manifest& manifest_;
  std::vector<Damage> damage_;
};

}  // namespace

Manifest read_manifest(const io::Path& folder) {
  const io::Path path = folder / kManifestName;
  check<CheckpointError>(io::exists(path), "[manifest] {}: the file is missing", path.string());
  const io::File file = io::File::open_regular(path);
  const uint64_t size = file.size();
  check<CheckpointError>(size <= kMostHeaderBytes * 4, "[manifest] {}: {} bytes are beyond the limit of {}",
                         path.string(), size, kMostHeaderBytes * 4);
  std::string text(size, '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return Manifest::parse(text, path.string());
}

std::vector<Damage> verify(const io::Path& folder) {
  Manifest manifest;
  try {
    manifest = read_manifest(folder);
  } catch (const CheckpointError& error) {
    return {{kManifestName, "", error.what()}};
  } catch (const IoError& error) {
    if (!means_damage(error)) throw;
    return {{kManifestName, "", error.what()}};
  }
  std::vector<Damage> damage = Verifier(folder, manifest).run();
  const io::Path name = folder.has_filename() ? folder.filename() : folder.parent_path().filename();
  if (const auto step = step_of(name.string()); step && *step != manifest.step) {
    damage.insert(damage.begin(), {kManifestName, "",
                                   fmt::format("[manifest] {}: it is of step {}, the folder is of step {}",
                                               (folder / kManifestName).string(), manifest.step, *step)});
  }
  return damage;
}

}  // namespace longhaul::checkpoint
