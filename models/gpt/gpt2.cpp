// parts_of() is the list of what such a file holds. Everything is compared with it before a model is made, since a
// damaged configuration may ask for more memory than there is.
#include <gradus/models/gpt/gpt2.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <system_error>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/models/detail/json.h>
#include <gradus/models/gpt/detail/gpt2_config.h>
#include <gradus/models/gpt/detail/gpt2_tokenizer.h>
#include <gradus/models/text/text.h>
#include <gradus/nn/files/detail/some_of.h>
#include <gradus/nn/files/file_kind.h>
#include <gradus/nn/init.h>

namespace gradus::models {
namespace {

namespace fs = std::filesystem;

constexpr const char *config_name = "config.json", *weights_name = "model.safetensors",
                     *index_name = "model.safetensors.index.json";
constexpr std::string_view prefix = "transformer.", head_name = "lm_head.weight", table_name = "wte.weight";

// A tensor of such a file: its name here, its shape there, and whether it is the matrix (in, out) of a Conv1D, which a
// Linear has the other way round.
struct Part {
  std::string name;
  Shape shape;
  bool is_conv = false;

  std::string there() const { return name == head_name ? name : std::string(prefix) + name; }
};

std::vector<Part> parts_of(const GPTConfig& config) {
  const Index C = config.n_embd, F = config.hidden(), V = config.vocab_size;
  std::vector<Part> parts{{std::string(table_name), {V, C}}, {"wpe.weight", {config.block_size, C}}};
  const auto add_norm = [&](const std::string& name) {
    parts.push_back({name + ".weight", {C}});
    parts.push_back({name + ".bias", {C}});
  };
  const auto add_conv = [&](const std::string& name, Index in, Index out) {
    parts.push_back({name + ".weight", {in, out}, true});
    parts.push_back({name + ".bias", {out}});
  };
  for (Index i = 0; i < config.n_layer; ++i) {
    const std::string block = fmt::format("h.{}.", i);
    add_norm(block + "ln_1");
    add_conv(block + "attn.c_attn", C, 3 * C);
    add_conv(block + "attn.c_proj", C, C);
    add_norm(block + "ln_2");
    add_conv(block + "mlp.c_fc", C, F);
    add_conv(block + "mlp.c_proj", F, C);
  }
  add_norm("ln_f");
  if (!config.tie_weights) parts.push_back({std::string(head_name), {V, C}});
  return parts;
}

// Causal masks, which some files hold as if they were weights.
bool is_mask(std::string_view name) {
  return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias");
}

bool is_pickle_name(const fs::path& path) {
  const fs::path ending = path.extension();
  return ending == ".bin" || ending == ".pt" || ending == ".pth" || ending == ".ckpt" || ending == ".pkl";
}

// Whether the file begins as PyTorch's do: a zip archive, or a pickle.
bool begins_as_pickle(const fs::path& path) {
  std::string beginning(2, '\0');
  std::ifstream(path, std::ios::binary).read(beginning.data(), 2);
  return beginning == "PK" || (beginning[0] == '\x80' && beginning[1] >= 2 && beginning[1] <= 5);
}

// As a shell reads one word.
std::string quoted(const fs::path& path) {
  std::string word = "'";
  for (const char c : path.native()) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

[[noreturn]] void refuse_pickle(const fs::path& path) {
  fail(
      "load_gpt2: '{}' is a file of PyTorch's own, which may run any code while it is read, so it is not read here; if "
      "you trust it, convert it: python3 -c \"import sys, torch, safetensors.torch as s; s.save_file({{k: "
      "v.contiguous().clone() for k, v in torch.load(sys.argv[1], map_location='cpu', weights_only=True).items()}}, "
      "sys.argv[2], {{'format': 'pt'}})\" {} {}",
      path.native(), quoted(path), quoted(path.parent_path() / weights_name));
}

// A file in the folder that is PyTorch's own; empty if there is none.
fs::path pickle_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (is_pickle_name(entry.path()) && entry.is_regular_file(error)) found.push_back(entry.path());
  }
  std::ranges::sort(found);
  return found.empty() ? fs::path() : found.front();
}

struct Place {
  fs::path folder, weights;
};

Place place_of(const fs::path& path) {
  std::error_code error;
  check(fs::exists(path, error), "load_gpt2: there is no '{}'; name a folder with {} and {}", path.native(),
        config_name, weights_name);
  if (!fs::is_directory(path, error)) {
    if (is_pickle_name(path) || begins_as_pickle(path)) refuse_pickle(path);
    return {path.parent_path(), path};
  }
  for (const char* const name : {weights_name, index_name}) {
    if (fs::exists(path / name, error)) return {path, path / name};
  }
  if (const fs::path pickle = pickle_in(path); !pickle.empty()) refuse_pickle(pickle);
  fail("load_gpt2: '{}' has no {} and no {}; fetch the weights, or name a folder that has them", path.native(),
       weights_name, index_name);
}

// The tensors of a file by the names that they have here.
class Weights {
 public:
  explicit Weights(const fs::path& path) : path_(path.string()) {
    nn::TensorFile file = nn::read_tensors(path_);
    for (auto& [name, tensor] : file.tensors) add(name, tensor);
    for (const auto& [name, type] : file.skipped) {
      if (!is_mask(name)) others_.push_back(name);
    }
    const auto all_are = [&](std::string_view type) {
      return std::ranges::all_of(file.tensors, [&](const auto& entry) {
        const auto found = file.narrow.find(entry.first);
        return is_mask(entry.first) || (found != file.narrow.end() && found->second == type);
      });
    };
    if (!file.narrow.empty()) {
      storage_ = all_are("F16") ? nn::Storage::f16 : all_are("BF16") ? nn::Storage::bf16 : nn::Storage::same;
    }
  }

