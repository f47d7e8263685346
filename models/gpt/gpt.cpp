// There is one forward pass, for packed documents; a batch of equal sequences is documents of equal length.
#include <gradus/models/gpt/gpt.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include <gradus/core/checkpoint.h>
#include <gradus/core/ops.h>
#include <gradus/models/detail/json.h>
#include <gradus/models/gpt/detail/config_fields.h>
#include <gradus/models/gpt/detail/config_names.h>
#include <gradus/nn/init.h>

namespace gradus::models {
namespace {

using detail::ConfigField;
using detail::Json;

template <class Value>
Json json_of(Value value) {
  if constexpr (std::is_enum_v<Value>) {
    for (const auto& [known, name] : detail::names_of(value)) {
      if (known == value) return name;
    }
    fail("GPTConfig: {} is not one of the named values of its field", static_cast<int>(value));
  } else if constexpr (detail::is_optional<Value>) {
    return value ? Json(*value) : Json();
  } else {
    return value;
  }
}

template <class Value>
Value value_in(detail::JsonReader& reader, const char* key) {
  if constexpr (std::is_enum_v<Value>) {
    const auto text = reader.get<std::string>(key);
    std::vector<std::string_view> known;
    for (const auto& [value, name] : detail::names_of(Value{})) {
      if (text == name) return value;
      known.emplace_back(name);
    }
    fail("{}: \"{}\" is \"{}\", it must be one of {}", reader.name(), key, text, fmt::join(known, ", "));
  } else if constexpr (detail::is_optional<Value>) {
    if (reader.field(key).is_null()) return {};
    return reader.get<typename Value::value_type>(key);
  } else if constexpr (std::is_same_v<Value, std::vector<double>>) {
    const Json& list = reader.field(key);
    const auto is_number = [](const Json& entry) { return entry.is_number(); };
    check(list.is_array() && std::ranges::all_of(list, is_number), "{}: \"{}\" is {}, it must be a list of numbers",
          reader.name(), key, detail::dump(list));
    return list.get<Value>();
  } else {
    return reader.get<Value>(key);
  }
}

nn::LayerNormOptions layer_norm_options(const GPTConfig& config) {
  return {.eps = config.norm_eps, .weight = config.norm_gain, .bias = config.bias};
}

// A tied head shares wte's table. It is made with one output, since a whole matrix would be filled only to be dropped.
nn::Linear make_head(const GPTConfig& config, const nn::Embedding& wte) {
  nn::Linear head(config.n_embd, config.tie_weights ? 1 : config.vocab_size, {.bias = false});
  if (config.tie_weights) head.weight = wte.weight;
  return head;
}

const GPTConfig& validated(const GPTConfig& config) {
  config.validate();
  return config;
}

std::array<nn::Linear*, 4> linears_of(Block& block) {
  return {&block.attn.c_attn, &block.attn.c_proj, &block.mlp.c_fc, &block.mlp.c_proj};
}

void check_activation(const GPTConfig& config) {
  constexpr std::size_t most = 17;  // of degree 16
  const std::vector<double>& coefficients = config.activation_coefficients;
  const bool is_polynomial = config.activation == nn::Activation::polynomial;
  check(is_polynomial || coefficients.empty(),
        "GPTConfig: there are {} activation_coefficients, but the activation is not polynomial; make it that, or leave "
        "them out",
        coefficients.size());
  check(!is_polynomial || (!coefficients.empty() && coefficients.size() <= most),
        "GPTConfig: the activation is polynomial with {} activation_coefficients; give from 1 to {}, from the constant "
        "up",
        coefficients.size(), most);
  for (const double value : coefficients) {
    check(std::isfinite(value), "GPTConfig: activation_coefficients has {}; they must be numbers", value);
  }
}

// The copy of the block shares its parameters. The model may be gone, or in evaluation mode, when backward() runs.
Tensor checkpointed(const Block& block, const Tensor& x, std::span<const Index> lengths) {
  const std::vector<Index> own(lengths.begin(), lengths.end());
  return checkpoint([block, own](const Tensor& h) { return block(h, own); }, x);
}

}  // namespace

void GPTConfig::validate() const {
  const auto check_range = [](const auto& value, const auto& field) {
    check(field.range.has(static_cast<double>(value)), "GPTConfig: {} is {}, it must be {}", field.name, value,
          field.range.text());
  };
  detail::for_each_field(*this, [&]<class T>(const T& value, const ConfigField<T>& field) {
    if constexpr (std::is_arithmetic_v<T>) check_range(value, field);
    if constexpr (detail::is_optional<T>) {
      if (value) check_range(*value, field);
    }
  });
  check_activation(*this);
  constexpr Index widest = 4 << 20;
  check(head_size == 0 || n_head <= widest / head_size,
        "GPTConfig: {} heads of {} are wider than {} together; use less", n_head, head_size, widest);
  const Index narrowest = std::min({n_embd, hidden(), attention_width()});
  check(lora_rank <= narrowest, "GPTConfig: lora_rank is {}, it must be at most {}, the smallest width", lora_rank,
        narrowest);
  check(head_size != 0 || n_head <= n_embd, "GPTConfig: n_head is {}, it must be from 1 to {}", n_head, n_embd);
  if (head_size == 0 && n_embd % n_head != 0) {
    Index fits = n_head;
    while (n_embd % fits != 0) --fits;
    fail(
        "GPTConfig: width {} cannot be split evenly among {} heads; use {} head{}, or a width that is a multiple of {}",
        n_embd, n_head, fits, fits == 1 ? "" : "s", n_head);
  }
  constexpr Index most = 100'000'000'000;
  check(num_parameters() <= most, "GPTConfig: these sizes make {} parameters, more than {}; use smaller ones",
        num_parameters(), most);
}

Index GPTConfig::num_parameters() const {
  const Index wide = attention_width(), gain = norm != NormKind::none && norm_gain ? 1 : 0;
  const Index norm_size = n_embd * (gain + (norm == NormKind::layer && bias ? 1 : 0));
  const Index biases = bias ? 3 * wide + n_embd + hidden() + n_embd : 0;  // c_attn, c_proj, c_fc, c_proj
  const Index block = (3 + 1) * wide * n_embd + 2 * n_embd * hidden() + biases + 2 * norm_size +
                      lora_rank * (4 * n_embd + 4 * wide + 2 * hidden());
  const Index tables = (vocab_size * (tie_weights ? 1 : 2) + block_size) * n_embd;
  return tables + n_layer * block + ((embedding_norm ? 1 : 0) + (final_norm ? 1 : 0)) * norm_size;
}

GPTConfig GPTConfig::gpt2(std::string_view size) {
  struct Row {
    std::string_view size;
    Index n_layer, n_head, n_embd;
  };
  constexpr std::array<Row, 4> rows{
      {{"124M", 12, 12, 768}, {"350M", 24, 16, 1024}, {"774M", 36, 20, 1280}, {"1558M", 48, 25, 1600}}};
  for (const Row& row : rows) {
    if (row.size == size) return {.n_layer = row.n_layer, .n_head = row.n_head, .n_embd = row.n_embd, .dropout = 0.1};
  }
  fail("GPTConfig: there is no GPT-2 of size \"{}\"; use 124M, 350M, 774M or 1558M", size);
}

GPTConfig GPTConfig::shakespeare_char_cpu(Index vocab_size) {
  return {.vocab_size = vocab_size,
          .block_size = 64,
          .n_layer = 4,
          .n_head = 4,
          .n_embd = 128,
          .bias = false,
          .activation = nn::Activation::gelu_erf};
}

GPTConfig GPTConfig::shakespeare_char(Index vocab_size) {
  return {.vocab_size = vocab_size,
          .block_size = 256,
          .n_layer = 6,
          .n_head = 6,
          .n_embd = 384,
          .dropout = 0.2,
          .bias = false,
          .activation = nn::Activation::gelu_erf};
}

GPTConfig GPTConfig::microgpt(Index vocab_size) {
  return {.vocab_size = vocab_size,
          .block_size = 16,
          .n_layer = 1,
          .n_head = 4,
          .n_embd = 16,
          .bias = false,
          .norm = NormKind::rms,
          .norm_gain = false,
          .activation = nn::Activation::relu,
          .tie_weights = false,
          .embedding_norm = true,
          .final_norm = false,
          .init_std = 0.08,
          .scale_residual = false};
}

std::string GPTConfig::to_json() const {
  Json json = Json::object();
  detail::for_each_field(
      *this, [&]<class T>(const T& value, const ConfigField<T>& field) { json[field.name] = json_of(value); });
  return detail::dump(json, 2) + "\n";
}

GPTConfig GPTConfig::from_json(std::string_view json, std::string_view name) {
  const Json object = detail::parse_json(json, name);
  detail::JsonReader reader(object, std::string(name));
  GPTConfig config;
  detail::for_each_field(config, [&]<class T>(T& value, const ConfigField<T>& field) {
    const bool is_older = field.before && !object.contains(field.name);
    value = is_older ? *field.before : value_in<T>(reader, field.name);
  });
  reader.finish();
  try {
    config.validate();
  } catch (const Error& error) {
    fail("{}: {}", name, error.what());
  }
  return config;
}

Norm::Norm(const GPTConfig& config) : norm(nn::LayerNorm(config.n_embd, layer_norm_options(config))) {
  if (config.norm == NormKind::rms) {
    norm = nn::RMSNorm(config.n_embd, {.eps = config.norm_eps, .weight = config.norm_gain});
  } else if (config.norm == NormKind::none) {
    norm = nn::Identity();
  }
}

Tensor Norm::operator()(const Tensor& x) const {
  return std::visit([&](const auto& chosen) { return chosen(x); }, norm);
}

void Norm::members(nn::Visitor& visit) const {
  std::visit([&](const auto& chosen) { chosen.members(visit); }, norm);
}

Block::Block(const GPTConfig& config)
    : ln_1(config),
      attn(config.n_embd, config.n_head,
           {.bias = config.bias,
            .dropout = config.dropout,
            .attn_dropout = config.attn_dropout,
            .head_size = config.head_size}),
      ln_2(config),
      mlp(config.n_embd, {.hidden = config.n_inner,
                          .bias = config.bias,
                          .activation = config.activation,
                          .dropout = config.dropout,
                          .coefficients = config.activation_coefficients}),
      residual_(config.residual) {}

Tensor Block::operator()(const Tensor& x, std::span<const Index> lengths) const {  // (N, C)
  const Tensor y = add(x, attn(ln_1(x), lengths));
  return add(y, mlp(ln_2(y)));
}

Tensor Block::operator()(const Tensor& x, std::span<const Index> lengths, std::span<KeyValues* const> caches) const {
  const Tensor y = add(x, attn(ln_1(x), lengths, caches));
  return add(y, mlp(ln_2(y)));
}

void Block::members(nn::Visitor& visit) const {
  visit("ln_1", ln_1);
  visit("attn", attn);
  visit("ln_2", ln_2);
  visit("mlp", mlp);
}

GPT::GPT(const GPTConfig& config)
    : wte(validated(config).vocab_size, config.n_embd),
      wpe(config.block_size, config.n_embd),
      drop(config.embd_dropout.value_or(config.dropout)),
      lm_head(make_head(config, wte)),
      config_(config) {
  if (config.embedding_norm) ln_emb.emplace(config);
  h.reserve(static_cast<std::size_t>(config.n_layer));
  for (Index i = 0; i < config.n_layer; ++i) h.emplace_back(config);
  if (config.final_norm) ln_f.emplace(config);

  nn::init::gpt2_(*this, config.n_layer, default_generator(), config.init_std, config.scale_residual);
  if (config.lora_rank > 0) {
    config_.lora_rank = 0;
    add_lora(config.lora_rank, config.lora_alpha);
  }
}

void GPT::add_lora(Index rank, double alpha) {
  check(config_.lora_rank == 0, "GPT: it has LoRAs of rank {}; use merged() first", config_.lora_rank);
  GPTConfig config = config_;
  config.lora_rank = rank, config.lora_alpha = alpha;
  config.validate();
  check(rank > 0, "GPT: LoRAs of rank {}; it must be at least 1", rank);
  for (Tensor& parameter : parameters()) parameter.requires_grad(false);
  for (Block& block : h) {
    for (nn::Linear* const linear : linears_of(block)) linear->add_lora({.rank = rank, .alpha = alpha});
  }
  config_ = config;
}

GPT GPT::merged() const {
  if (config_.lora_rank == 0) return *this;
  GPT copy = nn::clone(*this);
  for (Block& block : copy.h) {
    for (nn::Linear* const linear : linears_of(block)) linear->merge_lora();
  }
  for (Tensor& parameter : copy.parameters()) parameter.requires_grad(true);
  copy.config_.lora_rank = 0, copy.config_.lora_alpha = GPTConfig().lora_alpha;
  return copy;
}

void GPT::train_last(Index blocks) {
  check(blocks >= 1 && blocks <= config_.n_layer, "GPT: the last {} blocks are to be trained; choose from 1 to {}",
        blocks, config_.n_layer);
  const auto set = [](const nn::Module& module, bool trains) {
    for (Tensor& parameter : module.parameters()) parameter.requires_grad(trains);
  };
  set(*this, false);
  for (std::size_t i = h.size() - static_cast<std::size_t>(blocks); i < h.size(); ++i) set(h[i], true);
  if (ln_f) set(*ln_f, true);
  if (!config_.tie_weights) set(lm_head, true);
}

void GPT::members(nn::Visitor& visit) const {
  visit("wte", wte);
  visit("wpe", wpe);
  visit("drop", drop);
  if (ln_emb) visit("ln_emb", *ln_emb);
  visit("h", h);
  if (ln_f) visit("ln_f", *ln_f);
  visit("lm_head", lm_head);
}

void GPT::narrow(NarrowType type) {
  for (Block& block : h) {
    for (nn::Linear* const layer : {&block.attn.c_attn, &block.attn.c_proj, &block.mlp.c_fc, &block.mlp.c_proj}) {
      layer->narrow(type);
    }
  }
  lm_head.narrow(type);
}

GPT GPT::narrowed(NarrowType type) const {
  GPT result(*this);
  result.narrow(type);
  return result;
}

Tensor GPT::operator()(std::span<const std::int32_t> tokens, Index B, Index T) const {
  check(B >= 1 && T >= 1 && std::cmp_less_equal(B, tokens.size()) && std::cmp_less_equal(T, tokens.size()) &&
            std::cmp_equal(B * T, tokens.size()),
        "GPT: {} tokens arrived for a batch of {} sequences of {}; give B * T of them", tokens.size(), B, T);
  const std::vector<Index, PoolAllocator<Index>> lengths(static_cast<std::size_t>(B), T);
  return reshape((*this)(tokens, lengths), {B, T, config_.vocab_size});
}

Tensor GPT::operator()(std::span<const std::int32_t> tokens, std::span<const Index> lengths) const {
  return head(features(tokens, lengths));
}

Tensor GPT::embed(std::span<const std::int32_t> tokens, std::span<const Index> lengths,
                  std::span<const Index> before) const {
  std::vector<std::int32_t, PoolAllocator<std::int32_t>> positions;
  positions.reserve(tokens.size());
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const Index length = lengths[i], first = before.empty() ? 0 : before[i];
    check(length >= 1 && first + length <= config_.block_size,
          "GPT: a sequence of {} tokens; this model takes from 1 to {} (its block_size), so cut it into pieces",
          first + length, config_.block_size);
    check(length <= static_cast<Index>(tokens.size() - positions.size()),
          "GPT: the lengths of the sequences add up to more than the {} tokens that arrived", tokens.size());
    for (Index t = 0; t < length; ++t) positions.push_back(static_cast<std::int32_t>(first + t));
  }
  check(!tokens.empty() && positions.size() == tokens.size(),
        "GPT: {} tokens arrived, but the lengths of the sequences add up to {}; both must be the same, and not 0",
        tokens.size(), positions.size());
  for (const std::int32_t token : tokens) {
    check(token >= 0 && token < config_.vocab_size,
          "GPT: token {} is not in the vocabulary 0 .. {}; encode the text "
          "with the tokenizer that the model was trained with",
          token, config_.vocab_size - 1);
  }
  // A statement of its own: C++ leaves open which side of + comes first, and nodes are numbered as they are made.
  const Tensor of_tokens = wte(tokens);
  const Tensor x = drop(of_tokens + wpe(positions));  // (N, C)
  return ln_emb ? (*ln_emb)(x) : x;
}

