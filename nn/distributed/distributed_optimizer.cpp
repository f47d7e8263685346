// One rank keeps whole sums and steps the wrapped optimizer itself. Several ranks have parts of parameters in its
// place, each with a slot of its own, which the wrapped optimizer's update() cannot tell from a parameter's.
#include <gradus/nn/distributed/distributed_optimizer.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <string>
#include <utility>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/core/ops/update.h>
#include <gradus/core/runtime/parallel.h>
#include <gradus/nn/distributed/detail/gradient_exchange.h>
#include <gradus/nn/optim/clip.h>

namespace gradus::distributed {
namespace {

using detail::Bucket;
using detail::Bytes;
using detail::MessageLayout;
using detail::Slice;

std::span<std::byte> bytes_of(const Tensor& x) {
  return {x.node().data.as<std::byte>(), static_cast<std::size_t>(x.numel()) * size_of(x.dtype())};
}

// Elements begin .. end-1.
std::span<std::byte> bytes_of(const Tensor& x, Index begin, Index end) {
  const std::size_t size = size_of(x.dtype());
  return bytes_of(x).subspan(static_cast<std::size_t>(begin) * size, static_cast<std::size_t>(end - begin) * size);
}

void copy(std::span<const std::byte> from, std::span<std::byte> to) {
  if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
}

Tensor part_of(const Tensor& x, const Slice& slice) {
  const Tensor part = Tensor::empty({slice.end - slice.begin}, x.dtype());
  copy(bytes_of(x, slice.begin, slice.end), bytes_of(part));
  return part;
}

void add_to(const Tensor& sum, const Tensor& x) {
  constexpr Index chunk = 16384;
  dispatch(sum.dtype(), [&]<class T>() {
    T* const to = sum.data<T>().data();
    const T* const from = x.data<T>().data();
    parallel_for(sum.numel(), chunk, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) to[i] += from[i];
    });
  });
}

void round_to_bf16(const Tensor& x) {
  if (x.dtype() != DType::f32) return;
  for (float& value : x.data<float>()) value = detail::from_bf16(detail::to_bf16(value));
}

std::string shapes_of(const std::vector<Tensor>& params) {
  std::string text;
  for (const Tensor& param : params) text += fmt::format("{} {} ", param.dtype(), param.shape());
  return text;
}

}  // namespace

// Of one rank: the sums of earlier rounds.
class DistributedOptimizer::Alone {
 public:
  Alone(std::vector<Tensor> params, bool bf16) : params_(std::move(params)), sums_(params_.size()), bf16_(bf16) {}

  void take(std::size_t i) {
    Tensor grad = params_[i].grad();
    params_[i].zero_grad();
    if (bf16_) round_to_bf16(grad);
    if (sums_[i].defined()) {
      add_to(sums_[i], grad);
    } else {
      sums_[i] = std::move(grad);
    }
  }
  void finish() {
    for (std::size_t i = 0; i < params_.size(); ++i) {
      if (sums_[i].defined()) params_[i].node().grad = std::exchange(sums_[i], Tensor()).node().data;
    }
  }
  void clear() { std::ranges::fill(sums_, Tensor()); }

 private:
  std::vector<Tensor> params_, sums_;
  bool bf16_;
};

// Of several ranks: the slices, their gradients, moments and weights. Parameters have the numbers of the wrapped
// optimizer's slots in state(), and those of `trained` elsewhere.
class DistributedOptimizer::Ranks {
 public:
  Ranks(optim::Optimizer& optimizer, Communicator& communicator, const std::vector<std::size_t>& trained,
        const DistributedOptions& options);

  void take(std::size_t param) {
    const Tensor grad = params_[param].grad();
    check(grad.dtype() == dtypes_[param],
          "DistributedOptimizer: a parameter {} is {} now and was {}; make it after converting the module",
          grad.shape(), grad.dtype(), dtypes_[param]);
    exchange_->take(param, grad);
    params_[param].zero_grad();
  }
  void end_round() { exchange_->end_round(); }
  void finish() { exchange_->finish(); }
  void clear() { exchange_->clear(); }

  double clip(const std::vector<std::size_t>& order, double max_norm);
  void start_step();
  void finish_weights() {
    for (std::size_t bucket = 0; bucket < arriving_.size(); ++bucket) finish_gather(bucket);
  }
  /// Waits for the weights of a tensor, if it has some on the way.
  void finish_weights_of(const Node& node);
  nn::NamedTensors state();
  /// Takes over what set_state() has left in the wrapped optimizer.
  void take_state();
  double seconds_waited() const { return waiting_.seconds(); }

