// utf8proc decodes and composes. This file adds errors that say where a text is invalid, and composes large texts block
// by block.
#include <gradus/models/text/text.h>

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <system_error>

#include <gradus/core/check.h>
#include <gradus/core/runtime/platform.h>
#include <gradus/models/text/detail/characters.h>
#include <gradus/nn/files/atomic_file.h>
#include <gradus/nn/files/file_kind.h>

namespace gradus::models {
namespace {

// Every code point below U+0300 is its own composed form (Unicode Standard Annex 15, quick check).
constexpr char32_t first_that_may_compose = 0x300;
constexpr char32_t byte_order_mark = 0xFEFF;

constexpr auto compose_options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);

std::u32string compose(std::u32string_view characters) {
  constexpr auto options = compose_options;
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

// For each character (Annex 15, quick check): `may_change` if composing may change it or merge it with the one
// before, else its combining class. The text may be cut before a character of class 0.
class ComposingClasses {
 public:
  static constexpr utf8proc_uint8_t may_change = 255;  // no combining class is that high

  ComposingClasses() : of_(code_points) {
    for (utf8proc_int32_t c = first_that_may_compose; c < static_cast<utf8proc_int32_t>(code_points); ++c) {
      if (c == first_surrogate) c = last_surrogate + 1;
      const auto place = static_cast<std::size_t>(c);
      of_[place] = std::max(of_[place], static_cast<utf8proc_uint8_t>(utf8proc_get_property(c)->combining_class));
      if (c < first_syllable || c > last_syllable) look_at_parts(c);
    }
    // Jamo that join the ones before them to a syllable.
    std::fill(of_.begin() + 0x1161, of_.begin() + 0x1176, may_change);
    std::fill(of_.begin() + 0x11A8, of_.begin() + 0x11C3, may_change);
  }
  utf8proc_uint8_t of(char32_t c) const { return of_[c]; }

 private:
  static constexpr std::size_t code_points = 0x110000;
  static constexpr utf8proc_int32_t first_surrogate = 0xD800, last_surrogate = 0xDFFF, first_syllable = 0xAC00,
                                    last_syllable = 0xD7A3;

  void look_at_parts(utf8proc_int32_t c) {
    constexpr std::size_t longest = 16;  // Unicode's longest has 4
    std::array<utf8proc_int32_t, longest> parts{};
    int boundary = 0;
    constexpr auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
    const utf8proc_ssize_t count = utf8proc_decompose_char(c, parts.data(), longest, options, &boundary);
    if (count == 1 && parts[0] == c) return;
    const auto last = static_cast<std::size_t>(count - 1);
    if (count > 1) of_[static_cast<std::size_t>(parts[last])] = may_change;
    const utf8proc_ssize_t composed = utf8proc_normalize_utf32(parts.data(), count, compose_options);
    if (composed != 1 || parts[0] != c) of_[static_cast<std::size_t>(c)] = may_change;
  }

  std::vector<utf8proc_uint8_t> of_;
};

const ComposingClasses& composing_classes() {
  static const ComposingClasses classes;
  return classes;
}

std::size_t put_utf8(char32_t c, char* to) {
  if (c < 0x80) {
    *to = static_cast<char>(c);
    return 1;
  }
  return static_cast<std::size_t>(
      utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), reinterpret_cast<utf8proc_uint8_t*>(to)));
}

void append_utf8(std::u32string_view characters, std::string& text) {
  constexpr std::size_t longest = 4, chunk = 256;
  std::array<char, longest * chunk> buffer;  // so that `text` grows by what is needed
  while (!characters.empty()) {
    std::size_t size = 0;
    for (const char32_t c : characters.substr(0, chunk)) size += put_utf8(c, buffer.data() + size);
    text.append(buffer.data(), size);
    characters.remove_prefix(std::min(chunk, characters.size()));
  }
}

// The characters as they stand, U+FFFD for every byte that is no part of one.
std::u32string decode_leniently(std::string_view text) {
  constexpr char32_t replacement = 0xFFFD;
  std::u32string characters;
  for (std::size_t i = 0; i < text.size();) {
    utf8proc_int32_t c = 0;
    const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + i;
    const utf8proc_ssize_t length = utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text.size() - i), &c);
    i += static_cast<std::size_t>(std::max<utf8proc_ssize_t>(length, 1));
    characters += length > 0 ? static_cast<char32_t>(c) : replacement;
  }
  return characters;
}

// A carriage return alone ends lines where nothing else does, as in files of the first Macintosh systems.
char end_of_line(std::string_view text) {
  const bool returns_alone = text.find('\n') == std::string_view::npos && text.find('\r') != std::string_view::npos;
  return returns_alone ? '\r' : '\n';
}

