// Decoding and composing is utf8proc's; what is added here is where exactly a text is wrong.
#include <gradus/models/text.h>

#include <utf8proc.h>

#include <algorithm>

#include <gradus/core/check.h>
#include <gradus/core/platform.h>
#include <gradus/nn/atomic_file.h>
#include <gradus/nn/file_kind.h>

namespace gradus::models {
namespace {

// Every code point below U+0300 is its own composed form (Unicode Standard Annex 15, quick check).
constexpr char32_t first_that_may_compose = 0x300;
constexpr char32_t byte_order_mark = 0xFEFF;

std::u32string compose(const std::u32string& characters) {
  constexpr auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  const std::string text = encode_utf8(characters);
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const auto size = static_cast<utf8proc_ssize_t>(text.size());
  const utf8proc_ssize_t count = utf8proc_decompose(bytes, size, nullptr, 0, options);
  check(count >= 0, "text: {}", utf8proc_errmsg(count));
  std::vector<utf8proc_int32_t> buffer(static_cast<std::size_t>(count));
  utf8proc_decompose(bytes, size, buffer.data(), count, options);
  const utf8proc_ssize_t composed = utf8proc_normalize_utf32(buffer.data(), count, options);
  check(composed >= 0, "text: {}", utf8proc_errmsg(composed));
  return {buffer.begin(), buffer.begin() + composed};
}

bool is_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return c == 0x85 || category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
         category == UTF8PROC_CATEGORY_ZP;
}

std::u32string_view strip(std::u32string_view line) {
  while (!line.empty() && is_space(line.front())) line.remove_prefix(1);
  while (!line.empty() && is_space(line.back())) line.remove_suffix(1);
  return line;
}

}  // namespace

std::string read_file(const std::filesystem::path& path) {
  const auto& name = path.native();
  platform::File file;
  std::string bytes;
  std::error_code error = file.open(path, platform::File::Mode::read);
  check(!error, "cannot read '{}': {}; check the path", name, error.message());
  check(!std::filesystem::is_directory(path, error), "cannot read '{}': it is a folder; name a file", name);
  error = file.read(bytes);
  check(!error, "cannot read '{}': {}", name, error.message());
  check(!bytes.empty(), "'{}' is empty; give a file with text in it", name);
  return bytes;
}

void check_is_text(std::string_view bytes, std::string_view name) {
  check(!is_safetensors(bytes), "{}: it is a file of weights (safetensors), not text; name a text", name);
  const std::string kind = file_kind(bytes);
  check(kind.empty(), "{}: {}", name, kind);
}

void write_text(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path.string());
  file.write(text);
  file.commit();
}

std::u32string decode_utf8(std::string_view text, std::string_view name) {
  std::u32string characters;
  characters.reserve(text.size());
  bool may_compose = false;
  for (std::size_t i = 0; i < text.size();) {
    utf8proc_int32_t c = 0;
    const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + i;
    const utf8proc_ssize_t length = utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text.size() - i), &c);
    if (length <= 0) {
      fail("{}: byte 0x{:02x} at offset {} (line {}) is not UTF-8; convert the text, e.g. with iconv", name, *bytes, i,
           1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(i), '\n'));
    }
    i += static_cast<std::size_t>(length);
    const auto character = static_cast<char32_t>(c);
    if (character == byte_order_mark) continue;
    may_compose |= character >= first_that_may_compose;
    characters.push_back(character);
  }
  return may_compose ? compose(characters) : characters;
}

std::string encode_utf8(std::u32string_view characters) {
  std::string text;
  text.reserve(characters.size());
  for (const char32_t c : characters) {
    utf8proc_uint8_t bytes[4];
    const utf8proc_ssize_t length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), bytes);
    text.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
  }
  return text;
}

int display_width(char32_t character) {
  const auto c = static_cast<utf8proc_int32_t>(character);
  // A terminal may know a character that utf8proc does not yet: most of the new ones are wide.
  return utf8proc_category(c) == UTF8PROC_CATEGORY_CN ? 2 : utf8proc_charwidth(c);
}

std::string printable(std::string_view text) {
  constexpr char32_t replacement = 0xFFFD;
  std::u32string characters;
  for (std::size_t i = 0; i < text.size();) {
    utf8proc_int32_t c = 0;
    const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + i;
    const utf8proc_ssize_t length = utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text.size() - i), &c);
    i += static_cast<std::size_t>(std::max<utf8proc_ssize_t>(length, 1));
    if (length <= 0) {
      characters += replacement;
      continue;
    }
    const utf8proc_category_t category = utf8proc_category(c);
    const bool breaks_line =
        category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
    characters += breaks_line ? U' ' : static_cast<char32_t>(c);
  }
  return encode_utf8(characters);
}

std::string shell_word(std::string_view text) {
  constexpr std::string_view plain = "%+,-./:=@_";
  const auto is_plain = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           static_cast<unsigned char>(c) >= 0x80 || plain.find(c) != std::string_view::npos;
  };
  if (!text.empty() && std::ranges::all_of(text, is_plain)) return std::string(text);
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

std::string normalize_text(std::string_view text, std::string_view name) {
  check_is_text(text, name);
  std::string result = encode_utf8(decode_utf8(text, name));
  // Erasing pair by pair would take quadratic time on a large file.
  std::size_t kept = 0;
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (result[i] == '\r' && i + 1 < result.size() && result[i + 1] == '\n') continue;
    result[kept++] = result[i];
  }
  result.resize(kept);
  return result;
}

std::vector<std::string> split_documents(std::string_view text, std::string_view name) {
  check_is_text(text, name);
  const std::u32string characters = decode_utf8(text, name);
  std::vector<std::string> documents;
  for (std::u32string_view rest = characters; !rest.empty();) {
    const std::size_t end = std::min(rest.find(U'\n'), rest.size());
    const std::u32string_view line = strip(rest.substr(0, end));
    if (!line.empty()) documents.push_back(encode_utf8(line));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  check(!documents.empty(), "{}: there is nothing but white space; give one document a line", name);
  return documents;
}

std::string read_text(const std::filesystem::path& path) {
  return normalize_text(read_file(path), path.native());
}

std::vector<std::string> read_documents(const std::filesystem::path& path) {
  return split_documents(read_file(path), path.native());
}

}  // namespace gradus::models