 private:
  using Slot = optim::Optimizer::Slot;
  struct Gather {
    Bytes message;
    Request request;
    bool pending = false;
  };

  bool is_own(const Slice& slice) const { return slice.owner == communicator_.rank(); }
  template <class F>
  void each_slice(const F& f) {  // f(bucket, slice)
    for (std::size_t b = 0; b < buckets_.size(); ++b) {
      for (std::size_t i = 0; i < buckets_[b].size(); ++i) f(b, i);
    }
  }
  MessageLayout layout_of(const Bucket& bucket) const;
  std::vector<std::vector<double>> gather_numbers(
      const std::function<std::vector<double>(std::size_t, std::size_t)>& numbers_of_slice,
      const std::function<std::size_t(const Slice&)>& count_of);
  std::vector<double> squares(const std::vector<double>& factors, std::vector<char>* has_gradient);
  std::vector<double> largest_sizes();
  double joint_norm(const std::vector<std::size_t>& order);
  void update(std::size_t bucket, std::size_t slice);
  void start_gather(std::size_t bucket);
  void finish_gather(std::size_t bucket);
  void gather_moment(std::size_t bucket, std::size_t k, const std::vector<Slot>& whole);

  optim::Optimizer& optimizer_;
  Communicator& communicator_;
  std::vector<std::size_t> slot_numbers_;  // of each parameter, among the wrapped optimizer's
  std::vector<Tensor> params_;
  std::vector<DType> dtypes_;  // as messages are laid out for
  std::vector<Bucket> buckets_;
  std::vector<std::vector<Slot>> parts_;                // of each bucket's slices; the own ones have steps and moments
  std::vector<std::vector<std::size_t>> buckets_with_;  // of each parameter
  detail::WaitingTime waiting_;
  std::optional<detail::GradientExchange> exchange_;
  std::vector<Gather> arriving_;  // by bucket
  std::unordered_map<const Node*, std::size_t> numbers_;
};

DistributedOptimizer::Ranks::Ranks(optim::Optimizer& optimizer, Communicator& communicator,
                                   const std::vector<std::size_t>& trained, const DistributedOptions& options)
    : optimizer_(optimizer), communicator_(communicator), slot_numbers_(trained), buckets_with_(trained.size()) {
  std::vector<detail::ParamSize> sizes;
  for (const std::size_t i : trained) {
    params_.push_back(optimizer.slots_[i].param);
    numbers_.emplace(&params_.back().node(), params_.size() - 1);
    dtypes_.push_back(params_.back().dtype());
    sizes.push_back({params_.back().numel(), dtypes_.back()});
  }
  communicator.check_equal("the list of parameters", shapes_of(params_));
  for (const Tensor& param : params_) {
    communicator.broadcast(bytes_of(param));
    param.mark_written("DistributedOptimizer");
  }
  buckets_ = detail::partition(sizes, communicator.size(), options.bucket_bytes,
                               optimizer.unit() == optim::Optimizer::Unit::parameter);
  arriving_.resize(buckets_.size());
  for (const Bucket& bucket : buckets_) parts_.emplace_back(bucket.size());
  each_slice([&](std::size_t b, std::size_t i) {
    std::vector<std::size_t>& with = buckets_with_[buckets_[b][i].param];
    if (with.empty() || with.back() != b) with.push_back(b);
  });
  exchange_.emplace(params_, buckets_, communicator, options.bf16, waiting_);
  take_state();
}

// A list of numbers for each slice, by bucket and slice: own ones are computed, others come from their owners. All
// ranks know how many each slice has.
std::vector<std::vector<double>> DistributedOptimizer::Ranks::gather_numbers(
    const std::function<std::vector<double>(std::size_t, std::size_t)>& numbers_of_slice,
    const std::function<std::size_t(const Slice&)>& count_of) {
  std::vector<double> own;
  std::vector<std::size_t> sizes(static_cast<std::size_t>(communicator_.size()), 0);
  each_slice([&](std::size_t b, std::size_t i) {
    const Slice& slice = buckets_[b][i];
    sizes[static_cast<std::size_t>(slice.owner)] += count_of(slice) * sizeof(double);
    if (!is_own(slice)) return;
    const std::vector<double> numbers = numbers_of_slice(b, i);
    own.insert(own.end(), numbers.begin(), numbers.end());
  });
  std::vector<std::size_t> at(sizes.size());
  std::exclusive_scan(sizes.begin(), sizes.end(), at.begin(), std::size_t{0});
  std::vector<double> all((at.back() + sizes.back()) / sizeof(double));
  Request request =
      communicator_.start_all_gather(std::as_bytes(std::span(own)), std::as_writable_bytes(std::span(all)), sizes);
  waiting_.wait(request);
  std::vector<std::vector<double>> lists;
  each_slice([&](std::size_t b, std::size_t i) {
    const Slice& slice = buckets_[b][i];
    std::size_t& from = at[static_cast<std::size_t>(slice.owner)];
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(from / sizeof(double));
    lists.emplace_back(first, first + static_cast<std::ptrdiff_t>(count_of(slice)));
    from += count_of(slice) * sizeof(double);
  });
  return lists;
}

