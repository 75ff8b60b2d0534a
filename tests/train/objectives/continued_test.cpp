// A public folder that a run goes on from: its tokenizer, its configuration and its names come out of the run again.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "framework/checkpoint/safetensors.h"
#include "tests/train/objectives/objective_run.h"
#include "train/commands/exchange.h"
#include "train/commands/open_model.h"
#include "train/config/load.h"
#include "train/trainer/corpora.h"

namespace longhaul::train {
namespace {

using Json = nlohmann::json;

struct Family {
  const char* name;
  const char* objective;
  const char* tokenizer;
  std::vector<std::string> keys;  // the layout of its public checkpoints
};

class AnyContinued : public ::testing::TestWithParam<Family> {
 protected:
  AnyContinued() {
    for (const std::string& key : GetParam().keys) run.overrides.push_back("model." + key);
    run.overrides.push_back("model.family=" + std::string(GetParam().name));
    run.overrides.push_back("train.steps=4");
    run.overrides.push_back("train.checkpoint.every=2");
    run.overrides.push_back("data.tokenizer.kind=" + std::string(GetParam().tokenizer));
    run.overrides.push_back(fmt::format("data.tokenizer.vocab_size={}", bpe() ? 270 : 280));
  }
  static bool bpe() { return std::string(GetParam().tokenizer) == "bpe"; }
  std::string at(const std::string& name) const { return (run.folder / name).string(); }

  void give(const std::string& model, const std::string& out) { cli::run_export({.model = at(model), .out = at(out)}, console); }
  void take(const std::string& folder, const std::string& out) { cli::run_import({.source = at(folder), .out = at(out)}, console); }

  /// A folder as somebody else has written it: keys and files that mean nothing to this program, files in other words.
  void make_public() {
    run.session("base");
    give("base", "public");
    const fs::path folder = run.folder / "public";
    Json config = Json::parse(content(folder / "config.json"));
    const auto opened = cli::open_model(at("base"), Device::cpu());
    EXPECT_EQ(config.at("eos_token_id"), opened.objective->tokenizer().special().end);
    if (opened.objective->info().sides == data::Sides::kEncoderDecoder) {
      EXPECT_EQ(config.at("decoder_start_token_id"), opened.objective->start_of_target());
    }
    config.update({{"bos_token_id", 11}, {"eos_token_id", 12}, {"sep_token_id", 12}, {"pad_token_id", config.value("pad_token_id", 10)}, {"transformers_version", "5.0.0"}, {"task_specific_params", {{"summarization", {{"max_length", 64}}}}}});
    put(folder / "config.json", config.dump());
    if (bpe()) {
      Json tokenizer = Json::parse(content(folder / "tokenizer.json"));
      const auto last = static_cast<int64_t>(tokenizer.at("model").at("vocab").size()) - 1;
      // The last piece is a mark that ends texts.
      std::string mark;
      for (const auto& [piece, id] : tokenizer.at("model").at("vocab").items()) {
        if (id == last) mark = piece;
      }
      tokenizer["added_tokens"].push_back({{"id", last}, {"content", mark}, {"single_word", false}, {"lstrip", true}, {"rstrip", false}, {"normalized", false}, {"special", true}});
      tokenizer["post_processor"] = {{"type", "ByteLevel"}, {"trim_offsets", false}};
      put(folder / "tokenizer.json", tokenizer.dump(3));
    } else {
      fs::remove(folder / "tokenizer.json");
      fs::rename(folder / "tokenizer.model", folder / "spiece.model");
    }
    put(folder / "special_tokens_map.json", R"({"eos_token": "</s>"})");
    put(folder / "tokenizer_config.json", R"({"model_max_length": 64, "additional_special_tokens": ["<extra>"]})");
    put(folder / "added_tokens.json", R"({"<extra>": 39})");
    put(folder / "generation_config.json", R"({"max_length": 20})");
  }

