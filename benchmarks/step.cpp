// Whole training steps (forward, backward, clip, AdamW) of GPTs from microgpt's size to nanoGPT's small one. The
// argument is the number of threads; peers/torch_step.py times the same steps in PyTorch.
#include <benchmark/benchmark.h>
#include <gradus/gradus.h>

#include <vector>

namespace {

using gradus::Index;
using gradus::models::GPTConfig;

void step(benchmark::State& state, Index layers, Index width, Index context, Index batch) {
  gradus::set_num_threads(static_cast<int>(state.range(0)));
  gradus::manual_seed(1);
  GPTConfig config = GPTConfig::shakespeare_char_cpu(65);
  config.n_layer = layers;
  config.n_embd = width;
  config.n_head = 4;
  config.block_size = context;
  gradus::models::GPT model(config);
  gradus::optim::AdamW optimizer(gradus::optim::decay_groups(model, 0.1), {.lr = 1e-3, .betas = {0.9, 0.99}});
  const std::vector<gradus::Tensor> parameters = model.parameters();

  gradus::Generator generator(2);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(batch * context)), targets(tokens.size());
  for (std::int32_t& token : tokens) token = static_cast<std::int32_t>(generator.below(65));
  for (std::int32_t& target : targets) target = static_cast<std::int32_t>(generator.below(65));

  for (auto _ : state) {
    const gradus::Tensor loss = cross_entropy(model(tokens, batch, context), targets);
    optimizer.zero_grad();
    loss.backward();
    gradus::optim::clip_grad_norm(parameters, 1.0);
    optimizer.step();
  }
  state.counters["tokens/s"] =
      benchmark::Counter(static_cast<double>(batch * context), benchmark::Counter::kIsIterationInvariantRate);
}

#define STEP(name, ...) \
  BENCHMARK_CAPTURE(step, name, __VA_ARGS__)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMicrosecond)
STEP(layers1_width16_context16_batch1, 1, 16, 16, 1);
STEP(layers1_width64_context16_batch16, 1, 64, 16, 16);
STEP(layers4_width128_context64_batch12, 4, 128, 64, 12);

}  // namespace
