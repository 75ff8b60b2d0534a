#include "models/longformer/exchange.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "framework/base/io.h"
#include "framework/checkpoint/safetensors.h"
#include "models/bigbird/exchange.h"
#include "models/bigbird/options.h"
#include "models/exchange/families.h"
#include "models/exchange/folder.h"
#include "models/longformer/options.h"
#include "tests/support/folder_test.h"
#include "tests/support/paths.h"

namespace longhaul::models {
namespace {

using checkpoint::message_of;
using checkpoint::SafetensorsEntry;
using checkpoint::SafetensorsReader;
using exchange::export_model;
using exchange::import_model;
using exchange::registered_families;
using Json = nlohmann::json;

const io::Path kCases = io::Path(source_folder()) / "tests" / "reference";
const char* const kFolders[] = {"longformer/classify_cls", "longformer/mlm_globals", "longformer/mlm_no_globals_odd", "longformer/spans_globals", "bigbird/classify_sparse", "bigbird/mlm_full", "bigbird/mlm_sparse_padded", "bigbird/spans_sparse"};

ReferenceCase case_of(const std::string& name) {
  ReferenceCase out;
  out.folder = (kCases / name).string();
  return out;
}

/// A BigBird of a case, for a sequence of 50.
PublicEncoder bigbird_of(const std::string& name) {
  ReferenceCase reference = case_of(name);
  reference.meta = "{}";
  reference.tensors["input_ids"] = Tensor::zeros({1, 50}, DType::kI64, Device::cpu());
  return open_bigbird(io::read_file(kCases / name / "config.json"), reference);
}

class EncoderExchange : public checkpoint::FolderTest {
 protected:
  /// A copy of a case's public folder whose configuration `change` edits.
  io::Path folder(const std::string& name, const std::function<void(Json&)>& change = {}) {
    const io::Path out = at("public");
    io::remove_all(out);
    io::make_folder(out);
    Json config = Json::parse(io::read_file(kCases / name / "config.json"));
    if (change) change(config);
    io::write_new_file(out / "config.json", config.dump());
    io::write_new_file(out / "model.safetensors", io::read_file(kCases / name / "model.safetensors"));
    return out;
  }
  std::string said(const io::Path& source) {
    io::remove_all(at("model"));
    return message_of([&] { import_model(source, at("model"), registered_families()); });
  }
  static void expect_equal_weights(const io::Path& a, const io::Path& b) {
    const SafetensorsReader x(a), y(b);
    EXPECT_EQ(x.header().metadata, y.header().metadata);
    ASSERT_EQ(x.header().entries.size(), y.header().entries.size());
    for (const SafetensorsEntry& entry : x.header().entries) {
      const SafetensorsEntry* other = y.find(entry.name);
      ASSERT_NE(other, nullptr) << entry.name;
      EXPECT_EQ(entry.dtype, other->dtype);
      EXPECT_EQ(entry.shape, other->shape);
      EXPECT_EQ(x.read_bytes(entry), y.read_bytes(*other)) << entry.name;
    }
  }
};

TEST_F(EncoderExchange, ExportOfAnImportGivesEverythingBackBitwise) {
  for (const char* name : kFolders) {
    SCOPED_TRACE(name);
    io::remove_all(at("model")), io::remove_all(at("back"));
    import_model(kCases / name, at("model"), registered_families());
    export_model(at("model"), at("back"), {}, registered_families());
    expect_equal_weights(kCases / name / "model.safetensors", at("back/model.safetensors"));
    EXPECT_EQ(Json::parse(io::read_file(at("back/config.json"))), Json::parse(io::read_file(kCases / name / "config.json")));
  }
}

TEST_F(EncoderExchange, AlsoWithBuffersAndSecondCopiesOfTiedTensors) {
  const io::Path source = folder("longformer/mlm_globals");
  const SafetensorsReader plain(kCases / "longformer/mlm_globals" / "model.safetensors");
  std::vector<checkpoint::SafetensorsItem> items;
  const auto copy = [&](const std::string& from, const std::string& to) {
    const SafetensorsEntry& entry = plain.entry(from);
    SafetensorsEntry named = entry;
    named.name = to;
    items.push_back({.name = to, .tensor = {}, .raw = named, .raw_bytes = plain.read_bytes(entry)});
  };
  for (const SafetensorsEntry& entry : plain.header().entries) copy(entry.name, entry.name);
  copy("longformer.embeddings.word_embeddings.weight", "lm_head.decoder.weight");
  copy("lm_head.bias", "lm_head.decoder.bias");
  items.push_back({.name = "longformer.embeddings.position_ids", .tensor = {}, .raw = {.name = "longformer.embeddings.position_ids", .dtype = "I64", .shape = {1, 2}}, .raw_bytes = std::string(16, 'x')});
  io::remove_all(source / "model.safetensors");
  checkpoint::write_safetensors(source / "model.safetensors", items, {{"format", "pt"}});
  const auto report = import_model(source, at("model"), registered_families());
  EXPECT_EQ(report.buffers, 1);
  export_model(at("model"), at("back"), {}, registered_families());
  expect_equal_weights(source / "model.safetensors", at("back/model.safetensors"));
}

TEST_F(EncoderExchange, UnknownMissingAndOddTensorsAreNamed) {
  const io::Path source = folder("longformer/mlm_globals");
  const SafetensorsReader plain(kCases / "longformer/mlm_globals" / "model.safetensors");
  const auto with = [&](const std::string& without, const std::function<void(std::vector<checkpoint::SafetensorsItem>&)>& more) {
    std::vector<checkpoint::SafetensorsItem> items;
    for (const SafetensorsEntry& entry : plain.header().entries) {
      if (entry.name != without) items.push_back({.name = entry.name, .tensor = {}, .raw = entry, .raw_bytes = plain.read_bytes(entry)});
    }
    if (more) more(items);
    io::remove_all(source / "model.safetensors");
    checkpoint::write_safetensors(source / "model.safetensors", items, {{"format", "pt"}});
    return said(source);
  };
  EXPECT_EQ(with("longformer.encoder.layer.1.attention.self.key_global.weight", {}),
            "[exchange] " + source.string() + ": there is no tensor \"longformer.encoder.layer.1.attention.self.key_global.weight\", which becomes \"layers.1.attention.key_value_global.weight\"");
  EXPECT_NE(with("", [](auto& items) { items.push_back({.name = "longformer.extra", .tensor = {}, .raw = {.name = "longformer.extra", .dtype = "F32", .shape = {1}}, .raw_bytes = "abcd"}); }).find("the tensor \"longformer.extra\" has no place in this family"), std::string::npos);
  EXPECT_NE(with("longformer.encoder.layer.0.attention.self.query.weight", [](auto& items) {
    const std::string name = "longformer.encoder.layer.0.attention.self.query.weight";
    items.push_back({.name = name, .tensor = {}, .raw = {.name = name, .dtype = "F32", .shape = {16, 32}}, .raw_bytes = std::string(16 * 32 * 4, 'a')});
  }).find("\"longformer.encoder.layer.0.attention.self.query.weight\" gives [16, 32]"), std::string::npos);
}

TEST_F(EncoderExchange, WeightsOfOtherShapesThanTheConfigurationSaysAreRefused) {
  const std::pair<const char*, const char*> kWrong[] = {{"vocab_size", "lm_head.bias"}, {"max_position_embeddings", "embeddings.position_embeddings.weight"},
                                                        {"intermediate_size", "intermediate.dense."}, {"type_vocab_size", "embeddings.token_type_embeddings.weight"}};
  for (const auto& [key, tensor] : kWrong) {
    const std::string text = said(folder("longformer/mlm_globals", [key = key](Json& c) { c[key] = c.at(key).get<int64_t>() + 2; }));
    EXPECT_NE(text.find(tensor), std::string::npos) << key << ": " << text;
    EXPECT_NE(text.find("config.json describes a model that has"), std::string::npos) << key << ": " << text;
    EXPECT_FALSE(io::exists(at("model")));
  }
}

TEST_F(EncoderExchange, ClassesKeepTheirNames) {
  for (const char* name : {"longformer/classify_cls", "bigbird/classify_sparse"}) {
    const auto family = name[0] == 'l' ? longformer_exchange() : bigbird_exchange();
    const Json config = Json::parse(io::read_file(kCases / name / "config.json"));
    ModelSpec spec = *family.reading_of(config.dump(), exchange::tensor_names(kCases / name)).spec;
    for (int64_t k = 0; k < spec.head.classes; ++k) spec.head.labels.at(static_cast<size_t>(k)) = "kind " + std::to_string(k);
    const Json written = Json::parse(family.to_json(spec));
    EXPECT_EQ(written.at("id2label").at("1"), "kind 1") << name;
    EXPECT_EQ(written.at("label2id").at("kind 1"), 1) << name;
  }
}

TEST_F(EncoderExchange, ConfigurationsThatAreNotThisFamilyAreRefused) {
  EXPECT_NE(said(folder("longformer/mlm_globals", [](Json& c) { c["attention_window"] = {8, 7}; })).find("attention_window = 7: expected an even number above 0"), std::string::npos);
  EXPECT_NE(said(folder("longformer/mlm_globals", [](Json& c) { c["attention_window"] = {8, 8, 8}; })).find("attention_window has 3 values for 2 layers"), std::string::npos);
  EXPECT_NE(said(folder("longformer/mlm_globals", [](Json& c) { c["hidden_act"] = "mish"; })).find("hidden_act = \"mish\" is not supported"), std::string::npos);
  EXPECT_NE(said(folder("longformer/mlm_globals", [](Json& c) { c["model_type"] = "big_bird"; })).find("there is no tensor \"embeddings.word_embeddings.weight\""), std::string::npos);  // another family's checkpoint
  EXPECT_NE(said(folder("bigbird/mlm_full", [](Json& c) { c["is_decoder"] = true; })).find("BigBird as a decoder is not supported"), std::string::npos);
  EXPECT_NE(said(folder("longformer/mlm_globals", [](Json& c) { c["num_hidden_layers"] = 3; c["attention_window"] = 8; })).find("there is no tensor \"longformer.encoder.layer.2."), std::string::npos);
}

TEST_F(EncoderExchange, ATableOfPositionsCanBeMadeLonger) {
  // 60 rows: two of padding and 58 positions become 2 + 130; the first 58 and the next 58 are equal.
  import_model(folder("longformer/mlm_globals"), at("model"), registered_families(), 130);
  const SafetensorsReader ours(at("model/model.safetensors")), plain(kCases / "longformer/mlm_globals" / "model.safetensors");
  const Tensor table = ours.read(ours.entry("position_embedding.weight")), before = plain.read(plain.entry("longformer.embeddings.position_embeddings.weight"));
  ASSERT_EQ(table.shape(), (Shape{132, 32}));
  for (int64_t row = 0; row < 132; ++row) {
    const int64_t source = row < 2 ? row : 2 + (row - 2) % 58;
    EXPECT_EQ(std::memcmp(table.data<float>() + row * 32, before.data<float>() + source * 32, 32 * sizeof(float)), 0) << row;
  }
  export_model(at("model"), at("back"), {}, registered_families());
  EXPECT_EQ(Json::parse(io::read_file(at("back/config.json"))).at("max_position_embeddings"), 132);
  EXPECT_EQ(SafetensorsReader(at("back/model.safetensors")).entry("longformer.embeddings.position_embeddings.weight").shape, (std::vector<int64_t>{132, 32}));
  EXPECT_NE(message_of([&] { import_model(at("public"), at("other"), registered_families(), 10); }).find("10 positions are asked for, its table has 58 already"), std::string::npos);
}

TEST_F(EncoderExchange, AModelTrainedHereGetsAConfigurationThatReadsBack) {
  import_model(kCases / "longformer/mlm_globals", at("model"), registered_families());
  // What a run makes of it: our tensors and options, without public.json.
  const PublicEncoder read = open_longformer(io::read_file(kCases / "longformer/mlm_globals" / "config.json"), case_of("longformer/mlm_globals"));
  const Json written = Json::parse(longformer_exchange().to_json(read.spec)), original = Json::parse(io::read_file(kCases / "longformer/mlm_globals" / "config.json"));
  for (const auto& [key, value] : written.items()) {
    if (original.contains(key)) {
      EXPECT_EQ(value, original.at(key)) << key;
    }
  }
  for (const char* key : {"attention_window", "hidden_size", "max_position_embeddings", "model_type", "num_hidden_layers", "type_vocab_size", "vocab_size", "layer_norm_eps", "architectures"}) EXPECT_TRUE(written.contains(key)) << key;
  for (const std::string name : {"bigbird/mlm_full", "bigbird/spans_sparse"}) {
    const Json big = Json::parse(bigbird_exchange().to_json(bigbird_of(name).spec)), big_original = Json::parse(io::read_file(kCases / name / "config.json"));
    for (const auto& [key, value] : big.items()) {
      if (big_original.contains(key)) {
        EXPECT_EQ(value, big_original.at(key)) << key;
      }
    }
  }
}

TEST_F(EncoderExchange, AnEmbeddingDropoutOfItsOwnIsWarnedOf) {
  const PublicEncoder read = open_longformer(io::read_file(kCases / "longformer/mlm_globals" / "config.json"), case_of("longformer/mlm_globals"));
  const auto told = [&](double embedding_dropout) {
    auto options = std::make_shared<LongformerOptions>(dynamic_cast<const LongformerOptions&>(*read.spec.options));
    options->body.dropout = 0.25, options->body.embedding_dropout = embedding_dropout;
    ModelSpec spec = read.spec;
    spec.options = options;
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(Json::parse(longformer_exchange().to_json(spec)).at("hidden_dropout_prob"), 0.25);
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(told(0.25), "");
  EXPECT_NE(told(0.125).find("[exchange] model.embedding_dropout = 0.125 is left out: the public layout has one dropout, which is written as model.dropout = 0.25"), std::string::npos);
}

TEST_F(EncoderExchange, WhatThePublicLayoutCannotSayIsRefused) {
  const PublicEncoder read = open_longformer(io::read_file(kCases / "longformer/mlm_globals" / "config.json"), case_of("longformer/mlm_globals"));
  const auto refused = [&](const std::function<void(LongformerOptions&)>& change) {
    auto options = std::make_shared<LongformerOptions>(dynamic_cast<const LongformerOptions&>(*read.spec.options));
    change(*options);
    ModelSpec spec = read.spec;
    spec.options = options;
    return message_of([&] { longformer_exchange().to_json(spec); });
  };
  EXPECT_EQ(refused([](auto& o) { o.body.norm = NormPlacement::kPre; }), "[exchange] model.norm: the public layout knows post only");
  EXPECT_NE(refused([](auto& o) { o.dilation = {1, 2}; }).find("without dilation"), std::string::npos);
  EXPECT_NE(refused([](auto& o) { o.global_tokens = GlobalChoice::kNone; }).find("other than none"), std::string::npos);

  // The layer before the head for answers is BigBird's alone.
  ModelSpec spans = bigbird_of("bigbird/spans_sparse").spec;
  auto blocks = std::make_shared<BigBirdOptions>(dynamic_cast<const BigBirdOptions&>(*spans.options));
  blocks->layout.head_transform = false;
  spans.options = blocks;
  EXPECT_NE(message_of([&] { bigbird_exchange().to_json(spans); }).find("BigBird for question answering has model.head_transform = true"), std::string::npos);
  spans = open_longformer(io::read_file(kCases / "longformer/spans_globals" / "config.json"), case_of("longformer/spans_globals")).spec;
  auto windows = std::make_shared<LongformerOptions>(dynamic_cast<const LongformerOptions&>(*spans.options));
  windows->layout.head_transform = true;
  spans.options = windows;
  EXPECT_NE(message_of([&] { longformer_exchange().to_json(spans); }).find("Longformer for question answering has model.head_transform = false"), std::string::npos);
}

}  // namespace
}  // namespace longhaul::models
