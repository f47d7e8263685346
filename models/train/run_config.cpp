// Everything is looked at before a model is made, since a damaged configuration may ask for more memory than there is.
#include <algorithm>
#include <iterator>

#include <gradus/models/detail/json.h>
#include <gradus/models/text/text.h>
#include <gradus/models/train/detail/run_config.h>

namespace gradus::models::detail {
namespace {

constexpr const char* step_key = "step";
constexpr const char* held_out_key = "held_out_loss";

constexpr std::pair<Unknown, const char*> unknown_names[] = {
    {Unknown::refuse, "refuse"}, {Unknown::skip, "skip"}, {Unknown::replace, "replace"}};

std::vector<std::string> read_texts(const Json& json, const char* key, const std::string& name) {
  std::vector<std::string> texts;
  check(json.is_string() || json.is_array(), "{}: \"{}\" is {}, a text or a list of texts is needed", name, key,
        dump(json));
  for (const Json& entry : json.is_array() ? json : Json::array({json})) {
    check(entry.is_string(), "{}: \"{}\" has {} in it, a text is needed", name, key, dump(entry));
    texts.push_back(entry.get<std::string>());
  }
  check(!texts.empty(), "{}: \"{}\" is empty, a text is needed", name, key);
  return texts;
}

// A field that is absent has the value that older versions always used.
RunData read_data(const Json& json, const std::string& name) {
  JsonReader reader(json, name);
  RunData data;
  std::vector<std::string> sources = read_texts(reader.field("source"), "source", name);
  data.source = std::move(sources.front());
  data.more_sources.assign(std::next(sources.begin()), sources.end());
  data.format = reader.get<bool>("documents") ? TextFormat::lines : TextFormat::text;
  data.held_out = reader.get<double>("held_out");
  data.seed = reader.get<std::uint64_t>("seed");
  data.fingerprint = reader.get<std::string>("fingerprint");
  if (json.contains("block_size")) data.block_size = reader.get<Index>("block_size");
  if (json.contains("held_out_source")) {
    data.held_out_sources = read_texts(reader.field("held_out_source"), "held_out_source", name);
    data.held_out_fingerprint = reader.get<std::string>("held_out_fingerprint");
  }
  data.distinct = json.contains("distinct") && reader.get<bool>("distinct");
  data.keep_space = json.contains("keep_space") && reader.get<bool>("keep_space");
  if (json.contains("unknown")) {
    const auto said = reader.get<std::string>("unknown");
    const auto* const known = std::ranges::find(unknown_names, said, [](const auto& entry) { return entry.second; });
    check(known != std::end(unknown_names), "{}: \"unknown\" is \"{}\", it must be refuse, skip or replace", name,
          said);
    data.unknown = known->first;
  }
  reader.finish();
  return data;
}

Json data_json(const RunData& data) {
  Json json = {{"source", data.source},           {"documents", data.format == TextFormat::lines},
               {"held_out", data.held_out},       {"seed", data.seed},
               {"fingerprint", data.fingerprint}, {"block_size", data.block_size},
               {"distinct", data.distinct}};
  if (!data.more_sources.empty()) json["source"] = data.sources();
  if (!data.held_out_sources.empty()) {
    json["held_out_source"] = data.held_out_sources;
    json["held_out_fingerprint"] = data.held_out_fingerprint;
  }
  if (data.keep_space) json["keep_space"] = true;
  if (data.unknown != Unknown::refuse) {
    json["unknown"] = std::ranges::find(unknown_names, data.unknown, [](const auto& e) { return e.first; })->second;
  }
  return json;
}

}  // namespace

nn::Metadata to_metadata(const GPTConfig& model, const Tokenizer& tokenizer, const RunData& data,
                         const std::string& settings) {
  const Json json = {{"model", parse_json(model.to_json(), "model")},
                     {"data", data_json(data)},
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
  AnyTokenizer tokenizer = AnyTokenizer::from_json(tokenizer_json, tokenizer_name);
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
