// Formats are known by their first bytes (as in the `file` command's tables), text in UTF-16 and UTF-32 by its zero
// bytes.
#include <gradus/nn/files/file_kind.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace gradus {
namespace {

using namespace std::string_view_literals;

struct Kind {
  std::size_t offset;
  std::string_view bytes, sentence;
};

constexpr std::string_view to_weights = "; save the weights as safetensors, e.g. with safetensors.torch.save_file";
constexpr std::string_view gguf = "it is a GGUF file, weights for llama.cpp; gradus reads weights as safetensors";
constexpr std::array kinds{
    Kind{0, "\x1f\x8b"sv, "it is packed with gzip; unpack it with gunzip"},
    Kind{0, "PK\x03\x04"sv,
         "it is a zip archive (PyTorch's .pt and .pth, NumPy's .npz and office documents are such too); unpack it with "
         "unzip, or save what is in it as plain text or as safetensors"},
    Kind{4, "1AY&SY"sv, "it is packed with bzip2; unpack it with bunzip2"},
    Kind{0,
         "\xfd"
         "7zXZ\0"sv,
         "it is packed with xz; unpack it with unxz"},
    Kind{0, "\x28\xb5\x2f\xfd"sv, "it is packed with zstd; unpack it with unzstd"},
    Kind{0, "7z\xbc\xaf\x27\x1c"sv, "it is a 7z archive; unpack it"},
    Kind{257, "ustar"sv, "it is a tar archive; unpack it with tar -xf"},
    Kind{0, "GGUF\2\0\0\0"sv, gguf},
    Kind{0, "GGUF\3\0\0\0"sv, gguf},
    Kind{0, "\x93NUMPY"sv, "it is a NumPy array (.npy); save texts as plain text and weights as safetensors"},
    Kind{0, "\x89HDF\r\n\x1a\n"sv, "it is an HDF5 file; gradus reads weights as safetensors"},
    Kind{0, "PAR1\x15"sv, "it is a Parquet table; write its texts to a plain text file"},
    Kind{0, "SQLite format 3\0"sv, "it is an SQLite database; write its texts to a plain text file"},
    Kind{0, "%PDF-"sv, "it is a PDF document; get its text, e.g. with pdftotext"},
    Kind{0, "\x89PNG\r\n\x1a\n"sv, "it is a picture (PNG), which gradus does not read; choose another file"},
    Kind{0, "\xff\xd8\xff"sv, "it is a picture (JPEG), which gradus does not read; choose another file"},
    Kind{0,
         "\x7f"
         "ELF"sv,
         "it is a program (ELF)"},
    Kind{0, "version https://git-lfs.github.com/spec/"sv,
         "it is a Git LFS pointer, the few lines that stand for a large file; fetch that with git lfs pull"},
};

// Protocols 2 to 5, which PyTorch and Python have written for twenty years, begin with 0x80 and their number.
bool is_pickle(std::string_view bytes) {
  return bytes.size() >= 2 && bytes[0] == '\x80' && bytes[1] >= 2 && bytes[1] <= 5;
}

// model.safetensors.index.json: which of several files has which tensor.
bool is_index(std::string_view bytes) {
  return bytes.starts_with('{') && bytes.find("\"weight_map\"") != std::string_view::npos;
}

// Whether the bytes are text in characters of `width` bytes: no control characters, no lone surrogate, and at least one
// space or line end.
bool is_text_of(std::string_view bytes, std::size_t width, bool little_endian) {
  std::size_t spaces = 0;
  bool pair_begins = false;
  const std::size_t count = bytes.size() / width;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t c = 0;
    for (std::size_t k = 0; k < width; ++k) {
      const std::size_t place = little_endian ? width - 1 - k : k;
      c = c << 8 | static_cast<unsigned char>(bytes[i * width + place]);
    }
    constexpr std::uint32_t byte_order_mark = 0xFEFF, last = 0x10FFFF;
    const bool is_space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if ((c < ' ' && !is_space) || c > last || (c == byte_order_mark && i > 0) || c == 0xFFFE) return false;
    const bool is_first = c >= 0xD800 && c < 0xDC00, is_second = c >= 0xDC00 && c < 0xE000;
    if (is_second != pair_begins) return false;
    pair_begins = is_first;
    spaces += is_space ? 1 : 0;
  }
  return spaces > 0;
}

std::string wide_text(std::string_view bytes) {
  const auto convert = [](const char* name) {
    return std::string("it is text in ") + name + "; convert it to UTF-8: iconv -f " + name + " -t UTF-8";
  };
  if (bytes.starts_with("\xff\xfe\0\0"sv) || bytes.starts_with("\0\0\xfe\xff"sv)) return convert("UTF-32");
  if (bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff")) return convert("UTF-16");
  if (bytes.find('\0') == std::string_view::npos) return {};
  if (is_text_of(bytes, 4, true)) return convert("UTF-32LE");
  if (is_text_of(bytes, 4, false)) return convert("UTF-32BE");
  if (is_text_of(bytes, 2, true)) return convert("UTF-16LE");
  if (is_text_of(bytes, 2, false)) return convert("UTF-16BE");
  return {};
}

}  // namespace

std::string file_kind(std::string_view beginning) {
  const std::string_view bytes = beginning.substr(0, file_kind_bytes);
  for (const Kind& kind : kinds) {
    if (bytes.substr(std::min(kind.offset, bytes.size())).starts_with(kind.bytes)) return std::string(kind.sentence);
  }
  if (is_pickle(bytes)) return "it is a pickle, as older versions of PyTorch write" + std::string(to_weights);
  if (is_index(bytes)) {
    return "it is an index of several files of weights; one file that holds all of them is needed";
  }
  return wide_text(bytes);
}

bool is_plain_text(std::string_view beginning) {
  const auto is_control = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < ' ' && c != '\t' && c != '\n' && c != '\r';
  };
  return beginning.find('\n') != std::string_view::npos && std::ranges::none_of(beginning, is_control);
}

bool is_safetensors(std::string_view beginning) {
  constexpr std::size_t size_bytes = 8;
  if (beginning.size() <= size_bytes || beginning[size_bytes] != '{') return false;
  std::uint64_t header = 0;
  std::memcpy(&header, beginning.data(), size_bytes);
  constexpr std::uint64_t most = 100'000'000;  // the reference implementation's limit
  return header > 1 && header <= most;
}

}  // namespace gradus
