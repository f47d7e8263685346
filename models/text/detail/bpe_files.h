// The files in which byte-level BPE comes: GPT-2's vocab.bpe and encoder.json, merges.txt and vocab.json, which are the
// same under other names, tokenizer.json of Hugging Face's tokenizers, and the rank files of OpenAI's tiktoken.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <gradus/models/detail/json.h>
#include <gradus/models/text/detail/bpe_model.h>

namespace gradus::models::detail {

inline constexpr const char* end_of_text = "<|endoftext|>";

struct BPEFile {
  BPEVocabulary vocabulary;
  bool boundary = true;   // whether <|endoftext|>, if it is there, begins and ends documents
  std::string name = {};  // of the file that has the tokens
};

/// All throw Error, with the names, for what is damaged, and for a kind that is not byte-level BPE with GPT-2's
/// pattern: it says which field tells so.
BPEFile from_tokenizer_json(std::string_view json, std::string_view name);
/// A token of several bytes that no merge makes is special.
BPEFile from_vocab_and_merges(std::string_view vocab, std::string_view vocab_name, std::string_view merges,
                              std::string_view merges_name);
/// Ranks are the tokens. <|endoftext|> is the one that they leave free, or the next.
BPEFile from_tiktoken(std::string_view ranks, std::string_view name);
/// Any of these: a folder that holds them, or one file. vocab.json and merges.txt need each other.
BPEFile read_bpe(const std::filesystem::path& path);

/// An entry of "added_tokens": a token that no text becomes.
Json added_token(std::int32_t token, std::string_view text);
/// `boundary` as in BPEFile; where it is as GPT-2 has it, nothing is written about it.
std::string tokenizer_json(const BPEVocabulary& vocabulary, bool boundary);
std::string vocab_json(const BPEVocabulary& vocabulary);
std::string merges_txt(const BPEVocabulary& vocabulary);

}  // namespace gradus::models::detail
