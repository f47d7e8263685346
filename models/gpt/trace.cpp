// The steps of GPT::features() and Block, one by one. Attention weights, which the model's fused op does not keep, are
// computed once more from what the block read.
#include <gradus/models/gpt/trace.h>

#include <array>
#include <cmath>
#include <limits>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>

namespace gradus::models {
namespace {

BlockTrace through(const Block& block, const Tensor& x, std::span<const Index> lengths) {
  BlockTrace t;
  t.before = x;
  t.normed = block.ln_1(x);
  t.attn = block.attn(t.normed, lengths);
  t.hidden = block.mlp.c_fc(block.ln_2(block.add(x, t.attn)));
  t.fired = block.mlp.activate(t.hidden);
  t.mlp = block.mlp.c_proj(t.fired);
  return t;
}

}  // namespace

Trace trace(const GPT& model, std::span<const std::int32_t> tokens, std::span<const Index> lengths) {
  const NoGrad no_grad;
  GPT still = model;  // a copy shares the weights, but not the mode
  still.eval();
  Tensor x = still.embed(tokens, lengths);
  Trace result;
  for (const Block& block : still.h) {
    result.blocks.push_back(through(block, x, lengths));
    const BlockTrace& last = result.blocks.back();
    x = block.add(block.add(x, last.attn), last.mlp);
  }
  result.after = x;
  result.logits = lens(still, x);
  return result;
}

Trace trace(const GPT& model, std::span<const std::int32_t> tokens) {
  const std::array<Index, 1> lengths{static_cast<Index>(tokens.size())};
  return trace(model, tokens, lengths);
}

Tensor attention_weights(const Block& block, Index n_head, const Tensor& normed) {
  const NoGrad no_grad;
  const Tensor joint = block.attn.c_attn(normed);  // (T, 3 A): queries, keys, values
  constexpr Index parts = 3;
  const Index T = joint.size(0), A = joint.size(1) / parts, D = A / n_head;
  const auto heads = [&](Index part) {
    return transpose(reshape(slice(joint, 1, part * A, (part + 1) * A), {T, n_head, D}), 0, 1);  // (H, T, D)
  };
  const Tensor scores = matmul(heads(0), heads(1), false, true) * (1 / std::sqrt(static_cast<double>(D)));
  const Tensor later = triu(ones({T, T}, normed.dtype()), 1);
  return softmax(masked_fill(scores, later, -std::numeric_limits<double>::infinity()));
}

Tensor lens(const GPT& model, const Tensor& stream) {
  const NoGrad no_grad;
  return model.head(model.ln_f ? (*model.ln_f)(stream) : stream);
}

}  // namespace gradus::models
