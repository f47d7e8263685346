// Text in and out: UTF-8, composition, characters and their errors.
#include <gradus/models/text.h>
#include <gradus/models/tokenizer.h>

#include "helpers.h"

namespace gradus::models {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::TempFolder;

const std::string composed = "\xED\x95\x9C";                                  // U+D55C, the syllable han
const std::string decomposed = "\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB";        // the same as U+1112 U+1161 U+11AB
const std::string with_accent = "\xC3\xA9", letter_and_accent = "e\xCC\x81";  // U+00E9, and U+0065 U+0301

TEST(Tokenizer, SortsCharactersByCodePoint) {
  const auto tokenizer = CharTokenizer::from_text("hello, " + composed);
  EXPECT_EQ(tokenizer.characters(), U" ,ehlo\xD55C");
  EXPECT_EQ(tokenizer.vocab_size(), 7);
  EXPECT_THAT(tokenizer.encode("hole"), ElementsAre(3, 5, 4, 2));
}

TEST(Tokenizer, RoundTrip) {
  for (const std::string& text : {std::string("a"), "Hello, World!\n" + composed + with_accent + "\xF0\x9F\x98\x80"}) {
    const auto tokenizer = CharTokenizer::from_text(text);
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
  EXPECT_TRUE(CharTokenizer::from_text("a").encode("").empty());
}

TEST(Tokenizer, ComposedAndDecomposedAgree) {
  const auto from_composed = CharTokenizer::from_text(composed + with_accent);
  EXPECT_EQ(from_composed, CharTokenizer::from_text(decomposed + letter_and_accent));
  EXPECT_EQ(from_composed.vocab_size(), 2);
  EXPECT_EQ(from_composed.encode(decomposed), from_composed.encode(composed));
  EXPECT_EQ(from_composed.decode(from_composed.encode(decomposed)), composed);
}

TEST(Tokenizer, BoundaryComesAfterTheCharacters) {
  const std::vector<std::string> documents{"ba", "cab"};
  const auto tokenizer = CharTokenizer::from_documents(documents);
  EXPECT_EQ(tokenizer.vocab_size(), 4);
  EXPECT_EQ(tokenizer.boundary(), 3);
  const std::vector<std::int32_t> tokens{3, 0, 1, 3};
  EXPECT_EQ(tokenizer.decode(tokens), "\nab\n");
  const auto plain = CharTokenizer::from_text("ab");
  EXPECT_THAT(error_of([&] { plain.boundary(); }), HasSubstr("no boundary"));
}

TEST(Tokenizer, UnseenCharacterIsShown) {
  const auto tokenizer = CharTokenizer::from_text("abc");
  EXPECT_THAT(error_of([&] { tokenizer.encode("ab" + with_accent, "prompt"); }),
              AllOf(HasSubstr("prompt: character 3"), HasSubstr("'" + with_accent + "' (U+00E9)"), HasSubstr("abc")));
  EXPECT_THAT(error_of([&] { tokenizer.encode("a\x1b"); }),
              AllOf(HasSubstr("U+001B"), ::testing::Not(HasSubstr("\x1b"))));
  const std::vector<std::int32_t> outside{0, 3};
  EXPECT_THAT(error_of([&] { tokenizer.decode(outside); }), HasSubstr("token 3"));
}

TEST(Text, InvalidUtf8IsLocated) {
  EXPECT_THAT(error_of([] { decode_utf8("ab\ncd\xFF", "f.txt"); }),
              AllOf(HasSubstr("f.txt"), HasSubstr("0xff"), HasSubstr("offset 5"), HasSubstr("line 2")));
  for (const char* wrong : {"\xC0\xAF", "\xED\xA0\x80", "\xE1\x84", "\x80", "\xF4\x90\x80\x80"}) {
    EXPECT_NE(error_of([&] { decode_utf8(wrong); }), "") << wrong;
  }
}

TEST(Text, LinesAreStrippedAndEmptyOnesSkipped) {
  EXPECT_THAT(split_documents("\xEF\xBB\xBF  anna \r\n\r\n\t\nb c\n\xE3\x80\x80" + composed),
              ElementsAre("anna", "b c", composed));
  EXPECT_THAT(error_of([] { split_documents(" \n\t\n", "f.txt"); }), HasSubstr("f.txt"));
  EXPECT_EQ(normalize_text("a\r\nb\rc\r\n"), "a\nb\rc\n");
}

TEST(Text, ByteOrderMarksAreDropped) {
  const std::string mark = "\xEF\xBB\xBF";
  EXPECT_EQ(decode_utf8(mark + mark + "a" + mark + "\nb" + mark), U"a\nb");
  EXPECT_EQ(decode_utf8("e" + mark + "\xCC\x81"), decode_utf8(with_accent));
  EXPECT_THAT(split_documents("anna\n" + mark + "bob\n" + mark + "\n"), ElementsAre("anna", "bob"));
  // What a text in two parts, one file behind the other, once made: a tokenizer.json that could not be read.
  const auto tokenizer = CharTokenizer::from_text(mark + "ab\n" + mark + "cd\n");
  EXPECT_EQ(CharTokenizer::from_json(tokenizer.to_json()), tokenizer);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(mark + mark + "dab")), "dab");
}

