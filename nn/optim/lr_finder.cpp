#include <gradus/nn/optim/lr_finder.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace gradus::optim {
namespace {

struct KeepRate {
  explicit KeepRate(Optimizer& o) : optimizer(o), lr(o.lr()) {}
  ~KeepRate() { optimizer.set_lr(lr); }
  KeepRate(const KeepRate&) = delete;
  KeepRate& operator=(const KeepRate&) = delete;
  Optimizer& optimizer;
  double lr;
};

}  // namespace

std::vector<std::pair<double, double>> find_lr(Optimizer& optimizer, const std::function<double()>& train_step,
                                               LRFinderOptions options) {
  check(options.start_lr > 0 && options.end_lr > options.start_lr && std::isfinite(options.end_lr),
        "find_lr: from {} to {}; both must be finite and above 0, in this order", options.start_lr, options.end_lr);
  check(options.num_iter >= 2, "find_lr: num_iter is {}; it must be at least 2", options.num_iter);
  check(options.diverged > 1, "find_lr: diverged is {}; it must be above 1", options.diverged);
  const KeepRate keep(optimizer);
  std::vector<std::pair<double, double>> found;
  double smallest = std::numeric_limits<double>::infinity();
  for (Index i = 0; i < options.num_iter; ++i) {
    const double done = static_cast<double>(i) / static_cast<double>(options.num_iter - 1);
    const double lr = options.start_lr * std::pow(options.end_lr / options.start_lr, done);
    optimizer.set_lr(lr);
    const double loss = train_step();
    found.emplace_back(lr, loss);
    smallest = std::min(smallest, loss);
    if (!std::isfinite(loss) || (smallest > 0 && loss > options.diverged * smallest)) break;
  }
  return found;
}

}  // namespace gradus::optim
