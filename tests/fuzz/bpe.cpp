// Any bytes as a file of byte-level BPE (the first byte says which) and as a text: read or an Error; a vocabulary comes
// back from the files that are written of it; decoding what was encoded gives the text; training ends.
#include <gradus/models/text/bpe_tokenizer.h>

#include <gradus/models/text/any_tokenizer.h>
#include <gradus/models/text/detail/bpe_files.h>

#include "fuzz.h"

using namespace gradus;
using namespace gradus::fuzz;
using models::BPETokenizer;
using models::detail::BPEFile;

namespace {

constexpr const char* small_vocab = R"({"a": 0, "b": 1, "ab": 2, "c": 3, "abc": 4, "Ġ": 5, "<|endoftext|>": 6})";
constexpr const char* small_merges = "#version: 0.2\na b\nab c\n";

// A rank file has all bytes, which no input would find by itself.
const std::string& byte_ranks() {
  static const std::string ranks = [] {
    constexpr const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (unsigned byte = 0; byte < 256; ++byte) {
      text += fmt::format("{}{}== {}\n", digits[byte >> 2], digits[(byte & 3) << 4], byte);
    }
    return text;
  }();
  return ranks;
}

BPEFile read_as(unsigned kind, std::string_view text) {
  switch (kind % 5) {
    case 0:
      return models::detail::from_tokenizer_json(text, "tokenizer.json");
    case 1:
      return models::detail::from_vocab_and_merges(text, "vocab.json", small_merges, "merges.txt");
    case 2:
      return models::detail::from_vocab_and_merges(small_vocab, "vocab.json", text, "merges.txt");
    case 3:
      return models::detail::from_tiktoken(text, "ranks");
    default:
      return models::detail::from_tiktoken(byte_ranks() + std::string(text), "ranks");
  }
}

void check_text(const BPETokenizer& tokenizer, std::string_view text) {
  const auto tokens = result_of([&] { return tokenizer.encode(text); });
  if (tokens) expect(tokenizer.decode(*tokens) == text, "decoding what was encoded gives the text");
  const auto special = result_of([&] { return tokenizer.with_boundary(false).encode_with_special(text); });
  if (special) {
    expect(tokenizer.with_boundary(false).decode(*special) == text, "special tokens are written out as they were");
  }
  if (const auto fitted = result_of([&] { return tokenizer.fit(text, models::Unknown::skip).text; })) {
    expect(tokenizer.decode(tokenizer.encode(*fitted)) == *fitted, "a text that was fitted has tokens");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text = text_of(data + 1, size - 1);
  const unsigned kind = *data;
  const auto vocabulary = result_of([&] { return read_as(kind, text); });
  const auto tokenizer = result_of([&] {
    if (!vocabulary) fail("it was not read");
    return BPETokenizer::from_json(models::detail::tokenizer_json(vocabulary->vocabulary, vocabulary->boundary));
  });
  if (tokenizer) {
    expect(models::AnyTokenizer::from_json(tokenizer->to_json()) == *tokenizer, "a tokenizer comes back from its file");
    check_text(*tokenizer, "abc <|endoftext|> cab");
    check_text(*tokenizer, text);
    const auto& parts = vocabulary->vocabulary;
    result_of([&] {
      return models::detail::from_vocab_and_merges(models::detail::vocab_json(parts), "v",
                                                   models::detail::merges_txt(parts), "m");
    });
  }
  // Any bytes are a text that can be learned from, or an Error.
  if (const auto learned = result_of([&] { return BPETokenizer::train(text, 256 + kind); })) {
    check_text(*learned, text);
    expect(learned->vocab_size() <= 256 + kind, "no more tokens than were asked for");
  }
  write_file(folder() / "file", text);
  result_of([&] { return models::AnyTokenizer::load(folder() / "file").vocab_size(); });
  return 0;
}
