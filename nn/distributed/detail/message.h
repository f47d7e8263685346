// Messages that carry the slices of a bucket: memory for their bytes, and where in it each slice lies.
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

#include <gradus/core/runtime/buffer.h>
#include <gradus/nn/distributed/communicator.h>
#include <gradus/nn/distributed/detail/partition.h>

namespace gradus::distributed::detail {

/// Memory from the pool, not initialized.
class Bytes {
 public:
  Bytes() = default;
  explicit Bytes(std::size_t size) : buffer_(static_cast<Index>((size + 3) / 4), DType::f32), size_(size) {}
  std::span<std::byte> all() const { return {buffer_.as<std::byte>(), size_}; }
  explicit operator bool() const { return static_cast<bool>(buffer_); }

 private:
  Buffer buffer_;
  std::size_t size_ = 0;
};

/// The parts of a message, one for each owner: first a byte for each slice if `flags`, then the slices' numbers.
/// Everything begins at a multiple of 8 bytes.
struct MessageLayout {
  std::vector<std::size_t> part_sizes;   // by rank
  std::vector<std::size_t> part_begins;  // in the message
  std::vector<std::size_t> flag_bytes;   // of each part
  std::vector<std::size_t> offsets;      // of each slice's numbers, in its part
  std::vector<std::size_t> flags;        // of each slice's flag, in its part

  /// element_bytes(slice): how large a number of it is.
  template <class F>
  MessageLayout(const Bucket& bucket, int ranks, bool with_flags, const F& element_bytes)
      : part_sizes(static_cast<std::size_t>(ranks), 0), part_begins(static_cast<std::size_t>(ranks), 0) {
    if (with_flags) {
      for (const Slice& slice : bucket) flags.push_back(part_sizes[static_cast<std::size_t>(slice.owner)]++);
      for (std::size_t& size : part_sizes) size = padded(size);
    }
    flag_bytes = part_sizes;
    for (const Slice& slice : bucket) {
      std::size_t& size = part_sizes[static_cast<std::size_t>(slice.owner)];
      offsets.push_back(size);
      size += padded(static_cast<std::size_t>(slice.end - slice.begin) * element_bytes(slice));
    }
    std::exclusive_scan(part_sizes.begin(), part_sizes.end(), part_begins.begin(), std::size_t{0});
  }

  std::size_t size() const { return part_begins.back() + part_sizes.back(); }
  std::span<std::byte> part(const Bytes& message, int rank) const {
    const auto r = static_cast<std::size_t>(rank);
    return message.all().subspan(part_begins[r], part_sizes[r]);
  }
  /// The numbers of slice i, of so many bytes. What pads them is set to 0, so that no memory is sent that nobody wrote.
  std::span<std::byte> numbers(const Bytes& message, int owner, std::size_t i, std::size_t bytes) const {
    const std::span<std::byte> with_padding = part(message, owner).subspan(offsets[i], padded(bytes));
    std::ranges::fill(with_padding.subspan(bytes), std::byte{0});
    return with_padding.first(bytes);
  }
  void clear_flags(const Bytes& message) const {
    for (std::size_t r = 0; r < part_sizes.size(); ++r) {
      std::ranges::fill(message.all().subspan(part_begins[r], flag_bytes[r]), std::byte{0});
    }
  }
  static std::size_t padded(std::size_t bytes) { return (bytes + 7) / 8 * 8; }
};

/// Counts the time that a rank waits for others.
class WaitingTime {
 public:
  void wait(Request& request);
  double seconds() const { return seconds_; }

 private:
  double seconds_ = 0;
};

}  // namespace gradus::distributed::detail
