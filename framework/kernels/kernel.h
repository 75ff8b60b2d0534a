// defines: Status, Kernel, DTypeSet, KernelUseRecorder, KernelTimer, work_of
#pragma once
#include <atomic>
#include <chrono>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

#include "framework/tensor/view.h"

namespace longhaul::kernels {

/// What a kernel answers. Shapes were checked by the op that calls it; a kernel refuses only what it cannot compute.
enum class Status : int { kOk, kUnsupported, kFailed };

/// Set of element types.
class DTypeSet {
 public:
  constexpr DTypeSet() = default;
  constexpr DTypeSet(std::initializer_list<DType> dtypes) {
    for (const DType dtype : dtypes) bits_ |= 1u << static_cast<unsigned>(dtype);
  }
  constexpr bool has(DType dtype) const { return bits_ >> static_cast<unsigned>(dtype) & 1u; }
  constexpr bool empty() const { return bits_ == 0; }
  std::string text() const;  // "f32, bf16"

 private:
  unsigned bits_ = 0;
};

/// Floating-point operations of one call; families whose work is known overload it for their operands. 0: not counted.
template <typename... Args>
double work_of(const Args&...) {
  return 0;
}

/// Learns of every kernel call of the process while it is installed; calls come from the thread that made them.
class KernelTimer {
 public:
  using Clock = std::chrono::steady_clock;
  virtual ~KernelTimer() = default;
  virtual void record(std::string_view kernel, Clock::time_point begin, Clock::time_point end, double work) = 0;
  /// Null takes it away again. The timer must outlive its installation.
  static void install(KernelTimer* timer);
};

namespace detail {
extern std::atomic<KernelTimer*> timer;
[[noreturn]] void refuse(std::string_view kernel, std::string_view backend, const DTypeSet& dtypes, DType received, Status status);
void note_use(std::string_view kernel, DType dtype);
/// The element type a kernel is chosen by: that of its first operand that is present.
template <typename First, typename... Rest>
DType leading_dtype(const First& first, const Rest&... rest) {
  if constexpr (std::is_same_v<First, View>) {
    if (first.present) return first.dtype;
  }
  if constexpr (sizeof...(Rest) > 0) return leading_dtype(rest...);
  return DType::kF32;
}
}  // namespace detail

/// One entry of a backend's table: a named function over views and the element types it takes. The element type of a call is
/// that of its first present operand. A call of an absent kernel, or with another type, throws FailureError that names both.
template <typename... Args>
class Kernel {
 public:
  using Function = Status (*)(Args...);
  constexpr explicit Kernel(const char* name) : name_(name) {}

  void set(Function function, DTypeSet dtypes) {
    function_ = function;
    dtypes_ = dtypes;
  }
  /// Makes this entry accept every type and compute nothing: the meta device.
  void set_nothing() {
    function_ = [](Args...) { return Status::kOk; };
    dtypes_ = {DType::kF32, DType::kBF16, DType::kF16, DType::kF64, DType::kI32, DType::kI64, DType::kU8};
    records_ = true;
  }
  void set_backend(const char* backend) { backend_ = backend; }

  std::string_view name() const { return name_; }
  bool supports(DType dtype) const { return function_ && dtypes_.has(dtype); }
  const DTypeSet& dtypes() const { return dtypes_; }

  void operator()(std::type_identity_t<Args>... args) const {
    const DType dtype = detail::leading_dtype(args...);
    if (!supports(dtype)) detail::refuse(name_, backend_, dtypes_, dtype, Status::kUnsupported);
    if (records_) detail::note_use(name_, dtype);
    KernelTimer* const timer = detail::timer.load(std::memory_order_relaxed);
    const auto begin = timer ? KernelTimer::Clock::now() : KernelTimer::Clock::time_point();
    const Status status = function_(args...);
    if (timer) [[unlikely]] timer->record(name_, begin, KernelTimer::Clock::now(), work_of(args...));
    if (status != Status::kOk) detail::refuse(name_, backend_, dtypes_, dtype, status);
  }

 private:
  const char* name_;
  const char* backend_ = "unknown";
  Function function_ = nullptr;
  DTypeSet dtypes_;
  bool records_ = false;
};

/// While it lives, every kernel that this thread calls on meta is reported: how a model is checked against a backend
/// before the first real step.
class KernelUseRecorder {
 public:
  using Callback = std::function<void(std::string_view kernel, DType dtype)>;
  explicit KernelUseRecorder(Callback callback);
  ~KernelUseRecorder();
  KernelUseRecorder(const KernelUseRecorder&) = delete;
  KernelUseRecorder& operator=(const KernelUseRecorder&) = delete;

 private:
  Callback callback_;
  KernelUseRecorder* previous_;
  friend void detail::note_use(std::string_view, DType);
};

}  // namespace longhaul::kernels
