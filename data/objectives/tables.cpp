#include "data/objectives/tables.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "data/corpus/byte_stream.h"
#include "data/corpus/documents.h"
#include "data/corpus/formats.h"
#include "data/corpus/paths.h"
#include "framework/base/error.h"
#include "framework/base/units.h"

namespace longhaul::data {
namespace {

bool is_table(const std::string& path) {
  const std::string name = unpacked_name(path);
  return name.ends_with(".tsv") || name.ends_with(".jsonl");
}

CorpusOptions without_auto(CorpusOptions options) {
  if (options.invalid_utf8 == InvalidUtf8::kAuto) options.invalid_utf8 = InvalidUtf8::kError;
  return options;
}

/// A string, or a number or truth value as it is written.
std::string cell_of(const nlohmann::json& object, const std::string& column, const std::string& path, int64_t line) {
  const auto found = object.find(column);
  if (found != object.end() && (found->is_number_integer() || found->is_boolean())) return found->dump();
  return text_member(object, column, path, line);
}

}  // namespace

std::vector<DataEntry> column_of(const std::vector<DataEntry>& entries, std::string DataEntry::*name,
                                 const char* otherwise) {
  std::vector<DataEntry> out = entries;
  for (DataEntry& entry : out) {
    for (const std::string& path : expand_paths(entry.path)) {
      check<DataError>(is_table(path), "[data] {}: this objective reads rows of .tsv or .jsonl files", path);
    }
    const std::string column = entry.*name;
    entry.text = column.empty() ? otherwise : column;
  }
  return out;
}

std::vector<DataEntry> named_column(const std::vector<DataEntry>& entries, const char* name) {
  std::vector<DataEntry> out = entries;
  for (DataEntry& entry : out) entry.text = name;
  return out;
}

void read_column(const std::vector<DataEntry>& entries, const CorpusOptions& options,
                 const std::function<void(const std::string&, int64_t, std::string)>& take) {
  struct Sink final : DocumentSink {
    explicit Sink(std::function<void(std::string)> t) : take(std::move(t)) {}
    void text(std::string_view piece) override { cell.append(piece); }
    void end_document() override {
      take(std::move(cell));
      cell.clear();
    }
    std::function<void(std::string)> take;
    std::string cell;
  };
  for (const DataEntry& entry : entries) {
    for (const std::string& path : expand_paths(entry.path)) {
      int64_t row = 0;
      if (unpacked_name(path).ends_with(".jsonl")) {
        read_file(entry, path, without_auto(options).invalid_utf8, true, [&](int64_t from, int64_t to) {
          return jsonl_objects(path, from, to, [&](const nlohmann::json& object, int64_t line) {
            take(path, ++row, cell_of(object, entry.text, path, line));
          });
        });
        continue;
      }
      Sink sink([&](std::string cell) { take(path, ++row, std::move(cell)); });
      read_documents(entry, path, without_auto(options).invalid_utf8, sink);
    }
  }
}

void read_objects(const std::vector<DataEntry>& entries, const CorpusOptions& options,
                  const std::function<void(const std::string&, int64_t, const nlohmann::json&)>& take) {
  for (const DataEntry& entry : entries) {
    for (const std::string& path : expand_paths(entry.path)) {
      check<DataError>(unpacked_name(path).ends_with(".jsonl"),
                       "[data] {}: this objective reads .jsonl files, an object a line", path);
      read_file(entry, path, without_auto(options).invalid_utf8, true, [&](int64_t from, int64_t to) {
        return jsonl_objects(path, from, to, [&](const nlohmann::json& row, int64_t line) { take(path, line, row); });
      });
    }
  }
}

TextSource training_text(ObjectiveKind kind, const std::vector<DataEntry>& entries, const CorpusOptions& options) {
  std::vector<DataEntry> columns = entries;
  const auto both = [](std::vector<DataEntry> a, const std::vector<DataEntry>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  };
  if (objective_info(kind).pairs) {
    columns = both(column_of(entries, &DataEntry::source, "source"), column_of(entries, &DataEntry::target, "target"));
  } else if (kind == ObjectiveKind::kQuestionAnswering) {
    columns = both(named_column(entries, "question"), named_column(entries, "context"));
  }
  return corpus_text(columns, options);
}

std::vector<std::string> labels_of(const std::string& name, const std::vector<DataEntry>& entries,
                                   const CorpusOptions& options) {
  std::set<std::string> different;
  read_column(column_of(entries, &DataEntry::label, "label"), options,
              [&](const std::string& path, int64_t row, std::string label) {
                check<DataError>(!label.empty(), "[data] {}: row {} has no label", path, row);
                different.insert(std::move(label));
              });
  check<DataError>(different.size() >= 2,
                   "[data] data.{} has {} different label{}: there is nothing to tell apart\n"
                   "  hint: `label:` names the column of the class",
                   name, different.size(), different.size() == 1 ? "" : "s");
  std::vector<std::string> labels(different.begin(), different.end());
  const bool numbers = std::all_of(labels.begin(), labels.end(), [](const std::string& label) {
    return units::parse_integer(label).has_value();
  });
  if (numbers) {
    std::stable_sort(labels.begin(), labels.end(), [](const std::string& a, const std::string& b) {
      return *units::parse_integer(a) < *units::parse_integer(b);
    });
  }
  return labels;
}

}  // namespace longhaul::data
