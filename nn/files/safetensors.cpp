// Reading trusts nothing: the header's length, its JSON, every shape and every byte range are checked before a tensor
// is made, so a damaged or hostile file ends in an Error. Loading looks at every name before it changes the first
// number.
#include <gradus/nn/files/safetensors.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <unordered_set>

#include <gradus/core/autograd.h>
#include <gradus/nn/files/atomic_file.h>
#include <gradus/nn/files/detail/half.h>
#include <gradus/nn/files/detail/shard_index.h>
#include <gradus/nn/files/detail/some_of.h>
#include <gradus/nn/files/file_kind.h>

namespace gradus::nn {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

using nlohmann::json;

constexpr std::uint64_t max_header = 100'000'000;  // the reference implementation's limit
constexpr const char* metadata_key = "__metadata__";
constexpr const char* checksum_key = "checksum";

// Types that a file may hold: those that are read, in 16 bits into f32, and integers, of which only the size is needed
// to skip them.
struct Type {
  std::string_view name;
  std::uint64_t size;
  std::optional<DType> dtype;

  bool is_narrow() const { return dtype && size < size_of(*dtype); }
};
constexpr std::string_view half_name = "F16", bfloat16_name = "BF16";
constexpr std::array<Type, 13> types{{{"F32", 4, DType::f32},
                                      {"F64", 8, DType::f64},
                                      {half_name, 2, DType::f32},
                                      {bfloat16_name, 2, DType::f32},
                                      {"BOOL", 1, {}},
                                      {"I8", 1, {}},
                                      {"U8", 1, {}},
                                      {"I16", 2, {}},
                                      {"U16", 2, {}},
                                      {"I32", 4, {}},
                                      {"U32", 4, {}},
                                      {"I64", 8, {}},
                                      {"U64", 8, {}}}};

std::span<std::byte> bytes_of(const Tensor& x) {
  return dispatch(x.dtype(), [&]<class T>() { return std::span<std::byte>(std::as_writable_bytes(x.data<T>())); });
}

// f(numbers of x, room for their 16 bits), some at a time.
template <class F>
void each_piece(const Tensor& x, const F& f) {
  constexpr std::size_t piece = 1 << 16;
  std::vector<std::uint16_t> bits(piece);
  for (std::span<float> left = x.data<float>(); !left.empty(); left = left.subspan(std::min(piece, left.size()))) {
    const std::size_t count = std::min(piece, left.size());
    f(left.first(count), std::span(bits).first(count));
  }
}

// Rounds to 16 bits.
void narrow(std::span<const float> from, Storage storage, std::span<std::uint16_t> to) {
  std::ranges::transform(from, to.begin(), storage == Storage::f16 ? detail::float_to_half : detail::float_to_bfloat16);
}

void widen(std::span<const std::uint16_t> from, std::string_view type, std::span<float> to) {
  std::ranges::transform(from, to.begin(), type == half_name ? detail::half_to_float : detail::bfloat16_to_float);
}

std::string_view type_of(const Tensor& x, Storage storage) {
  if (storage == Storage::same) return x.dtype() == DType::f32 ? "F32" : "F64";
  return storage == Storage::f16 ? half_name : bfloat16_name;
}

// `x` with the numbers that a file in 16 bits holds.
Tensor rounded(const std::string& path, const std::string& name, const Tensor& x, Storage storage) {
  const Tensor y = x.detach().to(DType::f32).clone();
  each_piece(y, [&](std::span<float> numbers, std::span<std::uint16_t> bits) {
    narrow(numbers, storage, bits);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const float before = numbers[i];
      widen(bits.subspan(i, 1), type_of(y, storage), numbers.subspan(i, 1));
      check(std::isfinite(numbers[i]) || !std::isfinite(before),
            "save: '{}': '{}' holds {}, more than {} can; choose BF16, or leave the numbers as they are", path, name,
            before, type_of(y, storage));
    }
  });
  return y;
}

// Every step is invertible, so a change of one word always changes the hash.
std::uint64_t hash(std::uint64_t h, std::span<const std::byte> bytes) {
  const auto mix = [&h](std::uint64_t word) {
    h = (h ^ word) * 0x9e3779b97f4a7c15;
    h ^= h >> 32;
  };
  mix(bytes.size());
  for (; !bytes.empty(); bytes = bytes.subspan(std::min<std::size_t>(8, bytes.size()))) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), std::min<std::size_t>(8, bytes.size()));
    mix(word);
  }
  return h;
}

