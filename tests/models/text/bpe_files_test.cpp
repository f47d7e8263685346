// The files of byte-level BPE: each kind comes back, other kinds are refused by the field that tells, and whatever is
// damaged is an error of one sentence.
#include <gradus/models/text/bpe_tokenizer.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <random>

#include <gradus/models/text/any_tokenizer.h>
#include <gradus/models/text/detail/bpe_files.h>
#include <gradus/models/text/detail/byte_symbols.h>

#include "../helpers.h"

namespace gradus::models {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_if_any;
using testing::error_of;
using ::testing::HasSubstr;
using testing::read;
using testing::TempFolder;
using testing::write;

const char* const text =
    "the cat that sat on the mat; the 고양이가 고양이 위에 앉았다. it's 2024!\n\n  'tis the cat's\n";

BPETokenizer small() {
  return BPETokenizer::train(text, 270).with_boundary(true);
}

std::string base64(std::string_view bytes) {
  constexpr const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string result;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t j = i; j < i + 3; ++j)
      bits = bits << 8 | (j < bytes.size() ? static_cast<unsigned char>(bytes[j]) : 0);
    for (std::size_t j = 0; j < 4; ++j)
      result += j <= std::min(bytes.size() - i, std::size_t{3}) ? digits[bits >> (18 - 6 * j) & 63] : '=';
  }
  return result;
}

// As tiktoken's files have it, without special tokens.
std::string ranks_of(const BPETokenizer& tokenizer) {
  std::string ranks;
  for (std::int32_t token = 0; token + 1 < tokenizer.vocab_size(); ++token) {
    ranks += fmt::format("{} {}\n", base64(tokenizer.decode(std::span(&token, 1))), token);
  }
  return ranks;
}

TEST(BPEFiles, ComeBackInEveryKind) {
  const BPETokenizer tokenizer = small();
  const TempFolder all, pair, old_pair, ranks;
  tokenizer.save_files(all / "deeper/still");
  const std::filesystem::path saved = all / "deeper/still";
  for (const char* file : {"tokenizer.json", "vocab.json", "merges.txt"}) {
    EXPECT_EQ(BPETokenizer::load(saved / file), tokenizer) << file;
  }
  EXPECT_EQ(BPETokenizer::load(saved), tokenizer);
  EXPECT_EQ(BPETokenizer::from_json(read(saved / "tokenizer.json")), tokenizer);
  EXPECT_TRUE(read(saved / "merges.txt").starts_with("#version: 0.2\n"));
  const json vocab = json::parse(read(saved / "vocab.json"));
  EXPECT_EQ(vocab["!"], 0);
  EXPECT_EQ(vocab["\u0120"], 220);
  EXPECT_EQ(vocab["<|endoftext|>"], 270);

  write(old_pair / "encoder.json", read(saved / "vocab.json"));
  write(old_pair / "vocab.bpe", read(saved / "merges.txt"));
  for (const char* file : {"", "encoder.json", "vocab.bpe"}) EXPECT_EQ(BPETokenizer::load(old_pair / file), tokenizer);
  // Without the line of the version, and with the ends of lines of other systems.
  std::string merges = read(saved / "merges.txt");
  merges.erase(0, merges.find('\n') + 1);
  write(pair / "vocab.json", read(saved / "vocab.json"));
  write(pair / "merges.txt", merges);
  EXPECT_EQ(BPETokenizer::load(pair.path()), tokenizer);
  std::string with_returns;
  for (const char c : "#version: 0.2\n" + merges) with_returns += c == '\n' ? std::string("\r\n") : std::string(1, c);
  write(pair / "merges.txt", with_returns);
  EXPECT_EQ(BPETokenizer::load(pair / "merges.txt"), tokenizer);

  write(ranks / "small.tiktoken", ranks_of(tokenizer));
  EXPECT_EQ(BPETokenizer::load(ranks.path()), tokenizer);
  write(ranks / "small", ranks_of(tokenizer));
  EXPECT_EQ(BPETokenizer::load(ranks / "small"), tokenizer);
}

