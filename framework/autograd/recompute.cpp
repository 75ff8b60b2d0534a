#include "framework/autograd/recompute.h"

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/kernels/backend.h"

namespace longhaul {
namespace {

std::vector<Variable> as_constants(std::span<const Variable> variables) {
  std::vector<Variable> out;
  for (const Variable& variable : variables) out.emplace_back(variable.value());
  return out;
}

/// sum = x + sign * branch in x's dtype.
Tensor combine(const Tensor& x, const Tensor& branch, float sign) {
  const auto& kernel = kernels::backend(x.device()).elementwise;
  const Tensor sum = Tensor::empty(x.shape(), x.dtype(), x.device());
  kernel.axpby(x, sum, 1.0f, 0.0f);
  kernel.axpby(branch, sum, sign, 1.0f);
  return sum;
}

/// In place: to += sign * branch; the caller owns `to`.
void combine_into(const Tensor& to, const Tensor& branch, float sign) {
  kernels::backend(to.device()).elementwise.axpby(branch, to, sign, 1.0f);
}

Tensor cast(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  const Tensor out = Tensor::empty(x.shape(), dtype, x.device());
  kernels::backend(x.device()).elementwise.axpby(x, out, 1.0f, 0.0f);
  return out;
}

Tensor copy(const Tensor& x) {
  const Tensor out = Tensor::empty(x.shape(), x.dtype(), x.device());
  kernels::backend(x.device()).elementwise.axpby(x, out, 1.0f, 0.0f);
  return out;
}

/// Value of branch(at) and, added to `into`, the gradient that `seed` sends back through it.
Tensor differentiate(const std::function<Variable(const Variable&)>& branch, const Tensor& at, const Tensor& seed, const Tensor& into) {
  TapeScope scope;
  const Variable input = Variable::leaf(at);
  const Variable output = branch(input);
  const Tensor value = output.value();
  scope.tape().backward(output, cast(seed, output.dtype()));
  combine_into(into, input.gradient(), 1.0f);
  return value;
}

struct Streams {
  Tensor first, second;
};

/// Undoes all blocks from the last to the first, turning outputs `y` into inputs and returning the inputs' gradients.
Streams rebuild_backward(const std::vector<ReversibleBlock>& blocks, const Streams& y, Streams dy) {
  for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) {
    if (block->g) combine_into(y.second, differentiate(block->g, y.first, dy.second, dy.first), -1.0f);  // x2
    const Tensor f = differentiate(block->f, y.second, dy.first, dy.second);
    combine_into(y.first, f, -1.0f);  // x1
  }
  return dy;
}

}  // namespace

std::vector<Variable> recompute(VariableFunction function, std::span<const Variable> inputs) {
  std::vector<Tensor> outputs;
  {
    const NoTapeScope quiet;
    const std::vector<Variable> constants = as_constants(inputs);
    for (const Variable& output : function(constants)) outputs.push_back(output.value());
  }
  std::vector<Tensor> saved;
  for (const Variable& input : inputs) saved.push_back(input.value());
  const size_t count = outputs.size();
  return record("recompute", outputs, inputs, [function = std::move(function), saved = std::move(saved), count](const BackwardContext& context) {
    TapeScope scope;
    std::vector<Variable> again;
    for (const Tensor& value : saved) again.push_back(value.defined() && is_floating(value.dtype()) ? Variable::leaf(value) : Variable(value));
    std::vector<Variable> results = function(again);
    check<InternalError>(results.size() == count, "a recomputed part gave {} results, first {}", results.size(), count);
    std::vector<Tensor> seeds;
    for (size_t i = 0; i < count; ++i) {
      seeds.push_back(context.take(static_cast<int>(i)));
      results[i] = results[i].without_value();
    }
    scope.tape().backward(results, std::move(seeds));
    for (size_t i = 0; i < again.size(); ++i) {
      const int input = static_cast<int>(i);
      if (context.needs(input) && again[i].needs_gradient() && !again[i].slot()->stale) context.give(input, again[i].slot()->gradient);
    }
  }, true);
}

Variable residual_sum(const Variable& x, const Variable& branch) {
  check<ShapeError>(x.shape() == branch.shape(), "[residual_sum] stream {} and branch {} differ", x.shape(), branch.shape());
  return record("residual_sum", combine(x.value(), branch.value(), 1.0f), {x, branch}, [dtype = branch.dtype()](const BackwardContext& context) {
    context.give(0, context.gradient());
    if (context.needs(1)) context.give(1, cast(context.gradient(), dtype));
  });
}

std::vector<Variable> reversible_sequence(std::vector<ReversibleBlock> blocks, const Variable& x1, const Variable& x2, ReversibleBackward mode, RebuiltInputs rebuilt) {
  check<ShapeError>(x1.shape() == x2.shape() && x1.dtype() == x2.dtype(), "[reversible] streams differ: {} {} and {} {}", x1.dtype(), x1.shape(), x2.dtype(), x2.shape());
  if (mode != ReversibleBackward::kRebuild) {
    std::vector<Variable> streams{x1, x2};
    for (ReversibleBlock& block : blocks) {
      const VariableFunction pass = [block = std::move(block)](std::span<const Variable> x) -> std::vector<Variable> {
        const Variable first = residual_sum(x[0], block.f(x[1]));
        return {first, block.g ? residual_sum(x[1], block.g(first)) : x[1]};
      };
      streams = mode == ReversibleBackward::kRecomputed ? recompute(pass, streams) : pass(streams);
    }
    return streams;
  }

  Streams y{copy(x1.value()), copy(x2.value())};
  {
    const NoTapeScope quiet;
    for (const ReversibleBlock& block : blocks) {
      combine_into(y.first, block.f(Variable(y.second)).value(), 1.0f);
      if (block.g) combine_into(y.second, block.g(Variable(y.first)).value(), 1.0f);
    }
  }
  const Tensor outputs[] = {y.first, y.second};
  const Variable inputs[] = {x1, x2};
  return record("reversible", outputs, inputs, [blocks = std::move(blocks), y, rebuilt = std::move(rebuilt)](const BackwardContext& context) {
    const auto owned = [&](int output, const Tensor& like) {
      if (context.gradient(output).defined()) return copy(context.gradient(output));
      return Tensor::zeros(like.shape(), like.dtype(), like.device());
    };
    // The outputs may still be seen by others (the final norm), so they are rebuilt in copies of their own.
    const Streams x{copy(y.first), copy(y.second)};
    const Streams dx = rebuild_backward(blocks, x, {owned(0, y.first), owned(1, y.second)});
    if (rebuilt) rebuilt(x.first, x.second);
    context.give(0, dx.first);
    context.give(1, dx.second);
  }, true);
}

}  // namespace longhaul
