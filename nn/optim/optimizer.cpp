// A slot per parameter holds its moments and its own count of steps, as in PyTorch, so that a parameter which now and
// then gets no gradient is still corrected for the steps it really took. A slot's moments are made at its
// first step.
#include <gradus/nn/optim/optimizer.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>
#include <unordered_set>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/nn/optim/detail/check.h>

namespace gradus::optim {

using detail::check_number;

namespace {

constexpr std::string_view option_prefix = "options.";

bool is_option(const nn::NamedTensors::value_type& entry) {
  return entry.first.starts_with(option_prefix);
}

Tensor numbers(const std::vector<double>& values) {
  return tensor(values, DType::f64);
}

}  // namespace

std::vector<ParamGroup> decay_groups(const nn::Module& module, double weight_decay) {
  check_number("decay_groups", "weight_decay", weight_decay);
  std::vector<ParamGroup> groups(2);
  groups[0].weight_decay = weight_decay;
  groups[1].weight_decay = 0;
  for (Tensor& param : module.parameters()) groups[param.rank() >= 2 ? 0 : 1].params.push_back(std::move(param));
  std::erase_if(groups, [](const ParamGroup& group) { return group.params.empty(); });
  return groups;
}

Optimizer::Optimizer(const char* name, std::vector<ParamGroup> groups, double lr, double weight_decay,
                     std::vector<const char*> moment_names)
    : name_(name), lr_(lr), weight_decay_(weight_decay), moment_names_(std::move(moment_names)) {
  check_number(name_, "lr", lr);
  check_number(name_, "weight_decay", weight_decay);
  for (ParamGroup& group : groups) append(std::move(group));
  check(!slots_.empty(), "{}: there are no parameters to optimize; pass e.g. model.parameters()", name_);
  check(std::ranges::any_of(slots_, [](const Slot& slot) { return slot.param.requires_grad(); }),
        "{}: no parameter wants a gradient ({} came, the first {}); make them with nn::parameter(values), or call "
        "requires_grad(true) on them",
        name_, slots_.size(), slots_[0].param.shape());
}

// Throws before it has changed anything.
void Optimizer::append(ParamGroup group) {
  std::unordered_set<const Node*> seen;
  for (const Slot& slot : slots_) seen.insert(&slot.param.node());
  check_number(name_, "a group's lr_scale", group.lr_scale);
  const double decay = group.weight_decay.value_or(weight_decay_);
  check_number(name_, "a group's weight_decay", decay);
  std::vector<Slot> slots = slots_;
  for (Tensor& param : group.params) {
    check(param.defined() && param.is_leaf(),
          "{}: parameter {} is {}; only leaves can be optimized, e.g. what a module's parameters() lists", name_,
          slots.size(), param.defined() ? "the result of an op" : "undefined");
    check(seen.insert(&param.node()).second, "{}: parameter {} {} was given twice; it would be updated twice", name_,
          slots.size(), param.shape());
    slots.push_back({std::move(param), group.lr_scale, decay});
  }
  group_sizes_.push_back(static_cast<double>(group.params.size()));
  slots_ = std::move(slots);
}

void Optimizer::add_param_group(ParamGroup group) {
  check_group(group);
  append(std::move(group));
}

// The first slot of a group, and the one after its last.
std::pair<std::size_t, std::size_t> Optimizer::members_of(std::size_t group) const {
  check(group < group_sizes_.size(), "{}: group {} of {}; groups are numbered from 0 in the order in which they came",
        name_, group, group_sizes_.size());
  std::size_t begin = 0;
  for (std::size_t g = 0; g < group; ++g) begin += static_cast<std::size_t>(group_sizes_[g]);
  return {begin, begin + static_cast<std::size_t>(group_sizes_[group])};
}

void Optimizer::set_lr_scale(std::size_t group, double lr_scale) {
  check_number(name_, "a group's lr_scale", lr_scale);
  const auto [begin, end] = members_of(group);
  for (std::size_t i = begin; i < end; ++i) slots_[i].lr_scale = lr_scale;
}

void Optimizer::set_weight_decay(std::size_t group, double weight_decay) {
  check_number(name_, "a group's weight_decay", weight_decay);
  const auto [begin, end] = members_of(group);
  for (std::size_t i = begin; i < end; ++i) slots_[i].weight_decay = weight_decay;
}

void Optimizer::set_lr(double lr) {
  check_number(name_, "lr", lr);
  lr_ = lr;
}

void Optimizer::zero_grad() {
  for (const Slot& slot : slots_) slot.param.zero_grad();
}

void Optimizer::update_slot(Slot& slot, const Tensor& grad) const {
  for (std::size_t i = 0; i < moment_names_.size(); ++i) {
    Tensor& moment = slot.moments[i];
    moment = moment.defined() ? moment.to(grad.dtype()) : zeros_like(grad);  // the module may have been converted
  }
  ++slot.steps;
  update(slot, maximize() ? -grad : grad, lr_ * slot.lr_scale);
}

void Optimizer::step() {
  const NoGrad no_grad;
  for (Slot& slot : slots_) {
    if (const Tensor grad = slot.param.grad(); grad.defined()) update_slot(slot, grad);
  }
}

nn::NamedTensors Optimizer::state() const {
  nn::NamedTensors named = saved_options();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].steps == 0) continue;
    named.emplace_back(fmt::format("{}.step", i), tensor(static_cast<double>(slots_[i].steps), DType::f64));
    for (std::size_t k = 0; k < moment_names_.size(); ++k) {
      named.emplace_back(fmt::format("{}.{}", i, moment_names_[k]), slots_[i].moments[k].detach().clone());
    }
  }
  return named;
}

