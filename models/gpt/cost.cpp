// Formulas after Kaplan et al. 2020, table 1, with the causal half of attention.
#include <gradus/models/gpt/cost.h>

#include <algorithm>

namespace gradus::models {

Index judged_tokens(const GPTConfig& config) {
  constexpr Index most_tokens = 4096, most_logits = Index{1} << 22;  // 16 MB
  return std::clamp(most_logits / config.vocab_size, Index{1}, most_tokens);
}

Cost cost_of(const GPTConfig& config, DType dtype, Index batch_tokens, bool ragged, Index trained_blocks) {
  const auto C = static_cast<double>(config.n_embd), L = static_cast<double>(config.n_layer),
             T = static_cast<double>(config.block_size), V = static_cast<double>(config.vocab_size);
  const auto bytes = static_cast<double>(size_of(dtype));
  const auto F = static_cast<double>(config.hidden()), A = static_cast<double>(config.attention_width());
  const double trains = trained_blocks > 0 ? static_cast<double>(trained_blocks) : L;  // the last blocks
  const double matrices = 4 * C * A + 2 * C * F;     // of a block: c_attn 3, c_proj 1, c_fc and c_proj
  const double attention = 2 * 2 * A * (T + 1) / 2;  // of a block: scores and their weighted sum
  const auto of_blocks = [&](double number) { return number * (2 * matrices + attention); };
  const double forward = of_blocks(L) + 2 * V * C;  // with the head
  // A block keeps the outputs of ln_1 C, c_attn 3 A, attention A, c_proj C, sum C, ln_2 C, c_fc F, activation F,
  // c_proj C, sum C, where A is the width of all heads, and of a polynomial two steps for each power; around them stand
  // the embeddings and their sum, the last norm, and the logits.
  const double dropout = config.dropout > 0 ? 1 : 0;
  // With dropout on attention weights a block also keeps, for each token, q, k and v by themselves (7 A), and a dozen
  // steps between scores and weights in each head (12 H T).
  const auto H = static_cast<double>(config.n_head);
  const double stored = config.attn_dropout > 0 ? 7 * A + 12 * H * T : 0;
  // A LoRA's part and its sum with what the Linear gives, behind c_attn 3 A, both c_proj and c_fc F.
  const double additions = config.lora_rank > 0 ? 2 * (2 * C + 3 * A + F) : 0;
  const double norms = config.norm == NormKind::none ? 0 : 2, sums = config.residual ? 2 : 0;
  const double powers = static_cast<double>(config.activation_coefficients.size());
  const double activation = powers > 0 ? std::max(2.0, 2 * (powers - 1)) : 1;  // with the sums
  const double block = (2 + norms + sums + 2 * dropout) * C + 4 * A + (1 + activation) * F + stored + additions;
  // With checkpoint_activations only the output of each block is kept, and one block that is computed again.
  const double blocks = config.checkpoint_activations ? trains * C + block : trains * block;
  const double kept = blocks + (4 + dropout) * C + 2 * V;  // the logits' gradient counts too
  const double weights = static_cast<double>(config.num_parameters()) * bytes;
  const auto tokens = static_cast<double>(batch_tokens), judged = static_cast<double>(judged_tokens(config));
  const double activations = kept * tokens * bytes;
  // The pool reuses memory for the same size only. So evaluation has buffers beside those of training, and ragged
  // batches have buffers of several sizes. The factors 1.15 and 14 C were measured.
  const double sizes = ragged ? 1.5 : 1, unused = 1.15, program = 25e6;
  const double wide = std::max(C, A);
  const double step = sizes * activations + 14 * wide * tokens * bytes, judging = (18 * wide + 3 * V) * judged * bytes;
  // Gradients and moments are of what is trained; with LoRAs there is a merged copy of the weights while they are
  // saved.
  const auto rank = static_cast<double>(config.lora_rank);
  const double head = config.tie_weights ? 0 : V * C;
  const double trained = rank > 0             ? L * rank * (4 * C + 4 * A + 2 * F) * bytes
                         : trained_blocks > 0 ? (trains * matrices + head) * bytes
                                              : weights;
  const double training = program + unused * ((rank > 0 ? 2 : 1) * weights + 3 * trained + step + judging);
  const double again = config.checkpoint_activations ? of_blocks(trains) : 0;
  const double backward = 2 * (of_blocks(trains) + 2 * V * C);
  return {forward, forward + backward + again, weights, 2 * L * T * A * bytes, activations, training};
}

}  // namespace gradus::models
