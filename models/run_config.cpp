// Everything is looked at before a model is made, since a damaged configuration may ask for more memory than there is.
#include <gradus/models/detail/json.h>
#include <gradus/models/detail/run_config.h>
#include <gradus/models/text.h>

namespace gradus::models::detail {
namespace {

constexpr const char* step_key = "step";
constexpr const char* held_out_key = "held_out_loss";

RunData read_data(const Json& json, const std::string& name) {
  JsonReader reader(json, name);
  RunData data;
  data.source = reader.get<std::string>("source");
  data.documents = reader.get<bool>("documents");
  data.held_out = reader.get<double>("held_out");
  data.seed = reader.get<std::uint64_t>("seed");
  data.fingerprint = reader.get<std::string>("fingerprint");
  if (json.contains("block_size")) data.block_size = reader.get<Index>("block_size");  // older folders have none
  reader.finish();
  return data;
}

}  // namespace

nn::Metadata to_metadata(const GPTConfig& model, const CharTokenizer& tokenizer, const RunData& data,
                         const std::string& settings) {
  const Json json = {{"model", parse_json(model.to_json(), "model")},
                     {"data",
                      {{"source", data.source},
                       {"documents", data.documents},
                       {"held_out", data.held_out},
                       {"seed", data.seed},
                       {"fingerprint", data.fingerprint},
                       {"block_size", data.block_size}}},
                     {"train", parse_json(settings, "settings")}};
  return {{config_file, dump(json, 2) + "\n"}, {tokenizer_file, tokenizer.to_json()}};
}

RunConfig read_config(const nn::Metadata& metadata, const nn::NamedTensors& tensors, const std::string& path) {
  const auto text_of = [&](const char* name) -> std::pair<std::string, std::string> {  // the text, and where it is from
    const auto copy = metadata.find(name);
    if (copy != metadata.end()) return {copy->second, fmt::format("{} ({})", path, name)};
    const std::filesystem::path beside = std::filesystem::path(path).parent_path() / name;
    return {read_file(beside), beside.string()};
  };
  const auto [tokenizer_json, tokenizer_name] = text_of(tokenizer_file);
  CharTokenizer tokenizer = CharTokenizer::from_json(tokenizer_json, tokenizer_name);
  const auto [config_json, config_name] = text_of(config_file);
  const Json json = parse_json(config_json, config_name);
  JsonReader reader(json, config_name);
  const GPTConfig config = GPTConfig::from_json(dump(reader.field("model")), config_name);
  RunData data = read_data(reader.field("data"), config_name);
  // A folder written before settings were kept has none.
  std::string settings = json.contains("train") ? dump(reader.field("train"), 2) : "{}";
  reader.finish();

  check(data.block_size >= 0 && data.block_size <= config.block_size,
        "{} says that sequences of {} tokens were learned, the model reads 1 to {}; it is damaged", config_name,
        data.block_size, config.block_size);
  if (data.block_size == 0) data.block_size = config.block_size;
  check(tokenizer.vocab_size() == config.vocab_size, "{} has {} tokens, {} says {}; they are not of the same run",
        tokenizer_name, tokenizer.vocab_size(), config_name, config.vocab_size);
  Index stored = 0;
  for (const auto& [name, tensor] : tensors) stored += tensor.numel();
  check(stored >= config.num_parameters(),
        "{} holds {} numbers, the model that {} describes has {}; they are not of "
        "the same run",
        path, stored, config_name, config.num_parameters());
  return {config, std::move(tokenizer), std::move(data), std::move(settings)};
}

void add_moment(nn::Metadata& metadata, const Moment& moment) {
  if (moment.step) metadata.emplace(step_key, std::to_string(*moment.step));
  if (moment.held_out_loss) metadata.emplace(held_out_key, fmt::format("{}", *moment.held_out_loss));
}

Moment moment_in(const nn::Metadata& metadata) {
  const auto number = [&](const char* key) {
    const auto found = metadata.find(key);
    const auto json = found != metadata.end() ? try_parse_json(found->second) : std::nullopt;
    return json && json->is_number() ? json : std::nullopt;
  };
  Moment moment;
  if (const auto step = number(step_key); step && step->is_number_integer()) moment.step = step->get<Index>();
  if (const auto loss = number(held_out_key)) moment.held_out_loss = loss->get<double>();
  return moment;
}

}  // namespace gradus::models::detail
