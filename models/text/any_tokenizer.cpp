// The kinds, by the type that their files name.
#include <gradus/models/text/any_tokenizer.h>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include <gradus/models/detail/json.h>
#include <gradus/models/text/byte_tokenizer.h>

namespace gradus::models {
namespace {

struct Kind {
  const char* type;
  AnyTokenizer (*read)(std::string_view json, std::string_view name);
};

template <class Tokenizer>
constexpr Kind kind() {
  return {Tokenizer::type, [](std::string_view json, std::string_view name) -> AnyTokenizer {
            return Tokenizer::from_json(json, name);
          }};
}

constexpr Kind kinds[] = {kind<CharTokenizer>(), kind<ByteTokenizer>()};

}  // namespace

AnyTokenizer::operator const CharTokenizer&() const {
  const auto* const characters = as<CharTokenizer>();
  check(characters != nullptr, "tokenizer: its tokens are not characters; use what every Tokenizer has");
  return *characters;
}

AnyTokenizer AnyTokenizer::from_json(std::string_view json, std::string_view name) {
  const detail::Json object = detail::parse_json(json, name);
  const auto type = detail::JsonReader(object, std::string(name)).get<std::string>("type");
  const auto* const known =
      std::ranges::find(kinds, type, [](const Kind& kind) { return std::string_view(kind.type); });
  if (known == std::end(kinds)) {
    std::string types;
    for (const Kind& kind : kinds) types += fmt::format("{}\"{}\"", types.empty() ? "" : ", ", kind.type);
    fail("{}: \"type\" is \"{}\", this version knows only {}", name, type, types);
  }
  return known->read(json, name);
}

AnyTokenizer AnyTokenizer::load(const std::filesystem::path& path) {
  return from_json(read_file(path), path.native());
}

}  // namespace gradus::models
