#include "data/corpus/documents.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "data/corpus/byte_stream.h"
#include "data/corpus/formats.h"
#include "data/text/utf8.h"
#include "framework/base/error.h"

namespace longhaul::data {
namespace {

constexpr size_t kBlock = 1 << 18;
constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();

int64_t unpacked_size(const std::string& path) {
  const auto stream = open_bytes(path);
  std::vector<char> block(kBlock);
  int64_t total = 0;
  while (const size_t got = stream->read(block.data(), block.size())) total += static_cast<int64_t>(got);
  return total;
}

int64_t cut_at(int64_t size, double percent) {
  return percent >= 100 ? kEnd : static_cast<int64_t>(std::floor(static_cast<double>(size) * percent / 100));
}

/// One end of a part: moved on to the start of a character unless `exact`.
class Cut {
 public:
  Cut(int64_t at, bool exact) : at_(at), slack_(exact ? 0 : 3) {
    if (at == 0 || at == kEnd) moved_ = at;
  }
  /// How many bytes of a block that begins at `offset` lie before the cut; blocks come in order.
  int64_t before(std::string_view block, int64_t offset) {
    const auto size = static_cast<int64_t>(block.size());
    if (moved_ < 0) {
      if (offset + size <= at_) return size;
      int64_t at = std::max(at_, offset);
      while (at < offset + size && at < at_ + slack_ && (static_cast<uint8_t>(block[at - offset]) & 0xC0u) == 0x80u)
        ++at;
      if (at == offset + size && at < at_ + slack_) return size;  // the next block decides
      moved_ = at;
    }
    return std::clamp<int64_t>(moved_ - offset, 0, size);
  }

 private:
  int64_t at_, slack_;
  int64_t moved_ = -1;
};

}  // namespace

FileReading read_file(const DataEntry& entry, const std::string& path, InvalidUtf8 policy, bool rows,
                      const std::function<std::unique_ptr<FormatReader>(int64_t from, int64_t to)>& make) {
  FileReading reading;
  int64_t from = 0, to = kEnd;
  if (!entry.part.all()) {
    const int64_t size = unpacked_size(path);
    from = cut_at(size, entry.part.from);
    to = cut_at(size, entry.part.to);
  }
  const auto format = make(from, to);
  Cut begin(rows ? 0 : from, policy == InvalidUtf8::kKeep);
  Cut end(rows ? kEnd : to, policy == InvalidUtf8::kKeep);
  const auto stream = open_bytes(path, &reading.mark);
  std::optional<Utf8Filter> filter;
  std::vector<char> block(kBlock);
  while (const size_t got = stream->read(block.data(), block.size())) {
    const std::string_view bytes(block.data(), got);
    const int64_t first = begin.before(bytes, reading.unpacked_bytes);
    const int64_t last = end.before(bytes, reading.unpacked_bytes);
    if (first < last) {
      if (!filter) {
        filter.emplace(path, policy, reading.unpacked_bytes + first,
                       [&](std::string_view piece) { format->write(piece); });
      }
      filter->write(bytes.substr(first, last - first));
    }
    reading.unpacked_bytes += static_cast<int64_t>(got);
  }
  if (filter) filter->finish();
  format->finish();
  if (filter) reading.replaced_bytes = filter->replaced();
  return reading;
}

FileReading read_documents(const DataEntry& entry, const std::string& path, InvalidUtf8 policy, DocumentSink& sink) {
  const std::string name = unpacked_name(path);
  const std::string column = entry.text.empty() ? "text" : entry.text;
  const bool rows = name.ends_with(".tsv") || name.ends_with(".jsonl");
  check<DataError>(rows || entry.text.empty(),
                   "[data] {}: `text: {}` names a column, but the file is neither .tsv nor .jsonl", path, entry.text);
  check<DataError>(!rows || entry.document == DocumentMode::kFile,
                   "[data] {}: a row is a document, `document:` is for text files", path);
  return read_file(entry, path, policy, rows, [&](int64_t from, int64_t to) {
    return name.ends_with(".tsv")     ? tsv_reader(path, column, from, to, sink)
           : name.ends_with(".jsonl") ? jsonl_reader(path, column, from, to, sink)
                                      : text_reader(entry.document, sink);
  });
}

}  // namespace longhaul::data