  // Throws Error unless every part is there with its shape.
  void check_parts(const std::vector<Part>& parts) const {
    std::vector<std::string> missing, misfits;
    for (const Part& part : parts) {
      const auto found = tensors_.find(part.name);
      if (found == tensors_.end()) {
        missing.push_back(part.there());
      } else if (const Shape& shape = found->second.shape(); shape != part.shape) {
        const bool turned = part.is_conv && shape == Shape{part.shape[1], part.shape[0]};
        misfits.push_back(fmt::format("{} is {} and should be {}{}", part.there(), shape, part.shape,
                                      turned ? " (it is as a Linear has it; transpose it)" : ""));
      }
    }
    check(missing.empty(), "load_gpt2: '{}' does not fit {} beside it: {} missing: {}", path_, config_name,
          missing.size(), nn::detail::some_of(missing, 3));
    check(misfits.empty(), "load_gpt2: '{}' does not fit {} beside it: {}", path_, config_name,
          nn::detail::some_of(misfits, 3));
  }

  // A tied head must be the table, if it is there at all.
  void drop_tied_head() {
    const auto head = tensors_.find(std::string(head_name));
    if (head == tensors_.end()) return;
    const auto table = tensors_.find(std::string(table_name));
    const bool same = table != tensors_.end() && head->second.shape() == table->second.shape() &&
                      head->second.dtype() == table->second.dtype() && equal(head->second, table->second);
    check(same,
          "load_gpt2: '{}': {} and {} differ, but {} says that they are one; if the head is its own, set "
          "\"tie_word_embeddings\" to false there",
          path_, head_name, table_name, config_name);
    tensors_.erase(head);
  }

  Tensor take(const std::string& name) { return std::move(tensors_.extract(name).mapped()); }
  // The names of tensors that are still there.
  std::vector<std::string> rest() const {
    std::vector<std::string> names = others_;
    for (const auto& [name, tensor] : tensors_) names.push_back(name);
    return names;
  }
  DType dtype() const {
    const auto is_f64 = [](const auto& entry) { return entry.second.dtype() == DType::f64; };
    return std::ranges::any_of(tensors_, is_f64) ? DType::f64 : DType::f32;
  }
  nn::Storage storage() const { return storage_; }

 private:
  void add(const std::string& name, const Tensor& tensor) {
    if (is_mask(name)) return;
    const std::string own = name.starts_with(prefix) ? name.substr(prefix.size()) : name;
    check(tensors_.emplace(own, tensor).second, "load_gpt2: '{}' has both {} and {}{}; remove one", path_, own, prefix,
          own);
  }

  static bool equal(const Tensor& a, const Tensor& b) {
    return dispatch(a.dtype(), [&]<class T>() {
      const auto bytes = [](const Tensor& x) { return std::as_bytes(x.data<T>()); };
      return std::ranges::equal(bytes(a), bytes(b));
    });
  }

  std::string path_;
  std::map<std::string, Tensor> tensors_;
  std::vector<std::string> others_;  // of integers
  nn::Storage storage_ = nn::Storage::same;
};

enum class ConfigKind { transformers, other };

// Nothing where there is no such file, or none that can be read.
std::optional<ConfigKind> kind_of_config(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return std::nullopt;
  try {
    const auto json = detail::try_parse_json(read_file(path));
    if (!json || !json->is_object()) return std::nullopt;
    return detail::is_transformers_config(*json) ? ConfigKind::transformers : ConfigKind::other;
  } catch (const Error&) {
    return std::nullopt;  // empty, or not to be read
  }
}

// Whether a folder has weights that no training here wrote: those name their configuration in the file.
bool holds_foreign_weights(const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder / index_name, error)) return true;
  if (!fs::exists(folder / weights_name, error)) return false;
  try {
    return !nn::read_metadata((folder / weights_name).string()).contains(config_name);
  } catch (const Error&) {
    return false;  // damaged; whoever reads the folder of a run says how
  }
}

std::map<std::string, Tensor> parameters_of(const GPT& model) {
  const nn::NamedTensors named = model.named_parameters();
  return {named.begin(), named.end()};
}

