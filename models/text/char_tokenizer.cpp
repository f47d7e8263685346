// The token of a character is its place in the sorted characters, found by binary search, for ASCII in a table; errors
// show the character.
#include <gradus/models/text/char_tokenizer.h>

#include <utf8proc.h>

#include <algorithm>
#include <set>

#include <gradus/models/detail/json.h>
#include <gradus/models/text/detail/characters.h>
#include <gradus/models/text/text.h>

namespace gradus::models {
namespace {

constexpr const char* json_normalization = "NFC";

// 'é' (U+00E9), or U+0301 alone for what does not show: control characters, accents without their letter.
std::string describe(char32_t c) {
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  const bool shows = category >= UTF8PROC_CATEGORY_LU && category < UTF8PROC_CATEGORY_ZS &&
                     category != UTF8PROC_CATEGORY_MN && category != UTF8PROC_CATEGORY_ME;
  const std::string number = fmt::format("U+{:04X}", static_cast<std::uint32_t>(c));
  return shows ? fmt::format("'{}' ({})", encode_utf8({&c, 1}), number) : number;
}

// The visible ones, as long as they fit a line.
std::string summary(const std::u32string& characters) {
  constexpr std::size_t most = 60;
  std::u32string shown;
  for (const char32_t c : characters) {
    if (describe(c).front() == '\'' && shown.size() < most) shown.push_back(c);
  }
  return encode_utf8(shown) + (characters.size() > most ? " .." : "");
}

}  // namespace

CharTokenizer CharTokenizer::from_text(std::string_view text, const Progress& progress) {
  detail::CharacterSet all;
  detail::decode_blocks(
      text, "text", [&](std::u32string_view block) { all.add(block); }, progress);
  return {all.sorted(), false};
}

CharTokenizer CharTokenizer::from_documents(std::span<const std::string> documents) {
  detail::CharacterSet all;
  for (const std::string& document : documents) {
    detail::decode_blocks(document, "document", [&](std::u32string_view block) { all.add(block); });
  }
  return {all.sorted(), true};
}

CharTokenizer::CharTokenizer(std::u32string characters, bool boundary)
    : characters_(std::move(characters)), boundary_(boundary) {
  std::ranges::sort(characters_);
  characters_.erase(std::unique(characters_.begin(), characters_.end()), characters_.end());
  check(!characters_.empty(), "tokenizer: the text has no characters; give it some");
  ascii_tokens_.fill(-1);
  for (std::size_t i = 0; i < characters_.size() && characters_[i] < ascii; ++i) {
    ascii_tokens_[characters_[i]] = static_cast<std::int32_t>(i);
  }
}

std::int32_t CharTokenizer::token_of(char32_t c) const {
  if (c < ascii) return ascii_tokens_[c];
  const auto found = std::ranges::lower_bound(characters_, c);
  return found == characters_.end() || *found != c ? -1 : static_cast<std::int32_t>(found - characters_.begin());
}

std::optional<std::int32_t> CharTokenizer::boundary_token() const {
  return boundary_ ? std::optional(static_cast<std::int32_t>(characters_.size())) : std::nullopt;
}

std::string CharTokenizer::normalized(std::string_view text, std::string_view name) const {
  return normalize_text(text, name);
}

void CharTokenizer::add_tokens(std::string_view text, std::string_view name, std::vector<std::int32_t>& tokens,
                               const Progress& progress) const {
  const std::size_t first = tokens.size();
  const auto take = [&](std::u32string_view block) {
    for (const char32_t c : block) {
      const std::int32_t token = token_of(c);
      if (token < 0) {
        fail(
            "{}: character {}, {}, is not one the model was trained on; leave it out, or train on text that has it "
            "(known: {})",
            name, tokens.size() - first + 1, describe(c), summary(characters_));
      }
      tokens.push_back(token);
    }
  };
  detail::decode_blocks(text, name, take, progress);
}

Fitted CharTokenizer::fitted(std::string_view text, Unknown unknown, std::string_view name) const {
  std::u32string replacement;
  if (unknown == Unknown::replace) {
    for (const char32_t c : {U'\xFFFD', U'?', U' '}) {
      if (replacement.empty() && token_of(c) >= 0) replacement = c;
    }
    check(!replacement.empty(), "{}: the model knows none of U+FFFD, '?' and ' ' to replace characters by; skip them",
          name);
  }
  Fitted fitted;
  std::set<char32_t> changed;
  const auto take = [&](std::u32string_view block) {
    std::u32string known;
    for (const char32_t c : block) {
      if (token_of(c) >= 0) {
        known += c;
        continue;
      }
      known += replacement;
      changed.insert(c);
      ++fitted.changed;
    }
    fitted.text += encode_utf8(known);
  };
  detail::decode_blocks(text, name, take);
  fitted.unknown.assign(changed.begin(), changed.end());
  return fitted;
}

std::string CharTokenizer::decode(std::span<const std::int32_t> tokens) const {
  std::u32string characters;
  characters.reserve(tokens.size());
  for (const std::int32_t token : tokens) {
    check_token(token);
    const auto place = static_cast<std::size_t>(token);
    characters.push_back(place < characters_.size() ? characters_[place] : U'\n');
  }
  return encode_utf8(characters);
}

std::string CharTokenizer::to_json() const {
  detail::Json json = {{"type", type}, {"normalization", json_normalization}, {"boundary", boundary_}};
  detail::Json& characters = json["characters"] = detail::Json::array();
  for (const char32_t& c : characters_) characters.push_back(encode_utf8({&c, 1}));
  return detail::dump(json) + "\n";
}

CharTokenizer CharTokenizer::from_json(std::string_view json, std::string_view name) {
  const detail::Json object = detail::parse_json(json, name);
  detail::JsonReader reader(object, std::string(name));
  for (const auto& [key, known] : {std::pair{"type", type}, std::pair{"normalization", json_normalization}}) {
    const auto value = reader.get<std::string>(key);
    check(value == known, "{}: \"{}\" is \"{}\", this version knows only \"{}\"", name, key, value, known);
  }
  const bool boundary = reader.get<bool>("boundary");
  const detail::Json& list = reader.field("characters");
  check(list.is_array() && !list.empty(), "{}: \"characters\" must be a list of at least one character", name);
  std::u32string characters;
  for (const detail::Json& entry : list) {
    const std::u32string one = entry.is_string() ? decode_utf8(entry.get_ref<const std::string&>(), name) : U"";
    // Out of order, the tokens would not be the ones that the model learned.
    check(one.size() == 1 && (characters.empty() || characters.back() < one.front()),
          "{}: entry {} of \"characters\" is {}; each must be one character, sorted by code point, no two alike", name,
          characters.size(), detail::dump(entry));
    characters.push_back(one.front());
  }
  reader.finish();
  return {std::move(characters), boundary};
}

CharTokenizer CharTokenizer::load(const std::filesystem::path& path) {
  return from_json(read_file(path), path.native());
}

}  // namespace gradus::models
