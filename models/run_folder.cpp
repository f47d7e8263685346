// The model file says it all; config.json and tokenizer.json are there for people and other programs.
#include <gradus/models/run_folder.h>

#include <algorithm>
#include <cmath>
#include <system_error>

#include <gradus/models/detail/json.h>
#include <gradus/models/text.h>
#include <gradus/nn/safetensors.h>

namespace gradus::models {
namespace {

namespace fs = std::filesystem;
using detail::Json;

constexpr const char* model_file = "model.safetensors";
constexpr const char* config_file = "config.json";
constexpr const char* tokenizer_file = "tokenizer.json";

std::string config_text(const GPTConfig& config, const RunData& data) {
  const Json json = {{"model", Json::parse(config.to_json())},
                     {"data",
                      {{"source", data.source},
                       {"documents", data.documents},
                       {"held_out", data.held_out},
                       {"seed", data.seed},
                       {"fingerprint", data.fingerprint}}}};
  // A path need not be UTF-8.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

RunData read_data(const Json& json, const std::string& name) {
  detail::JsonReader reader(json, name);
  RunData data;
  data.source = reader.get<std::string>("source");
  data.documents = reader.get<bool>("documents");
  data.held_out = reader.get<double>("held_out");
  data.seed = reader.get<std::uint64_t>("seed");
  data.fingerprint = reader.get<std::string>("fingerprint");
  reader.finish();
  return data;
}

}  // namespace

std::string fingerprint(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a (Fowler, Noll & Vo)
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return fmt::format("{:016x}", hash);
}

void prepare_run_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error && fs::is_directory(folder, error),
        "cannot make the folder '{}': {}; choose a place that may be written to", folder.native(),
        error ? error.message() : "a file of this name is in the way");
  // Whether a write will succeed, permissions alone do not tell: the disk may be full or read-only.
  const fs::path probe = folder / ".probe";
  write_text(probe, "gradus\n");
  fs::remove(probe, error);
}

void save_run(const fs::path& folder, const GPT& model, const CharTokenizer& tokenizer, const RunData& data) {
  for (const auto& [name, parameter] : model.named_parameters()) {
    const std::vector<double> values = parameter.to_vector();
    check(std::ranges::all_of(values, [](double value) { return std::isfinite(value); }),
          "save: '{}' holds values that are not finite, so nothing was written and what '{}' held is as it was; train "
          "with a smaller learning rate",
          name, folder.native());
  }
  const std::string config_json = config_text(model.config(), data), tokenizer_json = tokenizer.to_json();
  write_text(folder / config_file, config_json);
  write_text(folder / tokenizer_file, tokenizer_json);
  nn::save_safetensors((folder / model_file).string(), model,
                       {{config_file, config_json}, {tokenizer_file, tokenizer_json}});
}

Run load_run(const fs::path& folder) {
  const std::string model_path = (folder / model_file).string();
  std::error_code error;
  check(fs::is_directory(folder, error), "there is no folder '{}'; name one that 'gpt train' has written",
        folder.native());
  check(fs::exists(model_path, error), "'{}' has no {}; name a folder that 'gpt train' has written", folder.native(),
        model_file);
  const nn::TensorFile file = nn::read_tensors(model_path);
  const auto text_of = [&](const char* name) -> std::pair<std::string, std::string> {  // the text, and where it is from
    const auto copy = file.metadata.find(name);
    if (copy != file.metadata.end()) return {copy->second, fmt::format("{} ({})", model_path, name)};
    const fs::path path = folder / name;
    return {read_file(path), path.string()};
  };

  const auto [tokenizer_json, tokenizer_name] = text_of(tokenizer_file);
  CharTokenizer tokenizer = CharTokenizer::from_json(tokenizer_json, tokenizer_name);
  const auto [config_json, config_name] = text_of(config_file);
  const Json json = detail::parse_json(config_json, config_name);
  detail::JsonReader reader(json, config_name);
  const GPTConfig config = GPTConfig::from_json(reader.field("model").dump(), config_name);
  RunData data = read_data(reader.field("data"), config_name);
  reader.finish();

  check(tokenizer.vocab_size() == config.vocab_size, "{} has {} tokens, {} says {}; they are not of the same run",
        tokenizer_name, tokenizer.vocab_size(), config_name, config.vocab_size);
  // Compared before a model is made, since a damaged configuration may ask for more memory than there is.
  Index stored = 0;
  for (const auto& [name, tensor] : file.tensors) stored += tensor.numel();
  check(stored >= config.num_parameters(),
        "{} holds {} numbers, the model that {} describes has {}; they are not of "
        "the same run",
        model_path, stored, config_name, config.num_parameters());

  GPT model(config);
  const auto is_f64 = [](const auto& entry) { return entry.second.dtype() == DType::f64; };
  if (std::ranges::any_of(file.tensors, is_f64)) model.to(DType::f64);
  nn::load_state(model, file, fmt::format("'{}'", model_path));
  return {std::move(model), std::move(tokenizer), std::move(data)};
}

}  // namespace gradus::models
