#include "data/corpus/byte_stream.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <vector>

#include "framework/base/error.h"
#include "framework/base/io.h"

namespace longhaul::data {
namespace {

constexpr size_t kBlock = 1 << 18;   // bytes read from disk at once
constexpr uint64_t kEnds = 1 << 16;  // bytes of each end that a mark covers

std::string hash_ends(const io::File& file, uint64_t size) {
  Sha256 hash;
  std::vector<std::byte> block(std::min(size, kEnds));
  file.read(0, block);
  hash.update(block);
  file.read(size - block.size(), block);
  hash.update(block);
  return hash.finish_hex();
}

/// The file as it lies on disk.
class RawBytes final : public ByteStream {
 public:
  RawBytes(const std::string& path, FileMark* mark) : path_(path), mark_(mark) {
    data_errors([&] {
      file_ = io::File::open(path);
      before_ = io::info_followed(path);
      if (mark_) *mark_ = mark_file(path);
    });
  }

  size_t read(char* into, size_t size) override {
    size_t got = 0;
    data_errors([&] { got = file_.read_some(offset_, {reinterpret_cast<std::byte*>(into), size}); });
    offset_ += got;
    if (mark_) hash_.update(std::string_view(into, got));
    if (got == 0) finish();
    return got;
  }

 private:
  void finish() {
    io::Info now;
    data_errors([&] { now = io::info_followed(path_); });
    check<DataError>(offset_ == before_.size && now.size == before_.size && now.modified_ns == before_.modified_ns,
                     "[data] {} changed while it was read: {} bytes at first, {} read, {} now", path_, before_.size,
                     offset_, now.size);
    if (mark_) mark_->content = hash_.finish_hex();
  }

  std::string path_;
  FileMark* mark_;
  io::File file_;
  io::Info before_;
  uint64_t offset_ = 0;
  Sha256 hash_;
};

/// Input of a decompressor: a block of the packed file.
class PackedBytes : public ByteStream {
 public:
  explicit PackedBytes(const std::string& path, FileMark* mark) : path_(path), raw_(path, mark), block_(kBlock) {}

 protected:
  /// Next block, empty at the end of the file.
  std::string_view refill() {
    const size_t got = raw_.read(block_.data(), block_.size());
    return {block_.data(), got};
  }
  std::string path_;

 private:
  RawBytes raw_;
  std::vector<char> block_;
};

class GzipBytes final : public PackedBytes {
 public:
  GzipBytes(const std::string& path, FileMark* mark) : PackedBytes(path, mark) {
    check<FailureError>(inflateInit2(&z_, 15 + 16) == Z_OK, "[data] no memory to unpack {}", path);  // 16: gzip only
  }
  ~GzipBytes() override { inflateEnd(&z_); }

  size_t read(char* into, size_t size) override {
    z_.next_out = reinterpret_cast<Bytef*>(into);
    z_.avail_out = static_cast<uInt>(std::min<size_t>(size, 1u << 30));
    const uInt wanted = z_.avail_out;
    while (z_.avail_out == wanted && !done_) {
      if (z_.avail_in == 0) {
        const std::string_view block = refill();
        z_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(block.data()));
        z_.avail_in = static_cast<uInt>(block.size());
        if (block.empty()) {
          check<DataError>(between_ && members_ > 0,
                           "[data] {} ends inside gzip member {}: the file is cut off\n  hint: fetch it again", path_,
                           members_ + 1);
          done_ = true;
          break;
        }
      }
      step();
    }
    return wanted - z_.avail_out;
  }

 private:
  void step() {
    if (between_ && members_ > 0) {  // zero bytes may fill a block after the last member
      while (z_.avail_in > 0 && *z_.next_in == 0) {
        ++z_.next_in;
        --z_.avail_in;
      }
      if (z_.avail_in == 0) return;
    }
    between_ = false;
    const int status = inflate(&z_, Z_NO_FLUSH);
    if (status == Z_STREAM_END) {
      ++members_;
      between_ = true;
      inflateReset(&z_);
      return;
    }
    check<DataError>(status == Z_OK || status == Z_BUF_ERROR,
                     "[data] {} is damaged in gzip member {}: {}\n  hint: fetch it again", path_, members_ + 1,
                     z_.msg ? z_.msg : "no valid gzip data");
  }

  z_stream z_{};
  int64_t members_ = 0;
  bool between_ = true;  // no member has begun
  bool done_ = false;
};

class ZstdBytes final : public PackedBytes {
 public:
  ZstdBytes(const std::string& path, FileMark* mark)
      : PackedBytes(path, mark), stream_(ZSTD_createDStream(), ZSTD_freeDStream) {
    check<FailureError>(stream_ != nullptr, "[data] no memory to unpack {}", path);
  }

  size_t read(char* into, size_t size) override {
    ZSTD_outBuffer out{into, size, 0};
    while (out.pos == 0) {
      if (in_.pos == in_.size && !flushing_) {
        const std::string_view block = refill();
        in_ = {block.data(), block.size(), 0};
        if (block.empty()) {
          check<DataError>(frame_left_ == 0 && any_,
                           "[data] {} ends inside a zstd frame: the file is cut off\n  hint: fetch it again", path_);
          return 0;
        }
        any_ = true;
      }
      frame_left_ = ZSTD_decompressStream(stream_.get(), &out, &in_);
      check<DataError>(!ZSTD_isError(frame_left_), "[data] {} is damaged: {}\n  hint: fetch it again", path_,
                       ZSTD_getErrorName(frame_left_));
      flushing_ = out.pos == out.size && frame_left_ != 0;
    }
    return out.pos;
  }

 private:
  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  size_t frame_left_ = 0;  // 0: between frames
  bool any_ = false;
  bool flushing_ = false;  // the decompressor may hold more output than fitted
};

}  // namespace

void data_errors(const std::function<void()>& body) {
  try {
    body();
  } catch (const IoError& error) {
    std::string message = error.what();
    if (message.starts_with("[io]")) message.replace(0, 4, "[data]");
    throw DataError(message);
  }
}

std::string unpacked_name(const std::string& path) {
  for (const std::string_view suffix : {".gz", ".zst"}) {
    if (path.ends_with(suffix)) return path.substr(0, path.size() - suffix.size());
  }
  return path;
}

FileMark mark_file(const std::string& path) {
  FileMark mark;
  data_errors([&] {
    const io::File file = io::File::open(path);
    const io::Info info = io::info_followed(path);
    mark = {path, static_cast<int64_t>(info.size), info.modified_ns, hash_ends(file, info.size), ""};
  });
  return mark;
}

std::unique_ptr<ByteStream> open_bytes(const std::string& path, FileMark* mark) {
  if (path.ends_with(".gz")) return std::make_unique<GzipBytes>(path, mark);
  if (path.ends_with(".zst")) return std::make_unique<ZstdBytes>(path, mark);
  return std::make_unique<RawBytes>(path, mark);
}

}  // namespace longhaul::data
