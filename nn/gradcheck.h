// gradcheck for modules: every parameter against central differences and the Taylor remainder, in f64.
#pragma once

#include <functional>

#include <gradus/core/inspect/gradcheck.h>
#include <gradus/nn/module.h>

namespace gradus {
#pragma GCC visibility push(default)

/// Checks the gradient of `loss`, a tensor of any shape computed from `module`, for every parameter that requires a
/// gradient. The report names parameters by path, and lists the others as skipped. The module is converted to f64
/// during the check, so other tensors that `loss` uses must be f64; afterwards the module, gradients included, has its
/// old bits. Switch dropout off (module.eval()) or reseed it inside `loss`.
///     EXPECT_TRUE(gradcheck(mlp, [&] { return mse_loss(mlp(x), y); }));
GradcheckReport gradcheck(const nn::Module& module, const std::function<Tensor()>& loss,
                          const GradcheckOptions& options = {});

#pragma GCC visibility pop
}  // namespace gradus