std::uint64_t hash(std::uint64_t h, std::string_view text) {
  return hash(h, std::as_bytes(std::span(text)));
}

// Of the metadata and the tensors' names.
std::uint64_t header_checksum(const Metadata& metadata, const std::set<std::string>& names) {
  std::uint64_t sum = 0;
  for (const auto& [key, value] : metadata) sum = hash(hash(sum, key), value);
  for (const std::string& name : names) sum = hash(sum, name);
  return sum;
}

std::string as_hex(std::uint64_t sum) {
  return fmt::format("{:016x}", sum);
}

// Checksums of the header (under the empty name) and of each tensor's data (by name), so that an error tells which part
// is damaged.
std::map<std::string, std::uint64_t> checksums(const NamedTensors& tensors, const Metadata& metadata) {
  std::map<std::string, std::uint64_t> sums;
  std::set<std::string> names;
  for (const auto& [name, x] : tensors) {
    names.insert(name);
    sums[name] = hash(hash(0, fmt::format("{} {}", x.dtype(), x.shape())), bytes_of(x));
  }
  sums[""] = header_checksum(metadata, names);
  return sums;
}

// Whether it is a counter that PyTorch's BatchNorm writes and nothing here needs.
bool is_batch_count(std::string_view name) {
  return name.substr(name.rfind('.') + 1) == "num_batches_tracked";
}

