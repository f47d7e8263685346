// A shared object with the library inside, and a tensor that is destroyed when it is unloaded.
#include <thread>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/core/runtime/parallel.h>

using namespace gradus;

namespace {
Tensor weight;
}

/// A training step in a thread of its own: the calling one does not use the library until the plugin is unloaded.
extern "C" __attribute__((visibility("default"))) double plugin_step() {
  double result = 0;
  std::thread([&result] {
    set_num_threads(3);
    weight = ones({128, 128}).requires_grad(true);
    const Tensor loss = mean(matmul(matmul(weight, weight), weight));
    loss.backward();
    result = loss.item();
  }).join();
  return result;
}
