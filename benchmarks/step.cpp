// Whole training steps (forward, backward, clip, AdamW) from microgpt's size to GPT-2's. peers/torch_peer.py times
// the same steps in PyTorch under the same names.
#include <gradus/gradus.h>

#include <memory>
#include <string>
#include <vector>

#include "support/work.h"

namespace {

using gradus::Index;
using gradus::models::GPTConfig;

struct Step {
  const char* name;
  Index layers, heads, width, context, vocabulary;
  bool bias;
  Index batch, length;
};
constexpr Step steps[] = {
    {"names_width16_batch1", 1, 4, 16, 16, 27, false, 1, 16},
    {"layers1_width64_context16_batch16", 1, 4, 64, 16, 65, false, 16, 16},
    {"shakespeare_layers4_width128", 4, 4, 128, 64, 65, false, 12, 64},
    {"layers6_width384_context256_batch8", 6, 6, 384, 256, 65, false, 8, 256},
    {"gpt2_124M_4x64", 12, 12, 768, 1024, 50257, true, 4, 64},
    {"gpt2_124M_4x256", 12, 12, 768, 1024, 50257, true, 4, 256},
};

// A model, and the rest of a step once the loss is there.
struct Trainer {
  explicit Trainer(const GPTConfig& config)
      : model(config),
        parameters(model.parameters()),
        optimizer(gradus::optim::decay_groups(model, 0.1), {.lr = 1e-3, .betas = {0.9, 0.99}}) {}
  void update(const gradus::Tensor& loss) {
    loss.backward();
    gradus::optim::clip_grad_norm(parameters, 1.0);
    optimizer.step();
    optimizer.zero_grad();
  }

  gradus::models::GPT model;
  std::vector<gradus::Tensor> parameters;
  gradus::optim::AdamW optimizer;
};

work::Work random_tokens(const Step& size) {
  gradus::manual_seed(1);
  const auto trainer = std::make_shared<Trainer>(GPTConfig{.vocab_size = size.vocabulary,
                                                           .block_size = size.context,
                                                           .n_layer = size.layers,
                                                           .n_head = size.heads,
                                                           .n_embd = size.width,
                                                           .bias = size.bias});
  gradus::Generator generator(2);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(size.batch * size.length)), targets(tokens.size());
  for (std::int32_t& token : tokens) token = static_cast<std::int32_t>(generator.below(size.vocabulary));
  for (std::int32_t& target : targets) target = static_cast<std::int32_t>(generator.below(size.vocabulary));
  const auto run = [=] { trainer->update(cross_entropy(trainer->model(tokens, size.batch, size.length), targets)); };
  // The products alone: one multiply-add forward and two backward for each weight and token, and in attention two
  // products forward and five backward, half of which is hidden.
  const double width = static_cast<double>(size.width), count = static_cast<double>(size.batch * size.length);
  const double weights =
      12.0 * static_cast<double>(size.layers) * width * width + static_cast<double>(size.vocabulary) * width;
  const double attention = 7 * static_cast<double>(size.layers * size.length) * width;
  return {run, count * (6 * weights + attention), 0, count, "token"};
}

// microgpt's model on 16 names a step, as long as they are, fetched from the data set.
work::Work names(Index width) {
  gradus::manual_seed(1);
  constexpr const char* list[] = {"emma", "olivia", "ava",  "isabella", "sophia", "charlotte", "mia", "amelia",
                                  "kim",  "maria",  "jose", "karina",   "liam",   "noah",      "eve", "annabel"};
  const std::vector<std::string> lines(std::begin(list), std::end(list));
  const auto data = std::make_shared<gradus::models::DocumentDataset>(
      lines, gradus::models::CharTokenizer::from_documents(lines),
      gradus::models::DatasetOptions{.block_size = 16, .held_out = 0});
  GPTConfig config = GPTConfig::microgpt(27);
  config.n_embd = width;
  config.vocab_size = data->tokenizer().vocab_size();
  const auto trainer = std::make_shared<Trainer>(config);
  const auto batch = std::make_shared<gradus::models::Batch>();
  const auto run = [=] {
    data->next(16, *batch);
    trainer->update(cross_entropy(trainer->model(batch->tokens, batch->lengths), batch->targets));
  };
  return {run, 0, 0, 16, "name"};
}

// The network of tests/install/app and its step; peers/libtorch.cpp is the twin.
work::Work exclusive_or() {
  using namespace gradus;
  manual_seed(1);
  const Tensor x = tensor({0, 0, 0, 1, 1, 0, 1, 1}, {4, 2}), y = tensor({0, 1, 1, 0}, {4, 1});
  const nn::Sequential net{nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 1)};
  const auto adam = std::make_shared<optim::Adam>(net.parameters(), optim::AdamOptions{.lr = 0.05});
  const auto run = [=] {
    const Tensor loss = binary_cross_entropy_with_logits(net(x), y);
    adam->zero_grad();
    loss.backward();
    adam->step();
  };
  return {run};
}

gradus::nn::Sequential solver(Index in, Index width, auto activation) {
  using gradus::nn::Linear;
  return gradus::nn::Sequential{Linear(in, width),    activation, Linear(width, width), activation,
                                Linear(width, width), activation, Linear(width, 1)};
}

// A step of examples/networks/pinn.cpp: the loss contains second derivatives, of which the step takes the gradient.
work::Work oscillator() {
  using namespace gradus;
  manual_seed(1);
  const nn::Sequential net = solver(1, 32, nn::Tanh());
  const Tensor t = (4 * rand({256, 1})).requires_grad(true);
  const auto adam = std::make_shared<optim::Adam>(net.parameters(), optim::AdamOptions{.lr = 1e-4});
  const auto run = [=] {
    const Tensor u = net(t);
    const Tensor u_t = grad(sum(u), {t}, {.create_graph = true})[0];
    const Tensor u_tt = grad(sum(u_t), {t}, {.create_graph = true})[0];
    const Tensor loss = mean(square(u_tt + u_t + 16 * u));
    adam->zero_grad();
    loss.backward();
    adam->step();
  };
  return {run, 0, 0, 256, "point"};
}

// A step of examples/sdf.cpp: |grad u| = 1 at 256 points.
work::Work eikonal() {
  using namespace gradus;
  manual_seed(1);
  const nn::Sequential net = solver(2, 64, nn::Softplus());
  const Tensor x = rand({256, 2}).requires_grad(true);
  const auto adam = std::make_shared<optim::Adam>(net.parameters(), optim::AdamOptions{.lr = 1e-4});
  const auto run = [=] {
    const Tensor slope = grad(sum(net(x)), {x}, {.create_graph = true})[0];
    const Tensor loss = mean(square(sqrt(sum(square(slope), 1)) - 1));
    adam->zero_grad();
    loss.backward();
    adam->step();
  };
  return {run, 0, 0, 256, "point"};
}

const bool added = [] {
  work::add("step/xor", exclusive_or);
  for (const Step& step : steps) {
    work::add(std::string("step/") + step.name, [step] { return random_tokens(step); });
  }
  for (const Index width : {16, 32, 64}) {
    work::add("step/names_width" + std::to_string(width) + "_batch16", [width] { return names(width); });
  }
  work::add("step/pinn_width32", oscillator);
  work::add("step/eikonal_width64", eikonal);
  return true;
}();

}  // namespace