// One file being read. Errors begin with "read: 'path'".
class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path) {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    require(std::filesystem::exists(status), "there is no such file; check the path");
    require(std::filesystem::is_regular_file(status), "it is not a file");
    size_ = std::filesystem::file_size(path, error);
    require(!error, "{}", error.message());
    errno = 0;
    stream_.open(path, std::ios::binary);
    require(stream_.is_open(), "it cannot be opened: {}", std::generic_category().message(errno));
  }

  TensorFile read() {
    TensorFile file;
    const std::vector<Entry> entries = read_header(file.metadata);
    for (const Entry& entry : entries) {
      if (!entry.dtype) {
        skip(entry.end - entry.begin);
        file.skipped.emplace(entry.name, entry.type);
        continue;
      }
      const Tensor x = Tensor::empty(entry.shape, *entry.dtype);
      if (entry.narrow) {
        read_narrow(entry, x);
        file.narrow.emplace(entry.name, entry.type);
      } else {
        read_bytes(bytes_of(x));
      }
      file.tensors.emplace_back(entry.name, x);
    }
    verify(file, entries);
    return file;
  }

  Metadata read_metadata() {
    Metadata metadata;
    std::set<std::string> names;
    for (const Entry& entry : read_header(metadata)) {
      if (entry.dtype) names.insert(entry.name);
    }
    if (const auto sums = metadata.extract(checksum_key); !sums.empty()) {
      require_match(sums.mapped().starts_with(as_hex(header_checksum(metadata, names))), "its header");
    }
    return metadata;
  }

 private:
  struct Entry {
    std::string name, type;
    std::optional<DType> dtype;  // of the types that are read,
    bool narrow;                 // and whether the file has them in 16 bits
    Shape shape;
    std::uint64_t begin, end;
  };

  std::vector<Entry> read_header(Metadata& metadata) {
    require_no_other_kind();
    require(size_ >= 8, "it has {} bytes, and a safetensors file at least 8; it is cut off or something else", size_);
    std::uint64_t header_size = 0;
    read_bytes(std::as_writable_bytes(std::span(&header_size, 1)));
    require(
        header_size <= std::min(size_ - 8, max_header),
        "its header should have {} bytes, but {} follow (and {} is the limit); it is cut off or not a safetensors file",
        header_size, size_ - 8, max_header);
    std::string header(header_size, '\0');
    read_bytes(std::as_writable_bytes(std::span(header)));
    data_size_ = size_ - 8 - header_size;

    return parse(header, metadata);
  }

  // The length at the front may look like another format's first bytes: it is safetensors if JSON follows.
  void require_no_other_kind() {
    std::string beginning(std::min<std::uint64_t>(size_, file_kind_bytes), '\0');
    read_bytes(std::as_writable_bytes(std::span(beginning)));
    stream_.seekg(0);
    if (is_safetensors(beginning)) return;
    const std::string kind = file_kind(beginning);
    require(kind.empty(), "{}", kind);
    require(!is_plain_text(beginning), "it is text, not weights; a safetensors file is needed");
  }

  template <class... Args>
  void require(bool condition, fmt::format_string<Args...> format, Args&&... args) const {
    if (!condition) fail("read: '{}': {}", path_, fmt::format(format, std::forward<Args>(args)...));
  }

  void require_match(bool match, const std::string& part) const {
    require(
        match,
        "{} does not match its checksum: the file was damaged, or changed by a program that kept the metadata entry "
        "'{}'",
        part, checksum_key);
  }

  // Files of other programs have no checksums.
  void verify(TensorFile& file, const std::vector<Entry>& entries) const {
    const auto node = file.metadata.extract(checksum_key);
    if (node.empty()) return;
    std::string_view rest = node.mapped();
    for (const auto& [name, sum] : checksums(file.tensors, file.metadata)) {
      const std::string found = as_hex(sum);
      const auto entry = std::ranges::find(entries, name, &Entry::name);
      const std::uint64_t start = size_ - data_size_;
      require_match(rest.starts_with(found),
                    entry == entries.end()
                        ? "its header"
                        : fmt::format("tensor '{}' (bytes {} to {})", name, start + entry->begin, start + entry->end));
      rest.remove_prefix(std::min(rest.size(), found.size() + 1));
    }
    require(rest.empty(), "it has more checksums than tensors; it was damaged");
  }

  void read_bytes(std::span<std::byte> bytes) {
    stream_.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    require_got(bytes.size());
  }

  void read_narrow(const Entry& entry, const Tensor& x) {
    each_piece(x, [&](std::span<float> numbers, std::span<std::uint16_t> bits) {
      read_bytes(std::as_writable_bytes(bits));
      widen(bits, entry.type, numbers);
    });
  }

  void skip(std::uint64_t count) {
    stream_.ignore(static_cast<std::streamsize>(count));
    require_got(count);
  }

  void require_got(std::uint64_t count) const {
    require(stream_.gcount() == static_cast<std::streamsize>(count),
            "it ended early; was it changed while being read?");
  }

  json parse_json(const std::string& text) const {
    require(text.starts_with('{'), "its header does not begin with '{{'; it is not a safetensors file");
    std::set<std::string> names;
    // Entries are at depth 1, their fields at 2, the numbers of a shape at 3. Anything deeper is not of this format.
    const auto watch = [&](int depth, json::parse_event_t event, json& value) {
      require(depth <= 2 || event == json::parse_event_t::value, "its header is nested too deeply");
      if (event == json::parse_event_t::key && depth == 1) {
        const auto& name = value.get_ref<const std::string&>();
        require(names.insert(name).second, "its header has '{}' twice", name);
      }
      return true;
    };
    try {
      return json::parse(text, watch);
    } catch (const json::exception& error) {
      require(false, "its header is not proper JSON: {}", error.what());
      throw;
    }
  }

  std::vector<Entry> parse(const std::string& text, Metadata& metadata) const {
    const json header = parse_json(text);
    std::vector<Entry> entries;
    for (const auto& [name, value] : header.items()) {
      require(value.is_object(), "the header's '{}' is not an object", name);
      if (name == metadata_key) {
        for (const auto& [key, entry] : value.items()) {
          require(entry.is_string(), "its metadata '{}' is not a text", key);
          metadata.emplace(key, entry.get<std::string>());
        }
      } else {
        entries.push_back(parse_entry(name, value));
      }
    }
    std::ranges::sort(entries, {}, [](const Entry& entry) { return std::pair(entry.begin, entry.end); });
    std::uint64_t end = 0;
    for (const Entry& entry : entries) {
      require(entry.begin == end, "the data of '{}' begin at {}, but the tensor before it ends at {}", entry.name,
              entry.begin, end);
      end = entry.end;
    }
    require(end == data_size_, "its tensors take {} bytes, but {} follow the header; it is cut off or damaged", end,
            data_size_);
    return entries;
  }

  Entry parse_entry(const std::string& name, const json& value) const {
    const auto numbers = [&](const char* key) {
      const auto found = value.find(key);
      require(found != value.end() && found->is_array() && std::ranges::all_of(*found, &json::is_number_unsigned),
              "'{}' of tensor '{}' is not a list of whole numbers of at least 0", key, name);
      return found->get<std::vector<std::uint64_t>>();
    };
    const auto dtype = value.find("dtype");
    require(dtype != value.end() && dtype->is_string(), "tensor '{}' has no dtype", name);
    const auto& type = dtype->get_ref<const std::string&>();
    const auto known = std::ranges::find(types, type, &Type::name);
    require(known != types.end(), "tensor '{}' is {}; only F32, F64, F16 and BF16 can be read, convert it first", name,
            type);

    Entry entry{name, type, known->dtype, known->is_narrow(), {}, 0, 0};
    const std::vector<std::uint64_t> sizes = numbers("shape"), offsets = numbers("data_offsets");
    require(sizes.size() <= Shape::max_rank, "tensor '{}' has {} dimensions; {} is the most", name, sizes.size(),
            Shape::max_rank);
    // A size of zero counts as one here, because it would hide an overflow among the others.
    std::uint64_t bytes = known->size;
    bool fits = true;
    for (const std::uint64_t size : sizes) {
      fits = fits && !__builtin_mul_overflow(bytes, std::max<std::uint64_t>(size, 1), &bytes) && bytes >> 62 == 0;
    }
    require(fits, "tensor '{}' with shape ({}) is too large", name, fmt::join(sizes, ", "));
    for (const std::uint64_t size : sizes) entry.shape.push_back(static_cast<Index>(size));
    require(
        offsets.size() == 2 && offsets[0] <= offsets[1] && offsets[1] <= data_size_,
        "the data_offsets of tensor '{}' are ({}); they must be a begin and an end within the {} bytes of data that "
        "are there: it is cut off or damaged",
        name, fmt::join(offsets, ", "), data_size_);
    entry.begin = offsets[0];
    entry.end = offsets[1];
    const std::uint64_t needed = static_cast<std::uint64_t>(entry.shape.numel()) * known->size;
    require(entry.end - entry.begin == needed, "tensor '{}' with shape {} in {} needs {} bytes, but has {}", name,
            entry.shape, type, needed, entry.end - entry.begin);
    return entry;
  }

  std::string path_;
  std::ifstream stream_;
  std::uint64_t size_ = 0, data_size_ = 0;
};

