#include <gradus/models/text/detail/byte_symbols.h>

#include <algorithm>

#include <gradus/models/text/text.h>

namespace gradus::models::detail {
namespace {

constexpr char32_t first_of_others = 0x100;

constexpr bool has_its_own(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

// The character of each byte.
constexpr std::array<char32_t, byte_values> characters = [] {
  std::array<char32_t, byte_values> all{};
  char32_t next = first_of_others;
  for (unsigned byte = 0; byte < byte_values; ++byte) all[byte] = has_its_own(byte) ? byte : next++;
  return all;
}();

// The byte of each character, or -1.
constexpr std::array<std::int16_t, 2 * byte_values> bytes = [] {
  std::array<std::int16_t, 2 * byte_values> all{};
  all.fill(-1);
  for (unsigned byte = 0; byte < byte_values; ++byte) all[characters[byte]] = static_cast<std::int16_t>(byte);
  return all;
}();

}  // namespace

const std::array<unsigned char, byte_values>& bytes_in_order() {
  static const std::array<unsigned char, byte_values> order = [] {
    std::array<unsigned char, byte_values> all{};
    for (unsigned byte = 0; byte < byte_values; ++byte) all[byte] = static_cast<unsigned char>(byte);
    std::ranges::sort(all, {}, [](unsigned char byte) { return characters[byte]; });
    return all;
  }();
  return order;
}

std::string spelled(std::string_view text) {
  std::u32string spelling;
  for (const char c : text) spelling += characters[static_cast<unsigned char>(c)];
  return encode_utf8(spelling);
}

// The characters have one or two bytes of UTF-8: a decoder of all of it, which composes too, would be slower.
std::optional<std::string> unspelled(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto c = static_cast<std::size_t>(static_cast<unsigned char>(text[i]));
    if (c >= 0x80) {
      const bool of_two = (c & 0xE0) == 0xC0 && i + 1 < text.size();
      if (!of_two) return std::nullopt;
      c = (c & 0x1F) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3F);
    }
    if (c >= bytes.size() || bytes[c] < 0) return std::nullopt;
    result += static_cast<char>(bytes[c]);
  }
  return result;
}

}  // namespace gradus::models::detail