TEST(BPEFiles, MayHaveAsManyTokensAsGPT2) {
  constexpr int count = 50'257;
  std::vector<std::string> tokens(256);  // the bytes, and then words, each longer than another by a letter
  for (std::size_t byte = 0; byte < 256; ++byte) tokens[byte] = std::string(1, static_cast<char>(byte));
  const auto add_longer = [&](std::size_t first, std::size_t end) {
    for (std::size_t i = first; i < end; ++i) {
      for (char letter = 'a'; letter <= 'z' && tokens.size() < count; ++letter) tokens.push_back(tokens[i] + letter);
    }
    return tokens.size();
  };
  const std::size_t pairs = add_longer('a', 'z' + 1), triples = add_longer(256, pairs);
  add_longer(pairs, triples);
  std::string ranks;
  for (std::size_t i = 0; i < tokens.size(); ++i) ranks += fmt::format("{} {}\n", base64(tokens[i]), i);
  const TempFolder folder;
  write(folder / "r50k_base.tiktoken", ranks);
  const BPETokenizer tokenizer = BPETokenizer::load(folder / "r50k_base.tiktoken");
  const AnyTokenizer back = AnyTokenizer::from_json(tokenizer.to_json());
  EXPECT_EQ(back.vocab_size(), tokenizer.vocab_size());
  EXPECT_EQ(back.encode(text), tokenizer.encode(text));
}

TEST(BPEFiles, OfRanksMayLeaveANumberFree) {
  std::string ranks = ranks_of(small());
  const std::string last = ranks.substr(ranks.rfind('\n', ranks.size() - 2) + 1);
  ranks.replace(ranks.size() - last.size(), last.size(), last.substr(0, last.find(' ')) + " 270\n");
  const TempFolder folder;
  write(folder / "r.tiktoken", ranks);
  const BPETokenizer tokenizer = BPETokenizer::load(folder / "r.tiktoken");
  EXPECT_EQ(tokenizer.vocab_size(), 271);
  EXPECT_EQ(tokenizer.boundary(), 269);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
}

// Newer versions write pairs; files of old ones do not name the model's type.
TEST(BPEFiles, OfOtherVersionsAreRead) {
  const BPETokenizer tokenizer = small();
  json file = json::parse(tokenizer.to_json());
  for (json& merge : file["model"]["merges"]) {
    const std::string both = merge;
    merge = {both.substr(0, both.find(' ')), both.substr(both.find(' ') + 1)};
  }
  file["model"]["byte_fallback"] = false, file["model"]["ignore_merges"] = false;
  file["model"]["continuing_subword_prefix"] = "", file["model"]["end_of_word_suffix"] = "";
  file["model"].erase("type");
  file["post_processor"] = {{"type", "ByteLevel"}};
  file["truncation"] = {{"max_length", 5}};
  file["decoder"] = nullptr;
  EXPECT_EQ(BPETokenizer::from_json(file.dump(1)), tokenizer);
  file["model"]["vocab"].erase("<|endoftext|>");  // then the list of added tokens has its number
  EXPECT_EQ(AnyTokenizer::from_json(file.dump()), tokenizer);
}

