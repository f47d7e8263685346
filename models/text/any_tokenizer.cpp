// Finds the kind that a tokenizer's file names.
#include <gradus/models/text/any_tokenizer.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <gradus/models/detail/json.h>
#include <gradus/models/text/detail/char_files.h>

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

// What a file calls its kind; null for nothing. Files with a "model" are laid out as Hugging Face's tokenizers have it,
// which for characters is a BPE too.
detail::Json type_in(std::string_view json, std::string_view name) {
  detail::Fields fields;
  detail::parse_json(json, name, {}, fields);
  detail::Json type;
  for (const auto& [key, value] : fields) {
    if (key == "model") return BPETokenizer::type;
    if (key == "type") type = value.is_null() ? "null" : value;
  }
  return type;
}

}  // namespace

AnyTokenizer::operator const CharTokenizer&() const {
  const auto* const characters = as<CharTokenizer>();
  check(characters != nullptr,
        "tokenizer: it is no CharTokenizer; use the functions of Tokenizer, which every kind has");
  return *characters;
}

AnyTokenizer AnyTokenizer::with_boundary(bool boundary) const {
  if (const auto* const bpe = as<BPETokenizer>()) return bpe->with_boundary(boundary);
  if (as<ByteTokenizer>() != nullptr) return ByteTokenizer(boundary);
  if (const auto* const characters = as<CharTokenizer>()) return CharTokenizer(characters->characters(), boundary);
  return *this;
}

AnyTokenizer AnyTokenizer::from_json(std::string_view json, std::string_view name) {
  const detail::Json type = type_in(json, name);
  if (type == BPETokenizer::type) {
    if (auto characters = detail::characters_from_tokenizer_json(json, name)) return *std::move(characters);
  }
  check(!type.is_null(), "{}: the field \"type\" is missing; add it, or write the file anew", name);
  const auto* const known = std::ranges::find_if(kinds, [&](const Kind& kind) { return type == kind.type; });
  if (known == kinds.end()) {
    std::string types;
    for (const Kind& kind : kinds) types += fmt::format("{}\"{}\"", types.empty() ? "" : ", ", kind.type);
    fail("{}: \"type\" is {}, this version knows only {}", name, detail::dump(type), types);
  }
  return known->read(json, name);
}

AnyTokenizer AnyTokenizer::load(const std::filesystem::path& path) {
  constexpr const char* usual = "tokenizer.json";
  std::error_code error;
  const bool is_folder = std::filesystem::is_directory(path, error);
  const std::filesystem::path file = is_folder ? path / usual : path;
  if (is_folder && !std::filesystem::exists(file, error)) return BPETokenizer::load(path);
  const std::string text = read_file(file), name = file.native();
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  const bool is_object = begin != std::string::npos && text[begin] == '{';
  const bool is_ours = file.filename() == usual || (is_object && !type_in(text, name).is_null());
  return is_ours ? from_json(text, name) : BPETokenizer::load(path);
}

}  // namespace gradus::models
