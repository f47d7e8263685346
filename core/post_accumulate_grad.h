// PostAccumulateGrad: tells when backward() adds no more to a parameter's gradient, so that it can be used, or sent to
// another process, while backward() goes on. PyTorch's register_post_accumulate_grad_hook, for many parameters at once.
#pragma once

#include <functional>
#include <unordered_set>
#include <vector>

#include <gradus/core/tensor.h>

namespace gradus {
namespace detail {
class FinalGradients;
}
#pragma GCC visibility push(default)

/// While one lives, each backward() on this thread calls f(param) for each of `params` that it adds to, once, as soon
/// as the gradient is final. The order is that of the graph: parameters that were used last come first, one that was
/// used several times comes when the earliest use is done. A backward() that runs inside another, as checkpoint()'s
/// does, belongs to it; grad() calls nobody. f may read, take and drop the gradient (param.zero_grad()); what it throws
/// ends backward(). Then it calls done(), if it called f and no error came. Several may live at once, and are called
/// from the newest on. It is destroyed on the thread that made it.
class PostAccumulateGrad {
 public:
  using Function = std::function<void(const Tensor&)>;

  /// `params` are leaves. Throws Error for others.
  PostAccumulateGrad(const std::vector<Tensor>& params, Function f, std::function<void()> done = nullptr);
  ~PostAccumulateGrad();
  PostAccumulateGrad(const PostAccumulateGrad&) = delete;
  PostAccumulateGrad& operator=(const PostAccumulateGrad&) = delete;

  /// While one lives, a backward() on this thread calls nobody.
  class Off {
   public:
    Off();
    ~Off();
    Off(const Off&) = delete;
    Off& operator=(const Off&) = delete;

   private:
    detail::FinalGradients* running_;
    bool outer_;
  };

  /// Whether it is one of `params`.
  bool has(const Node& node) const { return nodes_.contains(&node); }
  void call(const Tensor& param) const { f_(param); }
  void call_done() const {
    if (done_ != nullptr) done_();
  }
  /// The one that was made before this one on the same thread, and still lives; or null.
  const PostAccumulateGrad* outer() const { return outer_; }

 private:
  std::vector<Tensor> params_;  // keeps the nodes
  std::unordered_set<const Node*> nodes_;
  Function f_;
  std::function<void()> done_;
  PostAccumulateGrad* outer_;
};

#pragma GCC visibility pop
}  // namespace gradus
