// defines: DataEntry, DocumentMode, InvalidUtf8, WordCount, CorpusOptions
#pragma once
#include <string>
#include <vector>

#include "framework/base/units.h"

namespace longhaul::data {

/// What one document is.
enum class DocumentMode {
  kFile,       // the whole file (a row of .tsv and .jsonl is always one)
  kLine,       // a line, without its line end; empty lines are none
  kBlankLine,  // lines up to a blank one; the blank lines between documents belong to none
};

/// One entry of data.train, data.valid or data.test.
struct DataEntry {
  std::string path;   // file, folder (all its files, sorted, at any depth) or glob (sorted)
  PercentRange part;  // of the unpacked bytes of each file
  DocumentMode document = DocumentMode::kFile;
  // Columns of .tsv and .jsonl.
  std::string text;    // running text, text to classify; empty: "text"
  std::string label = {};   // the class of a text; empty: "label"
  std::string source = {};  // the input of a pair; empty: "source"
  std::string target = {};  // the output of a pair; empty: "target"
  bool operator==(const DataEntry&) const = default;
};

/// What happens to bytes that are no UTF-8.
enum class InvalidUtf8 {
  kAuto,     // kKeep when the tokenizer takes any bytes, else kError
  kError,    // refused with file, byte offset and class
  kReplace,  // U+FFFD, counted
  kKeep,     // as they are; refused for tokenizers that need UTF-8
};

/// What word figures count.
enum class WordCount {
  kAuto,           // kWordsAndLines for the word tokenizer, else kWords
  kWords,          // runs of characters that are not Unicode white space
  kWordsAndLines,  // and one for each line, as published WikiText figures do
};

struct CorpusOptions {
  InvalidUtf8 invalid_utf8 = InvalidUtf8::kAuto;
  WordCount words = WordCount::kAuto;
  bool operator==(const CorpusOptions&) const = default;
};

}  // namespace longhaul::data