const char* torch_name(const GPT& model, nn::Storage storage) {
  if (storage == nn::Storage::f16) return "float16";
  if (storage == nn::Storage::bf16) return "bfloat16";
  return model.dtype() == DType::f64 ? "float64" : "float32";
}

// What the file holds for a part: the parameter, or what stands for one that the model does not have.
Tensor tensor_for(const Part& part, const std::map<std::string, Tensor>& parameters, DType dtype) {
  const auto found = parameters.find(part.name);
  if (found != parameters.end()) return part.is_conv ? transpose(found->second, 0, 1) : found->second;
  return part.name.ends_with(".bias") ? zeros(part.shape, dtype) : ones(part.shape, dtype);
}

}  // namespace

GPT2 load_gpt2(const fs::path& path) {
  const Place place = place_of(path);
  const fs::path config_path = place.folder / config_name;
  std::error_code error;
  check(fs::exists(config_path, error), "load_gpt2: there is no '{}', which says the sizes of '{}'; fetch it too",
        config_path.native(), place.weights.native());
  detail::GPT2Config config = detail::read_gpt2_config(read_file(config_path), config_path.native());
  Weights weights(place.weights);
  const DType dtype = weights.dtype();
  if (config.model.tie_weights) weights.drop_tied_head();
  const std::vector<Part> parts = parts_of(config.model);
  weights.check_parts(parts);

  const nn::init::Skip skip;
  GPT model(config.model);
  model.to(dtype);
  const NoGrad no_grad;
  const std::map<std::string, Tensor> parameters = parameters_of(model);
  for (const Part& part : parts) {
    const Tensor values = weights.take(part.name).to(dtype);
    // Its numbers, not a copy: the file and the model are never both in memory.
    parameters.at(part.name).node().data = (part.is_conv ? transpose(values, 0, 1) : values).node().data;
  }
  std::vector<std::string> warnings = std::move(config.warnings);
  const auto rest = weights.rest();
  const auto block = std::ranges::find_if(rest, [](const std::string& name) { return name.starts_with("h."); });
  check(block == rest.end(), "load_gpt2: '{}' has {}, beyond what {} beside it asks for ({} blocks); they do not fit",
        place.weights.native(), block == rest.end() ? "" : *block, config_name, config.model.n_layer);
  if (!rest.empty()) {
    warnings.push_back(fmt::format("{}: left out what a GPT-2 does not have: {}", place.weights.native(),
                                   nn::detail::some_of(rest, 3)));
  }
  std::optional<AnyTokenizer> tokenizer = detail::load_tokenizer(place.folder, warnings);
  if (tokenizer && tokenizer->vocab_size() > config.model.vocab_size) {
    warnings.push_back(
        fmt::format("the tokenizer was left out: it has {} tokens, the model {}; they are not of one model",
                    tokenizer->vocab_size(), config.model.vocab_size));
    tokenizer.reset();
  }
  return {std::move(model), std::move(tokenizer), std::move(warnings), weights.storage()};
}

bool is_gpt2(const fs::path& path) {
  std::error_code error;
  const bool is_folder = fs::is_directory(path, error);
  const fs::path folder = is_folder ? path : path.parent_path(), config = folder / config_name;
  if (!is_folder && !fs::is_regular_file(path, error)) return false;
  if (!is_folder && is_pickle_name(path)) return true;
  if (const auto kind = kind_of_config(config)) return *kind == ConfigKind::transformers;
  return is_folder && (holds_foreign_weights(path) || !pickle_in(path).empty());
}

std::vector<std::string> save_gpt2(const fs::path& folder, const GPT& given,
                                   const std::optional<AnyTokenizer>& tokenizer, nn::SaveOptions options) {
  const GPT model = given.merged();
  const GPTConfig& config = model.config();
  const std::string reason = detail::why_no_gpt2(config);
  check(reason.empty(),
        "save_gpt2: this model has no form in GPT-2's files: {}; keep it as it is, or train one of GPT-2's form",
        reason);
  check(!tokenizer || tokenizer->vocab_size() <= config.vocab_size,
        "save_gpt2: the tokenizer has {} tokens, the model {}; give the model's own",
        tokenizer ? tokenizer->vocab_size() : 0, config.vocab_size);
  make_folder(folder);
  const NoGrad no_grad;
  const std::map<std::string, Tensor> parameters = parameters_of(model);
  nn::NamedTensors tensors;
  for (const Part& part : parts_of(config)) {
    tensors.emplace_back(part.there(), tensor_for(part, parameters, model.dtype()));
  }
  // Last comes what the folder is known by, so that a failure leaves no new sizes beside old weights.
  nn::save_tensors((folder / weights_name).string(), tensors, {{"format", "pt"}}, options);
  std::vector<std::string> warnings;
  if (tokenizer) warnings = detail::save_tokenizer(folder, *tokenizer);
  const auto end = tokenizer ? tokenizer->end_token() : std::nullopt;
  write_text(folder / config_name, detail::gpt2_config_json(config, torch_name(model, options.storage), end));
  return warnings;
}

}  // namespace gradus::models
