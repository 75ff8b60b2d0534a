#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "data/corpus/formats.h"
#include "data/objectives/answers.h"
#include "data/objectives/kinds.h"
#include "data/objectives/rows.h"
#include "data/objectives/tables.h"
#include "data/objectives/text_rows.h"
#include "framework/base/error.h"
#include "framework/tensor/memory.h"

namespace longhaul::data {
namespace {

constexpr int64_t kMarks = 3;  // begin, end of the question, end of the context

/// Rows of begin, question, end, context, end; the task turns on what stands before the context.
class QuestionSamples final : public Samples {
 public:
  QuestionSamples(const Split& split, const SampleShape& shape, const Objective& objective)
      : length_(shape.sequence_length),
        ids_(objective.tokenizer().special()),
        questions_(split.columns[0], split.name, "question"),
        contexts_(split.columns[1], split.name, "context"),
        answers_(split.answers) {
    const bool cut = objective.options().too_long == TooLong::kCut;
    for (int64_t row = 0; row < questions_.count(); ++row) {
      // A question is never cut: without a token of its context nothing can be answered.
      questions_.check_fits(row, length_ - kMarks - 1, "a larger data.sequence_length");
      if (!cut) contexts_.check_fits(row, length_ - kMarks - questions_.size(row), "a larger data.sequence_length");
    }
  }

  int64_t count() const override { return questions_.count(); }
  int64_t sequence_length() const override { return length_; }

  Batch read(std::span<const Draw> draws) const override {
    RowTable rows;
    std::vector<int64_t> context_at;
    std::vector<int32_t> targets;
    Batch batch;
    for (const Draw& draw : draws) {
      std::vector<int32_t> row = {ids_.begin};
      const auto append = [&row](const std::vector<int32_t>& tokens) {
        row.insert(row.end(), tokens.begin(), tokens.end());
      };
      append(questions_.read(draw.sample, length_));
      row.push_back(ids_.end);
      const auto first = static_cast<int64_t>(row.size());
      append(contexts_.read(draw.sample, length_ - first - 1));
      const Answer& answer = answers_[static_cast<size_t>(draw.sample)];
      const bool there = first + answer.last < static_cast<int64_t>(row.size());
      targets.push_back(there ? static_cast<int32_t>(first + answer.first) : -1);
      targets.push_back(there ? static_cast<int32_t>(first + answer.last) : -1);
      batch.scored += there ? 2 : 0;
      row.push_back(ids_.end);
      rows.add(std::move(row));
      context_at.push_back(first);
    }
    const int64_t width = bucket_width(rows.longest(), length_);
    const MemoryScope family(MemoryFamily::kWorkspace);
    const auto count = static_cast<int64_t>(draws.size());
    batch.tokens = rows.tensor(width, ids_.pad);
    batch.valid = rows.valid(width);
    batch.focus = Tensor::zeros({count, width}, DType::kU8, Device::cpu());
    for (int64_t b = 0; b < count; ++b) {
      uint8_t* row = batch.focus.data<uint8_t>() + b * width;
      std::fill(row, row + context_at[static_cast<size_t>(b)], uint8_t{1});
    }
    batch.targets = Tensor::of<int32_t>({count, 2}, targets);
    batch.lengths = rows.lengths();
    batch.read = rows.filled();
    return batch;
  }

 private:
  int64_t length_;
  SpecialIds ids_;
  TextRows questions_, contexts_;
  std::vector<Answer> answers_;
};

/// -log p(position) under one column of logits [N, 2].
double position_nats(const float* logits, int64_t length, int column, int32_t position) {
  double largest = -INFINITY, total = 0;
  for (int64_t i = 0; i < length; ++i) largest = std::max<double>(largest, logits[2 * i + column]);
  for (int64_t i = 0; i < length; ++i) total += std::exp(logits[2 * i + column] - largest);
  return std::log(total) + largest - logits[2 * static_cast<int64_t>(position) + column];
}

/// The likeliest span inside [from, to): start and end with the largest sum of logits, start <= end.
TokenSpan likeliest_span(const float* logits, int64_t from, int64_t to) {
  TokenSpan best{from, from};
  int64_t start = from;
  double value = -INFINITY;
  for (int64_t end = from; end < to; ++end) {
    if (logits[2 * end] > logits[2 * start]) start = end;
    const double sum = static_cast<double>(logits[2 * start]) + logits[2 * end + 1];
    if (sum > value) {
      value = sum;
      best = {start, end};
    }
  }
  return best;
}

class QuestionAnswering final : public Objective {
 public:
  using Objective::Objective;

