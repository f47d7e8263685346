// The averages: a copy of each tensor that named_state() lists, updated in place.
#include <gradus/nn/optim/ema.h>

#include <algorithm>

namespace gradus::nn {
namespace {

// f(values, averages) for each tensor, with both as spans of its type.
template <class F>
void each_pair(NamedTensors& values, NamedTensors& averages, const F& f) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Tensor& value = values[i].second;
    Tensor& average = averages[i].second;
    average = average.to(value.dtype());  // the module may have been converted
    dispatch(value.dtype(), [&]<class T>() { f(value.data<T>(), average.data<T>()); });
  }
}

}  // namespace

EMA::EMA(const Module& module, double decay) : values_(module.named_state()), decay_(decay) {
  check(decay >= 0 && decay < 1, "EMA: decay is {}; it must be at least 0 and below 1", decay);
  for (const auto& [name, tensor] : values_) averages_.emplace_back(name, tensor.detach().clone());
}

void EMA::update() {
  each_pair(values_, averages_, [this]<class T>(std::span<T> values, std::span<T> averages) {
    const auto keep = static_cast<T>(decay_), take = static_cast<T>(1 - decay_);
    for (std::size_t i = 0; i < values.size(); ++i) averages[i] = keep * averages[i] + take * values[i];
  });
}

void EMA::swap() {
  each_pair(values_, averages_, [](auto values, auto averages) { std::ranges::swap_ranges(values, averages); });
  for (const auto& [name, tensor] : values_) tensor.mark_written("EMA::swap");
}

}  // namespace gradus::nn
