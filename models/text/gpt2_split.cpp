// The pattern's alternatives one by one, in their order: contractions, then runs of one kind of character, which may
// begin with a space, then white space. A table tells the kinds of ASCII, utf8proc those of all others.
#include <gradus/models/text/detail/gpt2_split.h>

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include <gradus/models/text/detail/characters.h>

namespace gradus::models::detail {
namespace {

enum class Kind : std::uint8_t { letter, number, space, other };

struct Character {
  Kind kind;
  std::size_t length;  // in bytes
};

constexpr unsigned first_beyond_ascii = 0x80;

constexpr std::array<Kind, first_beyond_ascii> ascii_kinds = [] {
  std::array<Kind, first_beyond_ascii> kinds{};
  kinds.fill(Kind::other);
  for (unsigned c = 0; c < first_beyond_ascii; ++c) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) kinds[c] = Kind::letter;
    if (c >= '0' && c <= '9') kinds[c] = Kind::number;
    if (c == ' ' || (c >= '\t' && c <= '\r')) kinds[c] = Kind::space;
  }
  return kinds;
}();

Kind kind_of(char32_t c) {
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) return Kind::letter;
  if (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) return Kind::number;
  return is_space(c) ? Kind::space : Kind::other;
}

Character decode(const char* text) {
  const auto byte = [&](int i) { return static_cast<char32_t>(static_cast<unsigned char>(text[i])); };
  const auto low = [&](int i) { return byte(i) & 0x3F; };  // the six bits of a byte that continues a character
  const char32_t first = byte(0);
  if (first < 0xE0) return {kind_of((first & 0x1F) << 6 | low(1)), 2};
  if (first < 0xF0) return {kind_of((first & 0x0F) << 12 | low(1) << 6 | low(2)), 3};
  return {kind_of((first & 0x07) << 18 | low(1) << 12 | low(2) << 6 | low(3)), 4};
}

Character character_at(const char* text) {
  const auto first = static_cast<unsigned char>(*text);
  return first < first_beyond_ascii ? Character{ascii_kinds[first], 1} : decode(text);
}

// The length of 's, 't, 're, 've, 'm, 'll or 'd that `text` begins with, or 0. Its first character is the apostrophe.
std::size_t contraction(std::string_view text) {
  if (text.size() < 2) return 0;
  const char first = text[1];
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  const char second = text.size() > 2 ? text[2] : ' ';
  const bool longer = ((first == 'r' || first == 'v') && second == 'e') || (first == 'l' && second == 'l');
  return longer ? 3 : 0;
}

// Where the run of `kind` ends that reaches from before `at`.
std::size_t end_of_run(std::string_view text, std::size_t at, Kind kind) {
  while (at < text.size()) {
    const Character next = character_at(text.data() + at);
    if (next.kind != kind) break;
    at += next.length;
  }
  return at;
}

// White space that something follows leaves its last character to what follows, unless it is the only one.
std::size_t white_space(std::string_view text) {
  std::size_t end = 0, last = 0;
  while (end < text.size()) {
    const Character next = character_at(text.data() + end);
    if (next.kind != Kind::space) return last > 0 ? last : end;
    last = end;
    end += next.length;
  }
  return end;
}

}  // namespace

std::size_t gpt2_piece(std::string_view text) {
  if (text.front() == '\'') {
    if (const std::size_t length = contraction(text); length > 0) return length;
  }
  const std::size_t begin = text.front() == ' ' && text.size() > 1 ? 1 : 0;
  const Character first = character_at(text.data() + begin);
  return first.kind == Kind::space ? white_space(text) : end_of_run(text, begin + first.length, first.kind);
}

std::size_t gpt2_cut(std::string_view text, std::size_t begin) {
  bool follows = false;  // on something that is no white space
  while (begin < text.size() && continues_character(text[begin])) ++begin;
  while (begin < text.size()) {
    const Character next = character_at(text.data() + begin);
    const bool is_space = next.kind == Kind::space;
    if (is_space && follows) break;
    follows = !is_space;
    begin += next.length;
  }
  return std::min(begin, text.size());
}

}  // namespace gradus::models::detail
