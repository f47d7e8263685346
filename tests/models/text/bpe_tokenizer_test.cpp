// Byte-level BPE: the tokens of OpenAI's tiktoken, whichever files it comes from and however many threads there are;
// training against a slow and simple trainer. GPT-2's own vocabulary is no part of the tree: tests that need it look in
// the folder that GRADUS_SHARED names, or in ../shared, and are skipped where it is not.
#include <gradus/models/text/bpe_tokenizer.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include <gradus/core/runtime/parallel.h>
#include <gradus/models/generate/text_stream.h>
#include <gradus/models/text/any_tokenizer.h>
#include <gradus/models/text/detail/byte_symbols.h>
#include <gradus/models/text/detail/gpt2_split.h>

#include "../helpers.h"

namespace gradus::models {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::read;
using testing::shared;
using testing::TempFolder;
using testing::write;
using Tokens = std::vector<std::int32_t>;

#define NEEDS_SHARED(file) \
  if (!std::filesystem::exists(shared(file))) GTEST_SKIP() << shared(file) << " is not there"

const BPETokenizer& gpt2() {
  static const BPETokenizer tokenizer = BPETokenizer::load(shared("data/gpt2"));
  return tokenizer;
}

// English and Korean, with all that the pattern tells apart.
std::string some_text() {
  std::string text;
  for (int i = 0; i < 300; ++i) {
    text += fmt::format("The {}th line of it isn't what we've read; 이것은 {}번째 줄입니다.\n", i, i * 37 % 101);
    text +=
        i % 7 == 0 ? "\n\t  they'll say \"so\" -- 'tis, \u00e9t\u00e9 \U0001F600\U0001F469\u200D\U0001F680 ...\n" : "";
  }
  return text;
}

BPETokenizer small(Index vocab_size = 400) {
  return BPETokenizer::train(some_text(), vocab_size);
}

std::vector<std::string> pieces_of(std::string_view text) {
  std::vector<std::string> pieces;
  while (!text.empty()) {
    const std::size_t length = detail::gpt2_piece(text);
    pieces.emplace_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return pieces;
}

// The strings of tests/reference/tiktoken.mjs, which has tiktoken encode them.
class RandomStrings {
 public:
  RandomStrings() : inputs_(json::parse(read(GRADUS_SOURCE_DIR "/tests/reference/tiktoken_inputs.json"))) {
    state_ = inputs_["seed"];
    std::istringstream spaces(inputs_["spaces"].get<std::string>());
    for (std::uint32_t c = 0; spaces >> std::hex >> c;) spaces_ += static_cast<char32_t>(c);
    for (const std::string range : inputs_["ranges"]) {
      const auto number = [&](std::size_t at) {
        return static_cast<std::uint32_t>(std::stoul(range.substr(at), nullptr, 16));
      };
      ranges_.emplace_back(number(0), number(range.find('-') + 1));
    }
  }
  int count() const { return inputs_["strings"]; }
  int together() const { return inputs_["together"]; }
  std::string next() {
    std::string text;
    for (std::uint32_t units = below(24); units > 0; --units) text += unit();
    return text;
  }

 private:
  std::uint32_t below(std::size_t n) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return state_ % static_cast<std::uint32_t>(n);
  }
  static std::string character(std::uint32_t c) {
    const auto one = static_cast<char32_t>(c);
    return encode_utf8({&one, 1});
  }
  std::string unit() {
    switch (below(8)) {
      case 0:
        return character(0x20 + below(95));
      case 1:
        return inputs_["sequences"][below(inputs_["sequences"].size())];
      case 2:
        return character(0x30 + below(10));
      case 3: {
        const std::string space = character(spaces_[below(spaces_.size())]);
        std::string several;
        for (std::uint32_t times = 1 + below(3); times > 0; --times) several += space;
        return several;
      }
      case 4:
        return character(0xAC00 + below(11172));
      case 5:
        return character(0x61 + below(26));
      default: {
        const auto [low, high] = ranges_[below(ranges_.size())];
        return character(low + below(high - low + 1));
      }
    }
  }

  json inputs_;
  std::u32string spaces_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges_;
  std::uint32_t state_ = 0;
};

void expect_tokens_of_tiktoken(const BPETokenizer& tokenizer, const char* vocabulary) {
  const json answers = json::parse(read(GRADUS_SOURCE_DIR "/tests/reference/tiktoken.json"))[vocabulary];
  RandomStrings strings;
  for (const std::string answer : answers) {
    std::uint32_t hash = 0x811c9dc5;
    const auto add = [&](std::uint32_t number) {  // FNV-1a of its four bytes
      for (int shift = 0; shift < 32; shift += 8) hash = (hash ^ (number >> shift & 255)) * 0x01000193;
    };
    for (int i = 0; i < strings.together(); ++i) {
      const std::string text = strings.next();
      const Tokens tokens = tokenizer.encode(text);
      ASSERT_EQ(tokenizer.decode(tokens), text);
      for (const std::int32_t token : tokens) add(static_cast<std::uint32_t>(token));
      add(0xffffffff);
    }
    ASSERT_EQ(fmt::format("{:08x}", hash), answer);
  }
  EXPECT_EQ(std::ssize(answers) * strings.together(), strings.count());
}

// Every byte and every pair of bytes: cuts a piece into pairs from its left.
BPETokenizer pairs() {
  json vocab;
  std::string merges;
  for (unsigned left = 0; left < 256; ++left) {
    const std::string first = detail::spelled(std::string(1, static_cast<char>(left)));
    vocab[first] = left;
    for (unsigned right = 0; right < 256; ++right) {
      const std::string second = detail::spelled(std::string(1, static_cast<char>(right)));
      vocab[first + second] = 256 + left * 256 + right;
      merges += first + " " + second + "\n";
    }
  }
  const TempFolder folder;
  write(folder / "vocab.json", vocab.dump());
  write(folder / "merges.txt", merges);
  return BPETokenizer::load(folder.path());
}

TEST(BPETokenizer, HasTiktokensTokensOnTheGivenCases) {
  NEEDS_SHARED("data/gpt2");
  const json given = json::parse(read(shared("reference/gpt2_bpe_cases.json")));
  for (const auto& [name, one] : given["cases"].items()) {
    const std::string text = one["text"];
    EXPECT_EQ(gpt2().encode(text), one["ids"].get<Tokens>()) << name;
    EXPECT_EQ(gpt2().decode(gpt2().encode(text)), text);
  }
  const std::string text = read(shared("data/tinyshakespeare.txt"));
  const Tokens tokens = gpt2().encode(text);
  EXPECT_EQ(std::ssize(tokens), given["tinyshakespeare_tokens"].get<std::ptrdiff_t>());
  EXPECT_EQ(gpt2().decode(tokens), text);
  EXPECT_EQ(gpt2().vocab_size(), 50257);
  EXPECT_EQ(gpt2().boundary(), 50256);
}

TEST(BPETokenizer, HasTiktokensTokensOnRandomStrings) {
  NEEDS_SHARED("data/gpt2");
  expect_tokens_of_tiktoken(gpt2(), "gpt2");
}

TEST(BPETokenizer, CutsRandomStringsWhereTiktokenDoes) {
  expect_tokens_of_tiktoken(pairs(), "pairs");
}

TEST(BPETokenizer, CutsWhereThePatternDoes) {
  EXPECT_THAT(pieces_of("don't we'll'd 's"), ElementsAre("don", "'t", " we", "'ll", "'d", " '", "s"));
  EXPECT_THAT(pieces_of("I'M they'RE 'l"), ElementsAre("I", "'", "M", " they", "'", "RE", " '", "l"));
  EXPECT_THAT(pieces_of("a1b 22c"), ElementsAre("a", "1", "b", " 22", "c"));
  EXPECT_THAT(pieces_of("x  y   \n z"), ElementsAre("x", " ", " y", "   \n", " z"));
  EXPECT_THAT(pieces_of("  "), ElementsAre("  "));
  EXPECT_THAT(pieces_of("a\n\nb \n"), ElementsAre("a", "\n", "\n", "b", " \n"));
  EXPECT_THAT(pieces_of("--'s !"), ElementsAre("--'", "s", " !"));
  // U+0085 is white space; U+FEFF and U+001C are not.
  EXPECT_THAT(pieces_of("a\u0085b"), ElementsAre("a", "\u0085", "b"));
  EXPECT_THAT(pieces_of("!\uFEFF\u001c!"), ElementsAre("!\uFEFF\u001c!"));
  EXPECT_THAT(pieces_of("한국어는 3가지"), ElementsAre("한국어는", " 3", "가지"));
  EXPECT_THAT(pieces_of("e\u0301\u00bd"), ElementsAre("e", "\u0301", "\u00bd"));  // a mark is neither letter nor number
}

TEST(BPETokenizer, HasTheSameTokensWithAnyNumberOfThreads) {
  const BPETokenizer tokenizer = small();
  std::string text;
  while (text.size() < 900'000) text += some_text();
  text += std::string(300'000, 'a') + std::string(200'000, ' ') + "가\n" + std::string(300'000, '\n') + "the end";
  Tokens expected;
  for (const std::string& piece : pieces_of(text)) tokenizer.encode(piece, "piece", expected);
  for (const int threads : {1, 2, 3, 8}) {
    const gradus::testing::WithThreads guard(threads);
    EXPECT_EQ(tokenizer.encode(text), expected);
  }
  EXPECT_EQ(tokenizer.decode(expected), text);
  double last = 0;
  Tokens again;
  tokenizer.encode(text, "text", again, [&](double done) {
    EXPECT_GE(done, last);
    last = done;
  });
  EXPECT_GT(last, 0.5);
  EXPECT_EQ(again, expected);
}

// All merges that are possible are looked at for every single one.
Tokens merged_slowly(const json& merges, const std::map<std::string, std::int32_t>& vocab, const std::string& piece) {
  std::vector<std::string> parts;
  for (const char c : piece) parts.push_back(detail::spelled(std::string(1, c)));
  for (bool again = true; again;) {
    again = false;
    for (const std::string merge : merges) {
      for (std::size_t i = 0; !again && i + 1 < parts.size(); ++i) {
        if (parts[i] + " " + parts[i + 1] != merge) continue;
        parts[i] += parts[i + 1];
        parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        again = true;
      }
      if (again) break;
    }
  }
  Tokens tokens;
  for (const std::string& part : parts) tokens.push_back(vocab.at(part));
  return tokens;
}

TEST(BPETokenizer, MergesShortAndLongPiecesInTheOrderOfTheMerges) {
  std::mt19937 random(1);
  std::string letters;
  for (int i = 0; i < 3000; ++i) letters += i % 50 == 49 ? ' ' : "aab"[random() % 3];
  const BPETokenizer tokenizer = BPETokenizer::train(letters, 330);
  const json file = json::parse(tokenizer.to_json());
  const std::map<std::string, std::int32_t> vocab = file["model"]["vocab"];
  const json& merges = file["model"]["merges"];
  ASSERT_GT(merges.size(), 40U);
  for (const std::size_t size : {1, 2, 3, 20, 63, 64, 65, 66, 130, 400}) {
    for (int i = 0; i < 6; ++i) {
      std::string piece;
      while (piece.size() < size) piece += i == 0 ? 'a' : "aab"[random() % 3];
      const Tokens expected = merged_slowly(merges, vocab, piece);
      EXPECT_EQ(tokenizer.encode(piece), expected) << piece;
      EXPECT_EQ(tokenizer.encode(piece), expected) << piece;  // from the cache
    }
  }
  const std::string long_one(3'000'000, 'a');  // quadratic work would take hours
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(long_one)), long_one);
}

TEST(BPETokenizer, ForgetsPiecesButNotTheirTokens) {
  const BPETokenizer tokenizer = small(), fresh = small();
  std::string many;
  for (int i = 0; i < 200'000; ++i) many += fmt::format("w{:x}q ", i * 2654435761U);
  const Tokens tokens = tokenizer.encode(many);
  EXPECT_EQ(tokenizer.encode(many), tokens);
  EXPECT_EQ(fresh.encode(many), tokens);
  EXPECT_EQ(tokenizer.decode(tokens), many);
}

// What training should do, by the words of its documentation.
json merges_slowly(const std::vector<std::string>& texts, std::size_t merges) {
  std::vector<Tokens> pieces;
  std::vector<std::string> tokens;
  std::map<unsigned char, std::int32_t> byte_tokens;
  for (const unsigned char byte : detail::bytes_in_order()) {
    byte_tokens[byte] = static_cast<std::int32_t>(tokens.size());
    tokens.push_back(detail::spelled(std::string(1, static_cast<char>(byte))));
  }
  for (const std::string& text : texts) {
    for (const std::string& piece : pieces_of(text)) {
      pieces.emplace_back();
      for (const char c : piece) pieces.back().push_back(byte_tokens[static_cast<unsigned char>(c)]);
    }
  }
  json learned = json::array();
  while (learned.size() < merges) {
    std::map<std::pair<std::int32_t, std::int32_t>, int> counts;
    for (const Tokens& piece : pieces) {
      for (std::size_t i = 0; i + 1 < piece.size(); ++i) ++counts[{piece[i], piece[i + 1]}];
    }
    // The first of those that occur most often: std::map has them in the order of left and right.
    const auto most = std::ranges::max_element(counts, {}, [](const auto& entry) { return entry.second; });
    if (most == counts.end() || most->second < 2) break;
    const auto [left, right] = most->first;
    const auto result = static_cast<std::int32_t>(tokens.size());
    learned.push_back(tokens[static_cast<std::size_t>(left)] + " " + tokens[static_cast<std::size_t>(right)]);
    tokens.push_back(tokens[static_cast<std::size_t>(left)] + tokens[static_cast<std::size_t>(right)]);
    for (Tokens& piece : pieces) {
      for (std::size_t i = 0; i + 1 < piece.size(); ++i) {
        if (piece[i] != left || piece[i + 1] != right) continue;
        piece[i] = result;
        piece.erase(piece.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      }
    }
  }
  return learned;
}

TEST(BPETokenizer, LearnsWhatASlowTrainerLearns) {
  std::mt19937 random(2);
  std::string letters, alike(200, 'a');
  for (int i = 0; i < 2000; ++i) letters += "aaab '\n"[random() % 7];
  for (const std::string& text :
       {some_text().substr(0, 6000), letters, alike, std::string("ab ab"), std::string("x")}) {
    const std::string valid = text.substr(0, text.rfind('\n') == std::string::npos ? text.size() : text.rfind('\n'));
    const BPETokenizer learned = BPETokenizer::train(valid, 256 + 150);
    const json file = json::parse(learned.to_json());
    EXPECT_EQ(file["model"]["merges"], merges_slowly({valid}, 150));
    EXPECT_EQ(learned.vocab_size(), 256 + std::ssize(file["model"]["merges"]));
    EXPECT_FALSE(learned.has_boundary());
  }
  const std::vector<std::string> documents{"anna", "hannah", "an", "banana", "anna"};
  const BPETokenizer learned = BPETokenizer::train(documents, 260);
  EXPECT_EQ(json::parse(learned.to_json())["model"]["merges"], merges_slowly(documents, 3));
  EXPECT_EQ(learned.boundary(), learned.vocab_size() - 1);
  EXPECT_EQ(learned.vocab_size(), 260);
  EXPECT_EQ(learned.decode(Tokens{learned.boundary()}), "\n");
  EXPECT_EQ(learned.decode(learned.encode("hannah")), "hannah");
  EXPECT_THAT(error_of([] { BPETokenizer::train("abc", 255); }), HasSubstr("at least 256, the 256 bytes"));
  EXPECT_THAT(error_of([&] { BPETokenizer::train(documents, 256); }), HasSubstr("257, the 256 bytes and the boundary"));
  EXPECT_THAT(error_of([] { BPETokenizer::train("a\xFF", 300); }), HasSubstr("0xff at offset 1"));
}

TEST(BPETokenizer, TakesSpecialTokensAsTextUnlessAsked) {
  const BPETokenizer tokenizer = small().with_boundary(true);
  const std::string text = "a<|endoftext|>b <|endoftext|>";
  const Tokens plain = tokenizer.encode(text);
  EXPECT_EQ(std::ranges::count(plain, tokenizer.boundary()), 0);
  EXPECT_EQ(tokenizer.decode(plain), text);
  const Tokens special = tokenizer.encode_with_special(text);
  Tokens expected = tokenizer.encode("a");
  expected.push_back(tokenizer.boundary());
  tokenizer.encode("b ", "text", expected);
  expected.push_back(tokenizer.boundary());
  EXPECT_EQ(special, expected);
  EXPECT_EQ(tokenizer.decode(special), "a\nb \n");
  EXPECT_EQ(tokenizer.with_boundary(false).decode(special), text);
  EXPECT_EQ(tokenizer.with_boundary(false).encode_with_special(text), special);
  EXPECT_FALSE(tokenizer.with_boundary(false).has_boundary());
  EXPECT_EQ(tokenizer.with_boundary(false).with_boundary(true), tokenizer);
  EXPECT_THAT(tokenizer.special_tokens(), ElementsAre(tokenizer.boundary()));
  EXPECT_THAT(error_of([&] { tokenizer.decode(Tokens{401}); }), HasSubstr("token 401"));
  EXPECT_THAT(error_of([&] { tokenizer.encode_with_special("<|endoftext|>\xFF"); }), HasSubstr("offset 13"));

  json two = json::parse(tokenizer.to_json());
  two["added_tokens"].push_back(two["added_tokens"][0]);
  two["added_tokens"][1]["content"] = "<|endoftext|><|fim|>", two["added_tokens"][1]["id"] = 401;
  EXPECT_THAT(BPETokenizer::from_json(two.dump()).encode_with_special("<|endoftext|><|fim|><|endoftext|>"),
              ElementsAre(401, 400));
}

TEST(BPETokenizer, RefusesWhatIsNotUtf8) {
  const BPETokenizer tokenizer = small();
  EXPECT_EQ(tokenizer.encode("").size(), 0U);
  for (const char* bad : {"ok \xFF", "ok \xEA\xB0", "ok \xC0\x80", "ok \xED\xA0\x80", "ok \xF4\x90\x80\x80"}) {
    EXPECT_THAT(error_of([&] { tokenizer.encode(bad, "a.txt"); }), HasSubstr("a.txt: byte 0x"));
    EXPECT_THAT(error_of([&] { tokenizer.fit(bad, Unknown::skip); }), HasSubstr("at offset 3 (line 1)"));
  }
  const std::string far = some_text() + "\xFF";
  EXPECT_THAT(error_of([&] { tokenizer.encode(far); }), HasSubstr(fmt::format("offset {}", far.size() - 1)));
}

TEST(BPETokenizer, StreamsWholeCharacters) {
  const BPETokenizer tokenizer = small(300);  // most Korean characters are two or three tokens
  const std::string text = some_text().substr(0, some_text().find('\n', 2000));
  const Tokens tokens = tokenizer.encode(text);
  TextStream stream;
  std::string shown;
  int waited = 0;
  for (const std::int32_t token : tokens) {
    const std::string piece = stream.push(tokenizer.decode(std::span(&token, 1)));
    EXPECT_EQ(valid_utf8(piece), piece);
    EXPECT_EQ(piece.find("\uFFFD"), std::string::npos);
    waited += piece.empty() ? 1 : 0;
    shown += piece;
  }
  EXPECT_EQ(shown + stream.finish(), text);
  EXPECT_GT(waited, 40);
}

TEST(BPETokenizer, IsAnyTokenizer) {
  const BPETokenizer plain = small(), documents = plain.with_boundary(true), without = documents.with_boundary(false);
  const TempFolder folder;
  for (const BPETokenizer& one : {plain, documents, without}) {
    const AnyTokenizer any = one;
    any.save(folder / "tokenizer.json");
    for (const std::filesystem::path& path : {folder.path(), folder / "tokenizer.json"}) {
      const AnyTokenizer loaded = AnyTokenizer::load(path);
      EXPECT_EQ(loaded, one);
      EXPECT_EQ(loaded.boundary_token(), one.boundary_token());
      ASSERT_NE(loaded.as<BPETokenizer>(), nullptr);
      EXPECT_EQ(loaded.encode(some_text()), one.encode(some_text()));
    }
    write(folder / "other.json", any.to_json());
    EXPECT_EQ(AnyTokenizer::load(folder / "other.json"), one);
  }
  EXPECT_NE(documents.to_json(), without.to_json());
  EXPECT_EQ(documents.vocab_size(), without.vocab_size());
  // It leaves a text as it is.
  const std::string text = "e\u0301\r\n\uFEFFx";
  EXPECT_EQ(plain.normalize(text), text);
  EXPECT_EQ(plain.fit(text, Unknown::refuse).text, text);
  EXPECT_EQ(plain.decode(plain.encode(text)), text);
  write(folder / "bytes.json", ByteTokenizer(true).to_json());
  EXPECT_EQ(AnyTokenizer::load(folder / "bytes.json"), ByteTokenizer(true));
}

}  // namespace
}  // namespace gradus::models
