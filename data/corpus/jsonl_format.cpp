#include <nlohmann/json.hpp>

#include "data/corpus/formats.h"
#include "framework/base/error.h"

namespace longhaul::data {
namespace {

class JsonLines final : public FormatReader {
 public:
  JsonLines(std::string path, int64_t from, int64_t to, TakeObject take)
      : path_(std::move(path)), from_(from), to_(to), take_(std::move(take)) {}

  void write(std::string_view piece) override {
    for (size_t at = 0; at < piece.size();) {
      const size_t end = piece.find('\n', at);
      const bool complete = end != std::string_view::npos;
      const std::string_view part = piece.substr(at, complete ? end - at : end);
      check<DataError>(line_.size() + part.size() <= kLongestLine, "[data] {}:{}: a line longer than {} bytes", path_,
                       number_, kLongestLine);
      line_.append(part);
      if (!complete) return;
      end_line(line_.size() + 1);
      at = end + 1;
    }
  }
  void finish() override { end_line(line_.size()); }

 private:
  void end_line(size_t bytes) {
    const int64_t begin = offset_;
    offset_ += static_cast<int64_t>(bytes);
    if (from_ <= begin && begin < to_ && line_.find_first_not_of(" \t\r") != std::string::npos) take();
    line_.clear();
    ++number_;
  }
  void take() {
    nlohmann::json row;
    try {
      row = nlohmann::json::parse(line_, [this](int depth, auto, auto&) {
        check<DataError>(depth <= kDeepest, "[data] {}:{}: JSON nested deeper than {} levels", path_, number_,
                         kDeepest);
        return true;
      });
    } catch (const nlohmann::json::exception& error) {
      fail<DataError>("[data] {}:{}: malformed JSON: {}", path_, number_, error.what());
    }
    check<DataError>(row.is_object(), "[data] {}:{}: expected an object a line, found {}", path_, number_,
                     row.type_name());
    take_(row, number_);
  }

  static constexpr size_t kLongestLine = size_t{64} << 20;
  static constexpr int kDeepest = 100;
  std::string path_;
  int64_t from_, to_;
  TakeObject take_;
  std::string line_;
  int64_t offset_ = 0;
  int64_t number_ = 1;
};

}  // namespace

std::unique_ptr<FormatReader> jsonl_objects(const std::string& path, int64_t rows_from, int64_t rows_to,
                                            TakeObject take) {
  return std::make_unique<JsonLines>(path, rows_from, rows_to, std::move(take));
}

const std::string& text_member(const nlohmann::json& row, const std::string& name, const std::string& path,
                               int64_t line) {
  const auto found = row.find(name);
  check<DataError>(found != row.end(), "[data] {}:{}: no \"{}\" in this object\n  hint: entries name their columns, e.g. `text: {}`",
                   path, line, name, name);
  check<DataError>(found->is_string(), "[data] {}:{}: \"{}\" is {}, expected a string", path, line, name,
                   found->type_name());
  return found->get_ref<const std::string&>();
}

std::unique_ptr<FormatReader> jsonl_reader(const std::string& path, const std::string& column, int64_t rows_from,
                                           int64_t rows_to, DocumentSink& sink) {
  return jsonl_objects(path, rows_from, rows_to, [path, column, &sink](const nlohmann::json& row, int64_t line) {
    const std::string& text = text_member(row, column, path, line);
    if (!text.empty()) sink.text(text);
    sink.end_document();
  });
}

}  // namespace longhaul::data
