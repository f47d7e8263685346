#include <gradus/nn/distributed/communicator.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include <gradus/core/runtime/platform.h>

namespace gradus::distributed {
namespace {

std::size_t total(std::span<const std::size_t> sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), std::size_t{0});
}

void check_sizes(const char* name, const char* what, std::size_t bytes, std::span<const std::size_t> sizes, int ranks) {
  check(std::cmp_equal(sizes.size(), ranks), "{}: {} sizes {} for {} ranks; pass one for each", name, sizes.size(),
        what, ranks);
  check(total(sizes) == bytes, "{}: the sizes {} add up to {} bytes, but {} bytes came; they must agree", name, what,
        total(sizes), bytes);
}

void copy(std::span<const std::byte> from, std::span<std::byte> to) {
  if (!from.empty() && from.data() != to.data()) std::memcpy(to.data(), from.data(), from.size());
}

}  // namespace

bool Request::test() {
  if (exchange_ == nullptr) return true;
  if (!exchange_->done()) return false;
  exchange_.reset();
  return true;
}

void Request::wait() {
  if (exchange_ == nullptr) return;
  exchange_->wait();
  exchange_.reset();
}

void Communicator::broadcast(std::span<std::byte> bytes, int root) {
  check(root >= 0 && root < size(), "broadcast: root is {}; it must be a rank, from 0 to {}", root, size() - 1);
  do_broadcast(bytes, root);
}

Request Communicator::start_all_to_all(std::span<const std::byte> send, std::span<const std::size_t> send_sizes,
                                       std::span<std::byte> receive, std::span<const std::size_t> receive_sizes) {
  check_sizes("all_to_all", "to send", send.size(), send_sizes, size());
  check_sizes("all_to_all", "to receive", receive.size(), receive_sizes, size());
  const auto own = static_cast<std::size_t>(rank());
  check(send_sizes[own] == receive_sizes[own],
        "all_to_all: rank {} sends itself {} bytes but receives {}; they must agree", rank(), send_sizes[own],
        receive_sizes[own]);
  return do_all_to_all(send, send_sizes, receive, receive_sizes);
}

void Communicator::all_to_all(std::span<const std::byte> send, std::span<const std::size_t> send_sizes,
                              std::span<std::byte> receive, std::span<const std::size_t> receive_sizes) {
  start_all_to_all(send, send_sizes, receive, receive_sizes).wait();
}

Request Communicator::start_all_gather(std::span<const std::byte> send, std::span<std::byte> receive,
                                       std::span<const std::size_t> sizes) {
  check_sizes("all_gather", "to receive", receive.size(), sizes, size());
  const auto own = static_cast<std::size_t>(rank());
  check(send.size() == sizes[own], "all_gather: rank {} sends {} bytes, but its size is {}; they must agree", rank(),
        send.size(), sizes[own]);
  return do_all_gather(send, receive, sizes);
}

void Communicator::all_gather(std::span<const std::byte> send, std::span<std::byte> receive,
                              std::span<const std::size_t> sizes) {
  start_all_gather(send, receive, sizes).wait();
}

std::string Communicator::broadcast_text(std::string text, int root) {
  text.resize(broadcast_value(text.size(), root));
  broadcast(std::as_writable_bytes(std::span(text)), root);
  return text;
}

std::vector<double> Communicator::all_gather(std::span<const double> numbers) {
  const auto ranks = static_cast<std::size_t>(size());
  std::vector<std::size_t> sizes(ranks);
  const std::vector<std::size_t> one(ranks, sizeof(std::size_t));
  const std::size_t own = numbers.size_bytes();
  all_gather(std::as_bytes(std::span(&own, 1)), std::as_writable_bytes(std::span(sizes)), one);
  std::vector<double> all(total(sizes) / sizeof(double));
  all_gather(std::as_bytes(numbers), std::as_writable_bytes(std::span(all)), sizes);
  return all;
}

void Communicator::check_equal(std::string_view what, std::string_view text) {
  const std::string expected = broadcast_text(std::string(text));
  const std::array<double, 1> differs{expected == text ? 0.0 : 1.0};
  const std::vector<double> all = all_gather(differs);
  std::vector<int> others;
  for (int r = 0; r < size(); ++r) {
    if (all[static_cast<std::size_t>(r)] != 0) others.push_back(r);
  }
  if (others.empty()) return;
  const std::string other = broadcast_text(std::string(text), others[0]);
  std::vector<std::string> places;
  for (const int r : others) places.push_back(fmt::format("{} on {}", r, host(r)));
  fail(
      "distributed: {} of rank {} is not that of rank 0 on {}; start all ranks with the same program, data and "
      "settings "
      "(rank 0 has '{}', rank {} '{}')",
      what, fmt::join(places, ", rank "), host(0), expected, others[0], other);
}

std::string SingleProcess::host(int) const {
  return platform::host_name();
}

Request SingleProcess::do_all_to_all(std::span<const std::byte> send, std::span<const std::size_t>,
                                     std::span<std::byte> receive, std::span<const std::size_t>) {
  copy(send, receive);
  return {};
}

Request SingleProcess::do_all_gather(std::span<const std::byte> send, std::span<std::byte> receive,
                                     std::span<const std::size_t>) {
  copy(send, receive);
  return {};
}

}  // namespace gradus::distributed
