// The engine. Every op that has a gradient ends in record(), which stores the op's inputs and the code that adds to
// their gradients. Tensor::backward() runs that code, newest op first. The rest of it is in autograd.cpp; the graph's
// Node is in tensor.h.
#pragma once

#include <concepts>
#include <functional>
#include <initializer_list>
#include <span>

#include <gradus/core/tensor.h>
#include <gradus/core/watch.h>

namespace gradus {
#pragma GCC visibility push(default)

/// While one lives, ops on this thread record nothing: for evaluation and for updating parameters.
struct NoGrad {
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;
};

/// While one lives, ops on this thread are recorded, even inside a NoGrad.
class EnableGrad {
 public:
  EnableGrad();
  ~EnableGrad();
  EnableGrad(const EnableGrad&) = delete;
  EnableGrad& operator=(const EnableGrad&) = delete;

 private:
  int outer_;
};

/// Whether ops on this thread are being recorded.
bool grad_enabled();

namespace detail {

template <class F>
struct BackwardOf final : Backward {
  F f;
  explicit BackwardOf(F function) : f(std::move(function)) {}
  void operator()(const Node& out, Inputs in) const override { f(out, in); }
};
template <class F, class R>
struct RuledBackward final : Backward {
  F f;
  [[no_unique_address]] R r;
  RuledBackward(F function, R rule) : f(std::move(function)), r(std::move(rule)) {}
  void operator()(const Node& out, Inputs in) const override { f(out, in); }
  bool has_rule() const override { return true; }
  Gradients rule(const Tensor& y, const Tensor& dy, const RuleInputs& x) const override {
    if constexpr (std::same_as<std::invoke_result_t<const R&, const Tensor&, const Tensor&, const RuleInputs&>,
                               Tensor>) {
      return Gradients(1, r(y, dy, x));
    } else {
      return r(y, dy, x);
    }
  }
};

using InputList = std::span<const std::reference_wrapper<const Tensor>>;

/// While one lives, the ops that this thread records are steps of the op `name`: errors name that op, not the step. If
/// several live, the outermost names it, since that is the op the program called.
class Within {
 public:
  explicit Within(const char* name);
  ~Within();
  Within(const Within&) = delete;
  Within& operator=(const Within&) = delete;

 private:
  const char* outer_;
};
/// The name of the op that the program called; `op` itself unless `op` is a step of another.
const char* called(const char* op);
/// Tells watchers that the program calls the op `name`, unless that is a step of another.
void tell_call(const char* name);
/// The same, and that the op begins with these inputs, be it a step or not.
void tell_begin(const char* name, InputList inputs);
/// Whether record() has to store the op. Watchers are told of the op in both cases.
bool wants_grad(const char* name, const Tensor& y, InputList inputs);
void attach(Node& node, const char* name, InputList inputs, std::unique_ptr<const Backward> backward);

}  // namespace detail

/// The first statement of an op: throws Error if one of its tensors is undefined, with the op's name and the tensor's
/// number, counted from 1. In an op's rule it throws Error, too, for values that were written after that op.
inline void check_defined(const char* op, detail::InputList tensors) {
  if (detail::watcher() != nullptr) [[unlikely]]
    detail::tell_begin(op, tensors);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& tensor = tensors[i];
    if (tensor.defined()) {
      if (detail::change_guards.load(std::memory_order_relaxed) != 0) [[unlikely]]
        detail::check_unchanged(tensor.node());
      continue;
    }
    fail("{}: tensor {} is undefined (default-made, or a gradient nothing has added to); make it first",
         detail::called(op), i + 1);
  }
}
inline void check_defined(const char* op, std::initializer_list<std::reference_wrapper<const Tensor>> tensors) {
  check_defined(op, detail::InputList(tensors.begin(), tensors.size()));
}

/// The last statement of every op that has a gradient: y = name(inputs). If some input wants a gradient, y becomes a
/// vertex of the graph. `backward(out, in)` must ADD d/d(in[i]) to every in[i].grad_or_null<T>() that is not null; if
/// it computes every element exactly once, it may use in[i].grad_share<T>() instead, which is faster. The gradient of y
/// is out.grad_or_null<T>(); the values are in[i].values<T>() and out.values<T>(). It may capture plain values and
/// Buffers only, never a Tensor: a captured output would own itself and never be freed.
template <std::invocable<const Node&, Inputs> F>
Tensor record(const char* name, Tensor y, detail::InputList inputs, F backward) {
  if (detail::wants_grad(name, y, inputs)) {
    using Held = detail::BackwardOf<F>;
    detail::attach(y.node(), name, inputs, std::make_unique<const Held>(std::move(backward)));
  }
  return y;
}

template <std::invocable<const Node&, Inputs> F>
Tensor record(const char* name, Tensor y, std::initializer_list<std::reference_wrapper<const Tensor>> inputs,
              F backward) {
  return record(name, std::move(y), detail::InputList(inputs.begin(), inputs.size()), std::move(backward));
}

/// The same with the derivative in its second form, of which higher derivatives are made: rule(y, dy, x) returns the
/// gradients of the inputs as Tensors made with ops, one Tensor or Gradients in the order of the inputs. It captures
/// plain values and Buffers only, as `backward` does. What depends on the inputs is computed from x, y and dy, not
/// taken from a captured Buffer: a Buffer is constant to the next derivative. All ops of the library have a rule;
/// without one the op has no second derivative.
template <std::invocable<const Node&, Inputs> F, std::invocable<const Tensor&, const Tensor&, const RuleInputs&> R>
Tensor record(const char* name, Tensor y, detail::InputList inputs, F backward, R rule) {
  if (detail::wants_grad(name, y, inputs)) {
    using Held = detail::RuledBackward<F, R>;
    detail::attach(y.node(), name, inputs, std::make_unique<const Held>(std::move(backward), std::move(rule)));
  }
  return y;
}
template <std::invocable<const Node&, Inputs> F, std::invocable<const Tensor&, const Tensor&, const RuleInputs&> R>
Tensor record(const char* name, Tensor y, std::initializer_list<std::reference_wrapper<const Tensor>> inputs,
              F backward, R rule) {
  return record(name, std::move(y), detail::InputList(inputs.begin(), inputs.size()), std::move(backward),
                std::move(rule));
}

#pragma GCC visibility pop
}  // namespace gradus
