// BPETokenizer: byte-level BPE as GPT-2 has it, read from the files it comes in or learned from a text. Common words
// are one token, rare ones several, and every text has tokens, whatever its alphabet.
#pragma once

#include <memory>

#include <gradus/models/text/tokenizer.h>

namespace gradus::models {
#pragma GCC visibility push(default)

namespace detail {
class BPEModel;
struct BPEVocabulary;
}  // namespace detail

/// The tokens of a text are those of GPT-2's own program: GPT-2's pattern cuts it into pieces (words with the space
/// before them, numbers, signs, white space), and the bytes of a piece are merged in the order of the merges. Nothing
/// is composed: decode(encode(x)) is x for every text in UTF-8.
class BPETokenizer : public Tokenizer {
 public:
  static constexpr const char* type = "BPE";  // of the "model" in tokenizer.json

  /// Learns merges from a running text until there are `vocab_size` tokens, or fewer where no two tokens stand beside
  /// each other twice. First come the 256 bytes in the order of GPT-2. Then again and again the two neighbours within a
  /// piece that occur most often become one token; among equals those whose left token, then whose right token has the
  /// lower number. Throws Error for a text that is not UTF-8 and for fewer tokens than 256.
  static BPETokenizer train(std::string_view text, Index vocab_size, const Progress& progress = {});
  /// The same from documents, with the boundary <|endoftext|> as the last of the tokens.
  static BPETokenizer train(std::span<const std::string> documents, Index vocab_size, const Progress& progress = {});

  /// Reads vocab.json with merges.txt, encoder.json with vocab.bpe, a tokenizer.json of Hugging Face's tokenizers, or a
  /// rank file of tiktoken: a folder that holds them, or one of the files. With the token <|endoftext|> it has a
  /// boundary. Throws Error for damaged files, and for other kinds than byte-level BPE with GPT-2's pattern.
  static BPETokenizer load(const std::filesystem::path& path);
  /// Reads a tokenizer.json.
  static BPETokenizer from_json(std::string_view json, std::string_view name = "tokenizer.json");

  Index vocab_size() const override;
  std::optional<std::int32_t> boundary_token() const override;
  std::optional<std::int32_t> end_token() const override;
  /// This vocabulary with <|endoftext|> as boundary, as a last token where it has none; or without a boundary, where
  /// <|endoftext|> is a token that encode() never gives and decode() writes out.
  BPETokenizer with_boundary(bool boundary) const;

  std::string decode(std::span<const std::int32_t> tokens) const override;
  /// As encode(), which takes special tokens such as <|endoftext|> as the text that they are; here they become their
  /// tokens. Where several begin, the longest does.
  std::vector<std::int32_t> encode_with_special(std::string_view text, std::string_view name = "text") const;
  /// The special tokens.
  const std::vector<std::int32_t>& special_tokens() const;

  /// A tokenizer.json of Hugging Face's tokenizers.
  std::string to_json() const override;
  /// Writes vocab.json, merges.txt and tokenizer.json, which Python's tokenizers and transformers read. Makes the
  /// folder if it is not there.
  void save_files(const std::filesystem::path& folder) const;

 private:
  BPETokenizer(std::shared_ptr<const detail::BPEModel> model, bool boundary);
  BPETokenizer(detail::BPEVocabulary vocabulary, bool boundary, std::string_view name);

  // Throws Error for text that is not UTF-8 and, where bytes have no token, for a text that has such a byte.
  void add_tokens(std::string_view text, std::string_view name, std::vector<std::int32_t>& tokens,
                  const Progress& progress) const override;
  // Replaces characters whose bytes have no tokens, by the first of U+FFFD, '?' and ' ' whose bytes have.
  Fitted fitted(std::string_view text, Unknown unknown, std::string_view name) const override;
  bool has_tokens(std::string_view bytes) const;
  void add_pieces(std::string_view text, std::vector<std::int32_t>& tokens) const;
  void check_text(std::string_view text, std::string_view name) const;

  std::shared_ptr<const detail::BPEModel> model_;
  std::int32_t end_of_text_ = -1;  // the token of <|endoftext|>, if there is one
  bool boundary_;
};

#pragma GCC visibility pop
}  // namespace gradus::models
