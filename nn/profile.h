// profile() for modules: the tables of ops and modules without naming the parameters by hand.
#pragma once

#include <functional>
#include <utility>

#include <gradus/core/inspect/profile.h>
#include <gradus/nn/module.h>

namespace gradus {
#pragma GCC visibility push(default)

/// profile(f) with the parameters of `module`, so that the report has a table of its modules.
///     fmt::print("{}", profile(net, [&] { mse_loss(net(x), y).backward(); }));
inline ProfileReport profile(const nn::Module& module, const std::function<void()>& f, ProfileOptions options = {}) {
  options.names = module.named_parameters();
  return profile(f, options);
}

#pragma GCC visibility pop
}  // namespace gradus
