// Zip archives as NumPy writes them: entries that are stored or deflated, beyond 4 GB (zip64) too; not encrypted. The
// format: PKWARE's APPNOTE.TXT.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gradus/nn/files/atomic_file.h>
#include <gradus/nn/files/detail/input_file.h>

namespace gradus::nn::detail {

/// What an entry holds, unpacked.
class EntrySource : public Source {
 public:
  /// Throws Error unless everything was read and has the entry's checksum.
  virtual void finish() = 0;
};

class Zip {
 public:
  struct Entry {
    std::string name;
    unsigned method = 0, crc = 0;
    std::uint64_t packed = 0, size = 0, place = 0;  // bytes in the file and unpacked; where its header begins
  };

  /// Reads the list of entries. Throws Error for what is no archive or a damaged one.
  explicit Zip(InputFile& file);
  const std::vector<Entry>& entries() const { return entries_; }

  /// Returns f(source) for the entry; f must read it to its end.
  template <class F>
  auto with_entry(const Entry& entry, const F& f) const {
    const std::unique_ptr<EntrySource> source = open(entry);
    auto result = f(static_cast<Source&>(*source));
    source->finish();
    return result;
  }

 private:
  void read_list(std::uint64_t place, std::uint64_t size, std::uint64_t count);
  void read_zip64(std::string_view extra, Entry& entry) const;
  std::unique_ptr<EntrySource> open(const Entry& entry) const;

  InputFile& file_;
  std::vector<Entry> entries_;
  std::uint64_t list_ = 0;  // where the list begins, and the entries end
};

/// Writes stored entries one after another. Throws Error where the archive grows to 4 GB.
class ZipWriter {
 public:
  explicit ZipWriter(AtomicFile& file) : file_(file) {}
  void add(const std::string& name, std::initializer_list<std::span<const std::byte>> parts);
  void finish();

 private:
  void write(std::string_view bytes);

  AtomicFile& file_;
  std::string list_;
  std::uint64_t place_ = 0, count_ = 0;
};

}  // namespace gradus::nn::detail
