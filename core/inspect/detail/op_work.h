// How many FLOPs an op takes and how many bytes it moves, from its name and the shapes of its tensors.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include <gradus/core/dtype.h>
#include <gradus/core/shape.h>

namespace gradus::detail {

struct Operand {
  Shape shape;
  DType dtype = DType::f32;
  bool wants_grad = false;
};

/// The tensors of an op: its result, and the inputs that were given.
struct OpUse {
  std::string_view op;
  bool backward = false, is_view = false;
  std::optional<double> flops;  // of the forward, if the op told them
  Operand result;
  std::span<const Operand> inputs;
};

struct OpWork {
  double flops, bytes;
};
/// As ProfileRow documents it.
OpWork work_of(const OpUse& use);

}  // namespace gradus::detail