// The squared norm of each parameter's gradient, times its factor: the sums of its blocks, in their order.
std::vector<double> DistributedOptimizer::Ranks::squares(const std::vector<double>& factors,
                                                         std::vector<char>* has_gradient) {
  const auto block_size = [&](const Slice& slice) { return norm_block_size(params_[slice.param].numel()); };
  const auto blocks = [&](const Slice& slice) {
    return static_cast<std::size_t>((slice.end - slice.begin + block_size(slice) - 1) / block_size(slice));
  };
  const auto lists = gather_numbers(
      [&](std::size_t b, std::size_t i) {
        const Slice& slice = buckets_[b][i];
        const Tensor& sum = exchange_->sum(b, i);
        std::vector<double> numbers(1, sum.defined() ? 1 : 0);
        const std::vector<double> sums = sum.defined() ? squared_blocks(sum, block_size(slice), factors[slice.param])
                                                       : std::vector<double>(blocks(slice), 0);
        numbers.insert(numbers.end(), sums.begin(), sums.end());
        return numbers;
      },
      [&](const Slice& slice) { return 1 + blocks(slice); });
  std::vector<std::vector<double>> of_params(params_.size());
  for (std::size_t p = 0; p < params_.size(); ++p) {
    const Index numel = params_[p].numel(), size = norm_block_size(numel);
    of_params[p].resize(static_cast<std::size_t>((numel + size - 1) / size));
  }
  std::size_t n = 0;
  each_slice([&](std::size_t b, std::size_t i) {
    const Slice& slice = buckets_[b][i];
    const std::vector<double>& list = lists[n++];
    if (has_gradient != nullptr) (*has_gradient)[slice.param] = list[0] != 0 ? 1 : 0;
    std::copy(list.begin() + 1, list.end(), of_params[slice.param].begin() + slice.begin / block_size(slice));
  });
  std::vector<double> squared;
  for (const std::vector<double>& sums : of_params) {
    double all = 0;
    for (const double sum : sums) all += sum;
    squared.push_back(all);
  }
  return squared;
}

std::vector<double> DistributedOptimizer::Ranks::largest_sizes() {
  const auto lists = gather_numbers(
      [&](std::size_t b, std::size_t i) {
        const Tensor& sum = exchange_->sum(b, i);
        return std::vector<double>(1, sum.defined() ? largest_size(sum) : 0);
      },
      [](const Slice&) { return std::size_t{1}; });
  std::vector<double> largest(params_.size(), 0);
  std::size_t n = 0;
  each_slice([&](std::size_t b, std::size_t i) {
    double& most = largest[buckets_[b][i].param];
    const double size = lists[n++][0];
    if (!(size <= most) && !std::isnan(most)) most = size;
  });
  return largest;
}

// `order`: the parameters in the order in which their squares are added.
double DistributedOptimizer::Ranks::joint_norm(const std::vector<std::size_t>& order) {
  std::vector<char> has_gradient(params_.size(), 0);
  const std::vector<double> plain = squares(std::vector<double>(params_.size(), 1), &has_gradient);
  std::vector<std::size_t> with;
  NormParts parts;
  for (const std::size_t p : order) {
    if (has_gradient[p] == 0) continue;
    with.push_back(p);
    parts.tensors.push_back({params_[p].numel(), params_[p].dtype()});
  }
  const auto chosen = [&](const std::vector<double>& of_all) {
    std::vector<double> some;
    for (const std::size_t p : with) some.push_back(of_all[p]);
    return some;
  };
  parts.squared_norms = [&](const std::vector<double>& factors) {
    if (std::ranges::all_of(factors, [](double factor) { return factor == 1; })) return chosen(plain);
    std::vector<double> of_all(params_.size(), 1);
    for (std::size_t k = 0; k < with.size(); ++k) of_all[with[k]] = factors[k];
    return chosen(squares(of_all, nullptr));
  };
  parts.largest_sizes = [&] { return chosen(largest_sizes()); };
  return joint_norm_of_parts(parts);
}