TEST(BPEFiles, OfOtherKindsAreRefusedByName) {
  const json good = json::parse(small().to_json());
  const auto refused = [&](const char* pointer, const json& value) {
    json file = good;
    file[json::json_pointer(pointer)] = value;
    return error_of([&] { BPETokenizer::from_json(file.dump(), "t.json"); });
  };
  const std::vector<std::tuple<const char*, json, const char*>> cases{
      {"/model/type", "WordPiece", R"("type" of "model" is "WordPiece")"},
      {"/model/type", "Unigram", R"("type" of "model" is "Unigram")"},
      {"/model/byte_fallback", true, R"("byte_fallback" of "model" is true)"},
      {"/model/ignore_merges", true, R"("ignore_merges" of "model" is true)"},
      {"/model/dropout", 0.1, R"("dropout" of "model" is 0.1)"},
      {"/model/end_of_word_suffix", "</w>", R"("end_of_word_suffix" of "model" is "</w>")"},
      {"/model/continuing_subword_prefix", "##", R"("continuing_subword_prefix" of "model" is "##")"},
      {"/normalizer", {{"type", "NFC"}}, R"("normalizer" is "NFC")"},
      {"/pre_tokenizer", nullptr, R"("pre_tokenizer" is missing)"},
      {"/pre_tokenizer", {{"type", "Metaspace"}}, R"("pre_tokenizer" is "Metaspace")"},
      {"/pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", json::array()}}, R"("pre_tokenizer" is "Sequence")"},
      {"/pre_tokenizer/add_prefix_space", true, R"("add_prefix_space" of "pre_tokenizer" is true)"},
      {"/pre_tokenizer/use_regex", false, R"("use_regex" of "pre_tokenizer" is false)"},
      {"/decoder", {{"type", "WordPiece"}}, R"("decoder" is "WordPiece")"},
      {"/added_tokens/0/special", false, R"(<|endoftext|>" is not "special")"},
      {"/added_tokens/0/lstrip", true, R"("lstrip" of the added token "<|endoftext|>" is true)"},
      {"/added_tokens/0/id", 5, R"("<|endoftext|>" has two numbers, 270 and 5)"},
      {"/added_tokens/0/content", "", R"("content" "")"},
      {"/added_tokens", 1, R"("added_tokens" is 1)"},
      {"/added_tokens/0", 1, R"("added_tokens" has 1)"},
      {"/model", 1, R"("model" is missing)"},
      {"/model/merges", 1, R"("merges" of "model" is no list)"},
      {"/model/merges/0", 7, "merge 1 is 7; a merge is two texts"},
      {"/model/merges/0", "a b c", R"(merge 1 is "a b c")"},
      {"/model/merges/1", good["model"]["merges"][0], "merge 2 is merge 1 again"},
      {"/model/merges/0", "x y", R"(needs the token "xy", which the vocabulary has not)"},
      {"/model/merges/0", "< |endoftext|>", R"(needs the token "|endoftext|>")"},
      {"/model/vocab/!", 1, "two tokens have the number 1"},
      {"/model/vocab/!", -1, R"(the token "!" has the number -1; a vocabulary of 271)"},
      {"/model/vocab/!", 1.5, "has the number 1.5"},
      {"/model/vocab/!", 271, "has the number 271"},
      {"/model/vocab/!", "0", R"(has the number "0")"},
      {"/model/vocab/!", json::array({0}), "has the number of no kind"},
      {"/model/vocab", json::object(), "a vocabulary of 1 has the numbers 0 to 0"},
      {"/model/vocab", nullptr, "a vocabulary of 1 has the numbers 0 to 0"},
  };
  for (const auto& [pointer, value, told] : cases) {
    EXPECT_THAT(refused(pointer, value), AllOf(HasSubstr("t.json: "), HasSubstr(told))) << pointer << " " << value;
  }
  const auto with_vocab = [&](const char* from, const char* to) {
    json file = good;
    file["model"]["vocab"][to] = file["model"]["vocab"][from];
    file["model"]["vocab"].erase(from);
    return error_of([&] { BPETokenizer::from_json(file.dump(), "t.json"); });
  };
  EXPECT_THAT(with_vocab("!", "\u2581"), HasSubstr("a character that stands for no byte"));
  EXPECT_THAT(with_vocab("!", ""), HasSubstr("token 0 is empty"));
  EXPECT_THAT(with_vocab("<|endoftext|>", "t "), HasSubstr("two tokens have the number 270"));
  // A merge of what nothing makes; a special token that a merge makes.
  json file = good;
  file["model"]["merges"].erase(0);
  EXPECT_THAT(error_of([&] { BPETokenizer::from_json(file.dump()); }),
              HasSubstr("which is no byte and which no merge"));
  file = good;
  file["added_tokens"][0]["content"] = "\u0120the", file["added_tokens"][0]["id"] = good["model"]["vocab"]["\u0120the"];
  EXPECT_THAT(error_of([&] { BPETokenizer::from_json(file.dump()); }), HasSubstr("is about a special token"));
  EXPECT_THAT(error_of([&] { BPETokenizer::from_json("{\"model\": {\"vocab\": {\"a\": 0, \"a\": 1}}}"); }),
              HasSubstr("a second field \"a\""));
  EXPECT_THAT(error_of([&] { AnyTokenizer::from_json(R"({"model": {"type": "WordPiece"}})"); }),
              HasSubstr("WordPiece"));
}

TEST(BPEFiles, OfRanksThatAreDamagedAreRefused) {
  const std::string good = ranks_of(small());
  const auto refused = [](const std::string& ranks) {
    return error_of([&] { detail::from_tiktoken(ranks, "r.tiktoken"); });
  };
  const std::string first = good.substr(0, good.find('\n') + 1);
  EXPECT_THAT(refused(""), HasSubstr("it has no tokens"));
  EXPECT_THAT(refused("IQ==\n"), HasSubstr("line 1 is \"IQ==\""));
  EXPECT_THAT(refused("I! 0\n"), HasSubstr("line 1 is "));
  EXPECT_THAT(refused("IQ== x\n"), HasSubstr("line 1 is "));
  EXPECT_THAT(refused("IQ== -1\n"), HasSubstr("line 1 is "));
  EXPECT_THAT(refused("IQ== 99999999999999999999999\n"), HasSubstr("line 1 is "));
  EXPECT_THAT(refused("==== 0\n"), HasSubstr("token"));
  EXPECT_THAT(refused(good + "AAAA 1000000000000\n"), HasSubstr("a token has the number 1000000000000"));
  EXPECT_THAT(refused(good + first), HasSubstr("two tokens have the number 0"));
  EXPECT_THAT(refused(good.substr(first.size())), HasSubstr("not every byte has a token"));
  EXPECT_THAT(refused(good + base64("zqzq") + " 270\n"), HasSubstr("is not made of two earlier ones"));
  EXPECT_THAT(refused(good + base64("a1") + " 270\n"), HasSubstr("GPT-2's pattern cuts"));
  EXPECT_THAT(refused(good + base64(")\n") + " 270\n"), HasSubstr("the file is for another pattern"));
}

