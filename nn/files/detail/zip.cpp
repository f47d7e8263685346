// The list at the archive's end (the central directory) says where entries are; of an entry's own header only the
// length is used.
// Without zlib (GRADUS_HAS_ZLIB) entries that are deflated are an Error.
#include <gradus/nn/files/detail/zip.h>

#include <algorithm>
#include <array>
#include <unordered_set>

#ifdef GRADUS_HAS_ZLIB
#include <zlib.h>
#endif

namespace gradus::nn::detail {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view entry_mark = "PK\3\4"sv, list_mark = "PK\1\2"sv, end_mark = "PK\5\6"sv,
                           end64_mark = "PK\6\6"sv, locator_mark = "PK\6\7"sv;
constexpr std::size_t entry_bytes = 30, list_bytes = 46, end_bytes = 22, locator_bytes = 20, end64_bytes = 56;
constexpr std::uint64_t in_zip64 = 0xffffffff;  // stands for a number that follows in 64 bits
constexpr unsigned stored = 0, deflated = 8;

constexpr std::array<std::uint32_t, 256> crc_table = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    table[i] = crc;
  }
  return table;
}();

// Continues the checksum `crc`, which begins as 0.
std::uint32_t crc32_of(std::uint32_t crc, std::span<const std::byte> bytes) {
  crc = ~crc;
  for (const std::byte byte : bytes) crc = crc >> 8 ^ crc_table[(crc ^ static_cast<std::uint32_t>(byte)) & 0xff];
  return ~crc;
}

// A little-endian number.
std::uint64_t number(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint64_t n = 0;
  for (std::size_t i = size; i-- > 0;) n = n << 8 | static_cast<unsigned char>(bytes[at + i]);
  return n;
}

std::string bytes_of(std::uint64_t n, std::size_t size) {
  std::string bytes;
  for (; size > 0; --size, n >>= 8) bytes += static_cast<char>(n & 0xff);
  return bytes;
}

// The bytes of one entry that lie in the file.
class StoredSource : public EntrySource {
 public:
  StoredSource(InputFile& file, Zip::Entry entry) : file_(file), entry_(std::move(entry)), left_(entry_.size) {}

  void read(std::span<std::byte> bytes) override {
    require(bytes.size() <= left_, "it ends after {} of {} bytes; it is cut off", left_, bytes.size());
    unpack(bytes);
    left_ -= bytes.size();
    crc_ = crc32_of(crc_, bytes);
  }
  std::uint64_t left() const override { return left_; }
  std::string name() const override { return fmt::format("{}: entry '{}'", file_.name(), entry_.name); }
  void finish() override {
    require(left_ == 0, "{} bytes follow its numbers", left_);
    require(crc_ == entry_.crc, "it does not match its checksum; the file is damaged");
  }

 protected:
  virtual void unpack(std::span<std::byte> bytes) { file_.read(bytes); }

  InputFile& file_;
  Zip::Entry entry_;

 private:
  std::uint64_t left_;
  std::uint32_t crc_ = 0;
};

#ifdef GRADUS_HAS_ZLIB
class DeflatedSource final : public StoredSource {
 public:
  DeflatedSource(InputFile& file, const Zip::Entry& entry) : StoredSource(file, entry), packed_(entry.packed) {
    constexpr int without_header = -15;
    require(inflateInit2(&stream_, without_header) == Z_OK, "there is no memory left to unpack it");
  }
  ~DeflatedSource() override { inflateEnd(&stream_); }
  DeflatedSource(const DeflatedSource&) = delete;
  DeflatedSource& operator=(const DeflatedSource&) = delete;

 private:
  void unpack(std::span<std::byte> bytes) override {
    while (!bytes.empty()) {
      if (stream_.avail_in == 0) refill();
      constexpr std::size_t most = 1U << 30;  // zlib counts in 32 bits
      const std::size_t wanted = std::min(bytes.size(), most);
      stream_.next_out = reinterpret_cast<Bytef*>(bytes.data());
      stream_.avail_out = static_cast<uInt>(wanted);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      const std::size_t got = wanted - stream_.avail_out;
      bytes = bytes.subspan(got);
      require(status == Z_OK || (status == Z_STREAM_END && bytes.empty()), "it cannot be unpacked; it is damaged");
    }
  }

