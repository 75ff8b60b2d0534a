// defines: StreamOptions, causal_streams
#pragma once
#include <memory>

#include "data/dataset.h"
#include "data/sampler/samples.h"

namespace longhaul::data {

struct StreamOptions {
  int64_t sequence_length = 0;  // of a sample: all segments that a step reads of a stream
  int64_t rows = 1;             // streams, one for each row of a batch
  int64_t memory = 0;           // tokens that a model keeps of a stream: it must be longer than that
  bool shuffle = true;
  uint64_t seed = 0;
};

/// The split cut into `rows` streams for models that carry a memory. Sample s is the next piece of stream s mod rows, so row
/// b of a batch goes on where row b of the batch before ended (Dai et al. 2019); samples keep this order and whole batches
/// are read. Streams run over all documents. An epoch ends for all of them at once, with a shorter piece that is filled up,
/// and the first batch of an epoch begins all streams. With `shuffle` each epoch begins at another token, less than a
/// sample from the start, so that segments end at other places.
/// throws DataError when a stream is shorter than a sample, ConfigError when it is not longer than the memory
std::shared_ptr<const Samples> causal_streams(std::shared_ptr<const TokenSource> source, const StreamOptions& options);

}  // namespace longhaul::data
