// What the nn tests share: comparing tensors, catching error texts, and a folder for files.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>  // mkdtemp

#include <bit>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <gradus/core/autograd.h>
#include <gradus/core/gradcheck.h>
#include <gradus/core/ops.h>
#include <gradus/nn/module.h>

namespace gradus::testing {

inline void expect_close(const Tensor& x, const std::vector<double>& expected, double tolerance = 1e-12) {
  const std::vector<double> values = x.to_vector();
  ASSERT_EQ(values.size(), expected.size());
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], tolerance) << "at " << i;
}

inline void expect_close(const Tensor& x, const Tensor& expected, double tolerance = 1e-12) {
  EXPECT_EQ(x.shape(), expected.shape()) << fmt::format("{} and {}", x.shape(), expected.shape());
  expect_close(x, expected.to_vector(), tolerance);
}

// NaN equals itself here, and 0 differs from -0.
inline std::vector<std::uint64_t> bits(const Tensor& x) {
  std::vector<std::uint64_t> all;
  for (const double value : x.to_vector()) all.push_back(std::bit_cast<std::uint64_t>(value));
  return all;
}

// The text of the Error that `f` throws; the test fails if there is none.
template <class F>
std::string error_of(F f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no Error was thrown";
  return {};
}

inline void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' is not in: " << text;
}

inline std::vector<std::string> names_of(const nn::NamedTensors& named) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : named) names.push_back(name);
  return names;
}

// All parameters away from the values where a mistake hides (zeros of biases, ones of gains).
inline void randomize(const nn::Module& module) {
  for (const Tensor& param : module.parameters()) param.copy_(randn(param.shape(), param.dtype()));
}

// Puts other tensors in the place of a module's parameters, in the order of parameters().
struct ReplaceParameters : nn::Visitor {
  std::span<const Tensor> next;
  explicit ReplaceParameters(std::span<const Tensor> tensors) : next(tensors) {}
  void on_tensor(std::string_view, const Tensor& tensor, bool is_parameter) override {
    if (!is_parameter) return;
    const_cast<Tensor&>(tensor) = next.front();
    next = next.subspan(1);
  }
};

// Gradients of f(inputs) in the inputs and in every parameter of an f64 module, against central differences.
template <class F>
void expect_gradients(nn::Module& module, std::vector<Tensor> inputs, F f) {
  const std::vector<Tensor> parameters = module.parameters();
  const std::size_t count = inputs.size();
  inputs.insert(inputs.end(), parameters.begin(), parameters.end());
  for (Tensor& x : inputs) x.requires_grad(true);
  EXPECT_TRUE(gradcheck(
      [&](const std::vector<Tensor>& in) {
        ReplaceParameters replace(std::span<const Tensor>(in).subspan(count));
        module.members(replace);
        return f(in);
      },
      inputs));
  ReplaceParameters restore(parameters);
  module.members(restore);
}

// Whether freed blocks are kept for the next use; under AddressSanitizer they are not.
inline bool pool_keeps_blocks() {
  constexpr std::size_t bytes = 1000;
  pool_free(pool_allocate(bytes), bytes);
  const std::size_t before = memory_stats().system_allocations;
  pool_free(pool_allocate(bytes), bytes);
  return memory_stats().system_allocations == before;
}

class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "gradus-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) names.push_back(entry.path().filename());
    return names;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace gradus::testing
