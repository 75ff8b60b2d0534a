// Whatever the bytes of a file, the answer is its content or an error that names it.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <bit>
#include <cstring>

#include "data/dataset.h"
#include "data/shards/format.h"
#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/safetensors.h"
#include "tests/hostile/mutation.h"
#include "tests/support/folder_test.h"
#include "tests/support/tiny_run.h"
#include "train/config/load.h"

namespace longhaul::hostile {
namespace {

using ::testing::StartsWith;

class HostileFiles : public checkpoint::FolderTest {
 protected:
  std::string put(const std::string& name, const std::string& bytes) const {
    io::remove_all(at(name));
    io::write_new_file(at(name), bytes);
    return at(name).string();
  }
  /// `read` may throw an E whose message begins with one of the parts.
  template <typename E, typename Read>
  bool reads(Read&& read) const {
    try {
      read();
      return true;
    } catch (const E& error) {
      EXPECT_THAT(error.what(), StartsWith("["));
      EXPECT_EQ(std::string(error.what()).find("[internal]"), std::string::npos) << error.what();
      return false;
    }
  }
  /// Of the attempts of an attack some must pass and some must fail, or it shows nothing.
  struct Tally {
    int good = 0, bad = 0;
    void add(bool read) { (read ? good : bad) += 1; }
    ~Tally() {
      EXPECT_GT(good, 0);
      EXPECT_GT(bad, 0);
    }
  };
};

TEST_F(HostileFiles, SafetensorsHeaders) {
  checkpoint::TinyRun::save(folder_, 5);
  const std::string sound = io::read_file(at("step-00000005/model.safetensors"));
  uint64_t length = 0;
  std::memcpy(&length, sound.data(), 8);
  const std::string header = sound.substr(8, length), data = sound.substr(8 + length);
  Tally tally;
  attack("safetensors", 400, [&](Mutator& mutator) {
    std::string changed = mutator.text(header);
    uint64_t said = changed.size();
    if (mutator.below(8) == 0) said = mutator.below(2) == 0 ? mutator.below(2 * length) : ~uint64_t{0} >> mutator.below(64);
    std::string file(8, '\0');
    std::memcpy(file.data(), &said, 8);
    file += changed + (mutator.below(8) == 0 ? mutator.bytes(data) : data);
    const std::string path = put("x.safetensors", file);
    tally.add(reads<CheckpointError>([&] {
      const checkpoint::SafetensorsReader reader(path);
      uint64_t end = 0;
      for (const auto& entry : reader.header().entries) {
        ASSERT_EQ(entry.begin, end);
        end = entry.end;
        const auto dtype = checkpoint::dtype_of_tag(entry.dtype);
        if (!dtype || entry.shape.size() > kMaxRank) continue;
        const Tensor into = Tensor::empty(Shape(std::span<const int64_t>(entry.shape)), *dtype, Device::cpu());
        reader.read(entry, into, true);
      }
      ASSERT_LE(reader.header().data_offset + end, file.size());
    }));
  });
}

// The closing hash is made to fit, so that what is behind it is reached.
std::string sealed(const std::string& body) { return body + ",\n  \"sha256\": \"" + sha256_hex(body) + "\"\n}\n"; }
std::string body_of(const std::string& manifest) { return manifest.substr(0, manifest.rfind(",\n  \"sha256\"")); }

TEST_F(HostileFiles, Manifests) {
  checkpoint::TinyRun::save(folder_, 5);
  const io::Path step = at("step-00000005");
  const std::string sound = io::read_file(step / checkpoint::kManifestName);
  ASSERT_EQ(sealed(body_of(sound)), sound);
  Tally tally;
  attack("manifest", 400, [&](Mutator& mutator) {
    const std::string changed = mutator.text(body_of(sound));
    io::remove_all(step / checkpoint::kManifestName);
    io::write_new_file(step / checkpoint::kManifestName, mutator.below(8) == 0 ? changed : sealed(changed));
    const bool read = reads<CheckpointError>([&] { checkpoint::read_manifest(step); });
    tally.add(read);
    const auto damage = checkpoint::verify(step);
    EXPECT_TRUE(read || !damage.empty());
    checkpoint::TinyRun run;
    reads<Error>([&] { checkpoint::load_checkpoint(step, run.registry()); });
  });
}

/// Any file of a folder, with all hashes made to fit: what the hashes do not guard.
TEST_F(HostileFiles, CheckpointsWhoseHashesFit) {
  checkpoint::TinyRun::save(folder_, 5);
  const io::Path step = at("step-00000005");
  std::map<std::string, std::string> sound;
  for (const std::string& name : io::list(step)) sound[name] = io::read_file(step / name);
  const checkpoint::Manifest manifest = checkpoint::read_manifest(step);
  Tally tally;
  attack("checkpoint", 300, [&](Mutator& mutator) {
    const std::string name = mutator.below(2) == 0 ? "state.json" : mutator.below(2) == 0 ? "model.safetensors" : "optimizer.safetensors";
    std::string changed = mutator.text(sound[name]);
    checkpoint::Manifest fitting = manifest;
    for (checkpoint::ManifestFile& file : fitting.files) {
      if (file.name != name) continue;
      file.size = changed.size();
      file.sha256 = sha256_hex(changed);
      if (file.header_sha256.empty()) continue;
      const uint64_t data = std::min<uint64_t>(file.tensors.front().begin, changed.size());
      file.header_sha256 = sha256_hex(changed.substr(0, data));
      for (checkpoint::ManifestTensor& tensor : file.tensors) {
        if (tensor.end <= changed.size())
          tensor.sha256 = sha256_hex(changed.substr(tensor.begin, tensor.end - tensor.begin));
      }
    }
    for (const std::string& file : {name, std::string(checkpoint::kManifestName)}) {
      io::remove_all(step / file);
      io::write_new_file(step / file, file == name ? changed : fitting.text());
    }
    checkpoint::TinyRun run;
    tally.add(reads<Error>([&] {
      if (const auto found = checkpoint::find_newest_sound(folder_)) checkpoint::load_checkpoint(found->folder, run.registry());
    }));
    for (const std::string& file : {name, std::string(checkpoint::kManifestName)}) {
      io::remove_all(step / file);
      io::write_new_file(step / file, sound[file]);
    }
  });
}

TEST_F(HostileFiles, Configurations) {
  const std::string sound =
      "extends: []\nrun: {name: \"a b\", seed: 3, precision: bf16}\n"
      "data:\n  train: [a.txt, {path: \"b\", part: 0%..90%}]\n  tokenizer: {kind: char, unknown: true}\n"
      "model: {family: local, window: 16, dim: 32, layers: 2, heads: 2}\nmemory: {budget: 1GiB}\n"
      "train:\n  steps: 10\n  eval_every: 2e\n  optimizer: {kind: adamw, betas: [0.9, 0.99]}\n"
      "  schedule: &s {kind: cosine, warmup: 5}\n"
      "  stages:\n    - steps: 3\n      model: {dropout: 0.1}\n";
  Tally tally;
  attack("configuration", 600, [&](Mutator& mutator) {
    std::string text = sound;
    if (mutator.below(4) == 0) {
      constexpr std::array<const char*, 8> kPieces = {"*s", "&s ", "!!int ", "<<: *s\n", "---\n", "? ", "|\n", "%YAML 1.2\n"};
      text.insert(mutator.below(text.size() + 1), kPieces[mutator.below(kPieces.size())]);
    }
    const std::string path = put("run.yaml", mutator.text(text));
    tally.add(reads<Error>([&] { config::load_config(path); }));
  });
}

data::DataEntry entry(const std::string& path, data::DocumentMode documents) {
  data::DataEntry out;
  out.path = path;
  out.document = documents;
  return out;
}

TEST_F(HostileFiles, Shards) {
  const auto tokenizer = data::load_tokenizer({});
  io::make_folder(at("cache"));
  put("a.txt", std::string(3000, 'a') + "\n\nb\n");
  data::open_split("train", {entry(at("a.txt").string(), data::DocumentMode::kLine)}, tokenizer, {.corpus = {}, .cache_folder = at("cache").string()});
  std::string sound;
  for (const std::string& key : io::list(at("cache"))) sound = io::read_file(at("cache") / key / "00000.shard");
  ASSERT_GT(sound.size(), data::kShardHeaderBytes);
  Tally tally;
  attack("shard", 400, [&](Mutator& mutator) {
    std::string changed = sound;
    switch (mutator.below(3)) {
      case 0:
        changed = mutator.fields(changed, 0, 160);
        break;
      case 1:  // the tables behind the tokens
        changed = mutator.fields(changed, data::kShardHeaderBytes + 3000, changed.size());
        break;
      default:
        changed = mutator.bytes(changed);
    }
    if (changed.size() > data::kShardHeaderBytes && mutator.below(4) != 0) {  // the hash of the content fits again
      constexpr size_t kContentHash = 112;  // where it stands in the header
      Sha256 hash;
      hash.update(std::string_view(changed).substr(data::kShardHeaderBytes));
      const Sha256::Digest digest = hash.finish();
      std::memcpy(changed.data() + kContentHash, digest.data(), digest.size());
    }
    const std::string path = put("bad.shard", changed);
    tally.add(reads<DataError>([&] {
      const auto source = data::open_split("train", {entry(path, data::DocumentMode::kFile)}, tokenizer, {});
      std::vector<int32_t> ids(static_cast<size_t>(std::min<int64_t>(source->tokens(), 5000)));
      source->read(0, ids);
      for (int64_t i = 0; i < std::min<int64_t>(source->documents(), 100); ++i) {
        const auto range = source->document(i);
        ASSERT_LE(range.begin, range.end);
        ASSERT_LE(range.end, source->tokens());
      }
    }));
  });
}

TEST_F(HostileFiles, Tokenizers) {
  const std::string text = "the cat sat on the mat, the cat sat on the hat; 12 caf\xC3\xA9\n";
  const auto trained = [&](data::TokenizerKind kind, int64_t size) {
    data::TokenizerOptions options;
    options.kind = kind;
    options.vocabulary_size = size;
    options.unknown = kind == data::TokenizerKind::kChar;
    return data::train_tokenizer(options, [&](const auto& take) {
      for (int i = 0; i < 20; ++i) take(text);
      take({});
    });
  };
  struct Target {
    data::TokenizerKind kind;
    int64_t size;
    int often;
  };
  for (const Target& target : {Target{data::TokenizerKind::kBpe, 270, 300}, Target{data::TokenizerKind::kWord, 0, 150},
                               Target{data::TokenizerKind::kChar, 0, 150},
                               Target{data::TokenizerKind::kSentencePiece, 279, 200}}) {
    const auto files = trained(target.kind, target.size)->files();
    Tally tally;
    attack(std::string(data::name_of(target.kind)).c_str(), target.often, [&](Mutator& mutator) {
      io::remove_all(at("tokenizer"));
      io::make_folder(at("tokenizer"));
      std::string path;
      for (const auto& [name, content] : files) {
        const bool model = name.ends_with(".model");
        // What stands beside a SentencePiece model holds its hash; here the model comes alone.
        if (!model && target.kind == data::TokenizerKind::kSentencePiece) continue;
        path = (at("tokenizer") / name).string();
        io::write_new_file(path, model ? mutator.bytes(content) : mutator.text(content));
      }
      tally.add(reads<DataError>([&] {
        const auto tokenizer = data::load_any_tokenizer(path);
        data::EncodedText out;
        reads<DataError>([&] { tokenizer->encode_front(text, true, out); });
        for (const int32_t id : out.ids) {
          ASSERT_TRUE(id >= 0 && id < tokenizer->vocabulary_size());
          tokenizer->piece(id);
        }
        tokenizer->decode(out.ids);
      }));
    });
  }
}

/// The public pair of a vocabulary and its merges.
TEST_F(HostileFiles, VocabularyAndMerges) {
  std::string vocabulary = "{", merges = "#version: 0.2\n";
  for (int i = 0; i < 26; ++i) vocabulary += fmt::format("\"{}\": {}, ", static_cast<char>('a' + i), i);
  vocabulary += "\"ab\": 26, \"abc\": 27, \"<|endoftext|>\": 28}";
  merges += "a b\nab c\n";
  Tally tally;
  attack("vocabulary and merges", 300, [&](Mutator& mutator) {
    const bool which = mutator.below(2) == 0;
    put("vocab.json", which ? mutator.text(vocabulary) : vocabulary);
    put("merges.txt", which ? merges : mutator.text(merges));
    tally.add(reads<DataError>([&] {
      const auto tokenizer = data::load_any_tokenizer(at("vocab.json").string());
      data::EncodedText out;
      reads<DataError>([&] { tokenizer->encode_front("abcabxyz", true, out); });
      for (const int32_t id : out.ids) ASSERT_TRUE(id >= 0 && id < tokenizer->vocabulary_size());
    }));
  });
}

}  // namespace
}  // namespace longhaul::hostile
