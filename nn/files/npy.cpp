// An array is a header (a Python dict as text) and numbers. The header is read by a parser of just that dict; its type
// and shape are compared with the bytes that follow before memory is allocated. Numbers are converted piece by piece.
#include <gradus/nn/files/npy.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include <gradus/nn/files/atomic_file.h>
#include <gradus/nn/files/detail/half.h>
#include <gradus/nn/files/detail/input_file.h>
#include <gradus/nn/files/detail/zip.h>

namespace gradus::nn {
namespace {

using namespace std::string_view_literals;
using detail::InputFile;
using detail::Source;
using detail::Zip;

static_assert(std::endian::native == std::endian::little, "bytes are copied from memory to little-endian files");

constexpr std::string_view magic = "\x93NUMPY"sv;
constexpr std::uint64_t max_header = 1 << 16;  // an array of 8 dimensions takes about 200 bytes

struct Header {
  char kind = 'f';  // of the numbers: b(ool), i(nt), u(nsigned), f(loat)
  std::size_t size = 4;
  bool big_endian = false, fortran_order = false;
  Shape shape;
};

// Accepts {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } and no other Python literal.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const Source& source) : rest_(text), source_(source) {}

  Header parse() {
    std::optional<std::string_view> descr;
    std::optional<bool> fortran_order;
    std::optional<Shape> shape;
    take('{');
    while (!skip('}')) {
      const std::string_view key = string();
      take(':');
      source_.require(key != "descr" || peek() != '[',
                      "it is an array of records (a structured dtype); save its fields one by one");
      if (key == "descr" && !descr) {
        descr = string();
      } else if (key == "fortran_order" && !fortran_order) {
        fortran_order = boolean();
      } else if (key == "shape" && !shape) {
        shape = tuple();
      } else {
        source_.require(false, "its header has '{}' twice or needs none; 'descr', 'fortran_order' and 'shape' are all",
                        key.substr(0, 40));
      }
      if (!skip(',')) {
        take('}');
        break;
      }
    }
    source_.require(peek() == '\0' && rest_.empty(), "text follows the dict of its header; it is damaged");
    source_.require(descr && fortran_order && shape, "its header lacks 'descr', 'fortran_order' or 'shape'");
    Header header = type_of(*descr);
    header.fortran_order = *fortran_order;
    header.shape = *shape;
    return header;
  }

