// GPT: a decoder-only transformer put together from nn modules, with GPT-2's parameter names, and the configuration
// that makes it GPT-2, nanoGPT's character model or microgpt.  B batch, T time, N = B T or packed tokens, C width, V
// vocabulary
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <gradus/nn/layers/attention.h>
#include <gradus/nn/layers/embedding.h>
#include <gradus/nn/layers/mlp.h>
#include <gradus/nn/layers/norm.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// The norm that a GPT has everywhere; none: everything passes as it is.
enum class NormKind { layer, rms, none };

/// The sizes and variants of a GPT; as it stands GPT-2 124M without dropout.
struct GPTConfig {
  Index vocab_size = 50257;
  Index block_size = 1024;  // context length: a token attends to itself and the block_size - 1 before it
  Index n_layer = 12;
  Index n_head = 12;
  Index n_embd = 768;
  double dropout = 0;  // on the embeddings and on the outputs of attention and MLP, before they are added
  bool bias = true;    // in the blocks' Linears and every LayerNorm; lm_head has none
  NormKind norm = NormKind::layer;
  bool norm_gain = true;  // whether norms have a learned factor
  nn::Activation activation = nn::Activation::gelu_tanh;
  bool tie_weights = true;      // lm_head uses the token embedding's table
  bool embedding_norm = false;  // one more norm right after the embeddings
  bool final_norm = true;       // ln_f
  double init_std = 0.02;       // every matrix starts as N(0, init_std)
  bool scale_residual = true;   // c_proj weights start as N(0, init_std / sqrt(2 n_layer)), as GPT-2's
  double attn_dropout = 0;      // on the attention weights, as nanoGPT's dropout is too; slower, and more memory
  // Training keeps only what goes into each block, and computes the block again for its gradients: much less memory,
  // about a third more time, the same bits (checkpoint() of core/checkpoint.h).
  bool checkpoint_activations = false;
  Index n_inner = 0;                        // width of the MLP's hidden layer; 0: four times n_embd
  double norm_eps = 1e-5;                   // what every norm adds to the variance
  std::optional<double> embd_dropout = {};  // on the embeddings; empty: dropout
  // With a rank above 0 every Linear of the blocks has a LoRA (nn/layers/lora.h), and only these are trained.
  Index lora_rank = 0;
  double lora_alpha = 16;  // what a LoRA adds is scaled by lora_alpha / lora_rank
  Index head_size = 0;     // width of a head; 0: n_embd / n_head, so that all heads together are as wide as a token
  bool residual = true;    // attention and MLP are added to what they read; false: they take its place
  std::vector<double> activation_coefficients = {};  // of Activation::polynomial, from the constant up

  /// Width of the MLP's hidden layer.
  Index hidden() const { return n_inner != 0 ? n_inner : 4 * n_embd; }
  /// Width of all heads together.
  Index attention_width() const { return head_size != 0 ? n_head * head_size : n_embd; }
  /// Throws Error that says which size does not fit and what would.
  void validate() const;
  /// How many numbers the parameters of a GPT of this configuration have, without making one. Tied weights count once.
  Index num_parameters() const;

  /// GPT-2; `size` is "124M", "350M" (released as 355M), "774M" or "1558M". Radford et al. 2019, table 2.
  static GPTConfig gpt2(std::string_view size = "124M");
  /// nanoGPT's models for Shakespeare's characters: the small one for a CPU, and its usual one, with dropout 0.2 but
  /// attn_dropout 0, where nanoGPT drops attention weights too.
  static GPTConfig shakespeare_char_cpu(Index vocab_size = 65);
  static GPTConfig shakespeare_char(Index vocab_size = 65);
  /// microgpt.py's: 1 layer of width 16; RMSNorm without gain after the embedding and before attention and MLP, none at
  /// the end; ReLU, no biases, a head of its own, every matrix N(0, 0.08).
  static GPTConfig microgpt(Index vocab_size);

  /// An object with a field for each member, by the same name. from_json throws Error for anything else; the
  /// fields from attn_dropout on may be absent, as in older files.
  std::string to_json() const;
  static GPTConfig from_json(std::string_view json, std::string_view name = "config.json");

  friend bool operator==(const GPTConfig&, const GPTConfig&) = default;
};

/// LayerNorm, RMSNorm or nothing, whichever the configuration names: (.., C) -> (.., C).
struct Norm : nn::Layer {
  explicit Norm(const GPTConfig& config);
  Tensor operator()(const Tensor& x) const override;
  void members(nn::Visitor& visit) const override;

