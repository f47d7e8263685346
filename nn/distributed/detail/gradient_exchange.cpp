// Buckets leave in one order, which all ranks keep. It is learned in the first round, from the order in which rank 0
// fills them: the order of the parameters says little, since an optimizer's groups hold all matrices before all biases.
#include <gradus/nn/distributed/detail/gradient_exchange.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <utility>

#include <gradus/core/runtime/parallel.h>

namespace gradus::distributed::detail {
namespace {

constexpr Index chunk = 16384;

// sum += the n numbers at `from`, or sum = them if `first`.
template <class T>
void add_numbers(T* sum, const std::byte* from, Index n, bool first) {
  const T* const x = reinterpret_cast<const T*>(from);
  parallel_for(n, chunk, [&](Index begin, Index end) {
    if (first) {
      std::copy(x + begin, x + end, sum + begin);
    } else {
      for (Index i = begin; i < end; ++i) sum[i] += x[i];
    }
  });
}

void add_bf16(float* sum, const std::byte* from, Index n, bool first) {
  const auto* const x = reinterpret_cast<const std::uint16_t*>(from);
  parallel_for(n, chunk, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) sum[i] = first ? from_bf16(x[i]) : sum[i] + from_bf16(x[i]);
  });
}

}  // namespace

std::uint16_t to_bf16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if (std::isnan(x)) return static_cast<std::uint16_t>(bits >> 16 | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

float from_bf16(std::uint16_t x) {
  return std::bit_cast<float>(std::uint32_t{x} << 16);
}

void WaitingTime::wait(Request& request) {
  if (request.test()) return;
  const auto start = std::chrono::steady_clock::now();
  request.wait();
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

GradientExchange::GradientExchange(std::vector<Tensor> params, const std::vector<Bucket>& buckets,
                                   Communicator& communicator, bool bf16, WaitingTime& waiting)
    : params_(std::move(params)), communicator_(communicator), bf16_(bf16), waiting_(waiting), places_(params_.size()) {
  for (std::size_t b = 0; b < buckets.size(); ++b) {
    const Bucket& slices = buckets[b];
    buckets_.push_back(
        {slices,
         MessageLayout(slices, communicator.size(), true, [&](const Slice& slice) { return element_bytes(slice); }),
         Bytes(), slices.size(), std::vector<Tensor>(slices.size())});
    for (std::size_t i = 0; i < slices.size(); ++i) places_[slices[i].param].push_back({b, i});
    sequence_.push_back(buckets.size() - 1 - b);
  }
}

std::size_t GradientExchange::element_bytes(const Slice& slice) const {
  const DType dtype = params_[slice.param].dtype();
  return bf16_ && dtype == DType::f32 ? sizeof(std::uint16_t) : size_of(dtype);
}

std::size_t GradientExchange::slice_bytes(const Slice& slice) const {
  return static_cast<std::size_t>(slice.end - slice.begin) * element_bytes(slice);
}

void GradientExchange::start_message(State& state) const {
  state.message = Bytes(state.layout.size());
  state.layout.clear_flags(state.message);
}

void GradientExchange::take(std::size_t param, const Tensor& grad) {
  for (const auto [bucket, i] : places_[param]) {
    State& state = buckets_[bucket];
    if (!state.message) start_message(state);
    const Slice& slice = state.slices[i];
    const std::span<std::byte> part = state.layout.part(state.message, slice.owner);
    part[state.layout.flags[i]] = std::byte{1};
    std::byte* const to = state.layout.numbers(state.message, slice.owner, i, slice_bytes(slice)).data();
    const auto n = static_cast<std::size_t>(slice.end - slice.begin);
    dispatch(grad.dtype(), [&]<class T>() {
      const T* const from = grad.data<T>().data() + slice.begin;
      if (element_bytes(slice) == sizeof(T)) {
        if (n > 0) std::memcpy(to, from, n * sizeof(T));
      } else {
        std::ranges::transform(from, from + n, reinterpret_cast<std::uint16_t*>(to),
                               [](T x) { return to_bf16(static_cast<float>(x)); });
      }
    });
    if (--state.missing == 0) filled_.push_back(bucket);
  }
  if (learned_) send_full();
  receive();
}

void GradientExchange::send_full() {
  for (; next_ < sequence_.size() && buckets_[sequence_[next_]].missing == 0; ++next_) send(sequence_[next_]);
}

void GradientExchange::end_round() {
  for (; next_ < sequence_.size(); ++next_) send(sequence_[next_]);
  next_ = 0;
  if (!learned_) learn_sequence();
  filled_.clear();
  receive();
}

// A message goes out even if no gradient of it was computed: others wait for it.
void GradientExchange::send(std::size_t bucket) {
  State& state = buckets_[bucket];
  if (!state.message) start_message(state);
  for (std::size_t i = 0; i < state.slices.size(); ++i) {
    const Slice& slice = state.slices[i];
    if (state.layout.part(state.message, slice.owner)[state.layout.flags[i]] != std::byte{0}) continue;
    std::ranges::fill(state.layout.numbers(state.message, slice.owner, i, slice_bytes(slice)), std::byte{0});
  }
  const auto own = static_cast<std::size_t>(communicator_.rank()), ranks = state.layout.part_sizes.size();
  const std::vector<std::size_t> sizes(ranks, state.layout.part_sizes[own]);
  Sent sent{bucket, std::exchange(state.message, {}), Bytes(ranks * sizes[own]), {}};
  sent.request =
      communicator_.start_all_to_all(sent.message.all(), state.layout.part_sizes, sent.received.all(), sizes);
  state.missing = state.slices.size();
  sent_.push_back(std::move(sent));
}

void GradientExchange::learn_sequence() {
  std::vector<std::size_t> order = filled_;
  for (const std::size_t bucket : sequence_) {
    if (std::ranges::find(order, bucket) == order.end()) order.push_back(bucket);
  }
  communicator_.broadcast(std::as_writable_bytes(std::span(order)));
  sequence_ = std::move(order);
  learned_ = true;
}

void GradientExchange::receive() {
  while (!sent_.empty() && sent_.front().request.test()) {
    add(sent_.front());
    sent_.pop_front();
  }
}

void GradientExchange::finish() {
  while (!sent_.empty()) {
    waiting_.wait(sent_.front().request);
    add(sent_.front());
    sent_.pop_front();
  }
}

void GradientExchange::clear() {
  finish();
  for (State& state : buckets_) {
    state.message = {};
    state.missing = state.slices.size();
    std::ranges::fill(state.sums, Tensor());
  }
  filled_.clear();
}

void GradientExchange::add(const Sent& sent) {
  State& state = buckets_[sent.bucket];
  const int own = communicator_.rank();
  const std::size_t part_size = state.layout.part_sizes[static_cast<std::size_t>(own)];
  for (std::size_t i = 0; i < state.slices.size(); ++i) {
    const Slice& slice = state.slices[i];
    if (slice.owner != own) continue;
    Tensor& sum = state.sums[i];
    for (std::size_t r = 0; r < state.layout.part_sizes.size(); ++r) {
      const std::byte* const part = sent.received.all().data() + r * part_size;
      if (part[state.layout.flags[i]] == std::byte{0}) continue;
      const bool first = !sum.defined();
      const Index n = slice.end - slice.begin;
      if (first) sum = Tensor::empty({n}, params_[slice.param].dtype());
      dispatch(sum.dtype(), [&]<class T>() {
        T* const to = sum.data<T>().data();
        const std::byte* const from = part + state.layout.offsets[i];
        if (element_bytes(slice) == sizeof(T)) {
          add_numbers(to, from, n, first);
        } else if constexpr (sizeof(T) == sizeof(float)) {
          add_bf16(to, from, n, first);
        }
      });
    }
  }
}

}  // namespace gradus::distributed::detail
