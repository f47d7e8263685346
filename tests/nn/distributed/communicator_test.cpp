// What every Communicator does with its arguments, and SingleProcess.
#include <gradus/nn/distributed/communicator.h>

#include <array>

#include <gmock/gmock.h>

#include "../../support.h"
#include "thread_communicator.h"

namespace gradus::testing {
namespace {

using distributed::Communicator;
using distributed::Request;
using distributed::SingleProcess;
using ::testing::ElementsAre;

std::vector<std::byte> bytes_from(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}
std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Communicator, ExchangesPartsOfDifferentSizes) {
  for (const int ranks : {1, 2, 3}) {
    run_ranks(ranks, [&](Communicator& all) {
      // Rank r sends rank s r + s characters.
      const auto n = static_cast<std::size_t>(ranks), own = static_cast<std::size_t>(all.rank());
      std::vector<std::size_t> sizes;
      std::string send, expected, gathered;
      for (std::size_t s = 0; s < n; ++s) {
        sizes.push_back(own + s);
        send += std::string(own + s, static_cast<char>('a' + own));
        expected += std::string(own + s, static_cast<char>('a' + s));
      }
      std::vector<std::byte> receive(expected.size());
      all.all_to_all(std::as_bytes(std::span(send)), sizes, receive, sizes);
      EXPECT_EQ(text_of(receive), expected);

      std::vector<std::size_t> lengths;
      for (std::size_t s = 0; s < n; ++s) {
        lengths.push_back(s);
        gathered += std::string(s, static_cast<char>('A' + s));
      }
      std::vector<std::byte> together(gathered.size());
      all.all_gather(bytes_from(std::string(own, static_cast<char>('A' + own))), together, lengths);
      EXPECT_EQ(text_of(together), gathered);
    });
  }
}

TEST(Communicator, SharesValuesTextsAndNumbers) {
  run_ranks(3, [](Communicator& all) {
    EXPECT_EQ(all.broadcast_value(10 + all.rank(), 2), 12);
    EXPECT_EQ(all.broadcast_text(all.rank() == 0 ? "what rank 0 says" : ""), "what rank 0 says");
    const std::vector<double> own(static_cast<std::size_t>(all.rank()), all.rank());
    EXPECT_THAT(all.all_gather(own), ElementsAre(1, 2, 2));
    all.barrier();
  });
}

TEST(Communicator, NamesRanksThatDiffer) {
  run_ranks(3, [](Communicator& all) {
    all.check_equal("the settings", "same");
    const std::string error = error_of([&] { all.check_equal("the settings", all.rank() == 1 ? "other" : "same"); });
    expect_contains(error, "the settings of rank 1 on host1");
    expect_contains(error, "(rank 0 has 'same', rank 1 'other')");
  });
}

TEST(Communicator, StopReachesTheOthers) {
  run_ranks(2, [](Communicator& all) {
    all.set_activity("step 3");
    if (all.rank() == 1) return all.stop("the disk is full");
    expect_contains(error_of([&] { all.barrier(); }), "rank 1 on host1 ended in step 3: the disk is full");
  });
}

TEST(Communicator, RefusesWrongSizes) {
  SingleProcess all;
  std::array<std::byte, 4> bytes{};
  const std::vector<std::size_t> one{3}, two{2, 2};
  expect_contains(error_of([&] { all.all_gather(bytes, bytes, two); }), "2 sizes to receive for 1 ranks");
  expect_contains(error_of([&] { all.all_gather(bytes, bytes, one); }), "add up to 3 bytes, but 4");
  expect_contains(error_of([&] { all.all_to_all(bytes, one, bytes, one); }), "add up to 3 bytes, but 4");
  expect_contains(error_of([&] { all.broadcast(bytes, 1); }), "root is 1");
}

TEST(SingleProcess, IsTheOnlyRank) {
  SingleProcess all;
  EXPECT_EQ(all.rank(), 0);
  EXPECT_EQ(all.size(), 1);
  EXPECT_FALSE(all.host(0).empty());
  const std::vector<std::byte> send = bytes_from("abc");
  std::vector<std::byte> receive(3);
  const std::vector<std::size_t> sizes{3};
  Request request = all.start_all_to_all(send, sizes, receive, sizes);
  EXPECT_TRUE(request.test());
  request.wait();
  EXPECT_EQ(text_of(receive), "abc");
  EXPECT_EQ(all.broadcast_text("x"), "x");
  all.check_equal("anything", "x");
}

}  // namespace
}  // namespace gradus::testing