  /// Every file of a public folder but the weights; JSON of the configuration without its layout.
  std::map<std::string, std::string> files(const std::string& name) const {
    std::map<std::string, std::string> out;
    for (const auto& entry : fs::directory_iterator(run.folder / name)) {
      const std::string file = entry.path().filename().string();
      if (file == "model.safetensors") continue;
      out[file] = file == "config.json" ? Json::parse(content(entry.path())).dump(1) : content(entry.path());
    }
    return out;
  }
  /// Names, shapes and dtypes of the weights, with their bytes or without.
  std::map<std::string, std::string> weights(const std::string& name, bool bytes) const {
    const checkpoint::SafetensorsReader reader(run.folder / name / "model.safetensors");
    std::map<std::string, std::string> out;
    for (const auto& entry : reader.header().entries) out[entry.name] = fmt::format("{} {} {}", entry.dtype, fmt::join(entry.shape, ","), bytes ? reader.read_bytes(entry) : "");
    return out;
  }

  ObjectiveRun run{GetParam().objective};
  cli::Console console{{.verbosity = cli::Verbosity::kQuiet}};
};

class Continued : public AnyContinued {};         // every family
class ContinuedEncoder : public AnyContinued {};  // those with several heads

TEST_P(Continued, AnImportAloneChangesNothing) {
  make_public();
  take("public", "model");
  give("model", "back");
  EXPECT_EQ(files("back"), files("public"));
  EXPECT_EQ(weights("back", true), weights("public", true));
}

TEST_P(Continued, ARunKeepsTokenizerAndConfigurationThroughCutsAndAnotherRun) {
  make_public();
  take("public", "model");
  run.overrides.push_back("run.init_from=" + at("model"));
  run.session_stopped_after("tuned", 1);
  EXPECT_EQ(run.session("tuned").exit_code, 0);
  give("tuned", "back");
  EXPECT_EQ(files("back"), files("public"));
  EXPECT_EQ(weights("back", false), weights("public", false));
  EXPECT_NE(weights("back", true), weights("public", true));

  const auto hash = [&](const std::string& name) { return cli::open_model(at(name), Device::cpu()).objective->tokenizer().hash_hex(); };
  EXPECT_EQ(hash("tuned"), hash("model"));
  const auto ids = [&](const std::string& name) {
    const data::SpecialIds special = cli::open_model(at(name), Device::cpu()).objective->tokenizer().special();
    return std::vector<int32_t>{special.unknown, special.begin, special.end, special.pad, special.mask};
  };
  EXPECT_EQ(ids("tuned"), ids("model"));

  // From that run on, and from its folder once more.
  run.overrides.push_back("run.init_from=" + at("tuned"));
  run.session("more");
  give("more", "more-back");
  EXPECT_EQ(files("more-back"), files("public"));
  take("more-back", "again");
  give("again", "again-back");
  EXPECT_EQ(files("again-back"), files("public"));
  EXPECT_EQ(weights("again-back", true), weights("more-back", true));
}

TEST_P(Continued, WhatTheRunHasChangedStandsInTheConfiguration) {
  make_public();
  take("public", "model");
  run.session("tuned", {"run.init_from=" + at("model"), "model.dropout=0.25", "model.embedding_dropout=0.25"});
  give("tuned", "back");
  Json expected = Json::parse(content(run.folder / "public" / "config.json"));
  expected[expected.contains("dropout") ? "dropout" : "hidden_dropout_prob"] = 0.25;
  EXPECT_EQ(Json::parse(content(run.folder / "back" / "config.json")), expected);
}

TEST_P(Continued, TheImportedConfigurationCanBeExtended) {
  make_public();
  take("public", "model");
  put(run.folder / "more.yaml", "extends: model/config.yaml\nrun: {name: more, init_from: model}\ntrain: {steps: 2, batch_size: 4}\n");
  std::vector<std::string> set(run.overrides.begin(), run.overrides.begin() + 2);
  set.insert(set.end(), {"run.init_from=" + at("model"), "data.sequence_length=24"});
  const config::Config config = config::load_config(at("more.yaml"), set).config;
  EXPECT_EQ(config.model.family, GetParam().name);
  const auto tokenizer = make_tokenizer(config, at("model"));
  EXPECT_EQ(tokenizer->hash_hex(), cli::open_model(at("model"), Device::cpu()).objective->tokenizer().hash_hex());
}

TEST_P(ContinuedEncoder, AnotherHeadIsExportedUnderItsName) {
  make_public();
  take("public", "model");
  const Json before = Json::parse(content(run.folder / "public" / "config.json"));
  ObjectiveRun classify("classify");
  for (const std::string& key : run.overrides) {
    if (!key.starts_with("data.train") && !key.starts_with("data.valid") && !key.starts_with("data.objective")) classify.overrides.push_back(key);
  }
  classify.overrides.push_back(fmt::format("model.vocabulary={}", before.at("vocab_size").get<int64_t>()));  // that of the masked objective has a mask
  EXPECT_EQ(classify.exit_code("tuned", {"run.init_from=" + at("model")}), 0) << classify.message;
  cli::run_export({.model = (classify.folder / "tuned").string(), .out = at("back")}, console);
  const Json after = Json::parse(content(run.folder / "back" / "config.json"));
  EXPECT_THAT(after.at("architectures")[0].get<std::string>(), testing::EndsWith("ForSequenceClassification"));
  EXPECT_EQ(after.at("id2label"), Json({{"0", "high"}, {"1", "low"}, {"2", "mid"}}));
  EXPECT_EQ(after.at("eos_token_id"), 12);
  EXPECT_TRUE(weights("back", false).contains("classifier.out_proj.weight"));
  auto tokenizer = files("back"), expected = files("public");
  tokenizer.erase("config.json"), expected.erase("config.json");
  EXPECT_EQ(tokenizer, expected);
  take("back", "again");
  EXPECT_EQ(cli::open_model(at("again"), Device::cpu()).model->spec().head.classes, 3);
}

TEST_P(Continued, AnotherTokenizerIsRefused) {
  make_public();
  take("public", "model");
  run.overrides.pop_back();  // the size of the vocabulary
  EXPECT_EQ(run.exit_code("tuned", {"run.init_from=" + at("model"), "data.tokenizer.kind=byte"}), 3);
  EXPECT_THAT(run.message, testing::HasSubstr("was trained with another tokenizer"));
  EXPECT_FALSE(fs::exists(run.folder / "tuned"));
}

const Family kEncoders[] = {
    {"longformer", "masked", "bpe", {"norm=post", "embedding_norm=true", "window=4", "token_types=1", "padding_token=1", "position_offset=2", "head_transform=true"}},
    {"bigbird", "masked", "sentencepiece", {"norm=post", "embedding_norm=true", "norm_after_dropout=true", "block=2", "random_blocks=1", "random=public_training", "token_types=2", "head_transform=true"}},
};
const Family kSequenceFamilies[] = {
    {"led", "seq2seq", "bpe", {"norm=post", "window=4", "embedding_dropout=0.1"}},
    {"bigbird_pegasus", "seq2seq", "sentencepiece", {"block=2", "random_blocks=1", "random=public_training", "scale_embeddings=true", "embedding_dropout=0.1"}},
};
const auto name_of_family = [](const auto& info) { return std::string(info.param.name); };
INSTANTIATE_TEST_SUITE_P(Encoders, Continued, ::testing::ValuesIn(kEncoders), name_of_family);
INSTANTIATE_TEST_SUITE_P(EncoderDecoders, Continued, ::testing::ValuesIn(kSequenceFamilies), name_of_family);
INSTANTIATE_TEST_SUITE_P(Encoders, ContinuedEncoder, ::testing::ValuesIn(kEncoders), name_of_family);

}  // namespace
}  // namespace longhaul::train
