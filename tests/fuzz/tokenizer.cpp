// Any bytes as a tokenizer.json and as a text to make a tokenizer from: read or an Error; a tokenizer comes back from
// its file; decoding what was encoded gives the composed (NFC) text.
#include <gradus/models/text/char_tokenizer.h>

#include <set>

#include <gradus/models/text/text.h>

#include "fuzz.h"

using namespace gradus;
using namespace gradus::fuzz;
using models::CharTokenizer;

namespace {

void check_tokenizer(const CharTokenizer& tokenizer) {
  const std::string json = tokenizer.to_json();
  expect(CharTokenizer::from_json(json) == tokenizer, "a tokenizer comes back from its file");
  std::vector<std::int32_t> all;
  for (std::int32_t token = 0; token < tokenizer.vocab_size(); ++token) all.push_back(token);
  expect(!tokenizer.decode(all).empty(), "every token of the vocabulary can be decoded");
}

// `composed` is the text in NFC, by the library's own word.
void check_text(const CharTokenizer& tokenizer, std::string_view text, const std::string& composed) {
  const std::vector<std::int32_t> tokens = tokenizer.encode(text);
  expect(tokenizer.decode(tokens) == composed, "decoding what was encoded gives the composed text");
  for (const std::int32_t token : tokens) expect(token >= 0 && token < tokenizer.vocab_size(), "tokens are in range");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = text_of(data, size);
  if (const auto read = result_of([&] { return CharTokenizer::from_json(text); })) {
    check_tokenizer(*read);
    result_of([&] { return read->encode(text); });
  }

  const auto characters = result_of([&] { return models::decode_utf8(text); });
  if (!characters) return 0;
  const std::string composed = models::encode_utf8(*characters);
  if (const auto tokenizer = result_of([&] { return CharTokenizer::from_text(text); })) {
    const std::set<char32_t> distinct(characters->begin(), characters->end());
    expect(tokenizer->vocab_size() == static_cast<Index>(distinct.size()), "a token for each different character");
    check_tokenizer(*tokenizer);
    check_text(*tokenizer, text, composed);
    check_text(*tokenizer, composed, composed);
    // A stranger to the second half: an Error where it meets a character that it does not know.
    result_of([&] { return CharTokenizer::from_text(text.substr(0, size / 2)).encode(text); });
  } else {
    expect(characters->empty(), "only a text without characters makes no tokenizer");
  }

  if (const auto documents = result_of([&] { return models::split_documents(text); })) {
    const CharTokenizer tokenizer = CharTokenizer::from_documents(*documents);
    check_tokenizer(tokenizer);
    for (const std::string& document : *documents) check_text(tokenizer, document, document);
  }
  result_of([&] { return models::normalize_text(text); });
  return 0;
}
