#include "data/corpus/formats.h"

namespace longhaul::data {
namespace {

class WholeFile final : public FormatReader {
 public:
  explicit WholeFile(DocumentSink& sink) : sink_(sink) {}
  void write(std::string_view piece) override { sink_.text(piece); }
  void finish() override { sink_.end_document(); }

 private:
  DocumentSink& sink_;
};

/// A document a line. A carriage return before the line feed belongs to the line end.
class Lines final : public FormatReader {
 public:
  explicit Lines(DocumentSink& sink) : sink_(sink) {}

  void write(std::string_view piece) override {
    for (size_t at = 0; at < piece.size();) {
      const size_t end = piece.find('\n', at);
      std::string_view line = piece.substr(at, end == std::string_view::npos ? end : end - at);
      if (held_return_ && !line.empty()) emit("\r");
      if (!line.empty()) held_return_ = line.back() == '\r';
      if (held_return_ && !line.empty()) line.remove_suffix(1);
      emit(line);
      if (end == std::string_view::npos) return;
      end_line();
      at = end + 1;
    }
  }
  void finish() override {
    if (held_return_) emit("\r");
    end_line();
  }

 private:
  void emit(std::string_view text) {
    if (text.empty()) return;
    sink_.text(text);
    any_ = true;
  }
  void end_line() {
    if (any_) sink_.end_document();
    any_ = false;
    held_return_ = false;
  }
  DocumentSink& sink_;
  bool held_return_ = false;
  bool any_ = false;
};

/// Documents between blank lines (empty, or only blanks, tabs and carriage returns).
class Paragraphs final : public FormatReader {
 public:
  explicit Paragraphs(DocumentSink& sink) : sink_(sink) {}

  void write(std::string_view piece) override {
    for (size_t at = 0; at < piece.size();) {
      const size_t end = piece.find('\n', at);
      const bool complete = end != std::string_view::npos;
      const std::string_view line = piece.substr(at, complete ? end + 1 - at : end);
      if (blank_ && line.find_first_not_of(" \t\r\n") != std::string_view::npos) {
        blank_ = false;
        emit(start_);
        start_.clear();
      }
      if (!blank_) {
        emit(line);
      } else if (start_.size() < kLongestBlank) {
        start_.append(line);  // a blank front of a line that may still turn out to hold text
      } else {
        blank_ = false;
        emit(start_);
        emit(line);
        start_.clear();
      }
      if (!complete) return;
      if (blank_) end_document();
      blank_ = true;
      start_.clear();
      at = end + 1;
    }
  }
  void finish() override { end_document(); }

 private:
  static constexpr size_t kLongestBlank = 1 << 20;  // beyond, a line of blanks is text, so that memory is bounded
  void emit(std::string_view text) {
    if (text.empty()) return;
    sink_.text(text);
    any_ = true;
  }
  void end_document() {
    if (any_) sink_.end_document();
    any_ = false;
  }
  DocumentSink& sink_;
  std::string start_;
  bool blank_ = true;
  bool any_ = false;
};

}  // namespace

std::unique_ptr<FormatReader> text_reader(DocumentMode mode, DocumentSink& sink) {
  switch (mode) {
    case DocumentMode::kFile:
      return std::make_unique<WholeFile>(sink);
    case DocumentMode::kLine:
      return std::make_unique<Lines>(sink);
    case DocumentMode::kBlankLine:
      return std::make_unique<Paragraphs>(sink);
  }
  return nullptr;
}

}  // namespace longhaul::data
