#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <random>

#include "framework/base/io_faults.h"
#include "framework/base/sha256.h"
#include "framework/checkpoint/safetensors.h"
#include "tests/support/folder_test.h"
#include "tests/support/tier.h"
#include "tests/support/tiny_run.h"

namespace longhaul::checkpoint {
namespace {

class CorruptionTest : public FolderTest {
 protected:
  void SetUp() override {
    FolderTest::SetUp();
    TinyRun::save(folder_, 500);
    step_ = at("step-00000500");
    manifest_ = read_manifest(step_);
  }

  /// Changes a file in place, without the I/O layer.
  void overwrite(const std::string& name, uint64_t offset, char byte) {
    const int file = ::open((step_ / name).c_str(), O_WRONLY);
    ASSERT_EQ(::pwrite(file, &byte, 1, static_cast<off_t>(offset)), 1);
    ::close(file);
  }
  std::string only_damage() const {
    const std::vector<Damage> damage = verify(step_);
    return damage.size() == 1 ? damage.front().message : std::to_string(damage.size()) + " damages";
  }
  std::string path_of(const std::string& name) const { return (step_ / name).string(); }

  /// What a flip at a byte of a file must be reported as.
  std::string expected_damage(const ManifestFile& file, uint64_t offset) const {
    const std::string where = "[checkpoint] " + path_of(file.name);
    if (file.header_sha256.empty()) return where + ": the file does not match its hash";
    for (const ManifestTensor& tensor : file.tensors) {
      if (offset < tensor.begin || offset >= tensor.end) continue;
      return where + ": tensor \"" + tensor.name + "\" does not match its hash (bytes " + std::to_string(tensor.begin) +
             ".." + std::to_string(tensor.end - 1) + ")";
    }
    return where + ": the header does not match its hash";
  }

  /// Flips every bit of a file whose number is `part` modulo `parts`.
  void flip_bits(const ManifestFile& file, int64_t& flips) {
    const std::string bytes = io::read_file(step_ / file.name);
    for (uint64_t offset = 0; offset < bytes.size(); ++offset) {
      const std::string expected = expected_damage(file, offset);
      for (int bit = 0; bit < 8; ++bit, ++flips) {
        overwrite(file.name, offset, static_cast<char>(bytes[offset] ^ (1 << bit)));
        const std::string said = only_damage();
        // A header that still reads may tell more: ": it is of step 501, this is step 500".
        ASSERT_EQ(said.substr(0, expected.size()), expected) << file.name << " byte " << offset << " bit " << bit;
      }
      overwrite(file.name, offset, bytes[offset]);
    }
    ASSERT_TRUE(verify(step_).empty());
  }

