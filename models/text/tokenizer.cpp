#include <gradus/models/text/tokenizer.h>

#include <gradus/core/check.h>

namespace gradus::models {

std::int32_t Tokenizer::boundary() const {
  const std::optional<std::int32_t> token = boundary_token();
  check(token.has_value(),
        "tokenizer: this one has no boundary token, as it was made for running text; make one for documents, e.g. with "
        "from_documents");
  return *token;
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, std::string_view name) const {
  std::vector<std::int32_t> tokens;
  tokens.reserve(text.size());
  add_tokens(text, name, tokens, {});
  return tokens;
}

void Tokenizer::save(const std::filesystem::path& path) const {
  write_text(path, to_json());
}

void Tokenizer::check_token(std::int32_t token) const {
  check(token >= 0 && token < vocab_size(), "tokenizer: token {} is not one of the vocabulary's 0 .. {}", token,
        vocab_size() - 1);
}

std::string Tokenizer::normalized(std::string_view text, std::string_view /*name*/) const {
  return std::string(text);
}

Fitted Tokenizer::fitted(std::string_view text, Unknown /*unknown*/, std::string_view name) const {
  return {.text = normalize(text, name)};
}

}  // namespace gradus::models
