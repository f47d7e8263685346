// OpWatcher, the base class of observers such as AnomalyMode and profile(): called before and after each op that can
// have a gradient (comparisons and the like have none), and after its backward. Without a watcher an op costs a few
// looks at a pointer more.
#pragma once

#include <functional>
#include <span>

#include <gradus/core/tensor.h>

namespace gradus {
#pragma GCC visibility push(default)

/// Watches the ops that have a gradient, on the thread that constructed it, for as long as it lives. Several may live
/// at once and all are called; they must be destroyed in the reverse order of their making.
class OpWatcher {
 public:
  using Inputs = std::span<const std::reference_wrapper<const Tensor>>;

  OpWatcher();
  virtual ~OpWatcher();
  OpWatcher(const OpWatcher&) = delete;
  OpWatcher& operator=(const OpWatcher&) = delete;

  /// A training step begins.
  virtual void set_step(Index /*step*/) {}
  /// The program calls this op. The steps of a composed op are not reported; one call may be reported twice.
  virtual void on_call(const char* /*op*/) {}
  /// An op begins and has read nothing yet. `inputs` may be undefined. Called again for optional ones, such as a bias.
  virtual void before(const char* /*op*/, Inputs /*inputs*/) {}
  /// Before on_forward(): the FLOPs of the op's forward, where shapes do not tell them.
  virtual void on_flops(double /*flops*/) {}
  /// An op has computed y; whether it will be recorded is not known yet.
  virtual void on_forward(const char* /*op*/, const Tensor& /*y*/, Inputs /*inputs*/) {}
  /// The op was recorded.
  virtual void on_record(const Node& /*op*/) {}
  /// backward() begins with this weight.
  virtual void on_weight(const Tensor& /*weight*/) {}
  /// Whether `values` (the result of `op` or one of its inputs) were written after the op was recorded, as far as the
  /// watcher knows. Called before the op's backward.
  virtual bool has_changed(const Node& /*op*/, const Node& /*values*/) const { return false; }
  /// The op's backward has run and its inputs have their gradients. `released`: the op is released right after this
  /// call.
  virtual void on_backward(const Node& /*op*/, bool /*released*/) {}

  /// The one that was made before this one on the same thread, and still lives; or null.
  OpWatcher* outer() const { return outer_; }

 private:
  OpWatcher* outer_;
};

namespace detail {
extern constinit thread_local OpWatcher* newest_watcher;

/// The thread's newest; null: none lives.
inline OpWatcher* watcher() {
  return newest_watcher;
}

template <class F>
void for_each_watcher(F f) {
  for (OpWatcher* each = watcher(); each != nullptr; each = each->outer()) f(*each);
}
inline void tell_flops(double forward) {
  for_each_watcher([&](OpWatcher& watcher) { watcher.on_flops(forward); });
}
}  // namespace detail

#pragma GCC visibility pop
}  // namespace gradus
