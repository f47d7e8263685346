#include <gradus/core/inspect/detail/op_work.h>

#include <algorithm>
#include <array>

namespace gradus::detail {
namespace {

double numel(const Operand& x) {
  return static_cast<double>(x.shape.numel());
}
double bytes(const Operand& x) {
  return numel(x) * static_cast<double>(size_of(x.dtype));
}

bool only_moves(std::string_view op) {
  constexpr std::array<std::string_view, 12> names{"clone", "concat",        "diagonal", "embedding",
                                                   "flip",  "gather",        "permute",  "reshape",
                                                   "slice", "slice_scatter", "to",       "select_scatter"};
  return std::ranges::find(names, op) != names.end();
}

// The FLOPs of a product, two per multiply-add; empty for other ops.
std::optional<double> product_flops(const OpUse& use) {
  const auto per_element = [](const Operand& of, double terms) { return 2 * numel(of) * terms; };
  if (use.inputs.size() < 2) return std::nullopt;
  const Operand &x = use.inputs[0], &weight = use.inputs[1];
  if (use.op == "linear") return per_element(use.result, static_cast<double>(weight.shape[-1]));
  if (use.op == "matmul") {  // either of x's last two sizes may be the one that is summed over
    const Index rows = use.result.shape[-2];
    const Index summed = rows == 0 ? 0 : x.shape[-1] * x.shape[-2] / rows;
    return per_element(use.result, static_cast<double>(summed));
  }
  const bool transposed = use.op == "conv_transpose2d";
  if (!transposed && use.op != "conv2d") return std::nullopt;
  const Index kernels = weight.shape[0];
  return kernels == 0 ? 0 : per_element(transposed ? x : use.result, numel(weight) / static_cast<double>(kernels));
}

double flops_of(const OpUse& use) {
  if (only_moves(use.op)) return 0;
  const auto wanted = [&](std::size_t most) {
    return static_cast<double>(
        std::ranges::count(use.inputs.first(std::min(most, use.inputs.size())), true, &Operand::wants_grad));
  };
  if (use.flops) return *use.flops * (!use.backward ? 1 : wanted(use.inputs.size()) > 0 ? 2 : 0);
  if (const auto product = product_flops(use)) return *product * (use.backward ? wanted(2) : 1);
  double flops = 0;
  if (!use.backward) {
    flops = numel(use.result);
    for (const Operand& input : use.inputs) flops = std::max(flops, numel(input));
    return flops;
  }
  for (const Operand& input : use.inputs) {
    if (input.wants_grad) flops += std::max(numel(input), numel(use.result));
  }
  return flops;
}

double bytes_of(const OpUse& use) {
  if (!use.backward && use.is_view) return 0;
  const bool moves = only_moves(use.op);
  const bool works = !use.backward || std::ranges::any_of(use.inputs, &Operand::wants_grad);
  double sum = works ? bytes(use.result) : 0;
  for (const Operand& input : use.inputs) {
    const double all = bytes(input),
                 touched = moves && numel(input) > numel(use.result) ? all * numel(use.result) / numel(input) : all;
    if (!use.backward || (works && !moves)) sum += touched;
    if (use.backward && input.wants_grad) sum += touched;
  }
  return sum;
}

}  // namespace

OpWork work_of(const OpUse& use) {
  return {flops_of(use), bytes_of(use)};
}

}  // namespace gradus::detail
