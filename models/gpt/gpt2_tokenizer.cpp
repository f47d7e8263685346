// A tokenizer of bytes is a BPE without merges there.
#include <fmt/format.h>

#include <system_error>
#include <utility>

#include <gradus/models/detail/json.h>
#include <gradus/models/gpt/detail/gpt2_tokenizer.h>
#include <gradus/models/text/detail/bpe_files.h>
#include <gradus/models/text/detail/char_files.h>
#include <gradus/models/text/text.h>

namespace gradus::models::detail {
namespace {

namespace fs = std::filesystem;

constexpr const char *tokenizer_name = "tokenizer.json", *settings_name = "tokenizer_config.json";

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
  if (tokenizer.end_token()) json["bos_token"] = json["eos_token"] = end_of_text;
  if (tokenizer.has_boundary()) json["add_bos_token"] = true;  // texts begin with it
  return json;
}

bool adds_beginning(const fs::path& settings) {
  const auto json = try_parse_json(read_file(settings));
  return json && json->is_object() && json->contains("add_bos_token") && json->at("add_bos_token") == true;
}

void remove_files(const fs::path& folder, std::initializer_list<const char*> names) {
  for (const char* const name : names) {
    const fs::path path = folder / name;
    std::error_code error;
    fs::remove(path, error);
    check(!error, "cannot remove '{}', which is of another tokenizer: {}; remove it", path.native(), error.message());
  }
}

}  // namespace

std::optional<AnyTokenizer> load_tokenizer(const fs::path& folder, std::vector<std::string>& warnings) {
  const auto has = [&](const char* name) {
    std::error_code error;
    return fs::exists(folder / name, error);
  };
  if (!has(tokenizer_name) && !has("vocab.json") && !has("encoder.json")) return {};
  try {
    AnyTokenizer tokenizer = AnyTokenizer::load(folder);
    if (tokenizer.as<BPETokenizer>() == nullptr) return tokenizer;
    const bool begins_texts = has(settings_name) && adds_beginning(folder / settings_name);
    return tokenizer.with_boundary(begins_texts);
  } catch (const Error& error) {
    warnings.push_back(fmt::format("the tokenizer was left out: {}", error.what()));
    return {};
  }
}

std::vector<std::string> save_tokenizer(const fs::path& folder, const AnyTokenizer& tokenizer) {
  if (const auto* const bytes = tokenizer.as<ByteTokenizer>()) return save_tokenizer(folder, as_bpe(*bytes));
  if (const auto* const bpe = tokenizer.as<BPETokenizer>()) {
    // settings_name says whether <|endoftext|> is a boundary.
    (bpe->end_token() ? bpe->with_boundary(true) : *bpe).save_files(folder);
    write_text(folder / settings_name, dump(settings_of("GPT2TokenizerFast", tokenizer), 2) + "\n");
    return {};
  }
  if (const auto* const characters = tokenizer.as<CharTokenizer>()) {
    remove_files(folder, {"vocab.json", "merges.txt"});
    write_text(folder / tokenizer_name, tokenizer_json(*characters));
    write_text(folder / settings_name, dump(settings_of("PreTrainedTokenizerFast", tokenizer), 2) + "\n");
    return {};
  }
  remove_tokenizer(folder);
  return {fmt::format("the tokenizer has no form that Python's tokenizers read, so '{}' has none", folder.native())};
}

void remove_tokenizer(const fs::path& folder) {
  remove_files(folder, {"vocab.json", "merges.txt", tokenizer_name, settings_name});
}

}  // namespace gradus::models::detail
