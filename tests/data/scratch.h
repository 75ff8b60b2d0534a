// defines: Scratch, message_of
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "framework/base/error.h"

namespace longhaul::data {

/// A folder of its own for each test, removed with it.
class Scratch {
 public:
  Scratch() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() /
              ("longhaul-" + std::to_string(::getpid()) + "-" + test->test_suite_name() + "-" + test->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return path(name);
  }
  std::string read(const std::string& name) const {
    std::ifstream in(folder_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  DatasetOptions options() const {
    DatasetOptions options;
    options.cache_folder = path("cache");
    return options;
  }

 private:
  std::filesystem::path folder_;
};

/// One gzip member.
inline std::string gzipped(const std::string& text) {
  z_stream z{};
  deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, text.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

/// The message of the E that `body` throws; a test failure when it throws none.
template <typename E, typename F>
std::string message_of(F body) {
  try {
    body();
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another exception: " << error.what();
    return {};
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

inline DataEntry entry(const std::string& path) {
  DataEntry e;
  e.path = path;
  return e;
}

inline std::shared_ptr<const Tokenizer> bytes_tokenizer(int64_t offset = 0) {
  TokenizerOptions options;
  options.offset = offset;
  return load_tokenizer(options);
}

/// A tokenizer trained on one text.
inline std::shared_ptr<const Tokenizer> trained(const TokenizerOptions& options, const std::string& text) {
  return train_tokenizer(options, [&text](const std::function<void(std::string_view)>& take) {
    take(text);
    take({});
  });
}

/// The documents of a split as text.
inline std::vector<std::string> documents_of(const TokenSource& source) {
  std::vector<std::string> out;
  for (int64_t i = 0; i < source.documents(); ++i) {
    const DocumentRange range = source.document(i);
    std::vector<int32_t> ids(static_cast<size_t>(range.end - range.begin));
    source.read(range.begin, ids);
    out.push_back(source.tokenizer().decode(ids));
  }
  return out;
}

}  // namespace longhaul::data
