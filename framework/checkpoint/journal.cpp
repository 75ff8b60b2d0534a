#include "framework/checkpoint/journal.h"

#include <bit>
#include <charconv>
#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "framework/base/sha256.h"

namespace longhaul::checkpoint {
namespace {

using Json = nlohmann::json;

// The chain before the first line.
const std::string kNoLine(64, '0');

// Calls visit(line with its end, number from 1) for every complete line.
template <typename Visit>
void for_each_line(std::string_view text, Visit&& visit) {
  for (int64_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return;
    visit(text.substr(0, end + 1), number);
    text.remove_prefix(end + 1);
  }
}

Json object_of(std::string_view line, int64_t number, const io::Path& path) {
  Json json = Json::parse(line.begin(), line.end(), nullptr, false);
  check<CheckpointError>(json.is_object() && json.contains("step") && json["step"].is_number_integer(),
                         "[journal] {}:{}: the line is not a JSON object with a whole number \"step\"", path.string(),
                         number);
  return json;
}

std::string line_of(const JournalEntry& entry, const std::string& previous) {
  std::string line = fmt::format("{{\"step\":{},\"loss\":\"{:016x}\",\"cursor\":{}", entry.step,
                                 std::bit_cast<uint64_t>(entry.loss), entry.cursor);
  if (!entry.state_hash.empty()) line += fmt::format(",\"state\":\"{}\"", entry.state_hash);
  return line + fmt::format(",\"previous\":\"{}\"}}\n", previous);
}

JournalEntry entry_of(const Json& json, int64_t number, const io::Path& path) {
  JournalEntry out;
  out.step = json["step"].get<int64_t>();
  const auto loss = json.find("loss");
  const auto cursor = json.find("cursor");
  uint64_t bits = 0;
  bool good = loss != json.end() && loss->is_string() && cursor != json.end() && cursor->is_number_integer();
  if (good) {
    const std::string& text = loss->get_ref<const std::string&>();
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), bits, 16);
    good = status == std::errc() && end == text.data() + text.size() && text.size() == 16;
  }
  check<CheckpointError>(good, "[journal] {}:{}: the line has no loss of 16 hexadecimal digits or no cursor",
                         path.string(), number);
  out.loss = std::bit_cast<double>(bits);
  out.cursor = cursor->get<int64_t>();
  if (json.contains("state") && json["state"].is_string()) out.state_hash = json["state"].get<std::string>();
  return out;
}

struct Chain {
  std::vector<JournalEntry> entries;
  std::string last = kNoLine;  // hash of the last line
};

Chain read_chain(const io::Path& path) {
  Chain out;
  const std::string text = io::read_file(path);
  check<CheckpointError>(
      text.empty() || text.back() == '\n',
      "[journal] {}: the last line has no end\n  hint: resuming a run cuts the journal to its checkpoint",
      path.string());
  for_each_line(text, [&](std::string_view line, int64_t number) {
    const Json json = object_of(line, number, path);
    const auto previous = json.find("previous");
    check<CheckpointError>(
        previous != json.end() && *previous == out.last,
        "[journal] {}:{}: the hash of the line before does not match: a line was changed, added or removed",
        path.string(), number);
    out.entries.push_back(entry_of(json, number, path));
    out.last = sha256_hex(line);
  });
  return out;
}

}  // namespace

JournalWriter::JournalWriter(const io::Path& path) : previous_(kNoLine) {
  if (io::exists(path)) {
    const Chain chain = read_chain(path);
    previous_ = chain.last;
    if (!chain.entries.empty()) last_step_ = chain.entries.back().step;
  }
  file_ = io::File::append(path);
  size_ = file_.size();
}

void JournalWriter::append(const JournalEntry& entry) {
  const std::string line = line_of(entry, previous_);
  try {
    file_.write(line);
  } catch (const IoError&) {
    // A part of the line may stand there (a full disk); the next line must not continue it.
    file_.truncate(size_);
    throw;
  }
  size_ += line.size();
  previous_ = sha256_hex(line);
  last_step_ = entry.step;
}

void JournalWriter::sync() { file_.sync(); }

std::vector<JournalEntry> read_journal(const io::Path& path) { return read_chain(path).entries; }

void cut_lines(const io::Path& path, int64_t step) {
  if (!io::exists(path)) return;
  const std::string text = io::read_file(path);
  std::string kept;
  for_each_line(text, [&](std::string_view line, int64_t number) {
    if (object_of(line, number, path)["step"].get<int64_t>() <= step) kept += line;
  });
  if (kept != text) io::replace_file(path, kept);
}

}  // namespace longhaul::checkpoint
