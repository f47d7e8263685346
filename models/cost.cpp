// Formulas after Kaplan et al. 2020, table 1, with the causal half of attention.
#include <gradus/models/cost.h>

namespace gradus::models {

Cost cost_of(const GPTConfig& config, DType dtype, Index batch_tokens) {
  const auto C = static_cast<double>(config.n_embd), L = static_cast<double>(config.n_layer),
             T = static_cast<double>(config.block_size), V = static_cast<double>(config.vocab_size);
  const auto bytes = static_cast<double>(size_of(dtype));
  const double matrices = L * 12 * C * C + V * C;        // c_attn 3, c_proj 1, c_fc 4, c_proj 4; the head
  const double attention = L * 2 * 2 * C * (T + 1) / 2;  // scores and their weighted sum
  const double forward = 2 * matrices + attention;
  // A block keeps the outputs of ln_1 C, c_attn 3 C, attention C, c_proj C, sum C, ln_2 C, c_fc 4 C, activation 4 C,
  // c_proj C, sum C; around them stand the embeddings and their sum, the last norm, and the logits.
  const double dropout = config.dropout > 0 ? 1 : 0;
  const double kept = L * (18 + 2 * dropout) * C + (4 + dropout) * C + 2 * V;  // the logits' gradient counts as well
  return {forward, 3 * forward, static_cast<double>(config.num_parameters()) * bytes, 2 * L * T * C * bytes,
          kept * static_cast<double>(batch_tokens) * bytes};
}

}  // namespace gradus::models
