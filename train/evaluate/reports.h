// defines: PerTokenFile, loss_by_position_svg
#pragma once
#include <string>

#include "data/tokenizers/tokenizer.h"
#include "framework/base/io.h"
#include "train/evaluate/evaluate.h"

namespace longhaul::train {

/// One line for each scored token: document, position, token, piece, nll. JSON lines when the name ends in .jsonl, else
/// tab-separated with a header; there the piece is written as a JSON string without its quotes, so that a tab or line
/// end in it stays on its line.
class PerTokenFile {
 public:
  /// Writes beside the final name first; finish() puts it in place of an older file.
  PerTokenFile(io::Path path, const data::Tokenizer& tokenizer);
  void add(const TokenLoss& token);
  void finish();

 private:
  void write();
  io::Path path_, temporary_;
  const data::Tokenizer& tokenizer_;
  bool json_;
  io::File file_;
  std::string buffer_;
};

/// Loss against position in the document and against available context, as an SVG plot.
std::string loss_by_position_svg(const EvaluationResult& result, const std::string& title);

}  // namespace longhaul::train