  void refill() {
    const std::size_t count = std::min<std::uint64_t>(packed_, buffer_.size());
    require(count > 0, "it is shorter than its entry says; it is damaged");
    file_.read(std::span(buffer_).first(count));
    packed_ -= count;
    stream_.next_in = reinterpret_cast<Bytef*>(buffer_.data());
    stream_.avail_in = static_cast<uInt>(count);
  }

  std::uint64_t packed_;
  z_stream stream_{};
  std::array<std::byte, 1 << 14> buffer_{};
};
#endif

}  // namespace

Zip::Zip(InputFile& file) : file_(file) {
  const std::uint64_t tail_size = std::min<std::uint64_t>(file.size(), end_bytes + 0xffff);
  const std::uint64_t tail_place = file.size() - tail_size;
  file.seek(tail_place);
  const std::string tail = file.text(tail_size);
  std::size_t end = tail.size() < end_bytes ? std::string::npos : tail.rfind(end_mark, tail.size() - end_bytes);
  // A comment may hold the mark too: the end is where a comment of the right length follows.
  while (end != std::string::npos && end + end_bytes + number(tail, end + 20, 2) != tail.size()) {
    end = end == 0 ? std::string::npos : tail.rfind(end_mark, end - 1);
  }
  if (end == std::string::npos) {
    const std::string kind = tail.starts_with("PK") || file.size() == 0 ? "" : file.kind();
    file.require(kind.empty() || kind.find("zip archive") != std::string::npos, "{}", kind);
    file.refuse("it is no zip archive, or one that is cut off; an archive of numpy.savez is needed");
  }
  std::uint64_t count = number(tail, end + 10, 2), size = number(tail, end + 12, 4), place = number(tail, end + 16, 4);
  if (end >= locator_bytes && std::string_view(tail).substr(end - locator_bytes).starts_with(locator_mark)) {
    const std::uint64_t end64_place = number(tail, end - locator_bytes + 8, 8);
    file.seek(end64_place);
    const std::string end64 = file.text(end64_bytes);
    file.require(end64.starts_with(end64_mark), "the end of the archive is damaged");
    count = number(end64, 32, 8);
    size = number(end64, 40, 8);
    place = number(end64, 48, 8);
  }
  read_list(place, size, count);
}

void Zip::read_list(std::uint64_t place, std::uint64_t size, std::uint64_t count) {
  file_.seek(place);
  list_ = place;
  const std::string list = file_.text(size);
  std::unordered_set<std::string> names;
  std::uint64_t packed = 0;
  std::size_t at = 0;
  for (; count > 0; --count) {
    file_.require(list.size() - at >= list_bytes && list.compare(at, 4, list_mark) == 0,
                  "its list of entries is cut off or damaged");
    Entry entry;
    entry.method = static_cast<unsigned>(number(list, at + 10, 2));
    entry.crc = static_cast<unsigned>(number(list, at + 16, 4));
    entry.packed = number(list, at + 20, 4);
    entry.size = number(list, at + 24, 4);
    entry.place = number(list, at + 42, 4);
    const std::size_t name = number(list, at + 28, 2), extra = number(list, at + 30, 2),
                      rest = number(list, at + 32, 2);
    file_.require(list.size() - at - list_bytes >= name + extra + rest, "its list of entries is cut off or damaged");
    entry.name = list.substr(at + list_bytes, name);
    file_.require((number(list, at + 8, 2) & 1) == 0, "its entry '{}' is encrypted", entry.name);
    file_.require(names.insert(entry.name).second, "its entry '{}' is there twice", entry.name);
    read_zip64(std::string_view(list).substr(at + list_bytes + name, extra), entry);
    // Entries that overlap would let a small file unpack to a huge one (a zip bomb).
    file_.require(entry.packed <= file_.size() && (packed += entry.packed) <= file_.size(),
                  "its entries have more bytes than the file; it is damaged");
    entries_.push_back(std::move(entry));
    at += list_bytes + name + extra + rest;
  }
  file_.require(at == list.size(), "its list of entries is longer than their number; it is damaged");
}