double DistributedOptimizer::Ranks::clip(const std::vector<std::size_t>& order, double max_norm) {
  finish();
  const double norm = joint_norm(order);
  if (const double factor = optim::clip_factor(norm, max_norm); factor < 1) {
    each_slice([&](std::size_t b, std::size_t i) {
      if (const Tensor& sum = exchange_->sum(b, i); sum.defined()) scale_(sum, factor);
    });
  }
  return norm;
}

void DistributedOptimizer::Ranks::start_step() {
  const NoGrad no_grad;
  finish_weights();
  finish();
  const std::vector<std::size_t>& sequence = exchange_->sequence();
  for (std::size_t k = sequence.size(); k-- > 0;) {  // the next forward pass reads in the reverse order of backward()
    const std::size_t bucket = sequence[k];
    for (std::size_t i = 0; i < buckets_[bucket].size(); ++i) {
      if (is_own(buckets_[bucket][i])) update(bucket, i);
    }
    start_gather(bucket);
  }
  exchange_->clear();
}

void DistributedOptimizer::Ranks::update(std::size_t bucket, std::size_t i) {
  const Slice& slice = buckets_[bucket][i];
  const Tensor grad = std::exchange(exchange_->sum(bucket, i), Tensor());
  if (!grad.defined()) return;
  const Tensor& param = params_[slice.param];
  const bool whole = slice.end - slice.begin == param.numel();
  Slot& part = parts_[bucket][i];
  const Slot& slot = optimizer_.slots_[slot_numbers_[slice.param]];
  part.lr_scale = slot.lr_scale;
  part.weight_decay = slot.weight_decay;
  part.param = whole ? param : part_of(param, slice);
  optimizer_.update_slot(part, whole ? reshape(grad, param.shape()) : grad);
  if (!whole) {
    copy(bytes_of(part.param), bytes_of(param, slice.begin, slice.end));
    param.mark_written(optimizer_.name());
  }
  part.param = Tensor();
}

// A message of one number for each element.
MessageLayout DistributedOptimizer::Ranks::layout_of(const Bucket& bucket) const {
  return {bucket, communicator_.size(), false,
          [&](const Slice& slice) { return size_of(params_[slice.param].dtype()); }};
}

void DistributedOptimizer::Ranks::start_gather(std::size_t bucket) {
  const Bucket& slices = buckets_[bucket];
  const MessageLayout layout = layout_of(slices);
  Gather& gather = arriving_[bucket];
  gather.message = Bytes(layout.size());
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const Slice& slice = slices[i];
    if (!is_own(slice)) continue;
    const std::span<const std::byte> weights = bytes_of(params_[slice.param], slice.begin, slice.end);
    copy(weights, layout.numbers(gather.message, slice.owner, i, weights.size()));
  }
  gather.request = communicator_.start_all_gather(layout.part(gather.message, communicator_.rank()),
                                                  gather.message.all(), layout.part_sizes);
  gather.pending = true;
}

void DistributedOptimizer::Ranks::finish_gather(std::size_t bucket) {
  Gather& gather = arriving_[bucket];
  if (!gather.pending) return;
  waiting_.wait(gather.request);
  const Bucket& slices = buckets_[bucket];
  const MessageLayout layout = layout_of(slices);
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const Slice& slice = slices[i];
    if (is_own(slice)) continue;
    const Tensor& param = params_[slice.param];
    const std::span<std::byte> weights = bytes_of(param, slice.begin, slice.end);
    copy(layout.part(gather.message, slice.owner).subspan(layout.offsets[i], weights.size()), weights);
    param.mark_written(optimizer_.name());
  }
  gather = {};
}

void DistributedOptimizer::Ranks::finish_weights_of(const Node& node) {
  const auto found = numbers_.find(&node);
  if (found == numbers_.end()) return;
  for (const std::size_t bucket : buckets_with_[found->second]) finish_gather(bucket);
}

