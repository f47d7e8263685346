// Generation from GPT-2 124M, one text, through the public generate(). No token can come sooner than reading all the
// weights takes (the position table aside, of which a row is read): those are the bytes held against the limit.
#include <gradus/gradus.h>

#include <memory>

#include "support/work.h"

namespace {

work::Work gpt2() {
  constexpr gradus::Index tokens = 64;
  gradus::manual_seed(1);
  const auto model = std::make_shared<gradus::models::GPT>(gradus::models::GPTConfig::gpt2());
  const auto weights = static_cast<double>(model->config().num_parameters() - model->wpe.weight.numel());
  return {[model] {
            const std::int32_t prompt[] = {50256};
            gradus::models::generate(*model, prompt, {.max_tokens = tokens, .temperature = 0});
          },
          0, 4 * weights * tokens, tokens, "token"};
}

const bool added = (work::add("generate/gpt2_124M", gpt2), true);

}  // namespace