 private:
  // The next character that is no space; 0 at the end.
  char peek() {
    rest_.remove_prefix(std::min(rest_.size(), rest_.find_first_not_of(" \n\t\r")));
    return rest_.empty() ? '\0' : rest_.front();
  }
  bool skip(char c) {
    if (peek() != c || rest_.empty()) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void take(char c) {
    source_.require(skip(c), "its header is no dict of Python: '{}' is needed before \"{}\"; it is damaged", c,
                    rest_.substr(0, 20));
  }
  bool word(std::string_view text) {
    peek();
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  std::string_view string() {
    const char quote = peek();
    source_.require(quote == '\'' || quote == '"', "its header is no dict of Python: a text is needed before \"{}\"",
                    rest_.substr(0, 20));
    const std::size_t end = rest_.find(quote, 1);
    source_.require(end != std::string_view::npos, "a text in its header does not end; it is damaged");
    const std::string_view text = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return text;
  }

  bool boolean() {
    if (word("True")) return true;
    source_.require(word("False"), "'fortran_order' in its header is neither True nor False; it is damaged");
    return false;
  }

  Index number() {
    Index n = 0;
    bool fits = peek() >= '0' && peek() <= '9';
    for (; !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9'; rest_.remove_prefix(1)) {
      fits = fits && !__builtin_mul_overflow(n, 10, &n) && !__builtin_add_overflow(n, rest_.front() - '0', &n);
    }
    source_.require(fits, "'shape' in its header is no tuple of whole numbers from 0 to 2^63; it is damaged");
    if (!rest_.empty() && rest_.front() == 'L') rest_.remove_prefix(1);  // as Python 2 wrote them
    return n;
  }

  Shape tuple() {
    Shape shape;
    bool comma = true;
    take('(');
    while (!skip(')')) {
      source_.require(comma, "'shape' in its header is no tuple of whole numbers; it is damaged");
      source_.require(static_cast<std::size_t>(shape.rank()) < Shape::max_rank,
                      "it has more than {} dimensions; reshape it before it is saved", Shape::max_rank);
      shape.push_back(number());
      comma = skip(',');
    }
    source_.require(comma || shape.rank() != 1, "'shape' in its header is a number, not a tuple such as (3,)");
    return shape;
  }

  Header type_of(std::string_view descr) const {
    Header header;
    const bool simple =
        descr.size() == 3 && "<>|"sv.find(descr[0]) != std::string_view::npos &&
        ((descr[1] == 'b' && descr[2] == '1') ||
         (descr[1] == 'f' && "248"sv.find(descr[2]) != std::string_view::npos) ||
         ("iu"sv.find(descr[1]) != std::string_view::npos && "1248"sv.find(descr[2]) != std::string_view::npos));
    source_.require(simple && (descr[0] != '|' || descr[2] == '1'),
                    "its type is '{}'; bool, integers and floats of 16, 32 and 64 bits can be read: save "
                    "x.astype(numpy.float64), and texts as numbers",
                    descr.substr(0, 40));
    header.kind = descr[1];
    header.size = static_cast<std::size_t>(descr[2] - '0');
    header.big_endian = descr[0] == '>';
    return header;
  }

  std::string_view rest_;
  const Source& source_;
};

Header read_header(Source& source) {
  source.require(source.left() >= magic.size() + 4 && source.text(magic.size()) == magic,
                 "it does not begin as NumPy's arrays do; is it an .npy file?");
  const std::string version = source.text(2);
  source.require(version[0] >= 1 && version[0] <= 3 && version[1] == 0,
                 "its format is of version {}.{}; 1.0, 2.0 and 3.0 can be read", static_cast<int>(version[0]),
                 static_cast<int>(version[1]));
  std::uint64_t size = 0;
  const std::string bytes = source.text(version[0] == 1 ? 2 : 4);
  std::memcpy(&size, bytes.data(), bytes.size());
  source.require(size <= std::min(source.left(), max_header),
                 "its header should have {} bytes, but {} follow (and {} is the limit); it is cut off or damaged", size,
                 source.left(), max_header);
  const std::string text = source.text(size);
  Header header = HeaderParser(text, source).parse();

  // A size of zero counts as one here, because it would hide an overflow among the others.
  std::uint64_t needed = header.size;
  bool fits = true;
  for (const Index n : header.shape) {
    const auto factor = static_cast<std::uint64_t>(std::max<Index>(n, 1));
    fits = fits && !__builtin_mul_overflow(needed, factor, &needed) && needed >> 60 == 0;
  }
  source.require(fits, "its shape {} is too large", header.shape);
  needed = static_cast<std::uint64_t>(header.shape.numel()) * header.size;
  source.require(needed == source.left(), "its shape {} of {} bytes each needs {} bytes, but {} follow the header; {}",
                 header.shape, header.size, needed, source.left(),
                 needed > source.left() ? "it is cut off" : "it holds more than one array, or is damaged");
  return header;
}

// Yields the row-major place of each element, in the file's order (C or Fortran).
class Places {
 public:
  explicit Places(const Header& header) : shape_(header.shape), fortran_(header.fortran_order && shape_.rank() > 1) {
    Index stride = 1;
    for (std::size_t d = rank(); d-- > 0; stride *= shape_.begin()[d]) strides_[d] = stride;
  }

  std::size_t next() {
    if (!fortran_) return static_cast<std::size_t>(place_++);
    const Index now = place_;
    for (std::size_t d = 0; d < rank(); ++d) {  // the first dimension is the fastest
      place_ += strides_[d];
      if (++at_[d] < shape_.begin()[d]) break;
      place_ -= at_[d] * strides_[d];
      at_[d] = 0;
    }
    return static_cast<std::size_t>(now);
  }

 private:
  std::size_t rank() const { return static_cast<std::size_t>(shape_.rank()); }

  Shape shape_;
  bool fortran_;
  Index place_ = 0;
  std::array<Index, Shape::max_rank> strides_{}, at_{};
};

// f(place, number) for every number; T is the file's type, f16 as uint16_t.
template <class T, class F>
void each_number(Source& source, const Header& header, const F& f) {
  constexpr Index piece = 8192;
  std::array<T, piece> numbers{};
  Places places(header);
  for (Index left = header.shape.numel(); left > 0;) {
    const auto count = static_cast<std::size_t>(std::min(left, piece));
    const std::span<std::byte> bytes = std::as_writable_bytes(std::span(numbers).first(count));
    source.read(bytes);
    for (std::size_t i = 0; i < count; ++i) {
      if (header.big_endian) std::ranges::reverse(bytes.subspan(i * sizeof(T), sizeof(T)));
      f(places.next(), numbers[i]);
    }
    left -= static_cast<Index>(count);
  }
}

// f(place, number) for every integer or bool, in the file's type.
template <class F>
void each_integer(Source& source, const Header& header, const F& f) {
  const auto read = [&]<class T>() {
    each_number<T>(source, header, [&](std::size_t i, T n) {
      source.require(header.kind != 'b' || n <= T{1}, "element {} of its bools is {}; it is damaged", i, n);
      f(i, n);
    });
  };
  const bool is_signed = header.kind == 'i';
  switch (header.size) {
    case 1:
      return is_signed ? read.template operator()<std::int8_t>() : read.template operator()<std::uint8_t>();
    case 2:
      return is_signed ? read.template operator()<std::int16_t>() : read.template operator()<std::uint16_t>();
    case 4:
      return is_signed ? read.template operator()<std::int32_t>() : read.template operator()<std::uint32_t>();
    default:
      return is_signed ? read.template operator()<std::int64_t>() : read.template operator()<std::uint64_t>();
  }
}

// Whether at most 53 bits lie between |n|'s highest and lowest set bit, both included.
template <class T>
bool fits_in_f64(T n) {
  if constexpr (sizeof(T) < sizeof(double)) {
    return true;
  } else {
    const auto bits = static_cast<std::uint64_t>(n);
    const std::uint64_t size = std::cmp_less(n, 0) ? 0 - bits : bits;
    return size == 0 || size >> std::countr_zero(size) < std::uint64_t{1} << 53;
  }
}

template <class To>
void fill_floats(Source& source, const Header& header, std::span<To> to) {
  if (header.size == 2) {
    each_number<std::uint16_t>(source, header,
                               [&](std::size_t i, std::uint16_t n) { to[i] = detail::half_to_float(n); });
  } else {
    each_number<To>(source, header, [&](std::size_t i, To n) { to[i] = n; });
  }
}

Tensor read_array(Source& source) {
  const Header header = read_header(source);
  Tensor x = Tensor::empty(header.shape, header.size < (header.kind == 'f' ? 8 : 4) ? DType::f32 : DType::f64);
  dispatch(x.dtype(), [&]<class To>() {
    const std::span<To> to = x.data<To>();
    if (header.kind == 'f') return fill_floats(source, header, to);
    each_integer(source, header, [&](std::size_t i, auto n) {
      source.require(fits_in_f64(n),
                     "element {} is {}, which f64 does not hold exactly; x.astype(numpy.float64) rounds", i, n);
      to[i] = static_cast<To>(n);
    });
  });
  return x;
}

Ids read_ids(Source& source) {
  const Header header = read_header(source);
  source.require(header.kind != 'f', "it is an array of floats, and ids are integers; save x.astype(numpy.int32)");
  std::vector<std::int32_t> ids(static_cast<std::size_t>(header.shape.numel()));
  each_integer(source, header, [&](std::size_t i, auto n) {
    source.require(std::in_range<std::int32_t>(n), "element {} is {}; ids are from -2^31 to 2^31 - 1", i, n);
    ids[i] = static_cast<std::int32_t>(n);  // NOLINT(bugprone-signed-char-misuse): a number, no character
  });
  return {Ids(ids), header.shape};
}

InputFile open_npy(const std::string& path) {
  InputFile file("load_npy", path);
  const std::string beginning = file.text(std::min<std::uint64_t>(file.size(), magic.size()));
  if (beginning != magic) {
    file.require(!beginning.starts_with("PK"), "it is a zip archive; load_npz reads those of numpy.savez");
    const std::string kind = file.kind();
    file.require(kind.empty(), "{}", kind);
  }
  file.seek(0);
  return file;
}

// "x" of "x.npy"
std::string array_name(const Zip::Entry& entry, const InputFile& file) {
  constexpr std::string_view ending = ".npy";
  file.require(entry.name.ends_with(ending), "its entry '{}' is no array (.npy); it is not an archive of numpy.savez",
               entry.name);
  return entry.name.substr(0, entry.name.size() - ending.size());
}

// f(source) of the array `name`.
template <class F>
auto with_array(const std::string& path, const std::string& name, const F& f) {
  InputFile file("load_npz", path);
  const Zip zip(file);
  std::vector<std::string> names;
  for (const Zip::Entry& entry : zip.entries()) {
    names.push_back(array_name(entry, file));
    if (names.back() == name) return zip.with_entry(entry, f);
  }
  file.refuse(fmt::format("it has no array '{}'; it has {}", name, fmt::join(names, ", ")));
}

// Everything before the numbers.
std::string header_of(const Tensor& x) {
  std::string sizes;
  for (const Index size : x.shape()) sizes += fmt::format("{}{}", sizes.empty() ? "" : " ", size) + ",";
  if (x.rank() > 1) sizes.pop_back();
  std::string text =
      fmt::format("{{'descr': '<f{}', 'fortran_order': False, 'shape': ({}), }}", size_of(x.dtype()), sizes);
  constexpr std::size_t aligned = 64, before = magic.size() + 4;
  text.append(aligned - 1 - (before + text.size()) % aligned, ' ');
  text += '\n';
  std::string header(magic);
  header += {'\1', '\0', static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
  return header + text;
}

std::span<const std::byte> bytes_of(const Tensor& x) {
  return dispatch(x.dtype(), [&]<class T>() { return std::as_bytes(std::span<const T>(x.data<T>())); });
}

}  // namespace

Tensor load_npy(const std::string& path) {
  InputFile file = open_npy(path);
  return read_array(file);
}

Ids load_npy_ids(const std::string& path) {
  InputFile file = open_npy(path);
  return read_ids(file);
}

void save_npy(const std::string& path, const Tensor& x) {
  const std::string header = header_of(x);
  AtomicFile file(path);
  file.write(header);
  file.write(bytes_of(x).data(), bytes_of(x).size());
  file.commit();
}

NamedTensors load_npz(const std::string& path) {
  InputFile file("load_npz", path);
  const Zip zip(file);
  NamedTensors arrays;
  for (const Zip::Entry& entry : zip.entries()) {
    arrays.emplace_back(array_name(entry, file), zip.with_entry(entry, read_array));
  }
  return arrays;
}

Tensor load_npz(const std::string& path, const std::string& name) {
  return with_array(path, name, read_array);
}

Ids load_npz_ids(const std::string& path, const std::string& name) {
  return with_array(path, name, read_ids);
}

void save_npz(const std::string& path, const NamedTensors& arrays) {
  std::unordered_set<std::string> names;
  for (const auto& [name, x] : arrays) {
    check(names.insert(name).second, "save_npz: '{}': two arrays are to be named '{}'; rename one", path, name);
  }
  AtomicFile file(path);
  detail::ZipWriter zip(file);
  for (const auto& [name, x] : arrays) {
    const std::string header = header_of(x);
    zip.add(name + ".npy", {std::as_bytes(std::span(header)), bytes_of(x)});
  }
  zip.finish();
  file.commit();
}

}  // namespace gradus::nn
