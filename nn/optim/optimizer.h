// What all optimizers share: groups of parameters, and the bookkeeping and state that a checkpoint has to carry. The
// loops of SGD and Adam are core's (ops/update.h).
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <gradus/nn/module.h>

namespace gradus::distributed {
class DistributedOptimizer;
}

namespace gradus::optim {
#pragma GCC visibility push(default)

/// Parameters that share a rate and a weight decay.
struct ParamGroup {
  std::vector<Tensor> params;
  double lr_scale = 1;                      // this group's rate is lr() * lr_scale
  std::optional<double> weight_decay = {};  // instead of the optimizer's own
};

namespace detail {
// The type of a rate given as a number, SGD(params, 0.1). It is a template, so that braces always mean options.
template <class T>
concept Rate = std::is_arithmetic_v<T> && !std::same_as<T, bool>;
}  // namespace detail

/// Two groups: matrices and embeddings (two dimensions or more) decay by `weight_decay`, everything else (biases, gains
/// of norms) does not. A group without members is left out.
std::vector<ParamGroup> decay_groups(const nn::Module& module, double weight_decay);

/// What all optimizers share: parameters, moments and their state. Parameters must be leaves, each given once, and at
/// least one must want a gradient; those that want none are left as they are.
class Optimizer {
 public:
  Optimizer(const Optimizer&) = delete;  // two would share the moments but not the step counts
  Optimizer& operator=(const Optimizer&) = delete;
  Optimizer(Optimizer&&) = default;
  Optimizer& operator=(Optimizer&&) = default;
  virtual ~Optimizer() = default;

  /// Updates every parameter that has a gradient, in place; the others keep their values, moments and step counts.
  void step();
  void zero_grad();

  /// What is updated by itself: each element of a parameter whatever the others are, each parameter, or only all
  /// together. Says how the work can be split over processes.
  enum class Unit { element, parameter, all };
  virtual Unit unit() const { return Unit::element; }

  /// Which kind this is, as in "AdamW": state() fits optimizers of the same kind.
  const char* name() const { return name_; }
  double lr() const { return lr_; }
  void set_lr(double lr);

  /// Groups are numbered from 0 in the order in which they were given. A state fits only as many groups of the same
  /// sizes.
  std::size_t group_count() const { return group_sizes_.size(); }
  /// Appends a group; its parameters are numbered after the others in state().
  void add_param_group(ParamGroup group);
  /// From the next step on. Throws Error for a group that does not exist, or a number that is negative or not finite.
  void set_lr_scale(std::size_t group, double lr_scale);
  void set_weight_decay(std::size_t group, double weight_decay);

  /// Copies of all that is needed to resume. For each parameter that was updated, by its number: "3.step" (one f64
  /// number) and its moments, such as "3.exp_avg". The options, in f64: "options.lr", "options.beta1" .., and with a
  /// number per group "options.group_sizes", "options.lr_scale" and "options.weight_decay".
  virtual nn::NamedTensors state() const;
  /// Restores what state() returned, for the same parameters in the same order. Options are restored too, as in
  /// PyTorch; a state without them (an older file) keeps the current ones. Throws Error, and changes nothing, if names,
  /// shapes or options are not those of such an optimizer.
  virtual void set_state(const nn::NamedTensors& state);
  /// Of a state, what is learned from the gradients: steps and moments, without the options.
  static nn::NamedTensors without_options(nn::NamedTensors state);

 protected:
  struct Slot {
    Tensor param;
    double lr_scale, weight_decay;
    Index steps = 0;
    Tensor moments[3] = {};
  };
  /// An option of the optimizer's own, to be saved and set: its name in state() and its number. With `absent_if_0` it
  /// is saved only if it is not 0, so that versions with and without the option read each other's states.
  struct Option {
    const char* name;
    double value;
    bool absent_if_0 = false;
  };

  Optimizer(const char* name, std::vector<ParamGroup> groups, double lr, double weight_decay,
            std::vector<const char*> moment_names);
  virtual void update(const Slot& slot, const Tensor& grad, double lr) const = 0;
  /// All options but lr and weight_decay. set_options() gets their values in the same order, and throws Error, and
  /// changes nothing, for numbers that the constructor would refuse.
  virtual std::vector<Option> options() const { return {}; }
  virtual void set_options(const std::vector<double>& /*values*/) {}
  /// The moments that the options ask for, at most three; they begin at 0.
  virtual std::vector<const char*> moments() const { return moment_names_; }
  /// Whether the steps go uphill: update() then gets the gradient times -1, as in PyTorch.
  virtual bool maximize() const { return false; }
  /// Throws Error for parameters that this optimizer cannot update. Constructors call it themselves.
  virtual void check_group(const ParamGroup& /*group*/) const {}
  const std::vector<Slot>& slots() const { return slots_; }

 private:
  friend class distributed::DistributedOptimizer;  // updates parts of parameters, which have slots of their own

  void update_slot(Slot& slot, const Tensor& grad) const;
  void append(ParamGroup group);
  std::pair<std::size_t, std::size_t> members_of(std::size_t group) const;
  nn::NamedTensors saved_options() const;
  void set_saved_options(const nn::NamedTensors& saved);
  void set_moments(const nn::NamedTensors& state);

  const char* name_;
  double lr_, weight_decay_;
  std::vector<const char*> moment_names_;
  std::vector<double> group_sizes_;  // parameters per group, in f64 as state() saves them
  std::vector<Slot> slots_;
};

#pragma GCC visibility pop
}  // namespace gradus::optim
