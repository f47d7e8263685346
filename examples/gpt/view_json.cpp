#include "view_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include <gradus/nn/files/detail/half.h>

namespace gpt {
namespace {

std::string base64(std::span<const unsigned char> bytes) {
  constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    unsigned value = 0;
    for (std::size_t k = 0; k < 3; ++k) value = value << 8 | (k < count ? bytes[i + k] : 0U);
    for (std::size_t k = 0; k < 4; ++k) text += k <= count ? letters[value >> (18 - 6 * k) & 63U] : '=';
  }
  return text;
}

}  // namespace

Json number(double x, int digits) {
  if (!std::isfinite(x)) return {};
  const std::string text = fmt::format("{:.{}g}", x, digits);
  double rounded = x;
  std::from_chars(text.data(), text.data() + text.size(), rounded);
  return rounded;
}

Json numbers(std::span<const double> values, int digits) {
  Json list = Json::array();
  for (const double x : values) list.push_back(number(x, digits));
  return list;
}

Json packed(std::span<const double> values, std::vector<gradus::Index> shape) {
  std::vector<unsigned char> bytes;
  bytes.reserve(2 * values.size());
  for (const double x : values) {
    const std::uint16_t half = gradus::nn::detail::float_to_half(static_cast<float>(x));
    bytes.push_back(static_cast<unsigned char>(half & 0xffU));
    bytes.push_back(static_cast<unsigned char>(half >> 8U));
  }
  return {{"f16", base64(bytes)}, {"shape", std::move(shape)}};
}

std::string piece_of(const gradus::models::Tokenizer& tokenizer, std::int32_t id) {
  return id == tokenizer.boundary_token() ? "\u23ce" : tokenizer.decode({{id}});
}

Json pieces_of(const gradus::models::Tokenizer& tokenizer, std::span<const std::int32_t> ids) {
  Json list = Json::array();
  for (const std::int32_t id : ids) list.push_back(piece_of(tokenizer, id));
  return list;
}

Json told(const std::string& english, const std::string& korean) {
  return {{"en", english}, {"ko", korean}};
}

}  // namespace gpt
