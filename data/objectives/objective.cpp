#include "data/objectives/objective.h"

#include "data/objectives/kinds.h"
#include "data/objectives/tables.h"
#include "framework/base/error.h"

namespace longhaul::data {
namespace {

constexpr int64_t kSentinels = 100;  // as the public vocabularies of Raffel et al. 2020

}  // namespace

const std::vector<ObjectiveInfo>& objectives() {
  static const std::vector<ObjectiveInfo> all = {
      causal_objective(),  completion_objective(), masked_objective(),   span_corruption_objective(),    gap_sentences_objective(),
      seq2seq_objective(), classify_objective(), question_answering_objective(),
  };
  return all;
}

const ObjectiveInfo& objective_info(ObjectiveKind kind) {
  for (const ObjectiveInfo& info : objectives()) {
    if (info.kind == kind) return info;
  }
  fail<InternalError>("objective {}", static_cast<int>(kind));
}

WantedIds ObjectiveOptions::wanted() const {
  WantedIds out = objective_info(kind).ids;
  const bool spans = kind == ObjectiveKind::kSpanCorruption;
  out.sentinels = sentinels >= 0 ? sentinels : spans ? kSentinels : 0;
  return out;
}

int64_t target_length_of(const ObjectiveOptions& options, int64_t sequence_length) {
  if (objective_info(options.kind).sides != Sides::kEncoderDecoder) return 0;
  if (options.target_length > 0) return options.target_length;
  return objective_info(options.kind).target_length(options, sequence_length);
}

std::string Split::hash_hex() const {
  if (columns.size() == 1 && labels.empty() && answers.empty()) return columns[0]->hash_hex();
  Sha256 hash;
  for (const auto& column : columns) hash.update(column->hash_hex() + "\n");
  hash.update({reinterpret_cast<const char*>(labels.data()), labels.size() * sizeof(int32_t)});
  for (const Answer& answer : answers) hash.update(fmt::format("{} {} {}\n", answer.first, answer.last, answer.text));
  return to_hex(hash.finish());
}

Split Objective::open(const std::string& name, const std::vector<DataEntry>& entries,
                      const DatasetOptions& options) const {
  return {.name = name,
          .columns = {open_split(name, entries, tokenizer_->inner(), options)},
          .labels = {},
          .answers = {}};
}

Split Objective::open_column(const std::string& name, const std::vector<DataEntry>& entries,
                             DatasetOptions options) const {
  options.every_row = true;
  return Objective::open(name, entries, options);
}

Split Objective::open_pairs(const std::string& name, const std::vector<DataEntry>& entries, const DatasetOptions& options) const {
  const Split source = open_column(name, column_of(entries, &DataEntry::source, "source"), options);
  const Split target = open_column(name, column_of(entries, &DataEntry::target, "target"), options);
  return {.name = name, .columns = {source.columns[0], target.columns[0]}, .labels = {}, .answers = {}};
}

int32_t Objective::start_of_target() const {
  if (options_.decoder_start >= 0) return options_.decoder_start;
  const SpecialIds special = tokenizer_->special();
  return special.begin >= 0 ? special.begin : special.pad;
}

void Objective::score(const Split&, const Batch& batch, const Tensor& found, const Tensor& best, Score& into) const {
  const int32_t* targets = batch.targets.data<int32_t>();
  for (int64_t i = 0; i < batch.targets.elements(); ++i) {
    if (targets[i] < 0) continue;
    into.nats += found.data<float>()[i];
    if (best.defined()) into.right = into.right.value_or(0) + (best.data<int32_t>()[i] == targets[i]);
    ++into.targets;
  }
  into.rows += batch.targets.size(0);
}

std::unique_ptr<Objective> make_objective(const ObjectiveOptions& options, std::shared_ptr<const Tokenizer> tokenizer) {
  return objective_info(options.kind).make(options, extend(std::move(tokenizer), options.wanted()));
}

}  // namespace longhaul::data
