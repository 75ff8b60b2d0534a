#include "train/config/suggest.h"

#include <gtest/gtest.h>

#include <set>

#include "framework/base/error.h"
#include "tests/train/config/workspace.h"
#include "train/config/catalogue.h"
#include "train/config/flatten.h"

namespace longhaul::config {
namespace {

TEST(EditDistance, CountsInsertionsDeletionsReplacementsAndSwaps) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("steps", "setps"), 1u);
  EXPECT_EQ(edit_distance("steps", "step"), 1u);
  EXPECT_EQ(edit_distance("window", "vindow"), 1u);
  EXPECT_EQ(edit_distance("warmup", "wramu"), 2u);
}

TEST(Nearest, IsEmptyWhenNothingIsNear) {
  EXPECT_EQ(nearest("wandb", {"run", "data", "model"}), "");
  EXPECT_EQ(nearest(std::string(100000, 'x'), {"run"}), "");
  EXPECT_EQ(nearest("x", {"eps"}), "");
}

std::set<std::string> single_edits(const std::string& word) {
  const std::string letters = "abcdefghijklmnopqrstuvwxyz_";
  std::set<std::string> edits;
  for (size_t i = 0; i <= word.size(); ++i) {
    for (const char c : letters) {
      edits.insert(word.substr(0, i) + c + word.substr(i));
      if (i < word.size()) edits.insert(word.substr(0, i) + c + word.substr(i + 1));
    }
    if (i < word.size()) edits.insert(word.substr(0, i) + word.substr(i + 1));
    if (i + 1 < word.size()) edits.insert(word.substr(0, i) + word[i + 1] + word[i] + word.substr(i + 2));
  }
  edits.erase(word);
  edits.erase("");
  return edits;
}

// Every key of the schema with every single edit: the suggestion is that key in at least 95 of 100 cases.
TEST(Suggestions, AreRightForSingleEditsOfEveryKey) {
  std::map<std::string, std::vector<std::string>> sections;  // prefix -> keys
  for (const CatalogueEntry& entry : catalogue()) {
    const size_t dot = entry.key.rfind('.');
    const std::string prefix = dot == std::string::npos ? "" : entry.key.substr(0, dot + 1);
    sections[prefix].push_back(entry.key.substr(prefix.size()));
  }
  size_t all = 0, right = 0;
  for (const auto& [prefix, keys] : sections) {
    for (const std::string& key : keys) {
      size_t key_all = 0, key_right = 0;
      for (const std::string& edit : single_edits(key)) {
        if (std::find(keys.begin(), keys.end(), edit) != keys.end()) continue;  // another key, no mistake
        ++key_all;
        if (suggest_key(prefix, edit, keys).key == prefix + key) ++key_right;
      }
      EXPECT_GE(static_cast<double>(key_right), 0.8 * static_cast<double>(key_all)) << prefix << key;
      all += key_all;
      right += key_right;
    }
  }
  EXPECT_GT(all, 10000u);
  EXPECT_GE(static_cast<double>(right), 0.95 * static_cast<double>(all)) << right << " of " << all;
}

// The same through the loader: the place, the full name and the key to read about.
TEST(Suggestions, ReachTheUserWithThePlace) {
  const Config config = load_text(kLeast).config;
  for (const FlatValue& value : flatten(config)) {
    if (value.key.find('[') != std::string::npos) continue;
    const size_t dot = value.key.rfind('.');
    std::string wrong = value.key;
    wrong.insert(dot + 2, "_");
    const std::string message = error_of(kLeast, {wrong + "=1"});
    const std::string right = value.key.substr(dot + 1);
    EXPECT_NE(message.find("unknown key \"" + wrong + "\"; did you mean \"" + right + "\"?"), std::string::npos)
        << message;
    EXPECT_NE(message.find("next: longhaul config explain " + value.key), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace longhaul::config
