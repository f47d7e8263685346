#include <gradus/nn/distributed/detail/partition.h>

#include <algorithm>

#include <gradus/core/ops/update.h>

namespace gradus::distributed::detail {
namespace {

// The parts that are never cut, in order; `owner` is not yet known.
std::vector<Slice> blocks_of(std::span<const ParamSize> params, bool whole) {
  std::vector<Slice> blocks;
  for (std::size_t i = 0; i < params.size(); ++i) {
    const Index numel = params[i].numel, size = whole ? std::max<Index>(numel, 1) : norm_block_size(numel);
    Index begin = 0;
    do {  // a parameter without elements has one block without any
      blocks.push_back({i, begin, std::min(numel, begin + size), 0});
      begin += size;
    } while (begin < numel);
  }
  return blocks;
}

// Deals the blocks of a bucket in runs; `loads` are the ranks' bytes so far.
Bucket deal(std::span<const Slice> blocks, std::span<const std::size_t> bytes, std::vector<std::size_t>& loads) {
  std::size_t all = 0;
  for (const std::size_t each : bytes) all += each;
  const std::size_t share = all / loads.size();
  const auto lightest = [&] { return std::ranges::min_element(loads) - loads.begin(); };
  Bucket slices;
  std::size_t taken = 0;
  auto rank = lightest();
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (taken > 0 && taken + bytes[i] / 2 > share) {
      rank = lightest();
      taken = 0;
    }
    loads[static_cast<std::size_t>(rank)] += bytes[i];
    taken += bytes[i];
    Slice slice = blocks[i];
    slice.owner = static_cast<int>(rank);
    const bool goes_on = !slices.empty() && slices.back().param == slice.param && slices.back().owner == slice.owner &&
                         slices.back().end == slice.begin;
    if (goes_on) {
      slices.back().end = slice.end;
    } else {
      slices.push_back(slice);
    }
  }
  std::ranges::stable_sort(slices, {}, &Slice::owner);
  return slices;
}

}  // namespace

std::vector<Bucket> partition(std::span<const ParamSize> params, int ranks, std::size_t bucket_bytes, bool whole) {
  const std::vector<Slice> blocks = blocks_of(params, whole);
  std::vector<std::size_t> bytes;
  for (const Slice& block : blocks) {
    bytes.push_back(static_cast<std::size_t>(block.end - block.begin) * size_of(params[block.param].dtype));
  }
  std::vector<Bucket> buckets;
  std::vector<std::size_t> loads(static_cast<std::size_t>(ranks), 0);
  std::size_t first = 0, filled = 0;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    filled += bytes[i];
    if (filled < bucket_bytes && i + 1 < blocks.size()) continue;
    buckets.push_back(
        deal(std::span(blocks).subspan(first, i + 1 - first), std::span(bytes).subspan(first, i + 1 - first), loads));
    first = i + 1;
    filled = 0;
  }
  return buckets;
}

}  // namespace gradus::distributed::detail
