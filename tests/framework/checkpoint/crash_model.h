// defines: CrashModel
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "framework/base/io.h"
#include "framework/base/io_faults.h"

namespace longhaul::checkpoint {

/// What a disk may hold after power was lost at some point of a recorded sequence of operations.
///
/// The model is the weakest that POSIX allows: the content of a file is sure up to its last fsync, an entry of a folder
/// (creation, rename, removal) up to the last fsync of that folder. Everything later is there or not, each operation on
/// its own and in any order; an unsynced write may be there in part. A rename is atomic.
class CrashModel {
 public:
  /// `root` as it was, durably, before the operations. Paths of events lie below it.
  CrashModel(const io::Path& root);
  void replay(const std::vector<io::Event>& events);

  /// Number of operations that change something, syncs included.
  size_t size() const { return steps_.size(); }

  struct Step {
    enum Kind { kEnter, kLeave, kMove, kWrite, kTruncate, kSyncFile, kSyncFolder } kind;
    int node = -1;    // the file or folder concerned
    int folder = -1;  // of an entry
    std::string name{};
    std::string target{};  // of a move, in the same folder
    int64_t offset = 0;
    std::string data{};
    bool is_data() const { return kind == kWrite || kind == kTruncate; }
  };

  /// Decides for an operation that is not sure how much of it reached the disk: 0 nothing, 1 all, between: of a write.
  using Choice = std::function<double(size_t index, const Step& step)>;

  /// Writes the state after a crash behind the first `prefix` operations into the new folder `into`.
  /// With `ignore_syncs` nothing is ever sure.
  void materialize(size_t prefix, const Choice& choice, const io::Path& into, bool ignore_syncs = false) const;

 private:
  struct Node {
    bool folder = false;
    std::string data{};
    std::map<std::string, int> entries{};
  };
  using Tree = std::vector<Node>;

  int load(const io::Path& path);
  int resolve(const Tree& tree, const std::string& path) const;
  static void apply(Tree& tree, const Step& step, double share);
  static void write_out(const Tree& tree, int node, const io::Path& path);
  bool sure(size_t index, size_t prefix) const;

  io::Path root_;
  Tree initial_;
  Tree live_;
  std::vector<Step> steps_;
};

}  // namespace longhaul::checkpoint
