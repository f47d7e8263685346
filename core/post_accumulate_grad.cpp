// A leaf's gradient is final after the oldest op that uses it. checkpoint() records all leaves that its function uses
// as inputs of its own op, so the list of ops says it for them too.
#include <gradus/core/post_accumulate_grad.h>

#include <algorithm>
#include <utility>

#include <gradus/core/detail/final_gradients.h>

namespace gradus {
namespace {

constinit thread_local PostAccumulateGrad* newest_hook = nullptr;
constinit thread_local detail::FinalGradients* running = nullptr;  // the outermost backward()'s
constinit thread_local bool off = false;

bool is_asked_for(const Node& node) {
  for (const PostAccumulateGrad* hook = newest_hook; hook != nullptr; hook = hook->outer()) {
    if (hook->has(node)) return true;
  }
  return false;
}

}  // namespace

PostAccumulateGrad::PostAccumulateGrad(const std::vector<Tensor>& params, Function f, std::function<void()> done)
    : params_(params), f_(std::move(f)), done_(std::move(done)), outer_(newest_hook) {
  detail::check_function("PostAccumulateGrad", f_);
  for (std::size_t i = 0; i < params_.size(); ++i) {
    check(params_[i].defined() && params_[i].is_leaf(),
          "PostAccumulateGrad: parameter {} is {}; pass leaves, e.g. what a module's parameters() lists", i,
          params_[i].defined() ? "the result of an op" : "undefined");
    nodes_.insert(&params_[i].node());
  }
  newest_hook = this;
}

PostAccumulateGrad::~PostAccumulateGrad() {
  PostAccumulateGrad** place = &newest_hook;
  while (*place != nullptr && *place != this) place = &(*place)->outer_;
  if (*place == this) *place = outer_;
}

detail::FinalGradients::FinalGradients(const NodeList& ops) : outer_(running) {
  if (newest_hook == nullptr || off) return;
  std::unordered_set<const Node*> seen;
  const auto use = [&](std::size_t i, const NodePtr& leaf) {
    if (leaf == nullptr || !leaf->is_leaf() || !leaf->wants_grad() || !is_asked_for(*leaf)) return;
    if (!seen.insert(leaf.get()).second) return;
    if (outer_ == nullptr) {
      finals_.push_back({i, leaf});
    } else {
      check(!outer_->told_.contains(leaf.get()),
            "backward: checkpoint() ran its function again and it used a parameter {} that it did not use before, "
            "whose gradient was passed on as final; use the same parameters in both runs",
            leaf->shape);
    }
  };
  for (std::size_t i = ops.size(); i-- > 0;) {  // oldest first
    if (ops[i]->backward == nullptr) use(i, ops[i]);
    for (const NodePtr& input : ops[i]->inputs) use(i, input);
  }
  if (outer_ == nullptr) running = this;
}

detail::FinalGradients::~FinalGradients() {
  if (running == this) running = nullptr;
}

void detail::FinalGradients::tell(std::size_t i) {
  while (!finals_.empty() && finals_.back().op <= i) {
    const Tensor leaf(std::move(finals_.back().leaf));
    finals_.pop_back();
    if (!leaf.node().grad) continue;  // no op behind the result had elements
    told_.insert(&leaf.node());
    const PostAccumulateGrad::Off own_work;  // of the functions that are called
    for (const PostAccumulateGrad* hook = newest_hook; hook != nullptr;) {
      const PostAccumulateGrad* const next = hook->outer();
      if (hook->has(leaf.node())) hook->call(leaf);
      hook = next;
    }
  }
}

void detail::FinalGradients::tell_end() {
  const PostAccumulateGrad::Off own_work;
  for (const PostAccumulateGrad* hook = newest_hook; hook != nullptr;) {
    const PostAccumulateGrad* const next = hook->outer();
    if (std::ranges::any_of(told_, [&](const Node* leaf) { return hook->has(*leaf); })) hook->call_done();
    hook = next;
  }
}

PostAccumulateGrad::Off::Off() : running_(std::exchange(running, nullptr)), outer_(std::exchange(off, true)) {}
PostAccumulateGrad::Off::~Off() {
  running = running_;
  off = outer_;
}

}  // namespace gradus