std::u32string_view strip(std::u32string_view line) {
  while (!line.empty() && detail::is_space(line.front())) line.remove_prefix(1);
  while (!line.empty() && detail::is_space(line.back())) line.remove_suffix(1);
  return line;
}

}  // namespace

const char* name_of(TextFormat format) {
  return format == TextFormat::lines ? "lines" : "text";
}

std::optional<TextFormat> text_format(std::string_view name) {
  for (const TextFormat format : {TextFormat::lines, TextFormat::text}) {
    if (name == name_of(format)) return format;
  }
  return std::nullopt;
}

std::size_t longest_text() {
  constexpr std::size_t part = 8, most = std::size_t{1} << 32;
  const std::size_t available = platform::available_memory();
  return available == 0 ? most : std::min(most, available / part);
}

std::string read_file(const std::filesystem::path& path) {
  const auto& name = path.native();
  platform::File file;
  std::string bytes;
  std::error_code error = file.open(path, platform::File::Mode::read);
  check(!error, "cannot read '{}': {}; check the path", name, error.message());
  check(!std::filesystem::is_directory(path, error), "cannot read '{}': it is a folder; name a file", name);
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  constexpr std::size_t last_read = 1 << 16;        // which finds the end
  constexpr std::size_t last_of_device = 64 << 20;  // more than anyone types
  std::error_code ignored;
  const std::size_t most = longest_text();
  if (!error && size <= most) bytes.reserve(static_cast<std::size_t>(size) + last_read);
  if (std::filesystem::is_character_file(path, ignored)) {
    error = file.read(bytes, last_of_device);
    check(error != std::errc::file_too_large, "'{}' is a device that does not end; name a file", name);
  } else {
    error = !error && size > most ? std::make_error_code(std::errc::file_too_large) : file.read(bytes, most);
    check(error != std::errc::file_too_large,
          "'{}' is longer than {} MB, the most that can be read with this memory; give a part of it", name,
          most / 1'000'000);
  }
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

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  check(!error && std::filesystem::is_directory(folder, error),
        "cannot make the folder '{}': {}; choose a place that may be written to", folder.native(),
        error ? error.message() : "a file of this name is in the way");
}

Index characters_in(std::string_view text) {
  return std::ranges::count_if(text, [](char byte) { return !continues_character(byte); });
}

namespace detail {
namespace {

[[noreturn]] void fail_at(std::size_t offset, std::string_view text, std::string_view name) {
  fail(
      "{}: byte 0x{:02x} at offset {} (line {}) is not UTF-8; if it is text in another encoding, such as CP949 "
      "(Korean, EUC-KR), convert it to UTF-8: iconv -f CP949 -t UTF-8",
      name, static_cast<unsigned char>(text[offset]), offset,
      1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n'));
}

}  // namespace

bool is_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return c == 0x85 || category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
         category == UTF8PROC_CATEGORY_ZP;
}

void check_utf8(std::string_view text, std::string_view name) {
  for (std::size_t i = 0; i < text.size();) {
    std::uint64_t eight = 0;
    if (i + sizeof eight <= text.size()) {
      constexpr std::uint64_t high_bits = 0x8080808080808080;
      std::memcpy(&eight, text.data() + i, sizeof eight);
      if ((eight & high_bits) == 0) {
        i += sizeof eight;
        continue;
      }
    }
    utf8proc_int32_t c = 0;
    const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + i;
    const utf8proc_ssize_t length = utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text.size() - i), &c);
    if (length <= 0) fail_at(i, text, name);
    i += static_cast<std::size_t>(length);
  }
}

void decode_blocks(std::string_view text, std::string_view name, const std::function<void(std::u32string_view)>& take,
                   const Progress& progress) {
  constexpr std::size_t block = 4096, large = 1 << 16, between_reports = 1 << 18;
  // The table takes longer to make than a short text to compose.
  const ComposingClasses* const classes = text.size() >= large ? &composing_classes() : nullptr;
  std::u32string characters;
  characters.reserve(std::min(text.size(), block + 1));
  bool may_change = false;
  utf8proc_uint8_t before = 0;
  std::size_t next_report = 0;
  const auto flush = [&] {
    if (!characters.empty()) take(may_change ? std::u32string_view(compose(characters)) : characters);
    characters.clear();
    may_change = false;
  };
  for (std::size_t i = 0; i < text.size();) {
    auto c = static_cast<utf8proc_int32_t>(static_cast<unsigned char>(text[i]));
    utf8proc_ssize_t length = 1;
    if (c >= 0x80) {
      const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + i;
      length = utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text.size() - i), &c);
      if (length <= 0) fail_at(i, text, name);
    }
    i += static_cast<std::size_t>(length);
    const auto character = static_cast<char32_t>(c);
    if (character == byte_order_mark) continue;
    utf8proc_uint8_t now = 0;
    if (character >= first_that_may_compose) {
      now = classes != nullptr ? classes->of(character) : ComposingClasses::may_change;
      may_change |= now == ComposingClasses::may_change || (now != 0 && now < before);
    }
    before = now;
    if (now == 0 && characters.size() >= block) flush();  // what comes before a character of class 0 stays as it is
    characters.push_back(character);
    if (progress && i >= next_report) {
      progress(static_cast<double>(i) / static_cast<double>(text.size()));
      next_report = i + between_reports;
    }
  }
  flush();
}