// The files that an index names, as one.
TensorFile read_shards(const std::string& path) {
  TensorFile all;
  std::map<std::string, std::string> file_of;  // by the names of tensors
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  for (const auto& [shard, names] : detail::read_shard_index(path)) {
    const std::string place = (folder / shard).string();
    std::error_code error;
    check(std::filesystem::exists(place, error),
          "read: '{}': it names '{}', which is not beside it; a part of the model is missing, fetch it too", path,
          shard);
    TensorFile part = Reader(place).read();
    const auto add = [&, &shard = shard, &names = names](const std::string& name) {
      const auto [other, is_new] = file_of.emplace(name, shard);
      check(is_new, "read: '{}': both '{}' and '{}' have '{}'; they are not of one model", path, other->second, shard,
            name);
      check(names.contains(name), "read: '{}': '{}' has '{}', which is not said there; they are not of one model", path,
            shard, name);
    };
    for (auto& [name, tensor] : part.tensors) {
      add(name);
      all.tensors.emplace_back(name, std::move(tensor));
    }
    for (const auto& [name, type] : part.skipped) add(name);
    for (const std::string& name : names) {
      check(file_of.contains(name), "read: '{}': '{}' should have '{}', and has not; they are not of one model", path,
            shard, name);
    }
    all.metadata.merge(part.metadata);
    all.skipped.merge(part.skipped);
    all.narrow.merge(part.narrow);
  }
  return all;
}

}  // namespace

