#include "framework/autograd/tape.h"

#include <gtest/gtest.h>

#include "framework/autograd/recompute.h"
#include "framework/ops/elementwise.h"
#include "framework/ops/linear.h"
#include "framework/tensor/memory.h"

namespace longhaul {
namespace {

Tensor one_value(float value) { return Tensor::of<float>({1}, {value}); }
float number(const Tensor& t) { return t.data<float>()[0]; }

TEST(Tape, SumsTheGradientsOfAllUses) {
  TapeScope scope;
  const Variable x = Variable::leaf(one_value(3));
  scope.tape().backward(ops::add(ops::multiply(x, x), x), one_value(1));  // d(x^2 + x)
  EXPECT_EQ(number(x.gradient()), 7);
  EXPECT_EQ(scope.tape().size(), 0u);
}

TEST(Tape, GathersOverBackwardsUntilItIsCleared) {
  const Variable weight = Variable::parameter(one_value(2));
  const auto once = [&] {
    TapeScope scope;
    scope.tape().backward(ops::multiply(weight, Variable(one_value(5))), one_value(1));
  };
  once();
  once();
  EXPECT_EQ(number(weight.gradient()), 10);
  weight.clear_gradient();
  once();
  EXPECT_EQ(number(weight.gradient()), 5);
}

TEST(Tape, RecordsNothingForConstantsOrWithoutAScope) {
  const Variable x = Variable::leaf(one_value(3));
  EXPECT_FALSE(ops::multiply(x, x).needs_gradient());
  TapeScope scope;
  const Variable constant(one_value(3));
  ops::multiply(constant, constant);
  EXPECT_EQ(scope.tape().size(), 0u);
  const NoTapeScope quiet;
  EXPECT_FALSE(ops::multiply(x, x).needs_gradient());
}

TEST(Tape, AFrozenParameterHasNoGradientAndNoBuffer) {
  const auto weights = [](float value) { return Variable::parameter(Tensor::of<float>({2, 2}, {value, 1, 2, value})); };
  const auto gradient = [&](const Variable& first, const Variable& second) {
    TapeScope scope;
    const Variable x = Variable::leaf(Tensor::of<float>({1, 2}, {1, 2}));
    const Variable y = ops::linear(ops::linear(x, first, {}), second, {});
    scope.tape().backward(y, Tensor::of<float>({1, 2}, {1, -1}));
    return std::vector<float>(x.gradient().data<float>(), x.gradient().data<float>() + 2);
  };
  const Variable first = weights(3), second = weights(4);
  const std::vector<float> free = gradient(first, second);
  const std::vector<float> weight(second.gradient().data<float>(), second.gradient().data<float>() + 4);

  first.freeze();
  second.clear_gradient();
  EXPECT_FALSE(first.needs_gradient());
  EXPECT_FALSE(first.gradient().defined());
  EXPECT_EQ(gradient(first, second), free);  // what lies below still gets its gradient
  EXPECT_EQ(std::vector<float>(second.gradient().data<float>(), second.gradient().data<float>() + 4), weight);
  EXPECT_FALSE(first.slot()->gradient.defined());
}

TEST(Recompute, GivesTheGradientsOfTheStoredForm) {
  const Variable weight = Variable::parameter(one_value(0.5f));
  const auto gradients = [&](bool again) {
    weight.clear_gradient();
    TapeScope scope;
    const Variable x = Variable::leaf(one_value(3));
    const auto part = [&](std::span<const Variable> in) {
      return std::vector{ops::multiply(ops::multiply(in[0], in[0]), weight)};
    };
    const Variable y = again ? recompute(part, {&x, 1}).front() : part({&x, 1}).front();
    scope.tape().backward(y, one_value(2));
    return std::pair{number(x.gradient()), number(weight.gradient())};
  };
  EXPECT_EQ(gradients(false), (std::pair{6.0f, 18.0f}));
  EXPECT_EQ(gradients(true), gradients(false));
}

}  // namespace
}  // namespace longhaul
