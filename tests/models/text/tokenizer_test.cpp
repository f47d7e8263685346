// Text in and out: UTF-8, composition, characters and their errors.
#include <gradus/models/text/char_tokenizer.h>
#include <gradus/models/text/text.h>

#include <gradus/core/runtime/random.h>

#include "../helpers.h"

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

// Large texts are composed where a table says that something may change, small ones always.
TEST(Text, LargeTextsAreComposedAsSmallOnes) {
  Generator random(3);
  const std::vector<std::u32string> kinds{
      U"ab \n",
      U"e\u0301\u0323a\u0300\u0327",                        // accents in any order
      U"\u1112\u1161\u11ab\ud55c\uac00\u11a8",              // jamo and syllables
      U"\u0915\u093c\u094d\u0958\u0928\u093c",              // nukta, virama, an excluded composition
      U"\u05d0\u05b8\u05b0\u064e\u064b\u0651",              // points that join nothing but have an order
      U"\u2126\u212b\u0344\u0374\u1e9b\u0323\u3099\u304b",  // singletons, and kana with a mark
      U"\u09c7\u09be\u0b47\u0b3e\u1025\u102e\U0001d15e\ufb1d"};
  // So far apart that no piece is composed because of another one.
  const std::u32string filler(5000, U'0');  // which joins nothing
  std::u32string characters;
  std::string composed_by_piece;
  const auto add = [&](const std::u32string& piece) {
    characters += filler + piece;
    composed_by_piece += encode_utf8(filler) + encode_utf8(decode_utf8(encode_utf8(piece)));
  };
  for (int i = 0; i < 300; ++i) {
    const std::u32string& kind = kinds[static_cast<std::size_t>(random.below(std::ssize(kinds)))];
    std::u32string piece;
    for (Index k = random.below(8); k >= 0; --k)
      piece += kind[static_cast<std::size_t>(random.below(std::ssize(kind)))];
    add(piece);
  }
  for (char32_t c = 0x300; c < 0x110000; ++c) {
    if (c == 0xD800) c = 0xE000;
    if (c != 0xFEFF && decode_utf8(encode_utf8({&c, 1})) != std::u32string(1, c)) add({c});
  }
  EXPECT_TRUE(encode_utf8(decode_utf8(encode_utf8(characters))) == composed_by_piece);  // too long to be printed
}

TEST(Text, ProgressIsToldAndWhatItThrowsEndsTheWork) {
  const std::string text(2'000'000, 'a');
  double last = -1;
  normalize_text(text, "text", [&](double done) {
    EXPECT_GT(done, last);
    last = done;
  });
  EXPECT_GT(last, 0.5);
  EXPECT_THROW(split_documents(text, "text", {.progress = [](double) { throw 1; }}), int);
}

TEST(Text, SpaceIsKeptWhereSaid) {
  Index trimmed = 0;
  EXPECT_THAT(split_documents(" a \r\n\tb\n \nc", "text", {}, &trimmed), ElementsAre("a", "b", "c"));
  EXPECT_EQ(trimmed, 2);
  EXPECT_THAT(split_documents(" a \r\n\tb\n \nc", "text", {.keep_space = true}), ElementsAre(" a ", "\tb", "c"));
  EXPECT_EQ(without_leading_space("\xE3\x80\x80 a "), "a ");
}

TEST(Tokenizer, FitsATextToWhatItKnows) {
  const auto tokenizer = CharTokenizer::from_text("abc ");
  const Fitted skipped = tokenizer.fit("a\xC3\xA9zbz", Unknown::skip);
  EXPECT_EQ(skipped.text, "ab");
  EXPECT_EQ(skipped.changed, 3);
  EXPECT_EQ(skipped.unknown, U"z\xE9");
  EXPECT_EQ(tokenizer.fit("azb", Unknown::replace).text, "a b");
  EXPECT_EQ(CharTokenizer::from_text("ab ?").fit("azb", Unknown::replace).text, "a?b");
  EXPECT_THAT(error_of([] { CharTokenizer::from_text("ab").fit("z", Unknown::replace); }), HasSubstr("skip"));
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
