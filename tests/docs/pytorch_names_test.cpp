// Every expression of pytorch_names.def compiles: docs/pytorch-names.md shows them.
#include <gtest/gtest.h>

#include <gradus/gradus.h>

namespace gradus::testing {
namespace {

[[maybe_unused]] void use_all(const Tensor& x, const Tensor& y, const Tensor& v, const Tensor& batch,
                              const Tensor& image, const std::vector<Tensor>& parts, const Ids& ids, nn::Linear& net,
                              optim::Adam& adam) {
#define HAVE(module, name, note, ...) static_cast<void>([&] { return static_cast<void>(__VA_ARGS__); });
#define NONE(module, name, instead)
#include "pytorch_names.def"
#undef HAVE
#undef NONE
  static_cast<void>(sizeof(x) + sizeof(y) + sizeof(v) + sizeof(batch) + sizeof(image) + sizeof(parts) + sizeof(ids) +
                    sizeof(net) + sizeof(adam));
}

TEST(PyTorchNames, ExpressionsOfTheTableCompile) {
  EXPECT_NE(&use_all, nullptr);
}

}  // namespace
}  // namespace gradus::testing
