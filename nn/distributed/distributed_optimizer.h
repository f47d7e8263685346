// DistributedOptimizer: training on several ranks, each with its own part of the data, to the bits of one process. It
// wraps any optimizer of any module.
#pragma once

#include <memory>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include <gradus/core/post_accumulate_grad.h>
#include <gradus/core/watch.h>
#include <gradus/nn/distributed/communicator.h>
#include <gradus/nn/optim/optimizer.h>

namespace gradus::distributed {
#pragma GCC visibility push(default)

struct DistributedOptions {
  // Gradients and weights are exchanged in pieces of at least so many bytes. Smaller ones are sent earlier, larger ones
  // cost less each.
  std::size_t bucket_bytes = std::size_t{4} << 20;
  // Gradients in f32 are rounded to bfloat16, which halves what is sent. This changes the bits of the result, to others
  // that are again the same for any number of ranks.
  bool bf16 = false;
  // How many backward() each rank runs for a step; 0: any number. Exactly 1 spares a run of one rank all bookkeeping.
  Index accumulation = 0;
};

/// Updates with the sum of the gradients of all ranks. One backward() on each rank is a round; gradients of a round are
/// added in the order of ranks, and those of the next round after them: g = g_0 + g_1 + .., the micro-batch of rank r
/// in round a being number a size() + r. One process that runs all micro-batches in that order, each computed from
/// empty gradients, gets the same bits. Scale losses so that the sum is what you want: by 1 / (ranks * rounds) for a
/// mean.
///     DistributedOptimizer optimizer(std::make_unique<AdamW>(model.parameters()), communicator);
///     for (..) {
///       optimizer.zero_grad();
///       for (..) (loss(model, micro_batch()) * scale).backward();  // equally often on all ranks
///       optimizer.clip_grad_norm(model.parameters(), 1);
///       optimizer.step();
///     }
/// Each rank updates a part of the weights and keeps the moments of that part alone (ZeRO stage 1: Rajbhandari et al.
/// 2020), an Unit::parameter optimizer whole parameters. Gradients are sent while backward() runs, and with several
/// ranks they are not in param.grad() afterwards. All ranks make it, and call its functions, in the same order, each on
/// one thread. Buffers of the module, such as BatchNorm's running means, stay each rank's own.
class DistributedOptimizer {
 public:
  /// Keeps a reference to the communicator. The weights of all ranks become those of rank 0. Parameters that want no
  /// gradient now are left as they are. Throws Error for an optimizer that updates all parameters together (LBFGS), and
  /// for ranks whose parameters differ.
  DistributedOptimizer(std::unique_ptr<optim::Optimizer> optimizer, Communicator& communicator,
                       const DistributedOptions& options = {});
  ~DistributedOptimizer();
  DistributedOptimizer(const DistributedOptimizer&) = delete;
  DistributedOptimizer& operator=(const DistributedOptimizer&) = delete;

  /// The joint norm of the summed gradients, which are scaled as optim::clip_grad_norm() does, with the same bits. With
  /// one rank, param.grad() has the sums from now on. Throws Error if one of `params` has a gradient that is not this
  /// optimizer's.
  double clip_grad_norm(const std::vector<Tensor>& params, double max_norm);
  /// Waits until all gradients are summed; with one rank, param.grad() has them. clip_grad_norm() and step() call it.
  void finish_gradients();

  /// Updates the weights of all ranks. The gradients are gone then, but those in param.grad() of one rank, as with
  /// Optimizer::step().
  void step();
  /// step(), except that weights which other ranks have updated may arrive later: before they are used, call
  /// finish_weights(), or let arriving_weights() live.
  void start_step();
  void finish_weights();
  /// While it lives, each op waits for the weights that it reads, so that a forward pass can begin at once. It is
  /// destroyed before watchers that were made earlier.
  std::unique_ptr<OpWatcher> arriving_weights();

  /// Drops all gradients.
  void zero_grad();

  /// On rank 0, what state() of the wrapped optimizer would be in one process; on others its options alone.
  nn::NamedTensors state();
  /// All ranks pass the whole state, and each keeps its part.
  void set_state(const nn::NamedTensors& state);

  /// The wrapped optimizer, for its rate and groups: alike on all ranks. Its own step() and state() are not to be used.
  optim::Optimizer& optimizer() { return *optimizer_; }
  const optim::Optimizer& optimizer() const { return *optimizer_; }
  const char* name() const { return optimizer_->name(); }
  double lr() const { return optimizer_->lr(); }
  void set_lr(double lr) { optimizer_->set_lr(lr); }
  Communicator& communicator() const { return communicator_; }
  /// Seconds that this rank has waited for others, in all functions and in backward().
  double seconds_waited() const;

 private:
  class Alone;
  class Ranks;
  class ArrivingWeights;

  void take_gradient(const Tensor& param);

  std::unique_ptr<optim::Optimizer> optimizer_;
  Communicator& communicator_;
  std::unordered_map<const Node*, std::size_t> numbers_;  // of the parameters that are trained, among all
  std::unique_ptr<Alone> alone_;                          // one of both
  std::unique_ptr<Ranks> ranks_;
  std::optional<PostAccumulateGrad> hook_;
  std::thread::id thread_ = std::this_thread::get_id();
};

#pragma GCC visibility pop
}  // namespace gradus::distributed
