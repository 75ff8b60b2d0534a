// defines: ObjectiveRun, kObjectives: a tiny run of each objective
#pragma once
#include <fmt/format.h>

#include "tests/train/trainer/tiny_run.h"

namespace longhaul::train {

inline const char* const kObjectives[] = {"completion", "masked", "span_corruption", "gap_sentences", "seq2seq", "classify", "question_answering"};

/// A text of short sentences, from a fixed sequence of numbers.
inline std::string small_text(int sentences, uint32_t x = 12345) {
  static const char* const kWords[] = {"sea", "ship", "whale", "storm", "sail", "night", "star", "wave"};
  std::string text;
  for (int i = 0; i < sentences; ++i) {
    for (int k = 0; k < 4; ++k) {
      x = x * 1664525u + 1013904223u;
      text += std::string(k == 0 ? "The " : " ") + kWords[x >> 29];
    }
    text += ". ";
  }
  return text;
}

/// Sixty rows (twelve of them for the validation) of a table for the objective.
inline std::string small_table(const std::string& objective, int rows, uint32_t x) {
  const bool pairs = objective == "seq2seq" || objective == "completion";
  std::string out = pairs ? "source\ttarget\n" : objective == "classify" ? "text\tlabel\n" : "";
  for (int i = 0; i < rows; ++i) {
    std::string word;
    x = x * 1664525u + 1013904223u;
    const uint32_t length = 3 + (x >> 28) % 8, kind = (x >> 20) % 3;
    for (uint32_t k = 0; k < length; ++k) {
      x = x * 1664525u + 1013904223u;
      word += static_cast<char>('a' + (objective == "classify" ? 2 * kind + (x >> 31) : (x >> 16) % 6));
    }
    if (pairs) {
      out += word + "\t" + std::string(word.rbegin(), word.rend()) + "\n";
    } else if (objective == "classify") {
      out += word + "\t" + (word[0] < 'c' ? "low" : word[0] < 'e' ? "mid" : "high") + "\n";
    } else {
      const std::string context = word + " Z" + word.substr(0, 2) + " end";
      out += fmt::format("{{\"question\": \"Z?\", \"context\": \"{}\", \"answer\": \"Z{}\", \"start\": {}}}\n", context, word.substr(0, 2), word.size() + 1);
    }
  }
  return out;
}

/// The run of TinyRun on another objective: dropout, shuffling, two micro-batches a step, 12 steps.
class ObjectiveRun : public TinyRun {
 public:
  explicit ObjectiveRun(const std::string& objective, const std::string& train = "steps: 12") : TinyRun(train) {
    std::string train_file = "train.txt", valid_file = "valid.txt";
    if (objective == "completion" || objective == "seq2seq" || objective == "classify" || objective == "question_answering") {
      const std::string end = objective == "question_answering" ? ".jsonl" : ".tsv";
      train_file = "train" + end, valid_file = "valid" + end;
      put(folder / train_file, small_table(objective, 60, 7));
      put(folder / valid_file, small_table(objective, 12, 99));
    } else {
      put(folder / "train.txt", small_text(60));
      put(folder / "valid.txt", small_text(9, 777));
    }
    overrides = {fmt::format("data.train=[{}]", (folder / train_file).string()),
                 fmt::format("data.valid=[{}]", (folder / valid_file).string()),
                 "data.objective=" + objective,
                 "data.sequence_length=24",
                 "train.eval_every=5",
                 "train.checkpoint.every=4"};
  }
};

}  // namespace longhaul::train
