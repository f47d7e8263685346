// gradcheck for modules: every parameter against central differences and the Taylor remainder, in f64.
#pragma once

#include <functional>

#include <gradus/core/inspect/gradcheck.h>
#include <gradus/nn/module.h>

namespace gradus {
#pragma GCC visibility push(default)

/// Checks the gradients of `loss`, which computes something from `module` (one number or any tensor), in every
/// parameter of the module that wants one; the report names them by path, and the others as skipped. The module is
/// converted to f64 for the while, so tensors that `loss` uses besides must be f64; afterwards it is what it was, to
/// the bit, gradients included. Switch dropout off (module.eval()) or reseed it within `loss`.
///     EXPECT_TRUE(gradcheck(mlp, [&] { return mse_loss(mlp(x), y); }));
GradcheckReport gradcheck(const nn::Module& module, const std::function<Tensor()>& loss,
                          const GradcheckOptions& options = {});

#pragma GCC visibility pop
}  // namespace gradus
