// A module of the program's own inside the library's, through a file and back.
#include <gradus/core/ops.h>
#include <gradus/nn/activation.h>
#include <gradus/nn/linear.h>
#include <gradus/nn/safetensors.h>
#include <gradus/nn/sequential.h>

#include <cstdio>

using namespace gradus;

struct Residual : nn::Layer {
  Tensor operator()(const Tensor& x) const override { return x + inner(x); }
  void members(nn::Visitor& visit) const override { visit("inner", inner); }
  nn::Linear inner{4, 4};
};

int main() {
  const nn::Sequential saved{Residual(), nn::Tanh(), nn::Linear(4, 1)};
  const nn::Sequential loaded{Residual(), nn::Tanh(), nn::Linear(4, 1)};
  nn::save_safetensors("nn.safetensors", saved);
  nn::load_safetensors("nn.safetensors", loaded);
  const Tensor x = randn({3, 4});
  bool caught = false;
  try {
    nn::load_safetensors("nn.safetensors", nn::Linear(2, 2));
  } catch (const Error&) {
    caught = true;
  }
  const bool right = saved(x).to_vector() == loaded(x).to_vector() && saved.num_parameters() == 25 && caught;
  std::puts(right ? "nn works" : "nn does not work");
  return right ? 0 : 1;
}
