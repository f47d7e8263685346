// Three kinds of fields: those that a GPTConfig has, those that must have one value, and those that change nothing.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <gradus/models/detail/json.h>
#include <gradus/models/gpt/detail/gpt2_config.h>
#include <gradus/nn/files/detail/some_of.h>

namespace gradus::models::detail {
namespace {

constexpr std::array<std::pair<std::string_view, nn::Activation>, 9> activations{
    {// The first name of each is the one that is written.
     {"gelu_new", nn::Activation::gelu_tanh},
     {"gelu", nn::Activation::gelu_erf},
     {"relu", nn::Activation::relu},
     {"silu", nn::Activation::silu},
     {"tanh", nn::Activation::tanh},
     {"sigmoid", nn::Activation::sigmoid},
     {"gelu_pytorch_tanh", nn::Activation::gelu_tanh},
     {"gelu_fast", nn::Activation::gelu_tanh},
     {"swish", nn::Activation::silu}}};

// Fields that change the result unless they have this value, or null.
struct Fixed {
  const char *name, *value, *what;
};
constexpr std::array fixed_fields{
    Fixed{"scale_attn_weights", "true", "attention that is not divided by the root of its width"},
    Fixed{"scale_attn_by_inverse_layer_idx", "false", "attention that is divided by the number of its layer"},
    Fixed{"add_cross_attention", "false", "attention to the output of an encoder"},
    Fixed{"is_encoder_decoder", "false", "an encoder in front"},
    Fixed{"pruned_heads", "{}", "heads that are left out"},
    Fixed{"quantization_config", "null", "weights in another form"},
};

// Fields that change nothing here: they are about files, training heads, how text is generated.
constexpr std::array harmless_fields{"_attn_implementation",
                                     "_attn_implementation_autoset",
                                     "_name_or_path",
                                     "architectures",
                                     "attn_implementation",
                                     "bad_words_ids",
                                     "begin_suppress_tokens",
                                     "bos_token_id",
                                     "chunk_size_feed_forward",
                                     "cross_attention_hidden_size",
                                     "decoder_start_token_id",
                                     "diversity_penalty",
                                     "do_sample",
                                     "dtype",
                                     "early_stopping",
                                     "encoder_no_repeat_ngram_size",
                                     "eos_token_id",
                                     "exponential_decay_length_penalty",
                                     "finetuning_task",
                                     "forced_bos_token_id",
                                     "forced_eos_token_id",
                                     "gradient_checkpointing",
                                     "id2label",
                                     "is_decoder",
                                     "label2id",
                                     "length_penalty",
                                     "max_length",
                                     "min_length",
                                     "model_type",
                                     "no_repeat_ngram_size",
                                     "num_beam_groups",
                                     "num_beams",
                                     "num_return_sequences",
                                     "output_attentions",
                                     "output_hidden_states",
                                     "output_past",
                                     "output_scores",
                                     "pad_token_id",
                                     "prefix",
                                     "problem_type",
                                     "remove_invalid_values",
                                     "repetition_penalty",
                                     "return_dict",
                                     "return_dict_in_generate",
                                     "sep_token_id",
                                     "summary_activation",
                                     "summary_first_dropout",
                                     "summary_proj_to_labels",
                                     "summary_type",
                                     "summary_use_proj",
                                     "suppress_tokens",
                                     "task_specific_params",
                                     "temperature",
                                     "tf_legacy_loss",
                                     "tie_encoder_decoder",
                                     "tokenizer_class",
                                     "top_k",
                                     "top_p",
                                     "torch_dtype",
                                     "torchscript",
                                     "transformers_version",
                                     "typical_p",
                                     "use_bfloat16",
                                     "use_cache"};

// Takes fields out of a config.json; a field that is not there has a default.
class ConfigFields {
 public:
  ConfigFields(const Json& object, std::string_view name) : object_(object), reader_(object, std::string(name)) {}

