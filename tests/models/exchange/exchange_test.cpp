#include "models/exchange/exchange.h"

#include <cstring>
#include <nlohmann/json.hpp>

#include "framework/base/io_faults.h"
#include "framework/base/sha256.h"
#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/safetensors.h"
#include "models/exchange/folder.h"
#include "tests/support/folder_test.h"

namespace longhaul::models::exchange {
namespace {

using checkpoint::message_of;
using checkpoint::SafetensorsEntry;
using checkpoint::SafetensorsItem;
using checkpoint::SafetensorsReader;
using Json = nlohmann::json;

/// A made-up family with every kind of rule: a fused projection that is split and transposed, two tensors that are
/// joined, a tied head, and buffers. D = 4, two layers.
Family toy_family() {
  Family family;
  family.name = "toy";
  family.model_types = {"toy-1", "toy-2"};
  family.names = [](const std::string& config) {
    const int64_t layers = Json::parse(config).at("layers").get<int64_t>();
    NameMap map;
    map.rules.push_back({"wte.weight", "embedding.weight"});
    map.tied.push_back({"lm_head.weight", "wte.weight"});
    int part = 0;
    for (const char* name : {"query", "key", "value"}) {
      map.add_layers(layers, {"h.{}.attn.weight",
                              std::string("layers.{}.attention.") + name + ".weight",
                              true,
                              {.axis = 1, .begin = 4 * part, .size = 4},
                              {}});
      ++part;
    }
    map.add_layers(layers,
                   {"h.{}.gate.weight", "layers.{}.mlp.in.weight", false, {}, {.axis = 0, .begin = 0, .size = 6}});
    map.add_layers(layers,
                   {"h.{}.up.weight", "layers.{}.mlp.in.weight", false, {}, {.axis = 0, .begin = 6, .size = 6}});
    for (int64_t layer = 0; layer < layers; ++layer) map.buffers.push_back("h." + std::to_string(layer) + ".mask");
    map.buffers.push_back("position_ids");
    return map;
  };
  family.to_yaml = [](const std::string& config) {
    return "model: {family: toy, layers: " + Json::parse(config).at("layers").dump() + "}\n";
  };
  family.to_json = [](const ModelSpec& trained) {
    return std::string("{\"model_type\": \"toy-1\", \"layers\": ") + std::to_string(trained.options->body.layers) + "}\n";
  };
  return family;
}

SafetensorsItem random_item(const std::string& name, const std::string& dtype, const std::vector<int64_t>& shape,
                            size_t bytes) {
  std::string data;
  for (int block = 0; data.size() < bytes; ++block) {
    for (const char digit : sha256_hex(name + std::to_string(block))) data += static_cast<char>(digit * 37);
  }
  data.resize(bytes);
  return {.name = name, .tensor = {}, .raw = {.name = name, .dtype = dtype, .shape = shape}, .raw_bytes = data};
}

class ExchangeTest : public checkpoint::FolderTest {
 protected:
  void SetUp() override {
    FolderTest::SetUp();
    io::make_folder(at("public"));
    items_.push_back(random_item("wte.weight", "F32", {9, 4}, 144));
    for (const std::string layer : {"0", "1"}) {
      items_.push_back(random_item("h." + layer + ".attn.weight", "BF16", {4, 12}, 96));
      items_.push_back(random_item("h." + layer + ".gate.weight", "F16", {6, 4}, 48));
      items_.push_back(random_item("h." + layer + ".up.weight", "F16", {6, 4}, 48));
      items_.push_back(random_item("h." + layer + ".mask", "BOOL", {1, 3, 3}, 9));
    }
    items_.push_back(random_item("position_ids", "I64", {1, 5}, 40));
    SafetensorsItem tied = items_.front();
    tied.name = "lm_head.weight";
    items_.push_back(tied);
    write_weights();
    write("config.json", R"({"model_type": "toy-2", "layers": 2, "eps": 1e-12, "names": {"0": "ä"}, "none": null})");
    write("merges.txt", "#version\nab c\n");
    write("tokenizer_config.json", "{}");
    write("README.md", "not part of the model");
  }
  void write(const std::string& name, const std::string& text) {
    io::remove_all(at("public") / name);
    io::write_new_file(at("public") / name, text);
  }
  void write_weights() {
    io::remove_all(at("public/model.safetensors"));
    checkpoint::write_safetensors(at("public/model.safetensors"), items_, {{"format", "pt"}, {"note", "as it was"}});
  }
  ImportReport import() {
    io::remove_all(at("model"));
    return import_model(at("public"), at("model"), {toy_family()});
  }
  std::string said_by_import() {
    return message_of([&] { import(); });
  }
  SafetensorsItem& item(const std::string& name) {
    return *std::find_if(items_.begin(), items_.end(), [&](const SafetensorsItem& one) { return one.name == name; });
  }
  void expect_equal_weights(const io::Path& a, const io::Path& b) {
    const SafetensorsReader x(a);
    const SafetensorsReader y(b);
    EXPECT_EQ(x.header().metadata, y.header().metadata);
    ASSERT_EQ(x.header().entries.size(), y.header().entries.size());
    for (const SafetensorsEntry& entry : x.header().entries) {
      const SafetensorsEntry& other = y.entry(entry.name);
      EXPECT_EQ(entry.dtype, other.dtype) << entry.name;
      EXPECT_EQ(entry.shape, other.shape) << entry.name;
      EXPECT_EQ(x.read_bytes(entry), y.read_bytes(other)) << entry.name;
    }
  }
  Json json_at(const std::string& path) { return Json::parse(io::read_file(at(path))); }

