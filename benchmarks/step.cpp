// Whole training steps (forward, backward, clip, AdamW) from microgpt's size to GPT-2's. The argument is the number of
// threads; peers/torch_peer.py times the same steps in PyTorch under the same names.
#include <benchmark/benchmark.h>
#include <gradus/gradus.h>
#include <sys/resource.h>

#include <string>
#include <vector>

namespace {

using gradus::Index;
using gradus::models::GPTConfig;

struct Step {
  const char* name;
  Index layers, heads, width, context, vocabulary;
  bool bias;
  Index batch;
};
constexpr Step steps[] = {
    {"names_width16_batch1", 1, 4, 16, 16, 27, false, 1},
    {"layers1_width64_context16_batch16", 1, 4, 64, 16, 65, false, 16},
    {"shakespeare_layers4_width128", 4, 4, 128, 64, 65, false, 12},
    {"layers6_width384_context256_batch8", 6, 6, 384, 256, 65, false, 8},
    {"gpt2_124M_4x64", 12, 12, 768, 1024, 50257, true, 4},
    {"gpt2_124M_4x256", 12, 12, 768, 1024, 50257, true, 4},
};
constexpr Index gpt2_lengths[] = {64, 256};

// The rest of a step, once the loss is there.
class Update {
 public:
  explicit Update(const gradus::models::GPT& model)
      : parameters_(model.parameters()),
        optimizer_(gradus::optim::decay_groups(model, 0.1), {.lr = 1e-3, .betas = {0.9, 0.99}}) {}
  void operator()(const gradus::Tensor& loss) {
    loss.backward();
    gradus::optim::clip_grad_norm(parameters_, 1.0);
    optimizer_.step();
    optimizer_.zero_grad();
  }

 private:
  std::vector<gradus::Tensor> parameters_;
  gradus::optim::AdamW optimizer_;
};

void run(benchmark::State& state, const Step& size, Index length) {
  gradus::set_num_threads(static_cast<int>(state.range(0)));
  gradus::manual_seed(1);
  gradus::models::GPT model({.vocab_size = size.vocabulary,
                             .block_size = size.context,
                             .n_layer = size.layers,
                             .n_head = size.heads,
                             .n_embd = size.width,
                             .bias = size.bias});
  Update update(model);
  gradus::Generator generator(2);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(size.batch * length)), targets(tokens.size());
  for (std::int32_t& token : tokens) token = static_cast<std::int32_t>(generator.below(size.vocabulary));
  for (std::int32_t& target : targets) target = static_cast<std::int32_t>(generator.below(size.vocabulary));
  const auto step = [&] { update(cross_entropy(model(tokens, size.batch, length), targets)); };
  step();
  for (auto _ : state) step();
  state.counters["tokens/s"] =
      benchmark::Counter(static_cast<double>(size.batch * length), benchmark::Counter::kIsIterationInvariantRate);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  state.counters["peak MB"] = static_cast<double>(usage.ru_maxrss) / 1024;
}

// microgpt's model on 16 names a step, as long as they are; the time a name is what the counter says.
void names(benchmark::State& state, Index width) {
  gradus::set_num_threads(static_cast<int>(state.range(0)));
  gradus::manual_seed(1);
  constexpr const char* list[] = {"emma", "olivia", "ava",  "isabella", "sophia", "charlotte", "mia", "amelia",
                                  "kim",  "maria",  "jose", "karina",   "liam",   "noah",      "eve", "annabel"};
  const std::vector<std::string> lines(std::begin(list), std::end(list));
  gradus::models::DocumentDataset data(lines, gradus::models::CharTokenizer::from_documents(lines),
                                       {.block_size = 16, .held_out = 0});
  GPTConfig config = GPTConfig::microgpt(27);
  config.n_embd = width;
  config.vocab_size = data.tokenizer().vocab_size();
  gradus::models::GPT model(config);
  Update update(model);
  gradus::models::Batch batch;
  for (auto _ : state) {
    data.next(16, batch);
    update(cross_entropy(model(batch.tokens, batch.lengths), batch.targets));
  }
  state.counters["s/name"] =
      benchmark::Counter(16, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

const bool registered = [] {
  const auto add = [](const std::string& name, auto function, auto... arguments) {
    benchmark::RegisterBenchmark(("step/" + name).c_str(), function, arguments...)
        ->Arg(1)
        ->Arg(2)
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
  };
  const Index* length = gpt2_lengths;
  for (const Step& step : steps) add(step.name, run, step, step.bias ? *length++ : step.context);
  for (const Index width : {16, 32, 64}) add("names_width" + std::to_string(width) + "_batch16", names, width);
  return true;
}();

}  // namespace