  io::Path step_;
  Manifest manifest_;
};

TEST_F(CorruptionTest, EveryFlippedBitOfTheTensorFilesIsFoundAndNamed) {
  int64_t flips = 0;
  for (const ManifestFile& file : manifest_.files) {
    if (!file.header_sha256.empty()) flip_bits(file, flips);
  }
  EXPECT_GT(flips, 8 * 11000);
  RecordProperty("flips", static_cast<int>(flips));
}

TEST_F(CorruptionTest, EveryFlippedBitOfTheOtherFilesIsFoundAndNamed) {
  int64_t flips = 0;
  for (const ManifestFile& file : manifest_.files) {
    if (file.header_sha256.empty()) flip_bits(file, flips);
  }
  EXPECT_GT(flips, 8 * 500);
}

TEST_F(CorruptionTest, EveryFlippedBitOfTheManifestIsFound) {
  const std::string bytes = io::read_file(step_ / kManifestName);
  const std::string where = "[manifest] " + path_of(kManifestName);
  int64_t flips = 0;
  for (uint64_t offset = 0; offset < bytes.size(); ++offset) {
    for (int bit = 0; bit < 8; ++bit, ++flips) {
      overwrite(kManifestName, offset, static_cast<char>(bytes[offset] ^ (1 << bit)));
      const std::string said = only_damage();
      ASSERT_TRUE(said == where + ": it does not match its own hash: it was changed" ||
                  said == where + ": it does not end with its own hash: it was cut off or changed")
          << offset << " " << said;
    }
    overwrite(kManifestName, offset, bytes[offset]);
  }
  EXPECT_TRUE(verify(step_).empty());
  EXPECT_GT(flips, 8 * 2000);
}

/// Bursts, zeroed and repeated blocks, cuts and additions in a checkpoint of many pages.
TEST_F(CorruptionTest, RandomDamageOfALargeCheckpointIsFound) {
  class Part final : public Stateful {
   public:
    explicit Part(int64_t rows) : tensor(Tensor::empty(Shape({rows, 1024}), DType::kF32, Device::cpu())) {
      std::mt19937 random(5);
      for (int64_t i = 0; i < tensor.elements(); ++i) tensor.data<float>()[i] = static_cast<float>(random());
    }
    void save_state(StateWriter& out) const override { out.tensor("weight", tensor); }
    void load_state(StateReader& in) override { in.tensor("weight", tensor); }
    Tensor tensor;
  } part(longhaul::testing::nightly() ? 13000 : 1000);
  StateRegistry registry;
  registry.add("model", Section::kModel, part);
  CheckpointContent content;
  content.step = 900;
  content.state = capture(registry);
  save_checkpoint(folder_, content, {.keep = 9, .pinned = {}});
  step_ = at("step-00000900");
  const std::string path = path_of("model.safetensors");
  const std::string sound = io::read_file(path);
  const uint64_t size = sound.size();
  constexpr uint64_t kSeed = 99, kBlock = 4096;
  std::mt19937_64 random(kSeed);
  const int cases = longhaul::testing::nightly() ? 10000 : 100;
  const int file = ::open(path.c_str(), O_RDWR);
  const auto write_at = [&](uint64_t offset, std::string_view bytes) {
    ASSERT_EQ(::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset)), static_cast<ssize_t>(bytes.size()));
  };
  for (int number = 0; number < cases; ++number) {
    const uint64_t offset = random() % (size - kBlock);
    const std::string block = sound.substr(offset, kBlock);
    std::string other = block;
    uint64_t length = size;
    switch (random() % 5) {
      case 0: {  // a burst of 2 to 64 bits
        const uint64_t first = random() % (8 * kBlock - 64), bits = 2 + random() % 63;
        for (uint64_t bit = first; bit < first + bits; ++bit) {
          if (bit == first || random() % 2 == 0) other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << bit % 8));
        }
        break;
      }
      case 1:
        other.assign(kBlock, '\0');
        break;
      case 2:
        other = sound.substr(random() % (size - kBlock), kBlock);
        break;
      case 3:
        length = random() % size;
        break;
      default:
        length = size + 1 + random() % kBlock;
    }
    if (length == size) write_at(offset, other);
    ASSERT_EQ(::ftruncate(file, static_cast<off_t>(length)), 0);
    ASSERT_EQ(verify(step_).empty(), length == size && other == block) << "seed " << kSeed << ", case " << number;
    ASSERT_EQ(::ftruncate(file, static_cast<off_t>(size)), 0);
    write_at(offset, block);
    if (length < size) write_at(length, std::string_view(sound).substr(length));
  }
  ::close(file);
  EXPECT_TRUE(verify(step_).empty());
}

TEST_F(CorruptionTest, EveryTruncationAndEveryAppendedByteIsFound) {
  for (const ManifestFile& file : manifest_.files) {
    const std::string bytes = io::read_file(step_ / file.name);
    for (uint64_t length = bytes.size(); length-- > 0;) {
      ASSERT_EQ(::truncate(path_of(file.name).c_str(), static_cast<off_t>(length)), 0);
      ASSERT_EQ(only_damage(), "[checkpoint] " + path_of(file.name) + ": the file has " + std::to_string(length) +
                                   " bytes, the manifest says " + std::to_string(file.size));
    }
    io::replace_file(step_ / file.name, bytes + "x");
    ASSERT_EQ(only_damage(), "[checkpoint] " + path_of(file.name) + ": the file has " + std::to_string(file.size + 1) +
                                 " bytes, the manifest says " + std::to_string(file.size));
    io::replace_file(step_ / file.name, bytes);
  }
  const std::string bytes = io::read_file(step_ / kManifestName);
  io::replace_file(step_ / kManifestName, bytes + "\n");
  EXPECT_EQ(only_damage(),
            "[manifest] " + path_of(kManifestName) + ": it does not end with its own hash: it was cut off or changed");
  for (size_t length = 0; length < bytes.size(); ++length) {
    io::replace_file(step_ / kManifestName, bytes.substr(0, length));
    ASSERT_EQ(only_damage(), "[manifest] " + path_of(kManifestName) +
                                 ": it does not end with its own hash: it was cut off or changed");
  }
}