  std::variant<nn::LayerNorm, nn::RMSNorm, nn::Identity> norm;
};

/// x + attn(ln_1(x)), then the same with the MLP: (N, C) -> (N, C), documents of the given lengths one after another.
/// Without residual x is not added.
struct Block : nn::Module {
  explicit Block(const GPTConfig& config);
  Tensor operator()(const Tensor& x, std::span<const Index> lengths) const;
  /// The same for documents that are continued, with a cache for each.
  Tensor operator()(const Tensor& x, std::span<const Index> lengths, std::span<KeyValues* const> caches) const;
  /// What follows from x and what attention or MLP made of it.
  Tensor add(const Tensor& x, const Tensor& part) const { return residual_ ? x + part : part; }
  void members(nn::Visitor& visit) const override;

  Norm ln_1;
  nn::CausalSelfAttention attn;
  Norm ln_2;
  nn::MLP mlp;

 private:
  bool residual_;
};

/// Keys and values of one sequence, a KeyValues for each layer. Starts empty.
using Cache = std::vector<KeyValues>;

/// A decoder-only transformer (Radford et al. 2019), from token ids to logits.
class GPT : public nn::Module {
 public:
  /// Weights start from the default generator (manual_seed), in the order of named_parameters(). Throws Error for a
  /// configuration that does not fit together.
  explicit GPT(const GPTConfig& config);

  /// Logits for the token that follows each token of B sequences of T: B * T ids, row by row -> (B, T, V).
  /// Throws Error for an id outside the vocabulary and for T above block_size.
  Tensor operator()(std::span<const std::int32_t> tokens, Index B, Index T) const;
  /// The same for packed documents, lengths[i] tokens in the i-th: each has positions from 0 and attends only to
  /// itself, so that documents of any lengths cost no padding. N ids -> (N, V).
  Tensor operator()(std::span<const std::int32_t> tokens, std::span<const Index> lengths) const;

  /// What the first block reads: the sum of both embeddings after dropout and ln_emb, (N, C). before[i]: how many
  /// tokens of sequence i are in its cache; empty: none of any.
  Tensor embed(std::span<const std::int32_t> tokens, std::span<const Index> lengths,
               std::span<const Index> before = {}) const;
  /// What the head reads: (N, C). With head(), for callers that need the logits of some rows only.
  Tensor features(std::span<const std::int32_t> tokens, std::span<const Index> lengths) const;
  /// Continues sequences, without gradients. `tokens` holds only the new tokens, lengths[i] of sequence i. caches[i]
  /// holds the keys and values of its earlier tokens; those of the new ones are appended. Throws Error for a sequence
  /// that grows beyond block_size.
  Tensor features(std::span<const std::int32_t> tokens, std::span<const Index> lengths,
                  std::span<Cache* const> caches) const;
  Tensor head(const Tensor& features) const { return lm_head(features); }  // (.., C) -> (.., V)

  /// Gives every Linear of the blocks a LoRA, which adds nothing at first, and freezes everything else. Throws Error if
  /// they have some, and for a rank that is above the width.
  void add_lora(Index rank, double alpha);
  /// A copy whose weights have what the LoRAs have learned, and no LoRAs; without any, one that shares all tensors.
  GPT merged() const;
  /// Freezes all parameters but those of the last `blocks` blocks, of ln_f and of a head of its own. Throws Error
  /// unless blocks is from 1 to n_layer.
  void train_last(Index blocks);
  /// The same model with the matrices of its blocks and its head in fewer bits, for generation and evaluation: a token
  /// reads fewer bytes. Everything else is shared with this one, the embeddings too, a row of which is read for a
  /// token. The result can be neither trained nor saved. Throws Error for a model in f64.
  GPT narrowed(NarrowType type) const;
  /// The same in place, which frees each matrix as it is narrowed.
  void narrow(NarrowType type);

  const GPTConfig& config() const { return config_; }
  /// Sets that option of the configuration anew: unlike the others it may change while a model is trained.
  void set_checkpoint_activations(bool on) { config_.checkpoint_activations = on; }
  DType dtype() const { return wte.weight.dtype(); }
  void members(nn::Visitor& visit) const override;

  nn::Embedding wte, wpe;  // tokens (V, C), positions (block_size, C)
  nn::Dropout drop;
  std::optional<Norm> ln_emb;
  std::vector<Block> h;
  std::optional<Norm> ln_f;
  nn::Linear lm_head;

 private:
  GPTConfig config_;
};

#pragma GCC visibility pop
}  // namespace gradus::models