// Each bucket's moments go to rank 0 by themselves, so that no other rank needs memory for all.
nn::NamedTensors DistributedOptimizer::Ranks::state() {
  const auto steps = gather_numbers(
      [&](std::size_t b, std::size_t i) { return std::vector<double>(1, static_cast<double>(parts_[b][i].steps)); },
      [](const Slice&) { return std::size_t{1}; });
  std::vector<Slot> whole = optimizer_.slots_;  // of those that are not trained, what they have
  for (Slot& slot : whole) {
    for (Tensor& moment : slot.moments) moment = moment.defined() ? moment.detach().clone() : moment;
  }
  std::size_t n = 0;
  each_slice([&](std::size_t b, std::size_t i) {
    const Slice& slice = buckets_[b][i];
    Slot& slot = whole[slot_numbers_[slice.param]];
    slot.steps = static_cast<Index>(steps[n++][0]);
    if (slot.steps == 0 || communicator_.rank() != 0) return;
    for (std::size_t k = 0; k < optimizer_.moment_names_.size(); ++k) {
      if (!slot.moments[k].defined()) slot.moments[k] = Tensor::empty_like(params_[slice.param]);
    }
  });
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    const bool any = std::ranges::any_of(
        buckets_[b], [&](const Slice& slice) { return whole[slot_numbers_[slice.param]].steps > 0; });
    for (std::size_t k = 0; any && k < optimizer_.moment_names_.size(); ++k) gather_moment(b, k, whole);
  }
  nn::NamedTensors named = optimizer_.saved_options();
  if (communicator_.rank() != 0) return named;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    if (whole[i].steps == 0) continue;
    named.emplace_back(fmt::format("{}.step", i), tensor(static_cast<double>(whole[i].steps), DType::f64));
    for (std::size_t k = 0; k < optimizer_.moment_names_.size(); ++k) {
      named.emplace_back(fmt::format("{}.{}", i, optimizer_.moment_names_[k]), std::move(whole[i].moments[k]));
    }
  }
  return named;
}

void DistributedOptimizer::Ranks::gather_moment(std::size_t bucket, std::size_t k, const std::vector<Slot>& whole) {
  const Bucket& slices = buckets_[bucket];
  const MessageLayout layout = layout_of(slices);
  const int rank = communicator_.rank();
  const auto ranks = static_cast<std::size_t>(communicator_.size());
  const Bytes message(layout.size());
  std::ranges::fill(layout.part(message, rank), std::byte{0});
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const Slice& slice = slices[i];
    if (!is_own(slice) || parts_[bucket][i].steps == 0) continue;
    const Tensor moment = parts_[bucket][i].moments[k].to(params_[slice.param].dtype());
    copy(bytes_of(moment), layout.part(message, rank).subspan(layout.offsets[i]));
  }
  std::vector<std::size_t> to(ranks, 0), from(ranks, 0);
  to[0] = layout.part_sizes[static_cast<std::size_t>(rank)];
  if (rank == 0) from = layout.part_sizes;
  const Bytes all(rank == 0 ? layout.size() : 0);
  Request request = communicator_.start_all_to_all(layout.part(message, rank), to, all.all(), from);
  waiting_.wait(request);
  if (rank != 0) return;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const Slice& slice = slices[i];
    const Slot& slot = whole[slot_numbers_[slice.param]];
    if (slot.steps == 0) continue;
    const std::span<std::byte> numbers = bytes_of(slot.moments[k], slice.begin, slice.end);
    copy(layout.part(all, slice.owner).subspan(layout.offsets[i], numbers.size()), numbers);
  }
}

void DistributedOptimizer::Ranks::take_state() {
  const NoGrad no_grad;
  each_slice([&](std::size_t b, std::size_t i) {
    const Slice& slice = buckets_[b][i];
    if (!is_own(slice)) return;
    const Slot& slot = optimizer_.slots_[slot_numbers_[slice.param]];
    Slot& part = parts_[b][i];
    part.steps = slot.steps;
    for (std::size_t k = 0; k < std::size(part.moments); ++k) {
      const bool whole = slice.end - slice.begin == slot.param.numel();
      const Tensor& moment = slot.moments[k];
      part.moments[k] = !moment.defined() || whole ? moment : part_of(moment, slice);
    }
  });
  for (const std::size_t i : slot_numbers_) {
    optimizer_.slots_[i].steps = 0;
    std::ranges::fill(optimizer_.slots_[i].moments, Tensor());
  }
}

class DistributedOptimizer::ArrivingWeights final : public OpWatcher {
 public:
  explicit ArrivingWeights(Ranks& ranks) : ranks_(ranks) {}
  void before(const char* /*op*/, Inputs inputs) override {
    for (const Tensor& x : inputs) {
      if (x.defined()) ranks_.finish_weights_of(x.node());
    }
  }

 private:
  Ranks& ranks_;
};

