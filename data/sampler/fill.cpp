#include "data/sampler/fill.h"

#include "framework/base/error.h"
#include "framework/tensor/memory.h"

namespace longhaul::data {

Batch fill_rows(const TokenSource& source, const std::vector<RowSpan>& spans, int64_t width, bool score_ends) {
  const auto rows = static_cast<int64_t>(spans.size());
  const MemoryScope family(MemoryFamily::kWorkspace);
  Batch batch;
  batch.tokens = Tensor::empty({rows, width}, DType::kI32, Device::cpu());
  batch.targets = Tensor::empty({rows, width}, DType::kI32, Device::cpu());
  batch.documents = Tensor::empty({rows, width}, DType::kI32, Device::cpu());
  batch.positions = Tensor::empty({rows, width}, DType::kI32, Device::cpu());
  const bool skip_ends = source.ends_documents() && !score_ends;
  std::vector<int32_t> tokens;
  for (int64_t r = 0; r < rows; ++r) {
    const RowSpan& span = spans[static_cast<size_t>(r)];
    check<InternalError>(span.inputs >= 1 && span.inputs <= width, "a row of {} inputs in a batch of width {}",
                         span.inputs, width);
    tokens.resize(static_cast<size_t>(span.inputs + 1));
    source.read(span.begin, tokens);
    int32_t* const token = batch.tokens.data<int32_t>() + r * width;
    int32_t* const target = batch.targets.data<int32_t>() + r * width;
    int32_t* const document = batch.documents.data<int32_t>() + r * width;
    int32_t* const position = batch.positions.data<int32_t>() + r * width;
    int64_t index = source.document_of(span.begin);
    DocumentRange range = source.document(index);
    for (int64_t i = 0; i < width; ++i) {
      if (i >= span.inputs) {
        token[i] = 0;
        target[i] = -1;
        document[i] = -1;
        position[i] = 0;
        continue;
      }
      const int64_t at = span.begin + i;
      while (at >= range.end) range = source.document(++index);
      token[i] = tokens[static_cast<size_t>(i)];
      document[i] = static_cast<int32_t>(index);
      position[i] = static_cast<int32_t>(at - range.begin);
      const bool added_end = skip_ends && at + 2 == range.end;  // the target is the document's last token
      const bool scored = at + 1 >= span.score_from && !added_end;
      target[i] = scored ? tokens[static_cast<size_t>(i) + 1] : -1;
      batch.scored += scored;
    }
    batch.lengths.push_back(span.inputs);
    batch.read += span.inputs;
  }
  return batch;
}

}  // namespace longhaul::data
