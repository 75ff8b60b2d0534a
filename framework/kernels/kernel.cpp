#include "framework/kernels/kernel.h"

#include "framework/base/error.h"

namespace longhaul::kernels {
namespace {
thread_local KernelUseRecorder* current_recorder = nullptr;
}

std::string DTypeSet::text() const {
  std::string out;
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16, DType::kF64, DType::kI32, DType::kI64, DType::kU8}) {
    if (has(dtype)) out += (out.empty() ? "" : ", ") + std::string(name_of(dtype));
  }
  return out.empty() ? "nothing" : out;
}

namespace detail {

std::atomic<KernelTimer*> timer{nullptr};

void refuse(std::string_view kernel, std::string_view backend, const DTypeSet& dtypes, DType received, Status status) {
  if (status == Status::kFailed) fail("[{}] the kernel of device {} failed on {}", kernel, backend, received);
  if (dtypes.has(received)) fail("[{}] the kernel of device {} does not take this combination of element types or options; its first operand is {}", kernel, backend, received);
  fail("[{}] device {} has no kernel for {}; it has {}\n  hint: choose another run.precision or run.device", kernel, backend, received, dtypes.text());
}

void note_use(std::string_view kernel, DType dtype) {
  if (current_recorder) current_recorder->callback_(kernel, dtype);
}

}  // namespace detail

void KernelTimer::install(KernelTimer* timer) { detail::timer = timer; }

KernelUseRecorder::KernelUseRecorder(Callback callback) : callback_(std::move(callback)), previous_(current_recorder) { current_recorder = this; }
KernelUseRecorder::~KernelUseRecorder() { current_recorder = previous_; }

}  // namespace longhaul::kernels
