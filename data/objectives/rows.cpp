#include "data/objectives/rows.h"

#include <algorithm>
#include <numeric>

#include "framework/base/error.h"
#include "framework/tensor/memory.h"

namespace longhaul::data {

TextWindows::TextWindows(std::shared_ptr<const TokenSource> source, int64_t length, bool cross_documents)
    : source_(std::move(source)), length_(length), cross_(cross_documents) {
  check<InternalError>(length >= 1, "windows of {} tokens", length);
  if (cross_) {
    count_ = (source_->tokens() + length - 1) / length;
  } else {
    first_window_.push_back(0);
    for (int64_t i = 0; i < source_->documents(); ++i) {
      const DocumentRange range = range_of(i);
      first_window_.push_back(first_window_.back() + (range.end - range.begin + length - 1) / length);
    }
    count_ = first_window_.back();
  }
  check<DataError>(count_ > 0, "[data] no token to make a sample of");
}

DocumentRange TextWindows::range_of(int64_t document) const {
  DocumentRange range = source_->document(document);
  if (source_->ends_documents()) --range.end;
  return range;
}

std::vector<int32_t> TextWindows::read(int64_t window) const {
  DocumentRange range{0, source_->tokens()};
  if (!cross_) {
    const auto after = std::upper_bound(first_window_.begin(), first_window_.end(), window);
    const int64_t document = after - first_window_.begin() - 1;
    range = range_of(document);
    window -= first_window_[static_cast<size_t>(document)];
  }
  const int64_t begin = range.begin + window * length_;
  std::vector<int32_t> tokens(static_cast<size_t>(std::min(length_, range.end - begin)));
  source_->read(begin, tokens);
  return tokens;
}

int64_t RowTable::longest() const {
  size_t most = 1;
  for (const auto& row : rows_) most = std::max(most, row.size());
  return static_cast<int64_t>(most);
}

int64_t RowTable::filled() const {
  size_t total = 0;
  for (const auto& row : rows_) total += row.size();
  return static_cast<int64_t>(total);
}

std::vector<int64_t> RowTable::lengths() const {
  std::vector<int64_t> out;
  for (const auto& row : rows_) out.push_back(static_cast<int64_t>(row.size()));
  return out;
}

Tensor RowTable::tensor(int64_t width, int32_t filler) const {
  const MemoryScope family(MemoryFamily::kWorkspace);
  const Tensor out = Tensor::empty({static_cast<int64_t>(rows_.size()), width}, DType::kI32, Device::cpu());
  int32_t* at = out.data<int32_t>();
  for (const auto& row : rows_) {
    check<InternalError>(static_cast<int64_t>(row.size()) <= width, "a row of {} in a batch of width {}", row.size(), width);
    std::fill(std::copy(row.begin(), row.end(), at), at + width, filler);
    at += width;
  }
  return out;
}

Tensor RowTable::valid(int64_t width) const {
  const bool full = std::all_of(rows_.begin(), rows_.end(),
                                [&](const auto& row) { return static_cast<int64_t>(row.size()) == width; });
  if (full) return {};
  const MemoryScope family(MemoryFamily::kWorkspace);
  const Tensor out = Tensor::empty({static_cast<int64_t>(rows_.size()), width}, DType::kU8, Device::cpu());
  uint8_t* at = out.data<uint8_t>();
  for (const auto& row : rows_) {
    std::fill(at, at + row.size(), uint8_t{1});
    std::fill(at + row.size(), at + width, uint8_t{0});
    at += width;
  }
  return out;
}

int64_t bucket_width(int64_t longest, int64_t most) {
  const int64_t step = std::max<int64_t>(64, (most + 7) / 8);
  return std::min(most, (longest + step - 1) / step * step);
}

std::vector<int64_t> random_order(const RandomStream& stream, int64_t n) {
  std::vector<uint32_t> words(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; i += 4) {
    const auto block = stream.block(static_cast<uint64_t>(i / 4));
    for (int64_t j = i; j < std::min(n, i + 4); ++j) words[static_cast<size_t>(j)] = block[static_cast<size_t>(j - i)];
  }
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    const uint32_t x = words[static_cast<size_t>(a)], y = words[static_cast<size_t>(b)];
    return x != y ? x < y : a < b;
  });
  return order;
}

}  // namespace longhaul::data