TEST_F(CorruptionTest, WhatStandsInPlaceOfAFileIsNamed) {
  const std::string name = "model.safetensors";
  const std::string bytes = io::read_file(step_ / name);
  const std::string where = "[checkpoint] " + path_of(name);
  io::unlink(step_ / name);
  EXPECT_EQ(only_damage(), where + ": the file is missing");
  io::make_folder(step_ / name);
  EXPECT_EQ(only_damage(), where + ": a folder stands in place of the file");
  io::remove_all(step_ / name);
  io::write_new_file(at("elsewhere"), bytes);
  ASSERT_EQ(::symlink(at("elsewhere").c_str(), path_of(name).c_str()), 0);
  EXPECT_EQ(only_damage(), where + ": a link stands in place of the file");
  io::remove_all(step_ / name);
  ASSERT_EQ(::mkfifo(path_of(name).c_str(), 0600), 0);
  EXPECT_EQ(only_damage(), where + ": a device, pipe or socket stands in place of the file");
  io::remove_all(step_ / name);
  io::write_new_file(step_ / name, bytes);
  EXPECT_TRUE(verify(step_).empty());
  io::unlink(step_ / kManifestName);
  EXPECT_EQ(only_damage(), "[manifest] " + path_of(kManifestName) + ": the file is missing");
  io::make_folder(step_ / kManifestName);
  EXPECT_EQ(only_damage(), "[io] cannot open " + path_of(kManifestName) + ": Is a directory (EISDIR)");
}

TEST_F(CorruptionTest, FilesOfAnotherStepOrRunAreToldByName) {
  TinyRun::save(folder_, 400);
  const std::string name = "optimizer.safetensors";
  io::replace_file(step_ / name, io::read_file(at("step-00000400") / name));
  const std::vector<Damage> swapped = verify(step_);
  ASSERT_EQ(swapped.size(), 3u);  // the header and both tensors
  EXPECT_EQ(swapped[0].message, "[checkpoint] " + path_of(name) +
                                    ": the header does not match its hash: it is of step 400, this is step 500");

  TinyRun other;
  other.set_step(500);
  CheckpointContent content = other.content();
  content.files["config.yaml"] = "run: {name: other}\n";
  save_checkpoint(at("other"), content, {});
  io::replace_file(step_ / name, io::read_file(at("other/step-00000500") / name));
  EXPECT_EQ(only_damage(), "[checkpoint] " + path_of(name) +
                               ": the header does not match its hash: it is of a run with another configuration");

  // An old manifest among new files, and a whole folder under another name.
  TinyRun::save(folder_, 500);
  io::replace_file(step_ / kManifestName, io::read_file(at("step-00000400") / kManifestName));
  EXPECT_EQ(verify(step_).front().message,
            "[manifest] " + path_of(kManifestName) + ": it is of step 400, the folder is of step 500");
  io::rename(at("step-00000400"), at("step-00000600"));
  ASSERT_EQ(verify(at("step-00000600")).size(), 1u);
  EXPECT_EQ(
      verify(at("step-00000600")).front().message,
      "[manifest] " + at("step-00000600").string() + "/manifest.json: it is of step 400, the folder is of step 600");
}

TEST_F(CorruptionTest, TheNewestSoundCheckpointIsUsedAndTheSkippedOnesAreNamed) {
  TinyRun::save(folder_, 600, {.keep = 5, .pinned = {}});
  TinyRun::save(folder_, 700, {.keep = 5, .pinned = {}});
  io::unlink(at("step-00000700") / "state.json");
  io::replace_file(at("step-00000600") / "config.yaml", "run: {name: TINY}\n");
  const auto found = find_newest_sound(folder_);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->step, 500);
  ASSERT_EQ(found->skipped.size(), 2u);
  EXPECT_EQ(found->skipped[0].step, 700);
  EXPECT_EQ(found->skipped[0].reason,
            "[checkpoint] " + at("step-00000700").string() + "/state.json: the file is missing");
  EXPECT_EQ(found->skipped[1].reason,
            "[checkpoint] " + at("step-00000600").string() + "/config.yaml: the file does not match its hash");
  EXPECT_EQ(message_of([&] { find_newest_sound(folder_, true); }),
            "[resume] the newest checkpoint, " + at("step-00000700").string() +
                ", is damaged and may not be passed over\n  [checkpoint] " + at("step-00000700").string() +
                "/state.json: the file is missing\n  hint: without strict resume the newest sound one is used");
  EXPECT_EQ(resolve_model(folder_), step_);
}

TEST_F(CorruptionTest, WithoutAnySoundCheckpointEveryReasonIsGiven) {
  EXPECT_FALSE(find_newest_sound(at("nothing")));
  io::unlink(step_ / "state.json");
  EXPECT_EQ(message_of([&] { find_newest_sound(folder_); }),
            "[resume] no checkpoint in " + folder_.string() + " is sound\n  step 500: [checkpoint] " +
                path_of("state.json") +
                ": the file is missing\n  hint: start a new run in another folder, or bring a copy back");
}

TEST_F(CorruptionTest, AFolderThatMayNotBeReadIsNotCalledDamaged) {
  const io::FaultScope faults({.at = 1, .persistent = true, .error = EACCES, .only = "open"});
  EXPECT_EQ(message_of([&] { find_newest_sound(folder_); }),
            "[io] cannot open " + path_of(kManifestName) +
                ": Permission denied (EACCES)\n  hint: check owner and permissions of it and of " + step_.string());
}

