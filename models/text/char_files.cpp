#include <gradus/models/text/detail/char_files.h>

#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include <gradus/models/detail/json.h>
#include <gradus/models/text/detail/bpe_files.h>
#include <gradus/models/text/text.h>

namespace gradus::models::detail {
namespace {

// For reading: it finds a key without a look at all others, and there may be 50,000.
using SortedJson = nlohmann::json;

const SortedJson& at(const SortedJson& object, const char* key) {
  static const SortedJson none;
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found == object.end() ? none : *found;
}

}  // namespace

std::string tokenizer_json(const CharTokenizer& tokenizer) {
  Json vocabulary = Json::object(), added = Json::array();
  std::int32_t token = 0;
  for (const char32_t c : tokenizer.characters()) vocabulary[encode_utf8({&c, 1})] = token++;
  if (const auto boundary = tokenizer.boundary_token()) {
    vocabulary[end_of_text] = *boundary;
    added.push_back(added_token(*boundary, end_of_text));
  }
  const Json json = {{"version", "1.0"},
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
  return dump(json, 2) + "\n";
}

std::optional<CharTokenizer> characters_from_tokenizer_json(std::string_view json, std::string_view name) {
  const SortedJson object = SortedJson::parse(json, nullptr, /*allow_exceptions=*/false);
  const SortedJson &model = at(object, "model"), &vocabulary = at(model, "vocab"), &merges = at(model, "merges");
  if (at(model, "type") != "BPE" || !at(object, "pre_tokenizer").is_null() || !merges.is_array() || !merges.empty() ||
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

}  // namespace gradus::models::detail
