// The names that norms and activations of a GPTConfig have in files and flags.
#pragma once

#include <array>
#include <utility>

#include <gradus/models/gpt/gpt.h>

namespace gradus::models::detail {

template <class Value, std::size_t count>
using Names = std::array<std::pair<Value, const char*>, count>;

inline constexpr Names<NormKind, 3> norm_names{
    {{NormKind::layer, "layer"}, {NormKind::rms, "rms"}, {NormKind::none, "none"}}};
inline constexpr Names<nn::Activation, 7> activation_names{{{nn::Activation::relu, "relu"},
                                                            {nn::Activation::gelu_erf, "gelu_erf"},
                                                            {nn::Activation::gelu_tanh, "gelu_tanh"},
                                                            {nn::Activation::silu, "silu"},
                                                            {nn::Activation::tanh, "tanh"},
                                                            {nn::Activation::sigmoid, "sigmoid"},
                                                            {nn::Activation::polynomial, "polynomial"}}};

constexpr const auto& names_of(NormKind) {
  return norm_names;
}
constexpr const auto& names_of(nn::Activation) {
  return activation_names;
}

}  // namespace gradus::models::detail
