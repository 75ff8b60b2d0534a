// defines: ErrorKind, Error and its kinds, check, fail
#pragma once
#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace longhaul {

/// What went wrong, as seen from outside: the value is the exit code of the program (docs: README, exit codes).
enum class ErrorKind : int {
  kFailure = 1,     // I/O, memory, lock, internal
  kConfig = 2,      // usage or configuration
  kData = 3,        // data or tokenizer
  kCheckpoint = 4,  // checkpoint or model file
  kGuard = 5,       // numerical guard
  kRank = 6,        // lost or stuck rank
};

/// An error a user can read: the first line is "[part] what is wrong"; further lines say what was received, where,
/// and what to do next ("  hint: ..."). Library code throws these and never aborts.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }
  int exit_code() const { return static_cast<int>(kind_); }

 private:
  ErrorKind kind_;
};

template <ErrorKind K>
class ErrorOf : public Error {
 public:
  explicit ErrorOf(const std::string& message) : Error(K, message) {}
};

using FailureError = ErrorOf<ErrorKind::kFailure>;
using ConfigError = ErrorOf<ErrorKind::kConfig>;
using DataError = ErrorOf<ErrorKind::kData>;
using CheckpointError = ErrorOf<ErrorKind::kCheckpoint>;
using GuardError = ErrorOf<ErrorKind::kGuard>;
using RankError = ErrorOf<ErrorKind::kRank>;

/// A call with tensors that do not fit each other.
class ShapeError : public FailureError {
 public:
  using FailureError::FailureError;
};

/// A failed operation on a file or folder; carries errno so that callers can tell a full disk from a missing file.
class IoError : public FailureError {
 public:
  IoError(const std::string& message, int code) : FailureError(message), code_(code) {}
  int code() const { return code_; }

 private:
  int code_;
};

/// A broken promise inside Longhaul itself, not the user's mistake.
class InternalError : public FailureError {
 public:
  explicit InternalError(const std::string& message) : FailureError("[internal] " + message + ". This is a bug in Longhaul") {}
};

/// Throws E with a formatted message.
template <typename E = FailureError, typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw E(fmt::format(format, std::forward<Args>(args)...));
}

/// Throws E with a formatted message unless `ok`. The message is formatted only on failure.
template <typename E = FailureError, typename... Args>
void check(bool ok, fmt::format_string<Args...> format, Args&&... args) {
  if (!ok) [[unlikely]] fail<E>(format, std::forward<Args>(args)...);
}

}  // namespace longhaul
