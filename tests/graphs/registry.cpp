#include "registry.h"

#include <cctype>
#include <string_view>

namespace gradus::testing {
namespace {

using nlohmann::json;

std::string list(const json& values) {
  std::string text;
  for (const json& value : values) text += (text.empty() ? "" : ", ") + value.dump();
  return "{" + text + "}";
}

// The value of an option as code of the type that Call's function `kind` gives.
std::string literal(std::string_view kind, const json& value) {
  if (kind == "shape") return "Shape" + list(value);
  if (kind == "indices") return "std::vector<Index>" + list(value);
  if (kind == "numbers") return "std::vector<double>" + list(value);
  if (kind == "ids") return "std::vector<std::int32_t>" + list(value);
  if (kind == "size2") return fmt::format("Size2({}, {})", value.at(0).dump(), value.at(1).dump());
  return value.is_array() ? value.at(0).dump() : value.dump();
}

std::string name_of_input(const json& node, std::size_t i) {
  const json& inputs = node.at("in");
  return i < inputs.size() ? fmt::format("x{}", inputs[i].get<std::size_t>()) : "Tensor()";
}

std::string names_from(const json& node, std::size_t first) {
  std::string text;
  for (std::size_t i = first; i < node.at("in").size(); ++i) text += (i > first ? ", " : "") + name_of_input(node, i);
  return "{" + text + "}";
}

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// The flag whose choice stands at `text`: `c.flag("cross") ? 2 : 1` is one number.
std::string choice(const json& node, std::string_view text) {
  const std::size_t quote = text.find('"'), end = text.find('"', quote + 1), colon = text.find(" : ");
  const bool is_set = node.at(std::string(text.substr(quote + 1, end - quote - 1))).get<bool>();
  const std::size_t question = text.find(" ? ");
  return std::string(is_set ? text.substr(question + 3, colon - question - 3) : text.substr(colon + 3));
}

std::size_t place(const json& node, std::string_view text) {
  return static_cast<std::size_t>(std::stoul(text.starts_with("c.flag") ? choice(node, text) : std::string(text)));
}

}  // namespace

Index Call::index(const char* name) const {
  const json& value = options_.at(name);
  return (value.is_array() ? value.at(0) : value).get<Index>();
}

Shape Call::shape(const char* name) const {
  return Shape(std::span<const Index>(indices(name)));
}

const Registry& registry() {
  static const Registry all = [] {
    Registry both = ops();
    both.merge(modules());
    return both;
  }();
  return all;
}

std::string code_of(const Entry& entry, const json& node) {
  const std::string_view code = entry.code;
  std::string text;
  for (std::size_t at = 0; at < code.size();) {
    const bool is_call = code[at] == 'c' && (at == 0 || !is_word(code[at - 1])) && at + 1 < code.size();
    if (is_call && code[at + 1] == '[') {
      const std::size_t end = code.find(']', at);
      text += name_of_input(node, place(node, code.substr(at + 2, end - at - 2)));
      at = end + 1;
    } else if (is_call && code[at + 1] == '.') {
      const std::size_t open = code.find('(', at);
      const std::string_view kind = code.substr(at + 2, open - at - 2);
      std::size_t close = code.find(')', open);
      if (kind == "from" && code[open + 1] == 'c') close = code.find(')', close + 1);  // past the flag's own
      const std::string_view argument = code.substr(open + 1, close - open - 1);
      if (kind == "dtype") {
        text += "dtype";
      } else if (kind == "from") {
        text += names_from(node, place(node, argument));
      } else {
        text += literal(kind, node.at(std::string(argument.substr(1, argument.size() - 2))));
      }
      at = close + 1;
    } else {
      text += code[at++];
    }
  }
  return text;
}

}  // namespace gradus::testing
