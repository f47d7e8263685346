// Which rank gets which part: everything once, whole blocks, and about the same share for each.
#include <gradus/nn/distributed/detail/partition.h>

#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include <gradus/core/ops/update.h>

namespace gradus::testing {
namespace {

using distributed::detail::Bucket;
using distributed::detail::ParamSize;
using distributed::detail::partition;
using distributed::detail::Slice;

const std::vector<ParamSize> params{{3, DType::f32},         {100'000, DType::f32}, {0, DType::f32},
                                    {5'000'000, DType::f32}, {40'000, DType::f64},  {16'384, DType::f32}};

std::vector<Slice> sorted_slices(const std::vector<Bucket>& buckets) {
  std::vector<Slice> all;
  for (const Bucket& bucket : buckets) all.insert(all.end(), bucket.begin(), bucket.end());
  std::ranges::sort(all, {}, [](const Slice& slice) { return std::pair(slice.param, slice.begin); });
  return all;
}

TEST(Partition, CoversEveryParameterOnceInWholeBlocks) {
  for (const int ranks : {1, 2, 3, 7}) {
    for (const std::size_t bytes : {std::size_t{1}, std::size_t{100'000}, std::size_t{4} << 20}) {
      std::vector<Index> next(params.size(), 0);
      for (const Slice& slice : sorted_slices(partition(params, ranks, bytes, false))) {
        EXPECT_EQ(slice.begin, next[slice.param]);
        EXPECT_EQ(slice.begin % norm_block_size(params[slice.param].numel), 0);
        EXPECT_TRUE(slice.owner >= 0 && slice.owner < ranks);
        next[slice.param] = slice.end;
      }
      for (std::size_t i = 0; i < params.size(); ++i) EXPECT_EQ(next[i], params[i].numel) << i;
    }
  }
}

TEST(Partition, LeavesParametersWhole) {
  for (const Slice& slice : sorted_slices(partition(params, 3, 1000, true))) {
    EXPECT_EQ(slice.begin, 0);
    EXPECT_EQ(slice.end, params[slice.param].numel);
  }
  EXPECT_EQ(sorted_slices(partition(params, 3, 1000, true)).size(), params.size());
}

TEST(Partition, GivesEveryRankItsShareOfEveryBucket) {
  constexpr int ranks = 4;
  constexpr Index all = 5'000'000;
  const std::vector<ParamSize> one{{all, DType::f32}};
  std::map<int, Index> loads;
  for (const Bucket& bucket : partition(one, ranks, std::size_t{4} << 20, false)) {
    std::map<int, Index> here;
    Index total = 0;
    for (const Slice& slice : bucket) {
      here[slice.owner] += slice.end - slice.begin;
      loads[slice.owner] += slice.end - slice.begin;
      total += slice.end - slice.begin;
    }
    for (const auto& [owner, load] : here) EXPECT_LE(load, total / ranks + norm_block_size(all)) << owner;
    EXPECT_TRUE(std::ranges::is_sorted(bucket, {}, &Slice::owner));
  }
  for (int r = 0; r < ranks; ++r) EXPECT_NEAR(static_cast<double>(loads[r]), all / ranks, all / 50.0);
}

}  // namespace
}  // namespace gradus::testing
