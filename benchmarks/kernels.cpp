// The fused ops at GPT-2's shapes, forward, backward and both, beside the time that moving their bytes takes;
// peers/torch_peer.py times the same ops in PyTorch under the same names.
#include <gradus/gradus.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/work.h"

namespace {

using gradus::Index;
using gradus::Tensor;

Tensor leaf(const gradus::Shape& shape) {
  return gradus::randn(shape).requires_grad(true);
}

std::vector<std::int32_t> ids(Index count, Index vocabulary) {
  gradus::Generator generator(2);
  std::vector<std::int32_t> result(static_cast<std::size_t>(count));
  for (std::int32_t& id : result) id = static_cast<std::int32_t>(generator.below(vocabulary));
  return result;
}

// An op on fresh leaves, and what it has to do: bytes, if its inputs come from memory and its results go there, or
// floating-point operations.
struct Case {
  std::vector<Tensor> leaves;
  std::function<Tensor()> op;
  double forward_bytes, backward_bytes;
  double forward_flops = 0, backward_flops = 0;
  double flops() const { return forward_flops + backward_flops; }
  bool computes() const { return flops() > 0; }
};

constexpr double f32 = 4;

Case softmax() {
  constexpr Index rows = 12 * 1024, cols = 1024;
  const Tensor x = leaf({rows, cols});
  constexpr double bytes = f32 * rows * cols;
  return {{x}, [x] { return softmax(x); }, 2 * bytes, 3 * bytes};
}

Case layer_norm() {
  constexpr Index rows = 4096, cols = 768;
  const Tensor x = leaf({rows, cols}), weight = leaf({cols}), bias = leaf({cols});
  constexpr double bytes = f32 * rows * cols;
  return {{x, weight, bias}, [=] { return layer_norm(x, weight, bias); }, 2 * bytes, 3 * bytes};
}

Case gelu() {
  constexpr Index rows = 4096, cols = 3072;
  const Tensor x = leaf({rows, cols});
  constexpr double bytes = f32 * rows * cols;
  return {{x}, [x] { return gelu(x, gradus::Gelu::tanh); }, 2 * bytes, 3 * bytes};
}

Case cross_entropy() {
  constexpr Index rows = 1024, cols = 50257;
  const Tensor x = leaf({rows, cols});
  constexpr double bytes = f32 * rows * cols;
  return {{x}, [x, targets = ids(rows, cols)] { return cross_entropy(x, targets); }, bytes, 2 * bytes};
}

Case embedding() {
  constexpr Index rows = 4096, cols = 768, vocabulary = 50257;
  const Tensor weight = leaf({vocabulary, cols});
  return {{weight},
          [weight, tokens = ids(rows, vocabulary)] { return embedding(weight, tokens, {rows}); },
          2 * f32 * rows * cols,
          f32 * (3 * rows + vocabulary) * cols};  // the gradient is as large as the table and begins with zeros
}

template <Index T>
Case attention() {
  constexpr Index B = 4, H = 12, D = 64;
  const Tensor q = leaf({B, H, T, D}), k = leaf({B, H, T, D}), v = leaf({B, H, T, D});
  constexpr double product = 2.0 * B * H * T * T * D / 2;  // half of it is hidden
  return {{q, k, v},
          [=] { return scaled_dot_product_attention(q, k, v, {.causal = true}); },
          4 * f32 * B * H * T * D,
          8 * f32 * B * H * T * D,
          2 * product,
          5 * product};
}

// The op alone, with nothing recorded.
work::Work forward(Case (*make)()) {
  const Case c = make();
  return {[c] {
            const gradus::NoGrad guard;
            c.op();
          },
          c.forward_flops, c.computes() ? 0 : c.forward_bytes};
}

// What backward() does behind an op that has been computed already, and that lets go of its graph.
work::Work backward(Case (*make)()) {
  const Case c = make();
  const auto y = std::make_shared<Tensor>();
  return {.run = [y, weight = gradus::ones_like(c.op())] { y->backward(weight); },
          .flops = c.backward_flops,
          .bytes = c.computes() ? 0 : c.backward_bytes,
          .prepare =
              [y, c] {
                for (const Tensor& x : c.leaves) x.zero_grad();
                *y = c.op();
              }};
}

work::Work forward_backward(Case (*make)()) {
  const Case c = make();
  const Tensor weight = gradus::ones_like(c.op());
  return {[=] {
            c.op().backward(weight);
            for (const Tensor& x : c.leaves) x.zero_grad();
          },
          c.flops(), c.computes() ? 0 : c.forward_bytes + c.backward_bytes};
}

// AdamW and clipping over GPT-2's largest tensor: clipping reads the gradient and may scale it; the step reads
// parameter, gradient and two moments and writes all but the gradient.
work::Work adamw() {
  const Tensor weight = leaf({50257, 768});
  sum(weight).backward();
  const auto optimizer =
      std::make_shared<gradus::optim::AdamW>(std::vector{weight}, gradus::optim::AdamWOptions{.lr = 1e-4});
  return {[=] {
            gradus::optim::clip_grad_norm({weight}, 1.0);
            optimizer->step();
          },
          0, 8 * f32 * static_cast<double>(weight.numel())};
}

// The engine itself: recorded ops on one number, forward and backward.
work::Work overhead() {
  constexpr int ops = 100;
  const Tensor x = leaf({1});
  return {[x] {
            Tensor y = x;
            for (int i = 0; i < ops; ++i) y = y * x;
            y.backward();
            x.zero_grad();
          },
          0, 0, ops, "op"};
}

const bool added = [] {
  const std::pair<const char*, Case (*)()> cases[] = {{"softmax", softmax},
                                                      {"layer_norm", layer_norm},
                                                      {"gelu", gelu},
                                                      {"embedding", embedding},
                                                      {"cross_entropy", cross_entropy},
                                                      {"attention_T1024", attention<1024>},
                                                      {"attention_T2048", attention<2048>},
                                                      {"attention_T4096", attention<4096>}};
  for (const auto& [name, op] : cases) {
    Case (*const make)() = op;  // clang 14 captures no structured binding
    work::add(std::string("forward/") + name, [make] { return forward(make); });
    work::add(std::string("backward/") + name, [make] { return backward(make); });
    work::add(std::string("forward_backward/") + name, [make] { return forward_backward(make); });
  }
  work::add("update/adamw_and_clip", adamw);
  work::add("engine/overhead", overhead);
  return true;
}();

}  // namespace