TEST_F(CorruptionTest, AReadErrorOfTheDiskCountsAsDamage) {
  const io::FaultScope faults({.at = 1, .persistent = true, .error = EIO, .only = "read", .path_part = "optimizer"});
  EXPECT_EQ(
      only_damage(),
      "[io] cannot read " + path_of("optimizer.safetensors") +
          ": Input/output error (EIO)\n  hint: the device reports an error; the kernel's log (dmesg) may say more");
}

TEST_F(CorruptionTest, LoadingChecksTheHashesByItself) {
  const ManifestFile& file = *manifest_.find("model.safetensors");
  overwrite(file.name, file.size - 1, 'X');
  TinyRun run;
  EXPECT_EQ(message_of([&] { load_checkpoint(step_, run.registry()); }), expected_damage(file, file.size - 1));
}

class ManifestTest : public FolderTest {
 protected:
  /// A manifest text with a right closing hash around any body.
  static std::string sealed(std::string body) {
    const std::string hash = sha256_hex(body);
    return body + ",\n  \"sha256\": \"" + hash + "\"\n}\n";
  }
  static std::string with_file(const std::string& name) {
    return sealed(
        "{\"format\": 1, \"hash\": \"sha256\", \"step\": 1, \"cursor\": 1, \"world_size\": 1, \"config_hash\": \"\", "
        "\"tokenizer_hash\": \"\", "
        "\"data\": {}, \"files\": [{\"name\": \"" +
        name + "\", \"size\": 0, \"sha256\": \"" + std::string(64, '0') + "\"}]");
  }
  static std::string said_of(const std::string& text) {
    return message_of([&] { Manifest::parse(text, "m"); });
  }
};

TEST_F(ManifestTest, ItsTextIsReadBackAsItIs) {
  Manifest manifest;
  manifest.step = 5;
  manifest.data["a \xff path"] = std::string(64, 'a');
  manifest.files.push_back(
      {.name = "x", .size = 3, .sha256 = std::string(64, 'b'), .header_sha256 = {}, .tensors = {}});
  const std::string text = manifest.text();
  EXPECT_EQ(Manifest::parse(text, "m").text(), text);
  EXPECT_EQ(Manifest().text(), Manifest::parse(Manifest().text(), "m").text());
}

TEST_F(ManifestTest, NamesThatLeaveTheFolderAreRefused) {
  EXPECT_EQ(said_of(with_file("x")), "no error");
  for (const std::string name : {"../x", "/etc/passwd", "a/b", "..", ".", "", "manifest.json"}) {
    EXPECT_EQ(said_of(with_file(name)),
              "[manifest] m: \"" + name + "\" is not the plain name of a file in this folder");
  }
  EXPECT_NE(said_of(with_file("a\\u0000b")), "no error");
  EXPECT_NE(said_of(with_file(std::string(256, 'n'))), "no error");
}

TEST_F(ManifestTest, HostileTextsAreRefusedByName) {
  EXPECT_EQ(said_of(""), "[manifest] m: it does not end with its own hash: it was cut off or changed");
  EXPECT_EQ(said_of(sealed("[")), "[manifest] m: it is not JSON at byte 2");
  EXPECT_EQ(said_of(sealed("{\"format\": 1")), "[manifest] m: \"hash\" is missing");
  EXPECT_EQ(said_of(sealed("{\"format\": 2")),
            "[manifest] m: format version 2 is not known, this program reads version 1\n  hint: use the version of "
            "Longhaul that wrote it");
  EXPECT_EQ(said_of(sealed("{\"format\": -1")), "[manifest] m: \"format\" is not a whole number of 0 or more");
  EXPECT_EQ(said_of(sealed("{\"format\": 18446744073709551615")),
            "[manifest] m: the number 18446744073709551615 does not fit 64 bits");
  EXPECT_EQ(said_of(sealed("{\"format\": \"1\"")), "[manifest] m: \"format\" is not a whole number of 0 or more");
  EXPECT_EQ(said_of(sealed("{\"format\": 1, \"hash\": \"md5\"")),
            "[manifest] m: the hash algorithm \"md5\" is not known");
  EXPECT_EQ(said_of(sealed("{\"a\": " + std::string(10'000, '[') + std::string(10'000, ']'))),
            "[manifest] m: it is nested deeper than 8");
  const std::string twice = with_file("x");
  std::string body = twice.substr(0, twice.find(",\n  \"sha256\""));
  const size_t list = body.find("[{");
  const std::string one = body.substr(list + 1, body.size() - list - 2);
  EXPECT_EQ(said_of(sealed(body.substr(0, list + 1) + one + "," + one + "]")),
            "[manifest] m: the files are not in order of their names, or one stands twice: \"x\"");
}

}  // namespace
}  // namespace longhaul::checkpoint
