// defines: column_of, named_column, read_column, read_objects, training_text, labels_of
#pragma once
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "data/objectives/objective.h"

namespace longhaul::data {

/// The entries with another column as their text; an empty name stands for `otherwise`. throws DataError when a file is not a table
std::vector<DataEntry> column_of(const std::vector<DataEntry>& entries, std::string DataEntry::*name, const char* otherwise);

/// The entries with the column of that name as their text.
std::vector<DataEntry> named_column(const std::vector<DataEntry>& entries, const char* name);

/// Calls take(file, row, text) for each row's cell in order; row 1 is the first of its file. throws DataError as read_documents
void read_column(const std::vector<DataEntry>& entries, const CorpusOptions& options,
                 const std::function<void(const std::string& path, int64_t row, std::string text)>& take);

/// Calls take(file, line, object) for each object of .jsonl files. throws DataError for files of another kind
void read_objects(const std::vector<DataEntry>& entries, const CorpusOptions& options,
                  const std::function<void(const std::string& path, int64_t line, const nlohmann::json& row)>& take);

/// All text that an objective reads of its entries, to train a tokenizer on.
TextSource training_text(ObjectiveKind kind, const std::vector<DataEntry>& entries, const CorpusOptions& options);

/// The different labels of a split: whole numbers by value if all are, else by their bytes. `name` stands in messages. throws
/// DataError for an empty label, or when there are fewer than two
std::vector<std::string> labels_of(const std::string& name, const std::vector<DataEntry>& entries, const CorpusOptions& options);

}  // namespace longhaul::data