TEST(BPEFiles, ThatBelongTogetherMustBeThere) {
  const TempFolder folder;
  small().save_files(folder / "whole");
  const auto loaded = [&](const char* name) { return error_of([&] { BPETokenizer::load(folder / name); }); };
  EXPECT_THAT(loaded(""), HasSubstr("has no tokenizer in it: no tokenizer.json, no vocab.json"));
  EXPECT_THAT(loaded("none"), HasSubstr("cannot read"));
  write(folder / "vocab.json", read(folder / "whole/vocab.json"));
  EXPECT_THAT(loaded(""), HasSubstr("no merges.txt or vocab.bpe with its merges"));
  EXPECT_THAT(loaded("vocab.json"), HasSubstr("no merges.txt"));
  std::filesystem::remove(folder / "vocab.json");
  write(folder / "merges.txt", read(folder / "whole/merges.txt"));
  EXPECT_THAT(loaded("merges.txt"), HasSubstr("no vocab.json or encoder.json with their tokens"));
  write(folder / "vocab.json", "{\"a\": 0}");
  EXPECT_THAT(loaded(""), HasSubstr("which the vocabulary has not; take the files of one tokenizer"));
  write(folder / "merges.txt", "#version: 0.2\nab\n");
  EXPECT_THAT(loaded(""), HasSubstr("line 2 is \"ab\""));
  std::filesystem::remove(folder / "vocab.json");
  std::filesystem::remove(folder / "merges.txt");
  write(folder / "a.tiktoken", "IQ== 0\n");
  write(folder / "b.tiktoken", "IQ== 0\n");
  EXPECT_THAT(loaded(""), HasSubstr("several .tiktoken files"));
  // CLIP's, whose tokens end words.
  write(folder / "vocab.json", R"({"a": 0, "b": 1, "b</w>": 2, "ab</w>": 3})");
  write(folder / "merges.txt", "a b</w>\n");
  EXPECT_THAT(loaded(""), HasSubstr("needs the token \"b</w>\", which is no byte and which no merge makes"));
  write(folder / "a.txt", std::string("PK\3\4") + std::string(100, '\0'));
  EXPECT_THAT(loaded("a.txt"), HasSubstr("archive"));
}

// Else text would get other tokens without a word.
TEST(BPEFiles, WithMergesCutOffAreRefused) {
  const TempFolder folder;
  small().save_files(folder.path());
  std::filesystem::create_directory(folder / "cut");
  const std::string vocab = read(folder / "vocab.json"), merges = read(folder / "merges.txt");
  for (std::size_t end = merges.find('\n') + 1; end < merges.size(); end = merges.find('\n', end) + 1) {
    write(folder / "cut/vocab.json", vocab);
    write(folder / "cut/merges.txt", merges.substr(0, end));
    EXPECT_THAT(error_of([&] { BPETokenizer::load(folder / "cut"); }),
                HasSubstr("of the 271 tokens are made by no merge"));
  }
  json file = json::parse(read(folder / "tokenizer.json"));
  file["model"]["merges"].erase(file["model"]["merges"].size() - 1);
  EXPECT_THAT(error_of([&] { BPETokenizer::from_json(file.dump()); }),
              HasSubstr("1 of the 271 tokens are made by no merge"));
  // Special ones are made by none.
  const detail::BPEFile special =
      detail::from_vocab_and_merges(R"({"a": 0, "<pad>": 1, "[SEP]": 2, "\u4e00\u4e00": 3})", "v", "", "m");
  EXPECT_THAT(special.vocabulary.special, ElementsAre(1, 2, 3));
}

TEST(BPEFiles, AreNamedInErrors) {
  const TempFolder folder;
  write(folder / "tokenizer.json", R"({"pre_tokenizer": {"type": "ByteLevel"},
    "model": {"vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b", "a b"]}})");
  EXPECT_THAT(error_of([&] { BPETokenizer::load(folder.path()); }), HasSubstr("tokenizer.json: merge 2 is merge 1"));
}