TEST(Text, FilesThatCannotBeRead) {
  const TempFolder folder;
  EXPECT_THAT(error_of([&] { read_text(folder / "none.txt"); }),
              AllOf(HasSubstr("none.txt"), HasSubstr("No such file")));
  EXPECT_THAT(error_of([&] { read_text(folder.path()); }), HasSubstr("folder"));
  testing::write(folder / "empty.txt", "");
  EXPECT_THAT(error_of([&] { read_text(folder / "empty.txt"); }), HasSubstr("empty"));
  testing::write(folder / "good.txt", "x\r\ny\n");
  EXPECT_EQ(read_text(folder / "good.txt"), "x\ny\n");
  EXPECT_THAT(read_documents(folder / "good.txt"), ElementsAre("x", "y"));
}

TEST(Tokenizer, SavesAndLoads) {
  const TempFolder folder;
  const std::vector<std::string> documents{"a\"\\", composed, std::string("\0\x1b", 2), "\xE1\x84\x92", "\xE1\x85\xA1"};
  for (const bool boundary : {false, true}) {
    std::u32string characters;
    for (const auto& document : documents) characters += decode_utf8(document);
    const CharTokenizer tokenizer(characters, boundary);
    tokenizer.save(folder / "tokenizer.json");
    EXPECT_EQ(CharTokenizer::load(folder / "tokenizer.json"), tokenizer);
  }
}

TEST(Tokenizer, DamagedFilesAreNamed) {
  const std::string good = CharTokenizer::from_text("abc").to_json();
  ASSERT_NO_THROW(CharTokenizer::from_json(good));
  const auto change = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  for (const std::string& bad :
       {good.substr(0, good.size() / 2), std::string("[]"), std::string(), change("characters\":[", "letters\":["),
        change("\"b\"", "\"a\""), change("\"b\"", "\"bb\""), change("\"b\"", "\"\""), change("\"b\"", "7"),
        change("false", "1"), change("NFC", "NFD"), change("{", "{\"more\":1,"), change("[\"a\",\"b\",\"c\"]", "[]")}) {
    EXPECT_THAT(error_of([&] { CharTokenizer::from_json(bad, "t.json"); }), HasSubstr("t.json")) << bad;
  }
  constexpr std::size_t deep = 1'000'000;
  const std::string nested = change("\"b\"", std::string(deep, '[') + std::string(deep, ']'));
  EXPECT_THAT(error_of([&] { CharTokenizer::from_json(nested, "t.json"); }), HasSubstr("t.json"));
}

}  // namespace
}  // namespace gradus::models
