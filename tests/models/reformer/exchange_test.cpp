#include "models/reformer/exchange.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "framework/base/io.h"
#include "framework/checkpoint/safetensors.h"
#include "models/exchange/families.h"
#include "tests/support/folder_test.h"
#include "tests/support/paths.h"

namespace longhaul::models {
namespace {

using checkpoint::message_of;
using checkpoint::SafetensorsReader;
using Json = nlohmann::json;

const io::Path kCases = io::Path(source_folder()) / "tests" / "reference" / "reformer";
const char* const kFolders[] = {"causal_1hash", "causal_2hash_factored", "causal_4hash_odd", "causal_auto_buckets", "greedy", "masked_lm"};

class ReformerExchange : public checkpoint::FolderTest {
 protected:
  /// What the import of a case says whose configuration `change` has edited.
  std::string said(const std::function<void(Json&)>& change) {
    io::remove_all(at("public")), io::remove_all(at("model"));
    io::make_folder(at("public"));
    Json config = Json::parse(io::read_file(kCases / "causal_1hash" / "config.json"));
    change(config);
    io::write_new_file(at("public/config.json"), config.dump());
    io::write_new_file(at("public/model.safetensors"), io::read_file(kCases / "causal_1hash" / "model.safetensors"));
    return message_of([&] { exchange::import_model(at("public"), at("model"), exchange::registered_families()); });
  }
  static void expect_equal_weights(const io::Path& a, const io::Path& b) {
    const SafetensorsReader x(a), y(b);
    EXPECT_EQ(x.header().metadata, y.header().metadata);
    ASSERT_EQ(x.header().entries.size(), y.header().entries.size());
    for (const auto& entry : x.header().entries) {
      EXPECT_EQ(entry.shape, y.entry(entry.name).shape) << entry.name;
      EXPECT_EQ(x.read_bytes(entry), y.read_bytes(y.entry(entry.name))) << entry.name;
    }
  }
};

TEST_F(ReformerExchange, ExportOfAnImportGivesEverythingBackBitwise) {
  for (const char* name : kFolders) {
    SCOPED_TRACE(name);
    io::remove_all(at("model")), io::remove_all(at("back"));
    const auto report = exchange::import_model(kCases / name, at("model"), exchange::registered_families());
    EXPECT_EQ(report.family, "reformer");
    exchange::export_model(at("model"), at("back"), {}, exchange::registered_families());
    expect_equal_weights(kCases / name / "model.safetensors", at("back/model.safetensors"));
    EXPECT_EQ(Json::parse(io::read_file(at("back/config.json"))), Json::parse(io::read_file(kCases / name / "config.json")));
  }
}

TEST_F(ReformerExchange, PublishedModelsHaveTheirNumberOfParameters) {
  // Layers and sizes of google/reformer-enwik8 and google/reformer-crime-and-punishment.
  const auto count = [](const Json& config) {
    const PublicReformer reading = read_reformer(config.dump(), {});
    return make_any_model(reading.spec, 0, Device::meta())->parameter_count();
  };
  Json enwik8 = {{"hidden_size", 1024}, {"feed_forward_size", 4096}, {"num_attention_heads", 8}, {"attention_head_size", 128}, {"local_attn_chunk_length", 128}, {"lsh_attn_chunk_length", 256}};
  enwik8["attn_layers"] = {"local", "local", "lsh", "local", "local", "local", "lsh", "local", "local", "local", "lsh", "local"};
  enwik8["num_buckets"] = 512, enwik8["num_hashes"] = 4, enwik8["axial_pos_shape"] = {128, 512}, enwik8["axial_pos_embds_dim"] = {256, 768};
  enwik8["max_position_embeddings"] = 65536, enwik8["vocab_size"] = 258, enwik8["is_decoder"] = true;
  EXPECT_EQ(count(enwik8), 149182722);
  Json crime = {{"hidden_size", 256}, {"feed_forward_size", 512}, {"num_attention_heads", 2}, {"attention_head_size", 64}, {"num_hashes", 1}, {"is_decoder", true}};
  crime["num_buckets"] = {64, 128}, crime["axial_pos_shape"] = {512, 1024}, crime["axial_pos_embds_dim"] = {64, 192}, crime["max_position_embeddings"] = 524288;
  EXPECT_EQ(count(crime), 2748224);
}

TEST_F(ReformerExchange, ConfigurationsThatDoNotFitAreRefused) {
  EXPECT_NE(said([](Json& c) { c["attn_layers"] = {"local", "dense"}; }).find("attn_layers has \"dense\": expected lsh or local"), std::string::npos);
  EXPECT_NE(said([](Json& c) { c["attn_layers"] = {"lsh", "local"}; }).find("there is no tensor \"reformer.encoder.layers.0.attention.self_attention.query_key.weight\""), std::string::npos);
  EXPECT_NE(said([](Json& c) { c["tie_word_embeddings"] = true; }).find("tie_word_embeddings = true"), std::string::npos);
  EXPECT_NE(said([](Json& c) { c["axial_pos_shape"] = {4, 16}; }).find("\"reformer.embeddings.position_embeddings.weights.0\" has the shape [8, 1, 12], expected [4, 1, 12]"), std::string::npos);
  EXPECT_NE(said([](Json& c) { c["hidden_act"] = "mish"; }).find("hidden_act = \"mish\" is not supported"), std::string::npos);
}

}  // namespace
}  // namespace longhaul::models
