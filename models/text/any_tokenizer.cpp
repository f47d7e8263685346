// Finds the kind that a tokenizer's file names.
#include <gradus/models/text/any_tokenizer.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <gradus/models/detail/json.h>

namespace gradus::models {
namespace {

struct Kind {
  const char* type;
  AnyTokenizer (*read)(std::string_view json, std::string_view name);
};

template <class... Kinds>
constexpr std::array<Kind, sizeof...(Kinds)> kinds_of(std::tuple<Kinds...>*) {
  return {Kind{Kinds::type, [](std::string_view json, std::string_view name) -> AnyTokenizer {
                 return Kinds::from_json(json, name);
               }}...};
}

constexpr auto kinds = kinds_of(static_cast<TokenizerKinds*>(nullptr));

}  // namespace

AnyTokenizer::operator const CharTokenizer&() const {
  const auto* const characters = as<CharTokenizer>();
  check(characters != nullptr,
        "tokenizer: it is no CharTokenizer; use the functions of Tokenizer, which every kind has");
  return *characters;
}

AnyTokenizer AnyTokenizer::from_json(std::string_view json, std::string_view name) {
  const detail::Json object = detail::parse_json(json, name);
  const auto type = detail::JsonReader(object, std::string(name)).get<std::string>("type");
  const auto* const known =
      std::ranges::find(kinds, type, [](const Kind& kind) { return std::string_view(kind.type); });
  if (known == kinds.end()) {
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