Tensor GPT::features(std::span<const std::int32_t> tokens, std::span<const Index> lengths) const {
  Tensor x = embed(tokens, lengths, {});
  const bool again = config_.checkpoint_activations && training();
  for (const Block& block : h) x = again ? checkpointed(block, x, lengths) : block(x, lengths);
  return ln_f ? (*ln_f)(x) : x;
}

Tensor GPT::features(std::span<const std::int32_t> tokens, std::span<const Index> lengths,
                     std::span<Cache* const> caches) const {
  check(lengths.size() == caches.size(), "GPT: {} lengths and {} caches; give one for each sequence", lengths.size(),
        caches.size());
  std::vector<Index> before;
  for (Cache* const cache : caches) {
    if (cache->empty()) cache->resize(h.size());
    check(cache->size() == h.size(), "GPT: a cache of {} layers; this model has {}", cache->size(), h.size());
    before.push_back(cache->front().length);
  }
  Tensor x = embed(tokens, lengths, before);
  std::vector<KeyValues*> layer(caches.size());
  for (std::size_t l = 0; l < h.size(); ++l) {
    for (std::size_t i = 0; i < caches.size(); ++i) layer[i] = &(*caches[i])[l];
    x = h[l](x, lengths, layer);
  }
  return ln_f ? (*ln_f)(x) : x;
}

}  // namespace gradus::models
