// Tokenizers of characters and of bytes are a BPE without merges there: its pieces are then single characters or bytes.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <span>
#include <system_error>
#include <utility>

#include <gradus/models/detail/json.h>
#include <gradus/models/gpt/detail/gpt2_tokenizer.h>
#include <gradus/models/text/detail/bpe_files.h>
#include <gradus/models/text/text.h>

namespace gradus::models::detail {
namespace {

namespace fs = std::filesystem;

constexpr const char *tokenizer_name = "tokenizer.json", *settings_name = "tokenizer_config.json";

Json json_of(const CharTokenizer& tokenizer) {
  Json vocabulary = Json::object(), added = Json::array();
  std::int32_t token = 0;
  for (const char32_t c : tokenizer.characters()) vocabulary[encode_utf8({&c, 1})] = token++;
  if (const auto boundary = tokenizer.boundary_token()) {
    vocabulary[end_of_text] = *boundary;
    added.push_back(added_token(*boundary, end_of_text));
  }
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added},
          {"normalizer", {{"type", "NFC"}}},
          {"pre_tokenizer", nullptr},
          {"post_processor", nullptr},
          {"decoder", {{"type", "Fuse"}}},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"vocab", vocabulary},
            {"merges", Json::array()}}}};
}

BPETokenizer as_bpe(const ByteTokenizer& bytes) {
  BPEVocabulary vocabulary;
  for (std::size_t byte = 0; byte < byte_values; ++byte) vocabulary.tokens.emplace_back(1, static_cast<char>(byte));
  if (const auto boundary = bytes.boundary_token()) {
    vocabulary.tokens.emplace_back(end_of_text);
    vocabulary.special = {*boundary};
  }
  return BPETokenizer::from_json(tokenizer_json(vocabulary, bytes.has_boundary()));
}

// transformers would otherwise take any tokenizer for GPT-2's own.
Json settings_of(const char* kind, const AnyTokenizer& tokenizer) {
  Json json = {{"tokenizer_class", kind}, {"clean_up_tokenization_spaces", false}};
  if (tokenizer.has_boundary()) json["bos_token"] = json["eos_token"] = end_of_text;
  return json;
}

// For reading: it finds a key without a look at all others, and there may be 50,000.
using SortedJson = nlohmann::json;

const SortedJson& at(const SortedJson& object, const char* key) {
  static const SortedJson none;
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found == object.end() ? none : *found;
}

// What json_of() makes of a tokenizer, and nothing else.
std::optional<CharTokenizer> characters_of(const SortedJson& json, const std::string& name) {
  const SortedJson &model = at(json, "model"), &vocabulary = at(model, "vocab"), &merges = at(model, "merges");
  if (at(model, "type") != "BPE" || !at(json, "pre_tokenizer").is_null() || !merges.is_array() || !merges.empty() ||
      !vocabulary.is_object()) {
    return {};
  }
  std::u32string characters;
  for (const auto& [text, token] : vocabulary.items()) {
    if (text == end_of_text) continue;
    const std::u32string one = decode_utf8(text, name);
    if (one.size() != 1) return {};
    characters += one;
  }
  if (characters.empty()) return {};
  CharTokenizer tokenizer(std::move(characters), vocabulary.contains(end_of_text));
  if (std::cmp_not_equal(vocabulary.size(), tokenizer.vocab_size())) return {};
  for (std::int32_t token = 0; token < tokenizer.vocab_size(); ++token) {
    const bool is_boundary = tokenizer.boundary_token() == token;
    const std::string text = is_boundary ? end_of_text : tokenizer.decode(std::span(&token, 1));
    if (at(vocabulary, text.c_str()) != token) return {};
  }
  return tokenizer;
}

}  // namespace

std::optional<AnyTokenizer> load_tokenizer(const fs::path& folder, std::vector<std::string>& warnings) {
  const auto has = [&](const char* name) {
    std::error_code error;
    return fs::exists(folder / name, error);
  };
  if (!has(tokenizer_name) && !has("vocab.json") && !has("encoder.json")) return {};
  try {
    if (has(tokenizer_name)) {
      const fs::path path = folder / tokenizer_name;
      const SortedJson json = SortedJson::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
      if (auto characters = characters_of(json, path.native())) return *std::move(characters);
    }
    return BPETokenizer::load(folder);
  } catch (const Error& error) {
    warnings.push_back(fmt::format("the tokenizer was left out: {}", error.what()));
    return {};
  }
}

std::vector<std::string> save_tokenizer(const fs::path& folder, const AnyTokenizer& tokenizer) {
  if (const auto* const characters = tokenizer.as<CharTokenizer>()) {
    write_text(folder / tokenizer_name, dump(json_of(*characters), 2) + "\n");
    write_text(folder / settings_name, dump(settings_of("PreTrainedTokenizerFast", tokenizer), 2) + "\n");
    return {};
  }
  if (const auto* const bytes = tokenizer.as<ByteTokenizer>()) return save_tokenizer(folder, as_bpe(*bytes));
  if (const auto* const bpe = tokenizer.as<BPETokenizer>()) {
    bpe->save_files(folder);
    write_text(folder / settings_name, dump(settings_of("GPT2TokenizerFast", tokenizer), 2) + "\n");
    return {};
  }
  return {fmt::format("the tokenizer has no form that Python's tokenizers read, so '{}' has none", folder.native())};
}

}  // namespace gradus::models::detail
