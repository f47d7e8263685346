// A GPT from a configuration in JSON, text in Unicode's composed form, and a gradient in every parameter.
#include <gradus/gradus.h>

#include <cstdio>

using namespace gradus;

int main() {
  const auto tokenizer = models::CharTokenizer::from_text("가나다 abc");
  const std::vector<std::int32_t> tokens = tokenizer.encode("\u1100\u1161나");  // 가 as two jamo
  const auto config = models::GPTConfig::from_json(models::GPTConfig::microgpt(tokenizer.vocab_size()).to_json());
  const models::GPT gpt(config);
  const std::vector<Index> lengths{2};
  cross_entropy(gpt(tokens, lengths), std::vector<std::int32_t>{tokens[1], tokens[0]}).backward();
  bool right = tokens.size() == 2 && tokenizer.decode(tokens) == "가나";
  for (const Tensor& param : gpt.parameters()) right = right && param.grad().defined();
  std::puts(right ? "models works" : "models does not work");
  return right ? 0 : 1;
}
