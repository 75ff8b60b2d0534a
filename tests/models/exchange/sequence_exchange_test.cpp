// Public folders of encoder-decoders, there and back.
#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "framework/checkpoint/checkpoint.h"
#include "models/exchange/families.h"
#include "tests/support/folder_test.h"
#include "tests/support/paths.h"

namespace longhaul::models::exchange {
namespace {

using checkpoint::message_of;
using checkpoint::SafetensorsItem;
using checkpoint::SafetensorsReader;
using Json = nlohmann::json;

struct PublicCase {
  const char* name;    // of a folder in tests/reference
  const char* family;
  int64_t parameters;  // of ours, the buffer included
  const char* missing;  // a tensor the family needs
};

class SequenceExchange : public checkpoint::FolderTest, public testing::WithParamInterface<PublicCase> {
 protected:
  void SetUp() override {
    FolderTest::SetUp();
    const io::Path source = io::Path(source_folder()) / "tests" / "reference" / GetParam().name;
    io::make_folder(at("public"));
    for (const char* file : {"config.json", "model.safetensors"}) io::write_new_file(at("public") / file, io::read_file(source / file));
    for (const char* file : {"vocab.json", "merges.txt", "spiece.model", "tokenizer_config.json"}) io::write_new_file(at("public") / file, std::string("kept: ") + file);
  }
  ImportReport import() {
    io::remove_all(at("model"));
    return import_model(at("public"), at("model"), registered_families());
  }
  void rewrite(const std::function<void(std::vector<SafetensorsItem>&)>& change) {
    std::vector<SafetensorsItem> items;
    std::map<std::string, std::string> metadata;
    {
      const SafetensorsReader reader(at("public/model.safetensors"));
      for (const auto& entry : reader.header().entries) items.push_back({.name = entry.name, .tensor = {}, .raw = entry, .raw_bytes = reader.read_bytes(entry)});
      metadata = reader.header().metadata;
    }
    change(items);
    io::remove_all(at("public/model.safetensors"));
    checkpoint::write_safetensors(at("public/model.safetensors"), items, metadata);
  }
  void expect_back() {
    io::remove_all(at("back"));
    export_model(at("model"), at("back"), {}, registered_families());
    EXPECT_EQ(Json::parse(io::read_file(at("public/config.json"))), Json::parse(io::read_file(at("back/config.json"))));
    const SafetensorsReader a(at("public/model.safetensors")), b(at("back/model.safetensors"));
    EXPECT_EQ(a.header().metadata, b.header().metadata);
    ASSERT_EQ(a.header().entries.size(), b.header().entries.size());
    for (const auto& entry : a.header().entries) {
      EXPECT_EQ(entry.dtype, b.entry(entry.name).dtype) << entry.name;
      EXPECT_EQ(entry.shape, b.entry(entry.name).shape) << entry.name;
      EXPECT_EQ(a.read_bytes(entry), b.read_bytes(b.entry(entry.name))) << entry.name;
    }
  }
};

TEST_P(SequenceExchange, GivesEverythingBackBitwise) {
  const ImportReport report = import();
  EXPECT_EQ(report.family, GetParam().family);
  EXPECT_EQ(report.parameters, GetParam().parameters);
  expect_back();
  for (const char* file : {"vocab.json", "merges.txt", "spiece.model", "tokenizer_config.json"}) EXPECT_EQ(io::read_file(at("back") / file), std::string("kept: ") + file);
}

TEST_P(SequenceExchange, SecondCopiesOfTheTableAndAnAbsentBiasComeBackAsTheyWere) {
  rewrite([](std::vector<SafetensorsItem>& items) {
    std::erase_if(items, [](const SafetensorsItem& item) { return item.name == "final_logits_bias"; });
    const auto table = std::find_if(items.begin(), items.end(), [](const SafetensorsItem& item) { return item.name.ends_with("shared.weight"); });
    SafetensorsItem copy = *table;
    copy.name = copy.raw.name = "lm_head.weight";
    items.push_back(copy);
  });
  import();
  const SafetensorsReader ours(at("model/model.safetensors"));
  EXPECT_EQ(ours.read_bytes(ours.entry("head.logits_bias")).find_first_not_of('\0'), std::string::npos);
  expect_back();
}

TEST_P(SequenceExchange, WhatDoesNotFitIsNamed) {
  rewrite([](std::vector<SafetensorsItem>& items) { std::erase_if(items, [](const SafetensorsItem& item) { return item.name == GetParam().missing; }); });
  EXPECT_NE(message_of([&] { import(); }).find(std::string("there is no tensor \"") + GetParam().missing), std::string::npos);
  io::remove_all(at("public/model.safetensors"));
  io::write_new_file(at("public/model.safetensors"), io::read_file(io::Path(source_folder()) / "tests" / "reference" / GetParam().name / "model.safetensors"));
  rewrite([](std::vector<SafetensorsItem>& items) {
    items.push_back(items.front());
    items.back().name = items.back().raw.name = "qa_outputs.weight";
  });
  EXPECT_NE(message_of([&] { import(); }).find("the tensor \"qa_outputs.weight\" has no place in this family"), std::string::npos);
  Json config = Json::parse(io::read_file(at("public/config.json")));
  config["activation_function"] = "swish";
  io::replace_file(at("public/config.json"), config.dump());
  EXPECT_NE(message_of([&] { import(); }).find("activation_function = \"swish\" is not supported"), std::string::npos);
  config["d_model"] = 33;
  io::replace_file(at("public/config.json"), config.dump());
  EXPECT_NE(message_of([&] { import(); }).find("does not divide d_model = 33"), std::string::npos);
}

const PublicCase kCases[] = {
    {"led/greedy", "led", 54515, "led.encoder.layers.1.self_attn.longformer_self_attn.value_global.bias"},
    {"bigbird_pegasus/greedy", "bigbird_pegasus", 48848, "model.decoder.layernorm_embedding.weight"},
};
INSTANTIATE_TEST_SUITE_P(Families, SequenceExchange, testing::ValuesIn(kCases), [](const auto& info) { return std::string(info.param.family); });

}  // namespace
}  // namespace longhaul::models::exchange
