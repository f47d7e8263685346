// gradcheck of modules: it finds a wrong gradient by its parameter's path and leaves the module as it was.
#include <gradus/nn/gradcheck.h>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/nn/layers/activation.h>
#include <gradus/nn/layers/dropout.h>
#include <gradus/nn/layers/linear.h>
#include <gradus/nn/layers/mlp.h>
#include <gradus/nn/layers/sequential.h>

#include "support.h"

namespace gradus::nn {
namespace {

using testing::bits;
using testing::expect_contains;

constexpr DType f64 = DType::f64;

TEST(ModuleGradcheck, PassesAndLeavesTheModuleAsItWas) {
  const MLP mlp(4);
  testing::randomize(mlp);
  sum(mlp(randn({2, 4}))).backward();
  std::vector<std::vector<std::uint64_t>> values, gradients;
  for (const Tensor& param : mlp.parameters()) {
    values.push_back(bits(param));
    gradients.push_back(bits(param.grad()));
  }
  const Tensor x = randn({3, 4}, f64), y = randn({3, 4}, f64);
  const GradcheckReport report = gradcheck(mlp, [&] { return mse_loss(mlp(x), y); });
  EXPECT_TRUE(report);
  EXPECT_LT(report.worst_error, 1e-3);
  ASSERT_EQ(report.entries.size(), 4U);
  EXPECT_EQ(report.entries[0].name, mlp.named_parameters()[0].first);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Tensor param = mlp.parameters()[i];
    EXPECT_EQ(param.dtype(), DType::f32);
    EXPECT_EQ(bits(param), values[i]);
    EXPECT_EQ(bits(param.grad()), gradients[i]);
  }
}

TEST(ModuleGradcheck, IsAnExpectation) {
  const Sequential net{Linear(3, 2), Tanh()};
  const Tensor x = randn({4, 3}, f64), y = randn({4, 2}, f64);
  EXPECT_TRUE(gradcheck([](auto in) { return tanh(in[0]); }, {randn({2, 3})}));
  EXPECT_TRUE(gradcheck(net, [&] { return mse_loss(net(x), y); }));
}

struct Forgetful : Layer {  // its second weight gets no gradient
  Tensor used = parameter(ones({2})), forgotten = parameter(ones({2}));
  Tensor operator()(const Tensor& x) const override { return x * used * forgotten.detach(); }
  void members(Visitor& visit) const override {
    visit("used", used);
    visit("forgotten", forgotten);
  }
};

TEST(ModuleGradcheck, NamesTheWrongParameterByItsPath) {
  const Sequential net{Linear(2, 2), Forgetful()};
  const Tensor x = randn({3, 2}, f64);
  const GradcheckReport report = gradcheck(net, [&] { return net(x); });
  EXPECT_FALSE(report);
  expect_contains(to_string(report), "worst     1.forgotten[");
}

TEST(ModuleGradcheck, SaysWhatItDidNotLookAt) {
  const Sequential net{Linear(2, 2), Forgetful()};
  const Tensor x = randn({3, 2}, f64);
  for (Tensor param : net[1].parameters()) param.requires_grad(false);
  const GradcheckReport report = gradcheck(net, [&] { return net(x); });
  EXPECT_TRUE(report);
  EXPECT_EQ(report.skipped, (std::vector<std::string>{"1.used", "1.forgotten"}));
  expect_contains(to_string(report),
                  "gradcheck passed\n  skipped   1.used, 1.forgotten: no gradient is wanted\n  compared  6 entries");
  const Sequential deep{Linear(2, 2), Linear(2, 2), Linear(2, 2), Linear(2, 2)};
  for (Tensor param : deep.parameters()) param.requires_grad(false);
  expect_contains(to_string(gradcheck(deep, [&] { return deep(x); })),
                  "\n  skipped   0.weight, 0.bias, 1.weight, 1.bias, 2.weight and 3 more: no gradient is wanted");
}

struct Unnamed : Layer {  // members() leaves its gain out
  Linear out{2, 2};
  Tensor gain = parameter(ones({2}));
  Tensor operator()(const Tensor& x) const override { return out(x) * gain; }
  void members(Visitor& visit) const override { visit("out", out); }
};

TEST(ModuleGradcheck, PointsAtAMemberWithoutAName) {
  const Unnamed net;
  const Tensor x = randn({3, 2}, f64);
  EXPECT_EQ(
      testing::error_of([&] { gradcheck(net, [&] { return net(x); }); }),
      "gradcheck: the module was converted to f64, and the loss threw \"mul: got f64 and f32 tensors; all must have "
      "one type, convert with to(DType)\"; other tensors that it uses must be f64 too: an input, or a member that "
      "members() does not name");
}

TEST(ModuleGradcheck, AFailingLossLeavesTheModuleAsItWas) {
  const Linear layer(2, 2);
  const Tensor x = randn({3, 2});  // f32: does not fit
  expect_contains(testing::error_of([&] { gradcheck(layer, [&] { return layer(x); }); }), "must be f64 too");
  EXPECT_EQ(layer.weight.dtype(), DType::f32);
}

TEST(ModuleGradcheck, SaysWhyDropoutCannotBeChecked) {
  Sequential net{Linear(2, 8), Dropout(0.5)};
  const Tensor x = randn({3, 2}, f64);
  expect_contains(gradcheck(net, [&] { return net(x); }).reason, "not deterministic");
  net.eval();
  EXPECT_TRUE(gradcheck(net, [&] { return net(x); }));
}

}  // namespace
}  // namespace gradus::nn
