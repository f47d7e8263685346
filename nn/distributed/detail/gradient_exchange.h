// GradientExchange: sends each rank the gradients of its slices while backward() runs, and sums what comes, micro-batch
// by micro-batch.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include <gradus/core/tensor.h>
#include <gradus/nn/distributed/detail/message.h>

namespace gradus::distributed::detail {

/// A round is one backward() on every rank. Messages of a bucket carry a flag for each slice: whether the rank had a
/// gradient. All ranks send all buckets in every round, in the same order, so a gradient that is missing on one rank
/// makes none of them wait.
class GradientExchange {
 public:
  GradientExchange(std::vector<Tensor> params, const std::vector<Bucket>& buckets, Communicator& communicator,
                   bool bf16, WaitingTime& waiting);

  /// Copies the gradient into messages, and sends those that are full. Receives what has come.
  void take(std::size_t param, const Tensor& grad);
  /// Sends the rest of the round.
  void end_round();
  /// Waits for everything that was sent.
  void finish();
  /// Drops the sums.
  void clear();

  /// The sum of the gradients of an own slice of a bucket; undefined if no rank had one.
  Tensor& sum(std::size_t bucket, std::size_t slice) { return buckets_[bucket].sums[slice]; }
  /// The buckets in the order in which their gradients become final.
  const std::vector<std::size_t>& sequence() const { return sequence_; }

 private:
  struct State {
    Bucket slices;
    MessageLayout layout;
    Bytes message;            // what is being filled in this round
    std::size_t missing = 0;  // slices that are not in it yet
    std::vector<Tensor> sums;
  };
  struct Sent {
    std::size_t bucket;
    Bytes message, received;
    Request request;
  };
  void send_full();
  void send(std::size_t bucket);
  void start_message(State& state) const;
  void receive();
  void add(const Sent& sent);
  void learn_sequence();
  std::size_t element_bytes(const Slice& slice) const;
  std::size_t slice_bytes(const Slice& slice) const;

  std::vector<Tensor> params_;
  Communicator& communicator_;
  bool bf16_;
  WaitingTime& waiting_;
  std::vector<State> buckets_;
  struct Place {
    std::size_t bucket, slice;
  };
  std::vector<std::vector<Place>> places_;  // of each parameter's slices
  std::vector<std::size_t> sequence_, filled_;
  bool learned_ = false;
  std::size_t next_ = 0;  // in the sequence: the bucket to send next
  std::deque<Sent> sent_;
};

/// bfloat16, rounded to nearest, ties to even.
std::uint16_t to_bf16(float x);
float from_bf16(std::uint16_t x);

}  // namespace gradus::distributed::detail
