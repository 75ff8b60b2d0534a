// defines: io::Operation, io::FaultPlan, io::Event, io::FaultScope, io::Recorder
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul::io {

/// The operations of the I/O layer; each is one system call and passes the fault hook once per call (a retried or
/// continued call passes it again).
enum class Operation : uint8_t {
  kOpen,
  kRead,
  kWrite,
  kSync,  // fsync of a file
  kClose,
  kRename,
  kUnlink,
  kMakeFolder,
  kRemoveFolder,
  kList,
  kStat,
  kSyncFolder,  // fsync of a folder
  kTruncate,
  kLock,
};

/// "open", "read", "write", "sync", "close", "rename", "unlink", "mkdir", "rmdir", "list", "stat", "syncdir",
/// "truncate", "lock": the names used in fault specifications and logs.
std::string_view name_of(Operation operation);

/// What goes wrong, and when. Operations that match `only` and `path_part` are counted from 1; number `at` is hit.
struct FaultPlan {
  int64_t at = 0;                 // first operation that is hit; 0: none
  bool persistent = false;        // every later matching operation is hit too
  int error = 0;                  // errno of a hit operation, which is then not carried out
  bool kill = false;              // a hit operation ends the process with SIGKILL before it is carried out
  bool tear = false;              // as kill, but a hit write first transfers half of its bytes
  std::string only{};             // operation name; empty: all
  std::string path_part{};        // only operations on paths that contain this; empty: all
  uint64_t seed = 0;              // key of the random choices below
  int64_t one_in = 0;             // each matching operation is hit with this chance (1 in n), beside `at`; 0: never
  bool short_transfers = false;   // every read and write of more than one byte transfers a random part of it
  int64_t slow_microseconds = 0;  // pause before every matching operation

  /// Reads "at=12,error=ENOSPC,persistent,op=write,path=model,kill,tear,seed=3,one_in=100,short,slow=500".
  /// throws ConfigError naming the part that is wrong.
  static FaultPlan parse(std::string_view text);
};

/// The environment variable that holds a FaultPlan for a whole process.
inline constexpr const char* kFaultVariable = "LONGHAUL_IO_FAULTS";

/// Switches a plan on for the process while the object lives; scopes do not nest.
class FaultScope {
 public:
  explicit FaultScope(const FaultPlan& plan);
  ~FaultScope();
  FaultScope(const FaultScope&) = delete;
  FaultScope& operator=(const FaultScope&) = delete;

  /// Matching operations so far (also those that were hit).
  int64_t count() const;
  /// Operations that were hit with an error so far.
  int64_t hits() const;
};

/// One finished operation, as needed to replay it.
struct Event {
  Operation operation{};
  std::string path{};
  std::string target{};  // of a rename
  int64_t offset = 0;    // of a write
  int64_t size = 0;      // bytes transferred; new length of a truncate
  std::string data{};    // of a write
  bool created = false;  // an open that made the file
  int error = 0;         // errno of a failed operation
};

/// Records every operation of the process while it lives; recorders do not nest. Memory: all bytes written.
class Recorder {
 public:
  Recorder();
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  std::vector<Event> events() const;
};

/// The hook itself, called by io.cpp only.
namespace faults {

struct Verdict {
  int error = 0;            // fail with this errno instead of calling the system
  size_t bytes = 0;         // transfer at most this many bytes
  bool kill_after = false;  // end the process once the call returned
};

Verdict enter(Operation operation, std::string_view path, size_t bytes);
/// True when finished operations are to be handed to `leave`.
bool recording();
void leave(Event event);
[[noreturn]] void kill_process();

}  // namespace faults
}  // namespace longhaul::io
