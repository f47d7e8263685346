#include "tokenizer_choice.h"

#include <charconv>
#include <filesystem>
#include <optional>

#include "commands.h"
#include "waiting.h"

namespace gpt {
namespace {

namespace fs = std::filesystem;
namespace models = gradus::models;
using gradus::Index;

constexpr std::string_view bpe_prefix = "bpe:";

// N of "bpe:N"; nothing for a choice that does not begin so.
std::optional<Index> vocab_size_of(std::string_view choice) {
  if (!choice.starts_with(bpe_prefix)) return std::nullopt;
  const std::string_view digits = choice.substr(bpe_prefix.size());
  constexpr Index least = 257, most = 1'000'000;  // the bytes and the boundary of documents
  Index size = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
  const bool is_number = error == std::errc{} && end == digits.data() + digits.size();
  require(is_number && size >= least && size <= most,
          "--tokenizer is '{}'; behind bpe: stands how many tokens there are to be, from {} to {}, e.g. bpe:1000",
          choice, least, most);
  return size;
}

models::BPETokenizer learned(Index vocab_size, const Text& text, models::TextFormat format, bool quiet) {
  Waiting waiting("learning a vocabulary", quiet);
  using models::BPETokenizer;
  return format == models::TextFormat::lines ? BPETokenizer::train(text.lines, vocab_size, waiting.progress())
                                             : BPETokenizer::train(text.running, vocab_size, waiting.progress());
}

}  // namespace

std::string full_choice(const std::string& choice) {
  if (choice == "characters" || choice == "bytes" || vocab_size_of(choice)) return choice;
  std::error_code error;
  require(
      fs::exists(choice, error),
      "--tokenizer is '{}'; it can be characters, bytes, bpe:N for a vocabulary of N tokens, or a folder or file of "
      "a tokenizer",
      choice);
  return fs::absolute(choice).lexically_normal().string();
}

models::AnyTokenizer chosen_tokenizer(const std::string& choice, const Text& text, const std::optional<Text>& held_out,
                                      models::TextFormat format, bool quiet) {
  const bool documents = format == models::TextFormat::lines;
  if (choice == "characters") return make_tokenizer(text, held_out, format, quiet);
  if (choice == "bytes") return models::ByteTokenizer(documents);
  if (const auto size = vocab_size_of(choice)) return learned(*size, text, format, quiet);
  return models::AnyTokenizer::load(choice).with_boundary(documents);
}

}  // namespace gpt