void Zip::read_zip64(std::string_view extra, Entry& entry) const {
  while (extra.size() >= 4) {
    const std::uint64_t id = number(extra, 0, 2), size = number(extra, 2, 2);
    extra.remove_prefix(4);
    file_.require(size <= extra.size(), "its list of entries is cut off or damaged");
    std::string_view numbers = extra.substr(0, size);
    extra.remove_prefix(size);
    if (id != 1) continue;
    for (std::uint64_t* const n : {&entry.size, &entry.packed, &entry.place}) {
      if (*n != in_zip64) continue;
      file_.require(numbers.size() >= 8, "its list of entries is cut off or damaged");
      *n = number(numbers, 0, 8);
      numbers.remove_prefix(8);
    }
  }
}

std::unique_ptr<EntrySource> Zip::open(const Entry& entry) const {
  const auto require = [&]<class... Args>(bool holds, fmt::format_string<Args...> format, Args&&... args) {
    if (!holds)
      file_.refuse(fmt::format("entry '{}': {}", entry.name, fmt::format(format, std::forward<Args>(args)...)));
  };
  file_.seek(entry.place);
  const std::string header = file_.text(entry_bytes);
  require(header.starts_with(entry_mark), "it does not begin where the list says; the file is damaged");
  const std::uint64_t data = entry.place + entry_bytes + number(header, 26, 2) + number(header, 28, 2);
  require(data <= list_ && entry.packed <= list_ - data, "it ends within the list of entries; the file is damaged");
  file_.seek(data);
  if (entry.method == stored) {
    require(entry.packed == entry.size, "it is stored, but in {} bytes for {}; the file is damaged", entry.packed,
            entry.size);
    return std::make_unique<StoredSource>(file_, entry);
  }
  require(entry.method == deflated, "it is packed by method {}; save with numpy.savez, which does not pack",
          entry.method);
  // Deflate makes at most 1,032 bytes of one.
  require(entry.size / 1032 <= entry.packed, "{} bytes cannot come of {}; the file is damaged", entry.size,
          entry.packed);
#ifdef GRADUS_HAS_ZLIB
  return std::make_unique<DeflatedSource>(file_, entry);
#else
  require(false, "it is compressed, and gradus was built without zlib; save with np.savez, or build with zlib");
  return nullptr;
#endif
}

void ZipWriter::write(std::string_view bytes) {
  place_ += bytes.size();
  check(place_ < in_zip64, "save_npz: the archive has more than 4 GB; use save_npy for each array, or save_tensors");
  file_.write(bytes);
}

void ZipWriter::add(const std::string& name, std::initializer_list<std::span<const std::byte>> parts) {
  check(name.size() <= 0xffff && count_ < 0xffff, "save_npz: a name of {} bytes, {} arrays; 65535 are the most of both",
        name.size(), count_ + 1);
  std::uint64_t size = 0;
  std::uint32_t crc = 0;
  for (const std::span<const std::byte> part : parts) {
    size += part.size();
    crc = crc32_of(crc, part);
  }
  check(size < in_zip64, "save_npz: '{}' has more than 4 GB; use save_npy or save_tensors", name);
  constexpr unsigned version = 20, utf8 = 0x800, date = 0x21;  // 1980-01-01: equal arrays make equal files
  const std::string common = bytes_of(version, 2) + bytes_of(utf8, 2) + bytes_of(stored, 2) + bytes_of(0, 2) +
                             bytes_of(date, 2) + bytes_of(crc, 4) + bytes_of(size, 4) + bytes_of(size, 4) +
                             bytes_of(name.size(), 2);
  list_ += std::string(list_mark) + bytes_of(version, 2) + common + bytes_of(0, 12) + bytes_of(place_, 4) + name;
  ++count_;
  write(std::string(entry_mark) + common + bytes_of(0, 2) + name);
  for (const std::span<const std::byte> part : parts) {
    write({reinterpret_cast<const char*>(part.data()), part.size()});
  }
}

void ZipWriter::finish() {
  const std::uint64_t place = place_, size = list_.size();
  write(list_);
  write(std::string(end_mark) + bytes_of(0, 4) + bytes_of(count_, 2) + bytes_of(count_, 2) + bytes_of(size, 4) +
        bytes_of(place, 4) + bytes_of(0, 2));
}

}  // namespace gradus::nn::detail
