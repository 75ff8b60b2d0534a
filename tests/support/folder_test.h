// defines: message_of, temporary folder fixture
#pragma once
#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>

#include "framework/base/error.h"
#include "framework/base/io.h"

namespace longhaul::checkpoint {

/// The text of the error that `call` throws.
template <typename Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// A folder of its own for each test, in memory where the machine has such a file system.
class FolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const bool memory = io::info_followed("/dev/shm").kind == io::Kind::kFolder;
    std::string pattern = (memory ? "/dev/shm/" : ::testing::TempDir()) + "longhaul-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { io::remove_all(folder_); }
  io::Path at(const std::string& name) const { return folder_ / name; }

  io::Path folder_;
};

}  // namespace longhaul::checkpoint
