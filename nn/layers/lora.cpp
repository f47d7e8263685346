#include <gradus/nn/layers/lora.h>

#include <algorithm>
#include <cmath>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/nn/init.h>

namespace gradus::nn {

LoRA::LoRA(Index in, Index out, LoRAOptions options) : scale_(options.alpha / static_cast<double>(options.rank)) {
  check(in > 0 && out > 0, "LoRA: sizes {} -> {}; both must be at least 1", in, out);
  check(options.rank >= 1 && options.rank <= std::min(in, out),
        "LoRA: rank {}; for sizes {} -> {} it must be from 1 to {}", options.rank, in, out, std::min(in, out));
  check(std::isfinite(scale_) && options.alpha > 0, "LoRA: alpha {}; it must be above 0", options.alpha);
  A = parameter(Tensor::empty({options.rank, in}, options.dtype));
  B = parameter(zeros({out, options.rank}, options.dtype));
  init::kaiming_uniform_(A, std::sqrt(5.0));
}

Tensor LoRA::operator()(const Tensor& x) const {
  return linear(linear(x, A) * scale_, B);  // the narrow one is scaled: less to keep
}

void LoRA::members(Visitor& visit) const {
  visit("A", A);
  visit("B", B);
}

Tensor LoRA::delta() const {
  const NoGrad no_grad;
  return matmul(B, A) * scale_;
}

}  // namespace gradus::nn
