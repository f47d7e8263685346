// Byte-level BPE: encoding, decoding and learning. GRADUS_TEXT names a text and GRADUS_VOCABULARY the files of a
// tokenizer; without them it is a made-up text, and a vocabulary that is learned from it.
#include <gradus/models/text/any_tokenizer.h>

#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "support/work.h"

namespace {

using gradus::models::BPETokenizer;

std::string text() {
  if (const char* const file = std::getenv("GRADUS_TEXT")) return gradus::models::read_file(file);
  std::string made;
  for (unsigned i = 0; made.size() < 1'000'000; ++i) {
    constexpr const char* words[] = {"the",      "of",   "learning", "isn't",   "a",
                                     "Gradient", "step", "and",      "weights", "never"};
    made += fmt::format("{}{}", words[i * 2654435761U >> 16 & 7], i % 11 == 10 ? fmt::format(" {}.\n", i) : " ");
  }
  return made;
}

BPETokenizer tokenizer() {
  constexpr gradus::Index size = 5000;
  const char* const files = std::getenv("GRADUS_VOCABULARY");
  return files != nullptr ? BPETokenizer::load(files) : BPETokenizer::train(text(), size);
}

work::Work encode() {
  const auto known = std::make_shared<BPETokenizer>(tokenizer());
  const auto all = std::make_shared<std::string>(text());
  return {[=] { static_cast<void>(known->encode(*all)); }, 0, 0, static_cast<double>(all->size()), "byte"};
}

work::Work decode() {
  const auto known = std::make_shared<BPETokenizer>(tokenizer());
  const auto tokens = std::make_shared<std::vector<std::int32_t>>(known->encode(text()));
  return {[=] { static_cast<void>(known->decode(*tokens)); }, 0, 0, static_cast<double>(tokens->size()), "token"};
}

work::Work learn() {
  const auto all = std::make_shared<std::string>(text());
  return {[=] { static_cast<void>(BPETokenizer::train(*all, 5000)); }, 0, 0, static_cast<double>(all->size()), "byte"};
}

const bool added = (work::add("tokenizer/encode", encode), work::add("tokenizer/decode", decode),
                    work::add("tokenizer/learn_5000", learn), true);

}  // namespace
