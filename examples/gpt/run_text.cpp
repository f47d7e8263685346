#include "run_text.h"

#include <fmt/format.h>

#include <algorithm>

#include <gradus/core/check.h>
#include <gradus/models/text.h>

namespace gpt {
namespace {

namespace models = gradus::models;

// What of a line is learned.
std::string content_of(std::string_view line, bool documents) {
  if (!documents) return models::normalize_text(std::string(line) + "\n");
  try {
    return models::split_documents(line).front();
  } catch (const gradus::Error&) {
    return {};  // nothing but white space
  }
}

// Throws Error with the line of the first unknown character, if there is one.
void check_characters(const std::string& text, const std::string& source, bool documents,
                      const models::CharTokenizer& tokenizer) {
  std::size_t number = 1;
  for (std::size_t begin = 0; begin < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = content_of(std::string_view(text).substr(begin, end - begin), documents);
    tokenizer.encode(line, fmt::format("{}, line {}", source, number));
    begin = end + 1;
  }
}

}  // namespace

std::string read_text_of_run(const std::string& source, bool named, const std::string& folder) {
  try {
    return read_source(source);
  } catch (const gradus::Error& problem) {
    if (named) throw;
    gradus::fail("{}; the run in '{}' learned from it: where it lies elsewhere now, name it with --data",
                 problem.what(), folder);
  }
}

Data make_known_data(const std::string& source, const std::string& text, bool documents,
                     const models::DatasetOptions& options, const std::optional<models::CharTokenizer>& tokenizer) {
  try {
    return make_data(source, text, documents, options, tokenizer);
  } catch (const gradus::Error&) {
    models::normalize_text(text, source);  // what is not text at all has no characters to look for
    if (tokenizer) check_characters(text, source, documents, *tokenizer);
    throw;
  }
}

}  // namespace gpt