std::u32string CharacterSet::sorted() const {
  std::u32string all;
  for (std::size_t c = 0; c < code_points; ++c) {
    if (seen_[c]) all.push_back(static_cast<char32_t>(c));
  }
  return all;
}

}  // namespace detail

std::u32string decode_utf8(std::string_view text, std::string_view name) {
  std::u32string characters;
  characters.reserve(text.size());
  detail::decode_blocks(text, name, [&](std::u32string_view block) { characters += block; });
  return characters;
}

std::string encode_utf8(std::u32string_view characters) {
  std::string text;
  append_utf8(characters, text);
  return text;
}

int display_width(char32_t character) {
  const auto c = static_cast<utf8proc_int32_t>(character);
  // Fonts may know a character that utf8proc does not yet: most of the new ones are wide.
  return utf8proc_category(c) == UTF8PROC_CATEGORY_CN ? 2 : utf8proc_charwidth(c);
}

std::string valid_utf8(std::string_view text) {
  return encode_utf8(decode_leniently(text));
}

std::string printable(std::string_view text) {
  std::u32string characters = decode_leniently(text);
  for (char32_t& c : characters) {
    const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
    const bool breaks_line =
        category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
    if (breaks_line) c = U' ';
  }
  return encode_utf8(characters);
}

std::string normalize_text(std::string_view text, std::string_view name, const Progress& progress) {
  check_is_text(text, name);
  const char end = end_of_line(text);
  std::string result;
  result.reserve(text.size());
  detail::decode_blocks(
      text, name, [&](std::u32string_view block) { append_utf8(block, result); }, progress);
  if (end == '\r') std::ranges::replace(result, end, '\n');
  // Erasing pair by pair would take quadratic time on a large file.
  std::size_t kept = std::min(result.find("\r\n"), result.size());
  for (std::size_t i = kept; i < result.size(); ++i) {
    if (result[i] == '\r' && i + 1 < result.size() && result[i + 1] == '\n') continue;
    result[kept++] = result[i];
  }
  result.resize(kept);
  return result;
}

std::vector<std::string> split_documents(std::string_view text, std::string_view name, const SplitOptions& options,
                                         Index* trimmed) {
  check_is_text(text, name);
  const auto end_character = static_cast<char32_t>(end_of_line(text));
  std::vector<std::string> documents;
  std::u32string line;
  const auto end_line = [&] {
    const bool ends_as_dos = !line.empty() && line.back() == U'\r';
    const std::u32string_view whole = std::u32string_view(line).substr(0, line.size() - (ends_as_dos ? 1 : 0));
    const std::u32string_view kept = strip(whole);
    if (!kept.empty()) {
      documents.push_back(encode_utf8(options.keep_space ? whole : kept));
      if (trimmed != nullptr && !options.keep_space && kept.size() < whole.size()) ++*trimmed;
    }
    line.clear();
  };
  const auto take = [&](std::u32string_view block) {
    for (std::size_t begin = 0; begin < block.size();) {
      const std::size_t end = std::min(block.find(end_character, begin), block.size());
      line += block.substr(begin, end - begin);
      if (end < block.size()) end_line();
      begin = end + 1;
    }
  };
  detail::decode_blocks(text, name, take, options.progress);
  end_line();
  check(!documents.empty(), "{}: it holds only white space; give one document per line", name);
  return documents;
}

std::string without_leading_space(std::string_view text) {
  const std::u32string characters = decode_utf8(text);
  return encode_utf8({std::ranges::find_if_not(characters, detail::is_space), characters.end()});
}

std::string read_text(const std::filesystem::path& path) {
  return normalize_text(read_file(path), path.native());
}

std::vector<std::string> read_documents(const std::filesystem::path& path) {
  return split_documents(read_file(path), path.native());
}

}  // namespace gradus::models
