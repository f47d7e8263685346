// The fused ops at GPT-2's shapes, forward alone and with backward, beside the time that moving their bytes takes. The
// argument is the number of threads; peers/torch_peer.py times the same ops in PyTorch under the same names.
#include <gradus/gradus.h>

#include <functional>
#include <string>
#include <vector>

#include "support/limits.h"

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

// An op on fresh leaves, and the bytes that it has to move if its inputs come from memory and its results go there.
struct Case {
  std::vector<Tensor> leaves;
  std::function<Tensor()> op;
  double forward_bytes, backward_bytes, flops = 0;
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

Case attention() {
  constexpr Index B = 4, H = 12, T = 1024, D = 64;
  const Tensor q = leaf({B, H, T, D}), k = leaf({B, H, T, D}), v = leaf({B, H, T, D});
  constexpr double product = 2.0 * B * H * T * T * D / 2;  // half of it is hidden
  return {{q, k, v},
          [=] { return scaled_dot_product_attention(q, k, v, {.causal = true}); },
          4 * f32 * B * H * T * D,
          8 * f32 * B * H * T * D,
          7 * product};
}

void forward(benchmark::State& state, Case (*make)()) {
  const int threads = static_cast<int>(state.range(0));
  gradus::set_num_threads(threads);
  const Case c = make();
  const gradus::NoGrad guard;
  for (auto _ : state) benchmark::DoNotOptimize(c.op().node().values<float>());
  limits::report_bytes(state, c.forward_bytes, threads);
}

void forward_backward(benchmark::State& state, Case (*make)()) {
  const int threads = static_cast<int>(state.range(0));
  gradus::set_num_threads(threads);
  const Case c = make();
  const Tensor weight = gradus::ones_like(c.op());
  for (auto _ : state) {
    c.op().backward(weight);
    for (const Tensor& x : c.leaves) x.zero_grad();
  }
  if (c.flops > 0) {
    limits::report_flops(state, c.flops, threads);
  } else {
    limits::report_bytes(state, c.forward_bytes + c.backward_bytes, threads);
  }
}

// AdamW and clipping over GPT-2's largest tensors: parameter, gradient and two moments are read, three are written.
void adamw(benchmark::State& state) {
  const int threads = static_cast<int>(state.range(0));
  gradus::set_num_threads(threads);
  const Tensor weight = leaf({50257, 768});
  sum(weight).backward();
  gradus::optim::AdamW optimizer({weight}, {.lr = 1e-4});
  for (auto _ : state) {
    gradus::optim::clip_grad_norm({weight}, 1.0);
    optimizer.step();
  }
  limits::report_bytes(state, 8 * f32 * static_cast<double>(weight.numel()), threads);
}

// One recorded op on one number, forward and backward.
void overhead(benchmark::State& state) {
  gradus::set_num_threads(1);
  constexpr int ops = 100;
  const Tensor x = leaf({1});
  for (auto _ : state) {
    Tensor y = x;
    for (int i = 0; i < ops; ++i) y = y * x;
    y.backward();
    x.zero_grad();
  }
  state.counters["s/op"] =
      benchmark::Counter(ops, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
BENCHMARK(overhead);

const bool registered = [] {
  const auto add = [](const std::string& name, auto function, auto... arguments) {
    benchmark::RegisterBenchmark(name.c_str(), function, arguments...)
        ->Arg(1)
        ->Arg(2)
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
  };
  const std::pair<const char*, Case (*)()> cases[] = {{"softmax", softmax},     {"layer_norm", layer_norm},
                                                      {"gelu", gelu},           {"cross_entropy", cross_entropy},
                                                      {"embedding", embedding}, {"attention", attention}};
  for (const auto& [name, make] : cases) {
    add(std::string("forward/") + name, forward, make);
    add(std::string("forward_backward/") + name, forward_backward, make);
  }
  add("adamw_and_clip", adamw);
  return true;
}();

}  // namespace
