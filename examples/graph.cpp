// Seeing what was recorded: micrograd's neuron with every value and gradient, a whole GPT by its modules, and the table
// of what that GPT is made of.
//
//   build/bin/graph        writes neuron.svg, gpt.svg and gpt.dot
#include <fmt/format.h>
#include <gradus/gradus.h>

#include <vector>

using gradus::Tensor;

int main() {
  gradus::manual_seed(1);
  const auto number = [](double value) { return gradus::tensor(value).requires_grad(true); };
  const Tensor x1 = number(2), x2 = number(0), w1 = number(-3), w2 = number(1), b = number(6.8813735870195432);
  const Tensor out = tanh(x1 * w1 + x2 * w2 + b);
  out.backward(true);  // keep the graph, to draw it with its gradients
  draw_graph(out, "neuron.svg", {{"x1", x1}, {"x2", x2}, {"w1", w1}, {"w2", w2}, {"b", b}});

  const gradus::models::GPT gpt({.vocab_size = 65, .block_size = 64, .n_layer = 4, .n_head = 4, .n_embd = 128});
  const std::vector<std::int32_t> tokens(64, 1), targets(64, 2);
  const Tensor loss = cross_entropy(gpt(tokens, 1, 64), targets);
  draw_graph(loss, "gpt.svg", gpt.named_parameters());
  draw_graph(loss, "gpt.dot", gpt.named_parameters());
  fmt::print("{}\nx1's gradient is {:.4f}; a few of the GPT's numbers:\n{}\n", gradus::nn::summary(gpt),
             x1.grad().item(), gpt.named_parameters()[0].second);
}
