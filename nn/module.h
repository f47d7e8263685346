// Module, what every network part derives from, and Layer, the parts that map one tensor to one tensor. A module names
// its members once, in members(); parameters, modes, conversion, counting and files all walk through that one list.
#pragma once

#include <concepts>
#include <iosfwd>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include <gradus/core/ops/narrow.h>
#include <gradus/core/tensor.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

class Module;
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

/// What members() receives: call it with each member and a name of its own. It builds dotted names
/// ("h.0.attn.c_attn.weight"). Throws Error for a name that is empty or contains a dot. Two members with one name are
/// an Error in train(), parameters(), num_parameters() and the named_ functions.
class Visitor {
 public:
  virtual ~Visitor() = default;

  /// A parameter; an undefined one (a bias that was not wanted) is skipped. One that wants no gradient (made without
  /// nn::parameter, or frozen with requires_grad(false)) is saved and loaded, but not trained.
  void operator()(std::string_view name, const Tensor& parameter) { visit_tensor(name, parameter, true); }
  /// A tensor that belongs to the module's state but is not trained (a running mean, say).
  void buffer(std::string_view name, const Tensor& tensor) { visit_tensor(name, tensor, false); }
  /// Weights in narrow numbers, which are not a tensor: neither trained nor saved.
  void operator()(std::string_view name, const NarrowMatrix& weights);
  void operator()(std::string_view name, const Module& child);
  /// A list of parameters or modules, named "name.0", "name.1", ..
  template <class T>
  void operator()(std::string_view name, const std::vector<T>& list) {
    const std::size_t outer = enter(name);
    on_member({path_.data(), path_.size() - 1});
    for (std::size_t i = 0; i < list.size(); ++i) (*this)(std::to_string(i), list[i]);
    leave(outer);
  }

 protected:
  /// Every member: an undefined parameter too, and a list as a whole.
  virtual void on_member(std::string_view /*name*/) {}
  virtual void on_tensor(std::string_view /*name*/, const Tensor&, bool /*is_parameter*/) {}
  virtual void on_narrow(std::string_view /*name*/, const NarrowMatrix&) {}
  virtual void on_module(std::string_view /*name*/, const Module&) {}

 private:
  void visit_tensor(std::string_view name, const Tensor& tensor, bool is_parameter);
  std::size_t enter(std::string_view name);
  void leave(std::size_t outer) { path_.resize(outer); }

  // From the memory pool, so that zero_grad() in a training loop allocates nothing from the system.
  std::basic_string<char, std::char_traits<char>, PoolAllocator<char>> path_;
};

/// A value type. A copy shares parameters and buffers, since a Tensor is a handle; everything else is its own: its
/// mode, its children, and which tensors it holds. So train() and eval() on a copy, a layer added to it and a weight
/// replaced in it (copy.fc.weight = ..) leave the original unchanged, but an optimizer step on one changes both. This
/// requires that a module holds its children as values: as members, in a std::vector, std::optional or std::variant, or
/// in a Sequential, ModuleList or ModuleDict. Through a pointer, copies would share the child. clone() makes a copy
/// that shares nothing.
class Module {
 public:
  Module() = default;
  Module(const Module&) = default;
  Module(Module&&) = default;
  Module& operator=(const Module&) = default;
  Module& operator=(Module&&) = default;
  virtual ~Module() = default;

  /// Calls `visit` with every parameter, buffer and child module, in the order in which they should be listed.
  virtual void members(Visitor& visit) const = 0;

  /// Every parameter with its dotted name. A tensor that is used in several places (a tied weight) appears once, under
  /// its first name, unless remove_duplicate is false. Throws Error if two members have one name.
  NamedTensors named_parameters(bool remove_duplicate = true) const;
  std::vector<Tensor> parameters() const;
  /// Parameters and buffers: what a file of this module holds. Throws Error if there are narrow weights, which no file
  /// can hold.
  NamedTensors named_state(bool remove_duplicate = true) const;
  /// This module (named "") and everything below it, each object once.
  std::vector<std::pair<std::string, const Module*>> named_modules() const;
  /// How many numbers the parameters hold, frozen ones too; tied ones count once.
  Index num_parameters() const;

  /// Switches this module and its submodules to training mode, or to evaluation mode (no dropout, BatchNorm uses its
  /// running statistics).
  void train(bool on = true);
  void eval() { train(false); }
  bool training() const { return training_; }

  /// Converts every parameter and buffer in place, so ties and optimizers stay valid; those that change lose their
  /// gradient. f32 -> f64 -> f32 is exact. Call it between steps: a graph recorded before the call cannot run backward
  /// after it.
  void to(DType dtype);
  void zero_grad();

 private:
  mutable bool training_ = true;  // mutable because members() lists children as const
};

/// A module that maps one tensor to one tensor, so that Sequential can chain it.
class Layer : public Module {
 public:
  virtual Tensor operator()(const Tensor& x) const = 0;
};

/// Writes summary(module) (summary.h): what the network is made of, as a table.
std::ostream& operator<<(std::ostream& out, const Module& module);

/// Marks `values` as trainable: without it a member gets no gradient.
inline Tensor parameter(Tensor values) {
  values.requires_grad(true);
  return values;
}

namespace detail {
std::string to_text(const Module& module);
/// Gives `copy`, a copy of `original`, parameters and buffers of its own.
void own_tensors(const Module& original, const Module& copy);
void check_whole(const Module& module, const std::type_info& type);
}  // namespace detail

/// A copy with parameters and buffers of its own, as PyTorch's copy.deepcopy() makes: tensors that are tied in the
/// module are tied in the copy; modes and frozen parameters stay so; gradients are left out. Tensors that members()
/// does not name stay shared. Throws Error if part of the module lies behind a pointer that its copy shares, if
/// members() passes a temporary, or if `module` is only the base of an object of another type.
template <std::derived_from<Module> M>
requires std::copy_constructible<M> M clone(const M& module) {
  detail::check_whole(module, typeid(M));
  M copy(module);
  detail::own_tensors(module, copy);
  return copy;
}

#pragma GCC visibility pop
}  // namespace gradus::nn

/// Prints summary(module).
template <std::derived_from<gradus::nn::Module> M>
struct fmt::formatter<M> : fmt::formatter<std::string_view> {
  auto format(const M& module, fmt::format_context& context) const {
    return gradus::write_text(*this, gradus::nn::detail::to_text(module), context);
  }
};
