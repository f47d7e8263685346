// L-BFGS: steps along an approximate Newton direction, for losses without noise, which it evaluates several times.
#pragma once

#include <functional>
#include <optional>

#include <gradus/nn/optim/optimizer.h>

namespace gradus::optim {
#pragma GCC visibility push(default)

enum class LineSearch { none, strong_wolfe };

struct LBFGSOptions {
  double lr = 1;                       // the length that a step has, or that a line search begins with
  Index max_iter = 20;                 // directions per step()
  std::optional<Index> max_eval = {};  // evaluations per step(), after which no new direction begins; 5/4 max_iter
  double tolerance_grad = 1e-7;        // step() ends if no gradient is larger
  double tolerance_change = 1e-9;      // or if the loss, or all parameters, change by less
  Index history_size = 100;            // pairs of vectors that are kept, each vector as large as all parameters
  LineSearch line_search_fn = LineSearch::none;
};

/// PyTorch's LBFGS: the two-loop recursion of Nocedal & Wright 2006, algorithm 7.4, and a line search for the strong
/// Wolfe conditions (algorithms 3.5 and 3.6, with cubic interpolation) after Schmidt's minFunc.
///     optimizer.step([&] { optimizer.zero_grad(); Tensor loss = ..; loss.backward(); return loss; });
/// It has one group of parameters of one dtype, without weight decay; parameters without a gradient stay. Its state()
/// has "lbfgs.n_iter", "lbfgs.func_evals" and what the next direction needs: "lbfgs.d", "lbfgs.t", "lbfgs.H_diag",
/// "lbfgs.prev_flat_grad", "lbfgs.ro", "lbfgs.old_dirs" and "lbfgs.old_stps", a row per pair.
class LBFGS : public Optimizer {
 public:
  explicit LBFGS(std::vector<Tensor> params, LBFGSOptions options = {});
  template <detail::Rate T>
  LBFGS(std::vector<Tensor> params, T lr) : LBFGS(std::move(params), LBFGSOptions{.lr = static_cast<double>(lr)}) {}

  /// Up to max_iter steps. The closure sets the gradients to zero, computes the loss and runs backward on it; it is
  /// called several times. Returns the first loss.
  Tensor step(const std::function<Tensor()>& closure);

  Unit unit() const override { return Unit::all; }
  nn::NamedTensors state() const override;
  void set_state(const nn::NamedTensors& state) override;

 private:
  struct Point {
    double t, loss, slope;  // the distance along the direction; the loss and its derivative there
    Tensor grad;
  };
  struct Memory {
    Index n_iter = 0, func_evals = 0;
    double t = 0, h_diag = 1;
    Tensor d = {}, prev_flat_grad = {};
    std::vector<Tensor> old_dirs = {}, old_stps = {};
    std::vector<double> ro = {};
  };
  void update(const Slot& slot, const Tensor& grad, double lr) const override;
  void check_group(const ParamGroup& group) const override;
  std::vector<Option> options() const override;
  void set_options(const std::vector<double>& values) override;

  void check_params() const;
  Tensor flat_grad() const;
  void move(double t) const;
  void find_direction(const Tensor& grad);
  Index advance(const std::function<Tensor()>& closure, bool last, double slope, double* loss, Tensor* grad);
  Point strong_wolfe(const std::function<Point(double)>& at, const Point& start) const;
  Point zoom(const std::function<Point(double)>& at, const Point& start, Point a, Point b, int iterations) const;

  LBFGSOptions options_;
  Memory memory_;
};

#pragma GCC visibility pop
}  // namespace gradus::optim