DistributedOptimizer::DistributedOptimizer(std::unique_ptr<optim::Optimizer> optimizer, Communicator& communicator,
                                           const DistributedOptions& options)
    : optimizer_(std::move(optimizer)), communicator_(communicator) {
  check(optimizer_ != nullptr,
        "DistributedOptimizer: there is no optimizer; pass one, e.g. std::make_unique<AdamW>(..)");
  check(optimizer_->unit() != optim::Optimizer::Unit::all,
        "DistributedOptimizer: {} updates all parameters together, so its work cannot be split; use another optimizer",
        name());
  check(options.bucket_bytes > 0, "DistributedOptimizer: bucket_bytes is 0; it must be above 0");
  check(options.accumulation >= 0, "DistributedOptimizer: accumulation is {}; it must be at least 0",
        options.accumulation);
  std::vector<std::size_t> trained;
  std::vector<Tensor> params;
  for (std::size_t i = 0; i < optimizer_->slots_.size(); ++i) {
    const Tensor& param = optimizer_->slots_[i].param;
    if (!param.requires_grad()) continue;
    numbers_.emplace(&param.node(), params.size());
    trained.push_back(i);
    params.push_back(param);
  }
  if (communicator.size() > 1) {
    communicator.check_equal("the optimizer", fmt::format("{} {} {}", name(), options.bucket_bytes, options.bf16));
    ranks_ = std::make_unique<Ranks>(*optimizer_, communicator, trained, options);
  } else if (options.accumulation != 1 || options.bf16) {
    alone_ = std::make_unique<Alone>(params, options.bf16);
  }
  if (ranks_ == nullptr && alone_ == nullptr) return;
  hook_.emplace(
      params, [this](const Tensor& param) { take_gradient(param); },
      [this] {
        if (ranks_ != nullptr) ranks_->end_round();
      });
}

DistributedOptimizer::~DistributedOptimizer() = default;

void DistributedOptimizer::take_gradient(const Tensor& param) {
  const std::size_t number = numbers_.at(&param.node());
  if (ranks_ != nullptr) {
    ranks_->take(number);
  } else {
    alone_->take(number);
  }
}

double DistributedOptimizer::clip_grad_norm(const std::vector<Tensor>& params, double max_norm) {
  finish_gradients();
  if (ranks_ == nullptr) return optim::clip_grad_norm(params, max_norm);
  std::vector<std::size_t> order;
  for (const Tensor& param : params) {
    const auto found = numbers_.find(&param.node());
    check(found != numbers_.end() || !param.grad().defined(),
          "DistributedOptimizer: a parameter {} has a gradient, but {} did not train it when this was made; give it to "
          "the optimizer, or call requires_grad(false) on it",
          param.shape(), name());
    if (found != numbers_.end()) order.push_back(found->second);
  }
  return ranks_->clip(order, max_norm);
}

void DistributedOptimizer::finish_gradients() {
  check(
      !hook_ || std::this_thread::get_id() == thread_,
      "DistributedOptimizer: a thread uses it that did not make it, and whose backward() it does not see; make and use "
      "it on one thread");
  if (ranks_ != nullptr) ranks_->finish();
  if (alone_ != nullptr) alone_->finish();
}

void DistributedOptimizer::step() {
  start_step();
  finish_weights();
}

void DistributedOptimizer::start_step() {
  finish_gradients();
  if (ranks_ != nullptr) {
    ranks_->start_step();
  } else {
    optimizer_->step();
  }
}

void DistributedOptimizer::finish_weights() {
  if (ranks_ != nullptr) ranks_->finish_weights();
}

std::unique_ptr<OpWatcher> DistributedOptimizer::arriving_weights() {
  if (ranks_ == nullptr) return nullptr;
  return std::make_unique<ArrivingWeights>(*ranks_);
}

void DistributedOptimizer::zero_grad() {
  if (ranks_ != nullptr) ranks_->clear();
  if (alone_ != nullptr) alone_->clear();
  optimizer_->zero_grad();
}

nn::NamedTensors DistributedOptimizer::state() {
  return ranks_ != nullptr ? ranks_->state() : optimizer_->state();
}

void DistributedOptimizer::set_state(const nn::NamedTensors& state) {
  optimizer_->set_state(state);
  if (ranks_ != nullptr) ranks_->take_state();
}

double DistributedOptimizer::seconds_waited() const {
  return ranks_ != nullptr ? ranks_->seconds_waited() : 0;
}

}  // namespace gradus::distributed
