#include "models/common/global_tokens.h"

#include <algorithm>

#include "framework/base/error.h"

namespace longhaul::models {
namespace {

/// Whether the batch can have global tokens at all, before any token is looked at.
bool possible(const GlobalOptions& options, const SequenceInfo& sequence) {
  switch (options.choice) {
    case GlobalChoice::kFirst: return sequence.length > 0;
    case GlobalChoice::kAuto:
    case GlobalChoice::kNone: return false;
    case GlobalChoice::kList: return !options.positions.empty();
    case GlobalChoice::kData: return sequence.focus.defined();
  }
  return false;
}

void mark(const GlobalOptions& options, const SequenceInfo& sequence, int64_t batch_row, uint8_t* flags) {
  const int64_t length = sequence.length;
  switch (options.choice) {
    case GlobalChoice::kFirst: {
      flags[0] = 1;
      if (!sequence.documents.defined()) break;
      const int32_t* document = sequence.documents.data<int32_t>() + batch_row * length;
      for (int64_t i = 1; i < length; ++i) flags[i] = document[i] != document[i - 1];
      break;
    }
    case GlobalChoice::kList:
      // Sequences shorter than those of the configuration, such as the rest of a document, lack the later ones.
      for (const int64_t position : options.positions) {
        if (position < length) flags[position] = 1;
      }
      break;
    case GlobalChoice::kData: std::copy_n(sequence.focus.data<uint8_t>() + batch_row * length, length, flags); break;
    case GlobalChoice::kAuto:
    case GlobalChoice::kNone: break;
  }
  if (!sequence.valid.defined()) return;
  const uint8_t* valid = sequence.valid.data<uint8_t>() + batch_row * length;
  for (int64_t i = 0; i < length; ++i) flags[i] = flags[i] != 0 && valid[i] != 0;
}

/// Columns for `most` global tokens. Marked tokens differ from batch to batch: few sizes keep patterns and memory.
int64_t columns(const GlobalOptions& options, int64_t most) {
  if (options.choice != GlobalChoice::kData || most == 0) return most;
  int64_t size = 1;
  while (size < most && size < 64) size *= 2;
  return (most + size - 1) / size * size;
}

int64_t planned(const GlobalOptions& options, int64_t length) {
  switch (options.choice) {
    case GlobalChoice::kFirst: return 1;
    case GlobalChoice::kAuto:
    case GlobalChoice::kNone: return 0;
    case GlobalChoice::kList: return std::min<int64_t>(static_cast<int64_t>(options.positions.size()), length);
    case GlobalChoice::kData: break;
  }
  return std::min(kPlannedGlobals, length);
}

GlobalTokens planned_globals(const GlobalOptions& options, const SequenceInfo& sequence, Device device) {
  GlobalTokens out;
  const int64_t batch = sequence.batch, length = sequence.length;
  out.count = possible(options, sequence) ? planned(options, length) : 0;
  if (out.count > 0) {
    out.flags = Tensor::empty({batch, 1, length}, DType::kU8, device);
    out.rows = Tensor::empty({batch * out.count}, DType::kI32, device);
    out.valid = Tensor::empty({batch, 1, out.count}, DType::kU8, device);
    if (sequence.documents.defined()) out.documents = Tensor::empty({batch, 1, out.count}, DType::kI32, device);
  }
  if (out.count > 0 || sequence.valid.defined()) out.query_valid = Tensor::empty({batch, 1, length}, DType::kU8, device);
  return out;
}

}  // namespace

GlobalTokens find_globals(const GlobalOptions& options, const SequenceInfo& sequence, Device device) {
  if (device.is_meta()) return planned_globals(options, sequence, device);
  check<InternalError>(device.is_host(), "global tokens are looked up on a host device");
  const int64_t batch = sequence.batch, length = sequence.length;
  GlobalTokens out;
  if (!possible(options, sequence)) {
    if (sequence.valid.defined()) out.query_valid = sequence.valid.reshape({batch, 1, length});
    return out;
  }
  const Tensor flags = Tensor::zeros({batch, 1, length}, DType::kU8, device);
  uint8_t* flag = flags.data<uint8_t>();
  int64_t most = 0;
  for (int64_t b = 0; b < batch; ++b) {
    mark(options, sequence, b, flag + b * length);
    most = std::max<int64_t>(most, std::count_if(flag + b * length, flag + (b + 1) * length, [](uint8_t f) { return f != 0; }));
  }
  if (most == 0) {
    if (sequence.valid.defined()) out.query_valid = sequence.valid.reshape({batch, 1, length});
    return out;
  }
  out.count = columns(options, most);
  out.flags = flags;
  out.rows = Tensor::empty({batch * out.count}, DType::kI32, device);
  out.valid = Tensor::zeros({batch, 1, out.count}, DType::kU8, device);
  out.query_valid = Tensor::empty({batch, 1, length}, DType::kU8, device);
  if (sequence.documents.defined()) out.documents = Tensor::zeros({batch, 1, out.count}, DType::kI32, device);
  int32_t* row = out.rows.data<int32_t>();
  std::fill_n(row, batch * out.count, -1);
  for (int64_t b = 0; b < batch; ++b) {
    int64_t column = b * out.count;
    for (int64_t i = b * length; i < (b + 1) * length; ++i) {
      const bool valid = !sequence.valid.defined() || sequence.valid.data<uint8_t>()[i] != 0;
      out.query_valid.data<uint8_t>()[i] = valid && flag[i] == 0;
      if (flag[i] == 0) continue;
      row[column] = static_cast<int32_t>(i);
      out.valid.data<uint8_t>()[column] = 1;
      if (out.documents.defined()) out.documents.data<int32_t>()[column] = sequence.documents.data<int32_t>()[i];
      ++column;
    }
  }
  return out;
}

}  // namespace longhaul::models