nn::NamedTensors Optimizer::saved_options() const {
  std::vector<double> lr_scale, weight_decay;
  std::size_t i = 0;
  for (const double size : group_sizes_) {
    // A group without parameters has nothing to scale; its place is kept.
    lr_scale.push_back(size > 0 ? slots_[i].lr_scale : 1);
    weight_decay.push_back(size > 0 ? slots_[i].weight_decay : 0);
    i += static_cast<std::size_t>(size);
  }
  nn::NamedTensors named{{"lr", tensor(lr_, DType::f64)},
                         {"group_sizes", numbers(group_sizes_)},
                         {"lr_scale", numbers(lr_scale)},
                         {"weight_decay", numbers(weight_decay)}};
  for (const Option& option : options()) {
    if (option.absent_if_0 && option.value == 0) continue;
    named.emplace_back(option.name, tensor(option.value, DType::f64));
  }
  for (auto& [name, value] : named) name.insert(0, option_prefix);
  return named;
}

nn::NamedTensors Optimizer::without_options(nn::NamedTensors state) {
  std::erase_if(state, is_option);
  return state;
}

// Throws before it has changed anything.
void Optimizer::set_saved_options(const nn::NamedTensors& saved) {
  std::size_t used = 0;
  const auto take = [&](const std::string& name, const Shape& shape, bool may_lack) -> std::vector<double> {
    const auto found =
        std::ranges::find(saved, std::string(option_prefix) + name, &nn::NamedTensors::value_type::first);
    if (found == saved.end() && may_lack) return {0};
    check(found != saved.end(), "{}: the saved state has no '{}{}'; it was saved by another optimizer", name_,
          option_prefix, name);
    check(found->second.shape() == shape,
          "{}: the saved state's '{}' is {}, this optimizer's is {}; it belongs "
          "to another model",
          name_, found->first, found->second.shape(), shape);
    ++used;
    return found->second.to_vector();
  };
  const Shape per_group{static_cast<Index>(group_sizes_.size())};
  const std::vector<std::vector<double>> values{take("lr", {}, false), take("group_sizes", per_group, false),
                                                take("lr_scale", per_group, false),
                                                take("weight_decay", per_group, false)};
  std::vector<double> others;
  for (const Option& option : options()) others.push_back(take(option.name, {}, option.absent_if_0)[0]);
  check(used == saved.size(),
        "{}: {} of the saved state's {} options are not of this optimizer; it was saved by another one", name_,
        saved.size() - used, saved.size());
  check(values[1] == group_sizes_,
        "{}: the saved state's groups have {} parameters, this optimizer's {}; make it with "
        "the same groups",
        name_, fmt::join(values[1], ", "), fmt::join(group_sizes_, ", "));
  const double lr = values[0][0];
  check_number(name_, "the saved lr", lr);
  for (std::size_t g = 0; g < group_sizes_.size(); ++g) {
    check_number(name_, "a group's saved lr_scale", values[2][g]);
    check_number(name_, "a group's saved weight_decay", values[3][g]);
  }
  set_options(others);
  lr_ = lr;
  std::size_t i = 0;
  for (std::size_t g = 0; g < group_sizes_.size(); ++g) {
    for (double n = 0; n < group_sizes_[g]; ++n, ++i) {
      slots_[i].lr_scale = values[2][g];
      slots_[i].weight_decay = values[3][g];
    }
  }
  moment_names_ = moments();
}

void Optimizer::set_state(const nn::NamedTensors& state) {
  const NoGrad no_grad;
  nn::NamedTensors options;
  std::ranges::copy_if(state, std::back_inserter(options), is_option);
  if (options.empty()) return set_moments(state);
  const nn::NamedTensors before = saved_options();
  set_saved_options(options);  // first, since they decide which moments there are
  try {
    set_moments(without_options(state));
  } catch (...) {
    set_saved_options(before);
    throw;
  }
}

void Optimizer::set_moments(const nn::NamedTensors& state) {
  std::vector<Slot> slots = slots_;
  std::size_t used = 0;
  const auto take = [&](std::size_t i, const char* what, const Shape& shape) -> Tensor {
    const std::string name = fmt::format("{}.{}", i, what);
    const auto found = std::ranges::find(state, name, &nn::NamedTensors::value_type::first);
    if (found == state.end()) return {};
    ++used;
    check(found->second.shape() == shape,
          "{}: the saved state's '{}' is {}, this optimizer's is {}; it belongs to another "
          "model",
          name_, name, found->second.shape(), shape);
    return found->second;
  };
  for (std::size_t i = 0; i < slots.size(); ++i) {
    Slot& slot = slots[i];
    const Tensor step = take(i, "step", {});
    const double steps = step.defined() ? step.item() : 0;
    check(steps >= 0 && steps < 0x1p53 && steps == std::floor(steps),
          "{}: the saved state's '{}.step' is {}; it must be a whole number", name_, i, steps);
    slot.steps = static_cast<Index>(steps);
    std::ranges::fill(slot.moments, Tensor());
    for (std::size_t k = 0; k < moment_names_.size(); ++k) {
      const Tensor moment = take(i, moment_names_[k], slot.param.shape());
      check(moment.defined() == (slot.steps > 0),
            "{}: the saved state has only one of '{}.step' and '{}.{}'; it needs both", name_, i, i, moment_names_[k]);
      slot.moments[k] = moment.defined() ? moment.detach().clone().to(slot.param.dtype()) : Tensor();
    }
  }
  check(used == state.size(),
        "{}: {} of the saved state's {} entries are not of this optimizer with its {} parameters; "
        "it was saved by another optimizer or for another model",
        name_, state.size() - used, state.size(), slots.size());
  slots_ = std::move(slots);
}

}  // namespace gradus::optim