void save_tensors(const std::string& path, const NamedTensors& tensors, const Metadata& metadata, SaveOptions options) {
  const bool is_narrow = options.storage != Storage::same;
  NamedTensors ordered = tensors;
  if (is_narrow) {
    for (auto& [name, x] : ordered) x = rounded(path, name, x, options.storage);
  }
  // The wider type first, so that every tensor's data are aligned.
  std::ranges::stable_sort(ordered, std::ranges::greater{},
                           [](const auto& entry) { return size_of(entry.second.dtype()); });
  json header = json::object();
  check(!metadata.contains(checksum_key), "save: '{}': the metadata entry '{}' is reserved; rename it", path,
        checksum_key);
  header[metadata_key] = metadata;
  std::string sums;
  for (const auto& [name, sum] : checksums(ordered, metadata)) {
    sums += (sums.empty() ? "" : " ") + as_hex(sum);
  }
  header[metadata_key][checksum_key] = sums;
  std::unordered_set<std::string> names{metadata_key};
  std::size_t offset = 0;
  for (const auto& [name, x] : ordered) {
    check(names.insert(name).second, "save: '{}': two tensors are to be named '{}' (or it is reserved); rename one",
          path, name);
    const std::size_t end = offset + bytes_of(x).size() / (is_narrow ? 2 : 1);
    header[name] = {{"dtype", type_of(x, options.storage)},
                    {"shape", std::vector<Index>(x.shape().begin(), x.shape().end())},
                    {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception& error) {
    fail("save: '{}': a name or metadata is not valid UTF-8 ({}); rename it", path, error.what());
  }
  text.append((8 - text.size() % 8) % 8, ' ');

  AtomicFile file(path);
  const std::uint64_t header_size = text.size();
  file.write(&header_size, sizeof header_size);
  file.write(text);
  for (const auto& [name, x] : ordered) {
    if (is_narrow) {
      each_piece(x, [&](std::span<float> numbers, std::span<std::uint16_t> bits) {
        narrow(numbers, options.storage, bits);
        file.write(bits.data(), bits.size_bytes());
      });
    } else {
      file.write(bytes_of(x).data(), bytes_of(x).size());
    }
  }
  file.commit();
}

TensorFile read_tensors(const std::string& path) {
  return detail::is_shard_index(path) ? read_shards(path) : Reader(path).read();
}

Metadata read_metadata(const std::string& path) {
  return Reader(path).read_metadata();
}

void save_safetensors(const std::string& path, const Module& module, const Metadata& metadata) {
  save_tensors(path, module.named_state(), metadata);
}

LoadReport load_safetensors(const std::string& path, const Module& module, LoadOptions options) {
  return load_state(module, read_tensors(path), fmt::format("'{}'", path), options);
}

LoadReport load_state(const Module& module, const TensorFile& file, const std::string& source, LoadOptions options) {
  LoadReport report{{}, {}, file.metadata};
  std::unordered_map<std::string, Tensor> wanted;
  for (auto& [name, tensor] : module.named_state(/*remove_duplicate=*/false)) wanted.emplace(name, tensor);

  std::vector<std::string> misfits;
  std::unordered_map<const Node*, const NamedTensors::value_type*> given;  // what the file has for each tensor
  for (const auto& entry : file.tensors) {
    const auto& [name, values] = entry;
    const auto found = wanted.find(name);
    if (found == wanted.end()) {
      report.unexpected.push_back(name);
      continue;
    }
    const Tensor& target = found->second;
    const auto [first, is_new] = given.emplace(&target.node(), &entry);
    if (values.shape() != target.shape()) {
      misfits.push_back(fmt::format("{} is {} and should be {}", name, values.shape(), target.shape()));
    } else if (!is_new && !std::ranges::equal(bytes_of(values), bytes_of(first->second->second))) {
      misfits.push_back(fmt::format("{} and {} differ but are one tensor here", first->second->first, name));
    }
  }
  for (const auto& [name, type] : file.skipped) {
    if (const auto found = wanted.find(name); found != wanted.end()) {
      misfits.push_back(fmt::format("{} is {} and should be {}", name, type, found->second.dtype()));
      given.emplace(&found->second.node(), nullptr);
    } else if (!options.strict || !is_batch_count(name)) {
      report.unexpected.push_back(name);
    }
  }
  const NamedTensors state = module.named_state();
  for (const auto& [name, tensor] : state) {
    if (!given.contains(&tensor.node())) report.missing.push_back(name);
  }

  std::string wrong;
  const auto add = [&wrong](const char* what, const std::vector<std::string>& names) {
    if (!names.empty()) wrong += fmt::format("; {} {}: {}", names.size(), what, detail::some_of(names, 5));
  };
  if (options.strict) {
    add("missing", report.missing);
    add("unexpected", report.unexpected);
  }
  add("that do not fit", misfits);
  check(wrong.empty(), "load: {} does not fit this module{}; was it made with other settings? (nothing was loaded)",
        source, wrong);

  const NoGrad no_grad;
  for (const auto& [name, tensor] : state) {
    const auto found = given.find(&tensor.node());
    if (found == given.end()) continue;
    tensor.copy_(found->second->second.to(tensor.dtype()));
    tensor.mark_written("load_safetensors");
  }
  return report;
}

}  // namespace gradus::nn