  std::vector<SafetensorsItem> items_;
};

TEST_F(ExchangeTest, ExportOfAnImportGivesEverythingBackBitwise) {
  const ImportReport report = import();
  EXPECT_EQ(report.family, "toy");
  EXPECT_EQ(report.tensors, 9);
  EXPECT_EQ(report.parameters, 36 + 2 * (48 + 48));
  EXPECT_EQ(report.buffers, 3);
  EXPECT_EQ(io::list(at("model")),
            (std::vector<std::string>{"config.yaml", "manifest.json", "merges.txt", "model.safetensors", "public.json",
                                      "public.safetensors", "tokenizer_config.json"}));
  EXPECT_TRUE(checkpoint::verify(at("model")).empty());
  EXPECT_EQ(checkpoint::resolve_model(at("model")), at("model"));
  export_model(at("model"), at("back"), {}, {toy_family()});
  expect_equal_weights(at("public/model.safetensors"), at("back/model.safetensors"));
  EXPECT_EQ(json_at("public/config.json"), json_at("back/config.json"));
  EXPECT_EQ(io::read_file(at("back/merges.txt")), "#version\nab c\n");
  EXPECT_FALSE(io::exists(at("back/README.md")));
}

TEST_F(ExchangeTest, OurTensorsHoldTheNamedPieces) {
  import();
  const SafetensorsReader ours(at("model/model.safetensors"));
  const std::string& fused = item("h.1.attn.weight").raw_bytes;  // [4, 12] bf16
  const std::string key = ours.read_bytes(ours.entry("layers.1.attention.key.weight"));
  for (size_t out = 0; out < 4; ++out) {
    for (size_t in = 0; in < 4; ++in)
      EXPECT_EQ(key.substr(2 * (out * 4 + in), 2), fused.substr(2 * (in * 12 + 4 + out), 2));
  }
  EXPECT_EQ(ours.read_bytes(ours.entry("layers.0.mlp.in.weight")),
            item("h.0.gate.weight").raw_bytes + item("h.0.up.weight").raw_bytes);
  EXPECT_EQ(ours.find("lm_head.weight"), nullptr);
}

TEST_F(ExchangeTest, ShardsComeBackAsShards) {
  std::vector<SafetensorsItem> first(items_.begin(), items_.begin() + 4);
  std::vector<SafetensorsItem> second(items_.begin() + 4, items_.end());
  Json map;
  for (const auto& one : first) map[one.name] = "a.safetensors";
  for (const auto& one : second) map[one.name] = "b.safetensors";
  io::unlink(at("public/model.safetensors"));
  checkpoint::write_safetensors(at("public/a.safetensors"), first, {{"part", "1"}});
  checkpoint::write_safetensors(at("public/b.safetensors"), second, {{"part", "2"}});
  write("model.safetensors.index.json", Json({{"weight_map", map}}).dump());
  import();
  export_model(at("model"), at("back"), {}, {toy_family()});
  expect_equal_weights(at("public/a.safetensors"), at("back/a.safetensors"));
  expect_equal_weights(at("public/b.safetensors"), at("back/b.safetensors"));
  EXPECT_EQ(json_at("back/model.safetensors.index.json"), json_at("public/model.safetensors.index.json"));
  write("model.safetensors.index.json", R"({"weight_map": {"x": "../a.safetensors"}})");
  EXPECT_EQ(said_by_import(), "[exchange] " + at("public/model.safetensors.index.json").string() +
                                  ": the file of \"x\" is no plain file name");
}

TEST_F(ExchangeTest, AModelTrainedHereIsExportedToo) {
  import();
  // As a run would save it: f32 throughout, without public.json.
  checkpoint::CheckpointContent content;
  content.step = 5;
  const SafetensorsReader ours(at("model/model.safetensors"));
  auto& tensors = content.state.tensors[checkpoint::Section::kModel];
  for (const SafetensorsEntry& entry : ours.header().entries) {
    const Tensor tensor = Tensor::zeros(Shape(std::span<const int64_t>(entry.shape)), DType::kF32, Device::cpu());
    ours.read(entry, tensor, false);
    tensors.push_back({entry.name, tensor});
  }
  content.state.scalars = "{}\n";
  content.files["config.yaml"] = "model: {family: toy, layers: 2}\n";
  checkpoint::save_checkpoint(at("run"), content, {});
  ModelSpec trained;
  trained.family = "toy";
  const auto options = std::make_shared<FamilyOptions>();
  options->body.layers = 2;
  trained.options = options;
  export_model(at("run/step-00000005"), at("back"), trained, {toy_family()});
  const SafetensorsReader back(at("back/model.safetensors"));
  EXPECT_EQ(back.entry("h.0.attn.weight").shape, (std::vector<int64_t>{4, 12}));
  EXPECT_EQ(back.entry("h.0.attn.weight").dtype, "F32");
  EXPECT_EQ(json_at("back/config.json"), Json({{"model_type", "toy-1"}, {"layers", 2}}));
  // The other way it gives the same tensors.
  import_model(at("back"), at("again"), {toy_family()});
  const SafetensorsReader again(at("again/model.safetensors"));
  for (const auto& tensor : tensors) {
    const Tensor read = again.read(again.entry(tensor.name));
    EXPECT_EQ(std::memcmp(read.raw(), tensor.tensor.raw(), static_cast<size_t>(tensor.tensor.bytes())), 0)
        << tensor.name;
  }

  // With public.json beside it, the public dtypes are kept.
  content.files["public.json"] = io::read_file(at("model/public.json"));
  content.files["public.safetensors"] = io::read_file(at("model/public.safetensors"));
  content.files["merges.txt"] = content.files["tokenizer_config.json"] = "";
  content.step = 6;
  checkpoint::save_checkpoint(at("run"), content, {});
  export_model(at("run/step-00000006"), at("tuned"), trained, {toy_family()});
  EXPECT_EQ(SafetensorsReader(at("tuned/model.safetensors")).entry("h.0.attn.weight").dtype, "BF16");
}

TEST_F(ExchangeTest, WhatDoesNotFitIsNamed) {
  const std::string where = "[exchange] " + at("public").string() + ": ";
  const std::vector<SafetensorsItem> good = items_;
  const auto without = [&](const std::string& name) {
    items_ = good;
    std::erase_if(items_, [&](const SafetensorsItem& one) { return one.name == name; });
    write_weights();
    return said_by_import();
  };
  EXPECT_EQ(without("h.1.up.weight"),
            where + "there is no tensor \"h.1.up.weight\", which becomes \"layers.1.mlp.in.weight\"");
  EXPECT_EQ(without("lm_head.weight"), "no error");
  EXPECT_EQ(without("position_ids"), "no error");
  const auto with = [&](const SafetensorsItem& added) {
    items_ = good;
    std::erase_if(items_, [&](const SafetensorsItem& one) { return one.name == added.name; });
    items_.push_back(added);
    write_weights();
    return said_by_import();
  };
  EXPECT_EQ(with(random_item("extra", "F32", {1}, 4)),
            where +
                "the tensor \"extra\" has no place in this family\n  hint: the folder holds another kind of model, or "
                "one with parts that are not supported");
  EXPECT_EQ(with(random_item("lm_head.weight", "F32", {9, 4}, 144)),
            where + "\"lm_head.weight\" and \"wte.weight\" are one tensor in this family but differ in the file");
  EXPECT_EQ(with(random_item("h.0.attn.weight", "BF16", {4, 16}, 128)),
            where + "\"h.0.attn.weight\" has 16 rows along axis 1, its parts take 12");
  EXPECT_EQ(with(random_item("h.0.attn.weight", "BF16", {12}, 24)),
            where + "tensor \"h.0.attn.weight\" of shape [12] has no axis 1");
  EXPECT_EQ(
      with(random_item("h.0.up.weight", "F16", {6, 5}, 60)),
      where + "the tensors that become \"layers.0.mlp.in.weight\" have shapes that do not fit: [12, 5] beside [12, 4]");
  EXPECT_EQ(with(random_item("h.0.up.weight", "F16", {5, 4}, 40)),
            where + "\"h.0.up.weight\" gives [5, 4], which is not 6 rows along axis 0 of \"layers.0.mlp.in.weight\"");
  EXPECT_EQ(with(random_item("h.0.up.weight", "F32", {6, 4}, 96)),
            where + "the tensors that become \"layers.0.mlp.in.weight\" are f16 and f32");
  EXPECT_FALSE(io::exists(at("model")));
}

TEST_F(ExchangeTest, AnAbsentTensorThatMayBeAbsentIsZeroAndStaysAbsent) {
  Family family = toy_family();
  const auto names = family.names;
  family.names = [names](const std::string& config) {
    NameMap map = names(config);
    map.rules.push_back({"logits_bias", "logits_bias"});
    map.zeros["logits_bias"] = Shape{1, 9};
    return map;
  };
  import_model(at("public"), at("model"), {family});
  const SafetensorsReader ours(at("model/model.safetensors"));
  EXPECT_EQ(ours.entry("logits_bias").shape, (std::vector<int64_t>{1, 9}));
  EXPECT_EQ(ours.read_bytes(ours.entry("logits_bias")).find_first_not_of('\0'), std::string::npos);
  export_model(at("model"), at("back"), {}, {family});
  expect_equal_weights(at("public/model.safetensors"), at("back/model.safetensors"));

  items_.push_back(random_item("logits_bias", "F32", {1, 9}, 36));
  write_weights();
  io::remove_all(at("model"));
  import_model(at("public"), at("model"), {family});
  const SafetensorsReader with(at("model/model.safetensors"));
  EXPECT_EQ(with.read_bytes(with.entry("logits_bias")), items_.back().raw_bytes);
}

TEST_F(ExchangeTest, FoldersThatCannotServeAreNamed) {
  const std::string config = "[exchange] " + at("public/config.json").string();
  write("config.json", R"({"model_type": "other"})");
  EXPECT_EQ(said_by_import(),
            config + ": no family of this build reads the model_type \"other\"\n  hint: these are read: toy-1, toy-2");
  write("config.json", "[]");
  EXPECT_EQ(said_by_import(), config + ": it is not a JSON object with a \"model_type\"");
  io::unlink(at("public/config.json"));
  EXPECT_EQ(said_by_import(),
            config + " does not exist\n  hint: a public folder holds config.json and model.safetensors");
  write("config.json", R"({"model_type": "toy-1", "layers": 2})");
  io::unlink(at("public/model.safetensors"));
  EXPECT_EQ(said_by_import(), "[exchange] " + at("public").string() +
                                  " holds neither model.safetensors nor model.safetensors.index.json\n  hint: weights "
                                  "in other formats must be converted to safetensors first");
  write_weights();
  import();
  EXPECT_EQ(message_of([&] { import_model(at("public"), at("model"), {toy_family()}); }),
            "[exchange] " + at("model").string() + " exists already\n  hint: name a folder that does not exist yet");
  io::replace_file(at("model/public.json"), "{}");
  EXPECT_EQ(message_of([&] { export_model(at("model"), at("back"), {}, {toy_family()}); }),
            "[checkpoint] " + at("model/public.json").string() + ": the file has 2 bytes, the manifest says " +
                std::to_string(checkpoint::read_manifest(at("model")).find("public.json")->size));
}

TEST_F(ExchangeTest, AnImportThatFailsLeavesNothingBehind) {
  for (int64_t n = 1;; ++n) {
    bool hit = false;
    {
      const io::FaultScope faults({.at = n, .error = ENOSPC});
      try {
        import_model(at("public"), at("model"), {toy_family()});
      } catch (const Error&) {
      }
      hit = faults.hits() > 0;
    }
    if (!hit) break;
    if (io::exists(at("model"))) {
      ASSERT_TRUE(checkpoint::verify(at("model")).empty()) << n;
      io::remove_all(at("model"));
    }
    for (const std::string& name : io::list(folder_)) {
      ASSERT_TRUE(name == "public") << n << " " << name;
    }
  }
}

}  // namespace
}  // namespace longhaul::models::exchange
