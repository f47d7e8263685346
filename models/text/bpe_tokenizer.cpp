// A large text is cut where pieces begin, always at the same places, and its parts are tokenized by several threads.
#include <gradus/models/text/bpe_tokenizer.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <gradus/core/check.h>
#include <gradus/core/runtime/parallel.h>
#include <gradus/models/text/detail/bpe_files.h>
#include <gradus/models/text/detail/bpe_train.h>
#include <gradus/models/text/detail/characters.h>
#include <gradus/models/text/detail/gpt2_split.h>

namespace gradus::models {
namespace {

// The bytes of the character that `text`, which is UTF-8, begins with.
std::size_t character_size(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  return first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

void check_size(Index vocab_size, Index least) {
  check(vocab_size >= least, "bpe: a vocabulary of {} tokens was asked for; it has at least {}, the 256 bytes{}",
        vocab_size, least, std::cmp_greater(least, detail::byte_values) ? " and the boundary of documents" : "");
}

std::shared_ptr<const detail::BPEModel> model_of(detail::BPEVocabulary vocabulary, std::string_view name) {
  return std::make_shared<const detail::BPEModel>(std::move(vocabulary), name);
}

}  // namespace

BPETokenizer::BPETokenizer(std::shared_ptr<const detail::BPEModel> model, bool boundary)
    : model_(std::move(model)), end_of_text_(model_->special_token(detail::end_of_text)), boundary_(boundary) {}

BPETokenizer::BPETokenizer(detail::BPEVocabulary vocabulary, bool boundary, std::string_view name)
    : BPETokenizer(model_of(std::move(vocabulary), name), boundary) {}

BPETokenizer BPETokenizer::train(std::string_view text, Index vocab_size, const Progress& progress) {
  check_size(vocab_size, detail::byte_values);
  detail::BPETrainer trainer;
  trainer.add(text, "text", progress);
  return {trainer.learn(vocab_size, progress), false, "bpe"};
}

BPETokenizer BPETokenizer::train(std::span<const std::string> documents, Index vocab_size, const Progress& progress) {
  check_size(vocab_size, detail::byte_values + 1);
  detail::BPETrainer trainer;
  for (const std::string& document : documents) trainer.add(document, "document");
  return BPETokenizer(trainer.learn(vocab_size - 1, progress), false, "bpe").with_boundary(true);
}

BPETokenizer BPETokenizer::load(const std::filesystem::path& path) {
  detail::BPEFile file = detail::read_bpe(path);
  return {std::move(file.vocabulary), file.boundary, file.name};
}

BPETokenizer BPETokenizer::from_json(std::string_view json, std::string_view name) {
  detail::BPEFile file = detail::from_tokenizer_json(json, name);
  return {std::move(file.vocabulary), file.boundary, name};
}

Index BPETokenizer::vocab_size() const {
  return static_cast<Index>(model_->vocabulary().tokens.size());
}

std::optional<std::int32_t> BPETokenizer::boundary_token() const {
  return boundary_ ? end_token() : std::nullopt;
}

std::optional<std::int32_t> BPETokenizer::end_token() const {
  return end_of_text_ >= 0 ? std::optional(end_of_text_) : std::nullopt;
}

BPETokenizer BPETokenizer::with_boundary(bool boundary) const {
  if (!boundary || end_of_text_ >= 0) return {model_, boundary};
  detail::BPEVocabulary vocabulary = model_->vocabulary();
  vocabulary.special.push_back(static_cast<std::int32_t>(vocabulary.tokens.size()));
  vocabulary.tokens.emplace_back(detail::end_of_text);
  return {std::move(vocabulary), true, "bpe"};
}

const std::vector<std::int32_t>& BPETokenizer::special_tokens() const {
  return model_->vocabulary().special;
}

bool BPETokenizer::has_tokens(std::string_view bytes) const {
  return std::ranges::all_of(bytes, [&](char c) { return model_->byte_token(static_cast<unsigned char>(c)) >= 0; });
}

void BPETokenizer::check_text(std::string_view text, std::string_view name) const {
  constexpr std::size_t most = std::size_t{1} << 32;  // places in a piece are counted by 32 bits
  check(text.size() < most, "{}: the text has {} bytes; give at most {} at once", name, text.size(), most - 1);
  detail::check_utf8(text, name);
  if (model_->has_all_bytes()) return;
  std::size_t number = 1;
  for (std::size_t at = 0; at < text.size(); ++number) {
    const std::string_view character = text.substr(at, character_size(text.substr(at)));
    check(has_tokens(character),
          "{}: character {}, '{}', has a byte without a token in this vocabulary; leave it out, or take a tokenizer of "
          "all 256 bytes",
          name, number, printable(character));
    at += character.size();
  }
}

void BPETokenizer::add_pieces(std::string_view text, std::vector<std::int32_t>& tokens) const {
  const detail::BPEModel::Loan workspace = model_->borrow();
  while (!text.empty()) {
    const std::size_t length = detail::gpt2_piece(text);
    model_->encode(text.substr(0, length), tokens, *workspace);
    text.remove_prefix(length);
  }
}

void BPETokenizer::add_tokens(std::string_view text, std::string_view name, std::vector<std::int32_t>& tokens,
                              const Progress& progress) const {
  constexpr std::size_t part = 1 << 16;
  constexpr Index together = 64;  // parts whose tokens are held beside those of the whole
  check_text(text, name);
  std::size_t done = 0;
  while (text.size() - done > part) {
    std::vector<std::size_t> ends{done};
    while (std::ssize(ends) <= together && ends.back() < text.size()) {
      ends.push_back(detail::gpt2_cut(text, std::min(ends.back() + part, text.size())));
    }
    std::vector<std::vector<std::int32_t>> parts(ends.size() - 1);
    parallel_for(std::ssize(parts), 1, [&](Index begin, Index end) {
      for (auto i = static_cast<std::size_t>(begin); std::cmp_less(i, end); ++i) {
        const std::string_view one = text.substr(ends[i], ends[i + 1] - ends[i]);
        constexpr std::size_t bytes_a_token = 3;
        parts[i].reserve(one.size() / bytes_a_token);
        add_pieces(one, parts[i]);
      }
    });
    for (const auto& one : parts) tokens.insert(tokens.end(), one.begin(), one.end());
    done = ends.back();
    if (progress) progress(static_cast<double>(done) / static_cast<double>(text.size()));
  }
  add_pieces(text.substr(done), tokens);
}

std::vector<std::int32_t> BPETokenizer::encode_with_special(std::string_view text, std::string_view name) const {
  check_text(text, name);  // so that errors tell the place in the whole
  std::array<std::vector<std::int32_t>, detail::byte_values> by_first_byte;
  const std::vector<std::string>& texts = model_->vocabulary().tokens;
  const auto text_of = [&](std::int32_t token) -> const std::string& { return texts[static_cast<std::size_t>(token)]; };
  for (const std::int32_t token : special_tokens()) {
    by_first_byte[static_cast<unsigned char>(text_of(token).front())].push_back(token);
  }
  for (auto& tokens : by_first_byte) {
    std::ranges::stable_sort(tokens, std::ranges::greater(), [&](std::int32_t token) { return text_of(token).size(); });
  }
  std::vector<std::int32_t> result;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto& possible = by_first_byte[static_cast<unsigned char>(text[at])];
    const auto found =
        std::ranges::find_if(possible, [&](std::int32_t token) { return text.substr(at).starts_with(text_of(token)); });
    if (found == possible.end()) continue;
    add_tokens(text.substr(begin, at - begin), name, result, {});
    result.push_back(*found);
    begin = at + text_of(*found).size();
    at = begin - 1;
  }
  add_tokens(text.substr(begin), name, result, {});
  return result;
}

Fitted BPETokenizer::fitted(std::string_view text, Unknown unknown, std::string_view name) const {
  detail::check_utf8(text, name);
  if (model_->has_all_bytes()) return {.text = std::string(text)};
  std::string replacement;
  if (unknown == Unknown::replace) {
    for (const char* c : {"\xEF\xBF\xBD", "?", " "}) {
      if (replacement.empty() && has_tokens(c)) replacement = c;
    }
    check(!replacement.empty(), "{}: the model knows none of U+FFFD, '?' and ' ' to replace characters by; skip them",
          name);
  }
  Fitted fitted;
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view character = text.substr(at, character_size(text.substr(at)));
    at += character.size();
    if (has_tokens(character)) {
      fitted.text += character;
      continue;
    }
    fitted.text += replacement;
    fitted.unknown += decode_utf8(character);
    ++fitted.changed;
  }
  std::ranges::sort(fitted.unknown);
  fitted.unknown.erase(std::unique(fitted.unknown.begin(), fitted.unknown.end()), fitted.unknown.end());
  return fitted;
}

std::string BPETokenizer::decode(std::span<const std::int32_t> tokens) const {
  std::string text;
  const std::optional<std::int32_t> boundary = boundary_token();
  for (const std::int32_t token : tokens) {
    check_token(token);
    text += token == boundary ? "\n" : model_->vocabulary().tokens[static_cast<std::size_t>(token)];
  }
  return text;
}

std::string BPETokenizer::to_json() const {
  return detail::tokenizer_json(model_->vocabulary(), boundary_);
}

void BPETokenizer::save_files(const std::filesystem::path& folder) const {
  make_folder(folder);
  write_text(folder / "vocab.json", detail::vocab_json(model_->vocabulary()));
  write_text(folder / "merges.txt", detail::merges_txt(model_->vocabulary()));
  write_text(folder / "tokenizer.json", to_json());
}

}  // namespace gradus::models