  Split open(const std::string& name, const std::vector<DataEntry>& entries,
             const DatasetOptions& options) const override {
    Split split{.name = name, .columns = {}, .labels = {}, .answers = {}};
    read_objects(entries, options.corpus, [&](const std::string& path, int64_t line, const nlohmann::json& row) {
      split.answers.push_back(answer_of(row, path, line));
    });
    for (const char* column : {"question", "context"}) {
      split.columns.push_back(open_column(name, named_column(entries, column), options).columns[0]);
    }
    check<InternalError>(static_cast<int64_t>(split.answers.size()) == split.columns[1]->documents(),
                         "{} answers for {} contexts", split.answers.size(), split.columns[1]->documents());
    return split;
  }
  std::shared_ptr<const Samples> samples(const Split& split, const SampleShape& shape) const override {
    return std::make_shared<QuestionSamples>(split, shape, *this);
  }

  Judged judged() const override { return Judged::kOutputs; }
  void score(const Split& split, const Batch& batch, const Tensor& found, const Tensor&, Score& into) const override {
    const int64_t width = found.size(1);
    for (int64_t b = 0; b < found.size(0); ++b) {
      const float* logits = found.data<float>() + b * width * 2;
      const int32_t* targets = batch.targets.data<int32_t>() + 2 * b;
      const uint8_t* focus = batch.focus.data<uint8_t>() + b * width;
      for (int column = 0; column < 2; ++column) {
        if (targets[column] < 0) continue;
        into.nats += position_nats(logits, width, column, targets[column]);
        ++into.targets;
      }
      const int64_t first = std::find(focus, focus + width, uint8_t{0}) - focus;
      const TokenSpan best = likeliest_span(logits, first, batch.lengths[static_cast<size_t>(b)] - 1);
      const int32_t* row = batch.tokens.data<int32_t>() + b * width;
      const std::string text = normalized_answer(
          tokenizer_->decode({row + best.first, static_cast<size_t>(best.last - best.first + 1)}));
      const Answer& answer = split.answers[static_cast<size_t>(batch.samples[static_cast<size_t>(b)])];
      const std::string expected = normalized_answer(answer.text);
      into.exact = into.exact.value_or(0) + (text == expected);
      into.f1 = into.f1.value_or(0) + answer_f1(text, expected);
      ++into.rows;
    }
  }

 private:
  Answer answer_of(const nlohmann::json& row, const std::string& path, int64_t line) const {
    const std::string& context = text_member(row, "context", path, line);
    const std::string& text = text_member(row, "answer", path, line);
    check<DataError>(!text.empty(), "[data] {}:{}: \"answer\" is empty", path, line);
    const auto found = row.find("start");
    check<DataError>(found != row.end() && found->is_number_integer(),
                     "[data] {}:{}: \"start\" must be a whole number, the character of the context where the answer begins",
                     path, line);
    const bool before = !found->is_number_unsigned() && found->get<int64_t>() < 0;
    const size_t begin = before ? std::string::npos : byte_of_character(context, found->get<int64_t>());
    check<DataError>(begin <= context.size() && std::string_view(context).substr(begin).starts_with(text),
                     "[data] {}:{}: the answer \"{}\" does not stand at character {} of its context", path, line, text,
                     found->dump());
    const TokenSpan span = answer_span(*tokenizer_->inner(), context, begin, begin + text.size());
    return {.first = span.first, .last = span.last, .text = text};
  }
};

}  // namespace

ObjectiveInfo question_answering_objective() {
  ObjectiveInfo info;
  info.kind = ObjectiveKind::kQuestionAnswering;
  info.name = "question_answering";
  info.summary = "where a context answers a question";
  info.sides = Sides::kEncoder;
  info.target = TargetKind::kSpans;
  info.ids = kEncoderIds;
  info.table = true;
  info.shortest = kMarks + 2;
  info.make = [](const ObjectiveOptions& options, std::shared_ptr<const ExtendedTokenizer> tokenizer) {
    return std::make_unique<QuestionAnswering>(options, std::move(tokenizer));
  };
  return info;
}

}  // namespace longhaul::data
