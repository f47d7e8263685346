// The bundled texts are linked into the program, so that it runs from any folder.
#include "data.h"

#include <filesystem>

#include <gradus/models/text.h>
#include <gradus_embedded/korean_names.h>
#include <gradus_embedded/names.h>

namespace gpt {
namespace {

namespace models = gradus::models;

constexpr std::string_view bundled_prefix = "bundled:";

}  // namespace

std::string read_source(const std::string& source) {
  if (!source.starts_with(bundled_prefix)) return models::read_file(source);
  if (source == "bundled:names") return std::string(gradus::embedded::names);
  if (source == "bundled:korean_names") return std::string(gradus::embedded::korean_names);
  gradus::fail("there is no text '{}' in this program; it has bundled:names and bundled:korean_names", source);
}

Data make_data(const std::string& source, const std::string& text, bool documents,
               const models::DatasetOptions& options, std::optional<models::CharTokenizer> tokenizer) {
  Data data{
      nullptr, {source, documents, options.held_out, options.seed, models::fingerprint(text), options.block_size}, 0};
  // `gpt eval` may be called from another folder than `gpt train` was.
  if (!source.starts_with(bundled_prefix)) data.info.source = std::filesystem::absolute(source).string();
  if (documents) {
    const std::vector<std::string> lines = models::split_documents(text, source);
    if (!tokenizer) tokenizer = models::CharTokenizer::from_documents(lines);
    auto dataset = std::make_unique<models::DocumentDataset>(lines, *tokenizer, options);
    for (const auto part : {models::Part::train, models::Part::held_out}) data.characters += dataset->tokens(part);
    data.characters -= dataset->num_documents();  // the boundaries
    data.dataset = std::move(dataset);
  } else {
    const std::string normalized = models::normalize_text(text, source);
    if (!tokenizer) tokenizer = models::CharTokenizer::from_text(normalized);
    data.characters = static_cast<gradus::Index>(models::decode_utf8(normalized).size());
    data.dataset = std::make_unique<models::TextDataset>(normalized, *tokenizer, options);
  }
  return data;
}

}  // namespace gpt