  template <class T>
  T get(const char* key, T otherwise) {
    seen_.insert(key);
    return object_.contains(key) ? reader_.get<T>(key) : otherwise;
  }
  // The same of a field with a second name in transformers' attribute_map.
  Index size(const char* key, const char* other_key, Index otherwise) {
    const Index value = get(key, get(other_key, otherwise)), other = get(other_key, value);
    check(value == other, "{}: \"{}\" is {} and \"{}\" {}, and they mean the same; remove the wrong one",
          reader_.name(), key, value, other_key, other);
    return value;
  }
  // Nothing where the field is null or not there.
  const Json* find(const char* key) {
    seen_.insert(key);
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  // The names of fields that nothing has asked for.
  std::vector<std::string> rest() const {
    std::vector<std::string> names;
    for (const auto& [key, value] : object_.items()) {
      if (!seen_.contains(key)) names.push_back(key);
    }
    return names;
  }
  const std::string& name() const { return reader_.name(); }

 private:
  const Json& object_;
  JsonReader reader_;
  std::set<std::string> seen_;
};

void check_kind(ConfigFields& fields) {
  const auto kind = fields.get<std::string>("model_type", "gpt2");
  check(kind == "gpt2", "{}: it is of a model of type \"{}\"; only GPT-2's (\"gpt2\") can be read", fields.name(),
        kind);
  for (const Fixed& field : fixed_fields) {
    const Json* const value = fields.find(field.name);
    check(value == nullptr || *value == Json::parse(field.value),
          "{}: \"{}\" is {}, which means {}; a GPT here can do without only, where it is {}", fields.name(), field.name,
          value != nullptr ? dump(*value) : "", field.what, field.value);
  }
}

nn::Activation activation_of(ConfigFields& fields) {
  const auto text = fields.get<std::string>("activation_function", "gelu_new");
  const auto* const known = std::ranges::find(activations, text, [](const auto& entry) { return entry.first; });
  if (known != activations.end()) return known->second;
  std::vector<std::string_view> names;
  for (const auto& [name, value] : activations) names.push_back(name);
  fail("{}: \"activation_function\" is \"{}\"; those that can be read are {}", fields.name(), text,
       fmt::join(names, ", "));
}

GPTConfig model_of(ConfigFields& fields) {
  constexpr double dropped = 0.1;  // transformers' default
  GPTConfig model;
  model.vocab_size = fields.get("vocab_size", model.vocab_size);
  const Index n_ctx = fields.get("n_ctx", model.block_size);  // of older files
  model.block_size = fields.size("n_positions", "max_position_embeddings", n_ctx);
  model.n_embd = fields.size("n_embd", "hidden_size", model.n_embd);
  model.n_layer = fields.size("n_layer", "num_hidden_layers", model.n_layer);
  model.n_head = fields.size("n_head", "num_attention_heads", model.n_head);
  if (fields.find("n_inner") != nullptr) model.n_inner = fields.get("n_inner", Index{0});
  model.activation = activation_of(fields);
  model.norm_eps = fields.get("layer_norm_epsilon", model.norm_eps);
  model.init_std = fields.get("initializer_range", model.init_std);
  model.tie_weights = fields.get("tie_word_embeddings", true);
  model.dropout = fields.get("resid_pdrop", dropped);
  model.attn_dropout = fields.get("attn_pdrop", dropped);
  const double embd_dropout = fields.get("embd_pdrop", dropped);
  if (embd_dropout != model.dropout) model.embd_dropout = embd_dropout;
  return model;
}

}  // namespace

bool is_transformers_config(const Json& object) {
  if (object.contains("model") && object.contains("data")) return false;
  return std::ranges::any_of(std::array{"model_type", "architectures", "transformers_version", "n_embd", "hidden_size"},
                             [&](const char* key) { return object.contains(key); });
}

GPT2Config read_gpt2_config(std::string_view json, std::string_view name) {
  const Json object = parse_json(json, name);
  ConfigFields fields(object, name);
  check_kind(fields);
  GPT2Config config{model_of(fields), {}};
  GPTConfig& model = config.model;
  check(fields.find("n_inner") == nullptr || model.n_inner > 0, "{}: \"n_inner\" is {}, it must be at least 1, or null",
        name, model.n_inner);
  try {
    model.validate();
  } catch (const Error& error) {
    fail("{}: {}", name, error.what());
  }
  if (model.n_inner == 4 * model.n_embd) model.n_inner = 0;
  if (fields.get("reorder_and_upcast_attn", false)) {
    config.warnings.push_back(
        fmt::format("{}: \"reorder_and_upcast_attn\" is true, which changes only how numbers of 16 bits are rounded; "
                    "there are none here",
                    name));
  }
  std::vector<std::string> unknown = fields.rest();
  std::erase_if(
      unknown, [](const std::string& key) { return std::ranges::find(harmless_fields, key) != harmless_fields.end(); });
  if (!unknown.empty()) {
    config.warnings.push_back(
        fmt::format("{}: ignored what is no field of GPT-2's: {}", name, nn::detail::some_of(unknown, 3)));
  }
  return config;
}

std::string why_no_gpt2(const GPTConfig& config) {
  if (config.norm == NormKind::rms) return "its norms are RMSNorms, and GPT-2 has LayerNorms";
  if (config.norm == NormKind::none) return "it has no norms, and GPT-2 has LayerNorms";
  if (!config.residual) return "its blocks have no residual connections, and GPT-2's have";
  if (config.attention_width() != config.n_embd) {
    return fmt::format("its heads are {} wide, and those of a GPT-2 are n_embd / n_head", config.head_size);
  }
  if (config.activation == nn::Activation::polynomial) {
    return "its activation is a polynomial of its own, for which transformers has no name";
  }
  if (config.embedding_norm) return "it has a norm after the embeddings, and GPT-2 has none there";
  if (!config.final_norm) return "it has no norm before the head, and GPT-2 has one";
  return {};
}

std::string gpt2_config_json(const GPTConfig& config, std::string_view dtype, std::optional<std::int32_t> boundary) {
  const auto* const activation =
      std::ranges::find(activations, config.activation, [](const auto& entry) { return entry.second; });
  const Json token = boundary ? Json(*boundary) : Json();
  const Json json = {{"architectures", Json::array({"GPT2LMHeadModel"})},
                     {"model_type", "gpt2"},
                     {"vocab_size", config.vocab_size},
                     {"n_positions", config.block_size},
                     {"n_embd", config.n_embd},
                     {"n_layer", config.n_layer},
                     {"n_head", config.n_head},
                     {"n_inner", config.n_inner == 0 ? Json() : Json(config.n_inner)},
                     {"activation_function", std::string(activation->first)},
                     {"layer_norm_epsilon", config.norm_eps},
                     {"embd_pdrop", config.embd_dropout.value_or(config.dropout)},
                     {"resid_pdrop", config.dropout},
                     {"attn_pdrop", config.attn_dropout},
                     {"initializer_range", config.init_std},
                     {"tie_word_embeddings", config.tie_weights},
                     {"scale_attn_weights", true},
                     {"scale_attn_by_inverse_layer_idx", false},
                     {"reorder_and_upcast_attn", false},
                     {"add_cross_attention", false},
                     {"bos_token_id", token},
                     {"eos_token_id", token},
                     {"use_cache", true},
                     {"torch_dtype", std::string(dtype)}};
  return dump(json, 2) + "\n";
}

}  // namespace gradus::models::detail
