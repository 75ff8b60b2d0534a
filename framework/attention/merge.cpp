#include "framework/attention/merge.h"

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/support.h"

namespace longhaul::attention {

AttentionResult merge(std::span<const AttentionResult> parts) {
  check<ShapeError>(!parts.empty(), "[merge] no parts were given");
  const Variable& first = parts[0].out;
  for (const AttentionResult& part : parts) {
    check<ShapeError>(part.out.value().rank() == 4 && part.out.shape() == first.shape() &&
                          part.out.dtype() == first.dtype() &&
                          part.lse.shape() == Shape{first.size(0), first.size(1), first.size(2)},
                      "[merge] parts differ: out {} {} with lse {}, expected {} {}", part.out.dtype(), part.out.shape(),
                      part.lse.shape(), first.dtype(), first.shape());
  }
  const auto& kernels = ops::table(first.value());
  // The sum is kept with the precision of statistics while parts come in.
  const Tensor sum = ops::like(first.value(), ops::statistics_dtype(first.dtype())),
               lse = ops::like(parts[0].lse.value());
  kernels.elementwise.copy(first.value(), sum);
  kernels.elementwise.copy(parts[0].lse.value(), lse);
  std::vector<Variable> inputs{parts[0].out, parts[0].lse};
  for (const AttentionResult& part : parts.subspan(1)) {
    kernels.merge.add(part.out.value(), part.lse.value(), sum, lse);
    inputs.push_back(part.out);
    inputs.push_back(part.lse);
  }
  const Tensor out = ops::cast_tensor(sum, first.dtype());
  std::vector<Tensor> saved;
  for (const Variable& input : inputs) saved.push_back(input.value());
  const Tensor outputs[] = {out, lse};
  const auto results = record("merge", outputs, inputs, [saved, out, lse](const BackwardContext& context) {
    const Tensor dout = context.gradient(0).defined() ? ops::dense(context.gradient(0)) : Tensor();
    for (size_t p = 0; p < saved.size(); p += 2) {
      const Tensor dpart = ops::like(saved[p]), dpart_lse = ops::like(saved[p + 1]);
      ops::table(out).merge.backward(saved[p], saved[p + 1], out, lse, view_or_absent(dout),
                                     view_or_absent(context.gradient(1)), dpart, dpart_lse);
      context.give(static_cast<int>(p), dpart);
      context.give(static_cast<int>(p + 1), dpart_lse);
    }
  });
  return {results[0], results[1]};
}

}  // namespace longhaul::attention