TEST(BPEFiles, WithoutAllBytesKnowSomeTexts) {
  json file = json::parse(small().to_json());
  file["added_tokens"] = json::array();
  file["model"]["vocab"] = {{"t", 0}, {"h", 1}, {"e", 2}, {"\u0120", 3}, {"th", 4}, {"the", 5}, {"?", 6}};
  file["model"]["merges"] = {"t h", "th e"};
  const BPETokenizer tokenizer = BPETokenizer::from_json(file.dump());
  EXPECT_THAT(tokenizer.encode("the het"), ElementsAre(5, 3, 1, 2, 0));
  EXPECT_THAT(error_of([&] { tokenizer.encode("the \u00e9", "a.txt"); }),
              HasSubstr("a.txt: character 5, '\u00e9', has a byte without a token"));
  const Fitted skipped = tokenizer.fit("th\u00e9x he", Unknown::skip);
  EXPECT_EQ(skipped.text, "th he");
  EXPECT_EQ(skipped.changed, 2);
  EXPECT_EQ(skipped.unknown, U"x\u00e9");
  EXPECT_EQ(tokenizer.fit("th\u00e9", Unknown::replace).text, "th?");
  file["model"]["unk_token"] = "the";
  EXPECT_THAT(error_of([&] { BPETokenizer::from_json(file.dump()); }),
              HasSubstr("\"unk_token\" of \"model\" is \"the\""));
}

// Cut anywhere, and with bytes changed anywhere: an Error, or a tokenizer that works.
TEST(BPEFiles, ThatAreDamagedAreErrors) {
  const BPETokenizer tokenizer = BPETokenizer::train(text, 262).with_boundary(true);
  const TempFolder folder;
  tokenizer.save_files(folder.path());
  write(folder / "r.tiktoken", ranks_of(tokenizer));
  const std::string vocab = read(folder / "vocab.json"), merges = read(folder / "merges.txt");
  const auto vocab_reader = [&](const std::string& bytes) {
    return detail::from_vocab_and_merges(bytes, "v", merges, "m");
  };
  const auto merges_reader = [&](const std::string& bytes) {
    return detail::from_vocab_and_merges(vocab, "v", bytes, "m");
  };
  const auto json_reader = [](const std::string& bytes) { return detail::from_tokenizer_json(bytes, "t"); };
  const auto ranks_reader = [](const std::string& bytes) { return detail::from_tiktoken(bytes, "r"); };
  const std::vector<std::pair<std::string, std::function<detail::BPEFile(const std::string&)>>> readers{
      {"vocab.json", vocab_reader},
      {"merges.txt", merges_reader},
      {"tokenizer.json", json_reader},
      {"r.tiktoken", ranks_reader}};
  std::mt19937 random(3);
  for (const auto& [file, reader] : readers) {
    const std::string good = read(folder / file);
    int errors = 0, fine = 0;
    const auto look_at = [&, &reader = reader](const std::string& bytes) {
      const std::string error = error_if_any([&] {
        detail::BPEFile found = reader(bytes);
        const BPETokenizer known = BPETokenizer::from_json(detail::tokenizer_json(found.vocabulary, found.boundary));
        const std::string fitted = known.fit("the cat", Unknown::skip).text;
        EXPECT_EQ(known.decode(known.encode(fitted)), fitted);
      });
      EXPECT_EQ(error.find('\n'), std::string::npos) << error;
      ++(error.empty() ? fine : errors);
    };
    for (std::size_t size = 0; size < good.size(); size += 1 + size / 40) look_at(good.substr(0, size));
    for (int i = 0; i < 300; ++i) {
      std::string bytes = good;
      for (int flips = 0; flips <= i % 3; ++flips) bytes[random() % bytes.size()] = static_cast<char>(random());
      look_at(bytes);
    }
    EXPECT_GT(errors, 100) << file;
  }
  std::string deep = "{\"model\": ";
  for (int i = 0; i < 100'000; ++i) deep += "[";
  EXPECT_THAT(error_of([&] { AnyTokenizer::from_json(deep); }), HasSubstr("nested deeper"));
  std::string many = "{\"added_tokens\": [";
  for (int i = 0; i < 100'000; ++i) many += "{},";
  EXPECT_THAT(error_of([&] { BPETokenizer::from_json(many + "{}]}"); }), HasSubstr("more than 20000 objects"));
}

}  // namespace
}  // namespace gradus::models
