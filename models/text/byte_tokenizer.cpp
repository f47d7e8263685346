#include <gradus/models/text/byte_tokenizer.h>

#include <gradus/models/detail/json.h>

namespace gradus::models {

std::optional<std::int32_t> ByteTokenizer::boundary_token() const {
  return boundary_ ? std::optional(bytes) : std::nullopt;
}

void ByteTokenizer::add_tokens(std::string_view text, std::string_view /*name*/, std::vector<std::int32_t>& tokens,
                               const Progress& progress) const {
  constexpr std::size_t between_reports = 1 << 20;
  for (std::size_t begin = 0; begin < text.size(); begin += between_reports) {
    for (const char c : text.substr(begin, between_reports)) tokens.push_back(static_cast<unsigned char>(c));
    if (progress) progress(static_cast<double>(begin) / static_cast<double>(text.size()));
  }
}

std::string ByteTokenizer::decode(std::span<const std::int32_t> tokens) const {
  std::string text;
  text.reserve(tokens.size());
  for (const std::int32_t token : tokens) {
    check_token(token);
    text += token < bytes ? static_cast<char>(token) : '\n';
  }
  return text;
}

std::string ByteTokenizer::to_json() const {
  return detail::dump(detail::Json{{"type", type}, {"boundary", boundary_}}) + "\n";
}

ByteTokenizer ByteTokenizer::from_json(std::string_view json, std::string_view name) {
  const detail::Json object = detail::parse_json(json, name);
  detail::JsonReader reader(object, std::string(name));
  const auto value = reader.get<std::string>("type");
  check(value == type, "{}: \"type\" is \"{}\", \"{}\" is needed", name, value, type);
  const bool boundary = reader.get<bool>("boundary");
  reader.finish();
  return ByteTokenizer(boundary);
}

}  // namespace gradus::models
