// AnomalyMode: the op that made the first NaN or infinity is named, forward and backward, and nothing is watched
// without it.
#include <gradus/core/inspect/anomaly.h>

#include <cmath>
#include <thread>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>

#include "../../support.h"

namespace gradus::testing {
namespace {

Tensor leaf(std::initializer_list<double> values, DType dtype = DType::f32) {
  Tensor x = tensor(values, dtype);
  x.requires_grad(true);
  return x;
}

TEST(AnomalyMode, NamesTheOpWhoseResultIsNotFinite) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const AnomalyMode watch;
    const Tensor x = leaf({1, 0, 2}, dtype);
    EXPECT_EQ(error_of([&] { log(x * 1).sum(); }),
              "log: its result (3) holds -inf at position 1; input 0 (3) from 0 to 2; keep its inputs where it is "
              "finite, or lower the learning rate");
  }
}

TEST(AnomalyMode, NamesTheOpWhoseBackwardIsNotFinite) {
  const AnomalyMode watch;
  const Tensor x = leaf({4, 0});
  const std::string error = error_of([&] { sum(sqrt(x)).backward(); });
  expect_contains(error, "sqrt: its backward made the gradient of input 0 inf at position 1; input 0 (2) from 0 to 4");
}

TEST(AnomalyMode, TellsTheModuleAndTheStep) {
  const Tensor weight = leaf({1, 2}), other = leaf({1, 2});
  AnomalyMode watch({{"h.3.mlp.c_fc.weight", weight}, {"wte.weight", other}});
  watch.set_step(17);
  expect_contains(error_of([&] { weight / 0.0; }), "; in h.3.mlp.c_fc; step 17;");
  expect_contains(error_of([&] { log(relu(weight * -1 + 0 * other)); }), "; after h.3.mlp.c_fc; step 17;");
  expect_contains(error_of([&] { sum(sqrt(relu(weight * -1))).backward(); }), "after h.3.mlp.c_fc");
}

TEST(AnomalyMode, TellsWhatWasThereBefore) {
  const AnomalyMode watch;
  const Tensor nothing = leaf({NAN, NAN});
  expect_contains(error_of([&] { nothing * 2.0; }), "input 0 (2) with 2 not finite, input 1 ");
  expect_contains(error_of([&] { nothing * 2.0; }), "an input already holds such a value");
  const Tensor x = leaf({1, 2});
  const Tensor y = x * 2.0;
  expect_contains(error_of([&] { y.backward(nothing); }), "backward: the weight it was given (2) holds nan");
  x.node().grad = Buffer(2, DType::f32);
  x.node().grad.as<float>()[0] = x.node().grad.as<float>()[1] = INFINITY;
  expect_contains(error_of([&] { y.backward(ones({2})); }), "call zero_grad() first");
}

TEST(AnomalyMode, AlsoLooksWhereNothingIsRecorded) {
  const AnomalyMode watch;
  const NoGrad guard;
  expect_contains(error_of([&] { exp(tensor({1000})); }), "exp: its result (1) holds inf");
}

TEST(AnomalyMode, LeavesFiniteWorkAlone) {
  const Tensor x = leaf({1, 2, 3}), y = leaf({1, 2, 3});
  sum(softmax(x) * x).backward();
  const AnomalyMode watch;
  sum(softmax(y) * y).backward();
  EXPECT_EQ(bits(y.grad()), bits(x.grad()));
}

TEST(AnomalyMode, EndsWithItsScopeAndStaysOnItsThread) {
  const Tensor zero = tensor({0});
  {
    const AnomalyMode watch;
    { const AnomalyMode inner; }
    std::thread([&] { EXPECT_NO_THROW(log(zero)); }).join();
    EXPECT_THROW(log(zero), Error);
  }
  EXPECT_NO_THROW(log(zero));
}

}  // namespace
}  // namespace gradus::testing
