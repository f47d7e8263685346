// The gradients of all parameters are one flat vector here, and so are the direction and the kept differences. Sums are
// in double and serial, so that they have the same bits at any thread count.
#include <gradus/nn/optim/lbfgs.h>

#include <algorithm>
#include <cmath>
#include <span>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/nn/optim/detail/check.h>
#include <gradus/nn/optim/detail/elements.h>

namespace gradus::optim {
namespace {

constexpr double armijo = 1e-4, curvature = 0.9;  // c1 and c2 of the Wolfe conditions
constexpr int most_iterations = 25;               // of a line search

Index evaluations(const LBFGSOptions& options) {
  return options.max_eval.value_or(options.max_iter * 5 / 4);
}

void check_options(const LBFGSOptions& options) {
  check(options.max_iter >= 1 && options.history_size >= 1,
        "LBFGS: max_iter is {} and history_size {}; both must be at least 1", options.max_iter, options.history_size);
  check(evaluations(options) >= 1, "LBFGS: max_eval is {}; it must be at least 1", evaluations(options));
  detail::check_number("LBFGS", "tolerance_grad", options.tolerance_grad);
  detail::check_number("LBFGS", "tolerance_change", options.tolerance_change);
}

double inner_product(const Tensor& a, const Tensor& b) {
  return dispatch(a.dtype(), [&]<class T>() {
    const std::span<const T> x = a.data<T>(), y = b.data<T>();
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += static_cast<double>(x[i]) * static_cast<double>(y[i]);
    return sum;
  });
}

// x + factor y, in x
void add(const Tensor& x, double factor, const Tensor& y) {
  dispatch(x.dtype(), [&]<class T>() {
    const auto to = x.data<T>(), from = y.data<T>();
    const T by = static_cast<T>(factor);
    detail::each_element(x.numel(), [&](std::size_t i) { to[i] += by * from[i]; });
  });
}

Tensor scaled(const Tensor& x, double factor) {
  const Tensor y = Tensor::empty_like(x);
  dispatch(x.dtype(), [&]<class T>() {
    const auto to = y.data<T>(), from = x.data<T>();
    const T by = static_cast<T>(factor);
    detail::each_element(x.numel(), [&](std::size_t i) { to[i] = by * from[i]; });
  });
  return y;
}

struct Magnitudes {
  double largest = 0, sum = 0;  // of |x|; NaN if there is one
};

Magnitudes magnitudes(const Tensor& x) {
  Magnitudes all;
  dispatch(x.dtype(), [&]<class T>() {
    for (const T value : x.data<T>()) {
      const double size = std::abs(static_cast<double>(value));
      all.sum += size;
      if (!(size <= all.largest) && !std::isnan(all.largest)) all.largest = size;
    }
  });
  return all;
}

// The minimum of the cubic through two points with these slopes, clamped to [low, high]; their midpoint if it has none.
// Nocedal & Wright 2006, equation 3.59.
template <class Point>
double cubic_minimum(const Point& a, const Point& b, double low, double high) {
  const Point &first = a.t <= b.t ? a : b, &second = a.t <= b.t ? b : a;
  const double d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t);
  const double square = d1 * d1 - a.slope * b.slope;
  if (!(square >= 0)) return (low + high) / 2;
  const double d2 = std::sqrt(square);
  double best = second.t - (second.t - first.t) * ((second.slope + d2 - d1) / (second.slope - first.slope + 2 * d2));
  if (best < low) best = low;
  return best > high ? high : best;
}

}  // namespace

LBFGS::LBFGS(std::vector<Tensor> params, LBFGSOptions options)
    : Optimizer("LBFGS", detail::one_group(std::move(params)), options.lr, 0, {}), options_(options) {
  check_options(options);
  check_params();
}

void LBFGS::check_params() const {
  const DType dtype = slots()[0].param.dtype();
  for (const Slot& slot : slots()) {
    check(slot.param.dtype() == dtype, "LBFGS: parameters of {} and {} came; all must have one dtype", dtype,
          slot.param.dtype());
    check(slot.weight_decay == 0, "LBFGS: a weight decay of {}; it has none, add it to the loss", slot.weight_decay);
  }
}

void LBFGS::check_group(const ParamGroup& /*group*/) const {
  fail("LBFGS: it has one group of parameters; give all of them to the constructor");
}

void LBFGS::update(const Slot& /*slot*/, const Tensor& /*grad*/, double /*lr*/) const {
  fail("LBFGS: step() came without a closure; it evaluates the loss itself: step([&] {{ .. return loss; }})");
}

std::vector<Optimizer::Option> LBFGS::options() const {
  return {{"max_iter", static_cast<double>(options_.max_iter)},
          {"max_eval", static_cast<double>(evaluations(options_))},
          {"tolerance_grad", options_.tolerance_grad},
          {"tolerance_change", options_.tolerance_change},
          {"history_size", static_cast<double>(options_.history_size)},
          {"strong_wolfe", options_.line_search_fn == LineSearch::strong_wolfe ? 1.0 : 0.0}};
}

void LBFGS::set_options(const std::vector<double>& values) {
  const LBFGSOptions options{.max_iter = detail::whole_number("LBFGS", "max_iter", values[0]),
                             .max_eval = detail::whole_number("LBFGS", "max_eval", values[1]),
                             .tolerance_grad = values[2],
                             .tolerance_change = values[3],
                             .history_size = detail::whole_number("LBFGS", "history_size", values[4]),
                             .line_search_fn = values[5] != 0 ? LineSearch::strong_wolfe : LineSearch::none};
  check_options(options);
  options_ = options;
}

// Parameters without a gradient count as 0.
Tensor LBFGS::flat_grad() const {
  Index count = 0;
  for (const Slot& slot : slots()) count += slot.param.numel();
  const Tensor flat = zeros({count}, slots()[0].param.dtype());
  dispatch(flat.dtype(), [&]<class T>() {
    auto to = flat.data<T>().begin();
    for (const Slot& slot : slots()) {
      if (const Tensor grad = slot.param.grad(); grad.defined()) std::ranges::copy(grad.data<T>(), to);
      to += slot.param.numel();
    }
  });
  return flat;
}

// p += t d
void LBFGS::move(double t) const {
  dispatch(memory_.d.dtype(), [&]<class T>() {
    const T by = static_cast<T>(t);
    std::span<const T> d = memory_.d.data<T>();
    for (const Slot& slot : slots()) {
      const auto p = slot.param.data<T>();
      for (std::size_t i = 0; i < p.size(); ++i) p[i] += by * d[i];
      d = d.subspan(p.size());
      slot.param.mark_written("LBFGS");
    }
  });
}

// memory_.d becomes minus the approximate inverse Hessian times the gradient.
void LBFGS::find_direction(const Tensor& grad) {
  Memory& memory = memory_;
  if (memory.n_iter == 1) {
    memory = {.n_iter = 1, .func_evals = memory.func_evals, .d = scaled(grad, -1)};
    return;
  }
  const Tensor y = grad.clone(), s = scaled(memory.d, memory.t);
  add(y, -1, memory.prev_flat_grad);
  if (const double ys = inner_product(y, s); ys > 1e-10) {
    if (static_cast<Index>(memory.old_dirs.size()) == options_.history_size) {
      memory.old_dirs.erase(memory.old_dirs.begin());
      memory.old_stps.erase(memory.old_stps.begin());
      memory.ro.erase(memory.ro.begin());
    }
    memory.old_dirs.push_back(y);
    memory.old_stps.push_back(s);
    memory.ro.push_back(1 / ys);
    memory.h_diag = ys / inner_product(y, y);
  }
  const std::size_t count = memory.old_dirs.size();
  std::vector<double> alpha(count);
  const Tensor q = scaled(grad, -1);
  for (std::size_t i = count; i-- > 0;) {
    alpha[i] = inner_product(memory.old_stps[i], q) * memory.ro[i];
    add(q, -alpha[i], memory.old_dirs[i]);
  }
  memory.d = scaled(q, memory.h_diag);
  for (std::size_t i = 0; i < count; ++i) {
    const double beta = inner_product(memory.old_dirs[i], memory.d) * memory.ro[i];
    add(memory.d, alpha[i] - beta, memory.old_stps[i]);
  }
}

// One step along the direction; `loss` and `grad` become those at its end. Returns how often the closure was called.
Index LBFGS::advance(const std::function<Tensor()>& closure, bool last, double slope, double* loss, Tensor* grad) {
  if (options_.line_search_fn == LineSearch::none) {
    move(memory_.t);
    if (last) return 0;  // the next step() evaluates there
    *loss = closure().item();
    *grad = flat_grad();
    return 1;
  }
  std::vector<Tensor> start;
  for (const Slot& slot : slots()) start.push_back(slot.param.detach().clone());
  Index calls = 0;
  const auto at = [&](double t) {
    move(t);
    const double value = closure().item();
    ++calls;
    const Tensor there = flat_grad();
    for (std::size_t i = 0; i < start.size(); ++i) slots()[i].param.copy_(start[i]);
    return Point{t, value, inner_product(there, memory_.d), there};
  };
  const Point end = strong_wolfe(at, {0, *loss, slope, *grad});
  memory_.t = end.t;
  *loss = end.loss;
  *grad = end.grad;
  move(end.t);
  return calls;
}

// Nocedal & Wright 2006, algorithm 3.5: finds a point that satisfies both conditions, or a bracket around one for
// zoom().
LBFGS::Point LBFGS::strong_wolfe(const std::function<Point(double)>& at, const Point& start) const {
  Point previous = start, now = at(memory_.t);
  for (int i = 0; i < most_iterations; ++i) {
    const bool too_high = now.loss > start.loss + armijo * now.t * start.slope;
    if (too_high || (i > 1 && now.loss >= previous.loss)) return zoom(at, start, previous, now, i);
    if (std::abs(now.slope) <= -curvature * start.slope) return now;
    if (now.slope >= 0) return zoom(at, start, previous, now, i);
    const double next = cubic_minimum(previous, now, now.t + 0.01 * (now.t - previous.t), now.t * 10);
    previous = now;
    now = at(next);
  }
  return start.loss <= now.loss ? start : now;
}

// Algorithm 3.6. A trial within a tenth of the bracket's length of an end is moved to a tenth from it: at once if it is
// at the end or beyond, otherwise the second time in a row.
LBFGS::Point LBFGS::zoom(const std::function<Point(double)>& at, const Point& start, Point a, Point b,
                         int iterations) const {
  const double d_norm = magnitudes(memory_.d).largest;
  bool near_before = false;
  Point *low = a.loss <= b.loss ? &a : &b, *high = a.loss <= b.loss ? &b : &a;
  for (int i = iterations; i < most_iterations; ++i) {
    if (std::abs(b.t - a.t) * d_norm < options_.tolerance_change) break;
    const double left = std::min(a.t, b.t), right = std::max(a.t, b.t), margin = 0.1 * (right - left);
    double t = cubic_minimum(a, b, left, right);
    const bool near = std::min(right - t, t - left) < margin;
    const bool inwards = near && (near_before || t >= right || t <= left);
    if (inwards) t = std::abs(t - right) < std::abs(t - left) ? right - margin : left + margin;
    near_before = near && !inwards;
    const Point now = at(t);
    if (now.loss > start.loss + armijo * t * start.slope || now.loss >= low->loss) {
      *high = now;
      low = a.loss <= b.loss ? &a : &b;
      high = a.loss <= b.loss ? &b : &a;
      continue;
    }
    const bool done = std::abs(now.slope) <= -curvature * start.slope;
    if (!done && now.slope * (high->t - low->t) >= 0) *high = *low;
    *low = now;
    if (done) break;
  }
  return *low;
}

Tensor LBFGS::step(const std::function<Tensor()>& closure) {
  check_params();
  const Tensor first = closure();
  check(first.defined(), "LBFGS: the closure returned no loss; end it with `return loss;`");
  double loss = first.item();
  Index calls = 1;
  ++memory_.func_evals;
  Tensor grad = flat_grad();
  if (magnitudes(grad).largest <= options_.tolerance_grad) return first;
  for (Tensor* kept : {&memory_.d, &memory_.prev_flat_grad}) {
    if (kept->defined()) *kept = kept->to(grad.dtype());  // the module may have been converted
  }
  for (auto* all : {&memory_.old_dirs, &memory_.old_stps}) {
    for (Tensor& kept : *all) kept = kept.to(grad.dtype());
  }
  const double rate = lr() * slots()[0].lr_scale;
  for (Index i = 1; i <= options_.max_iter; ++i) {
    ++memory_.n_iter;
    find_direction(grad);
    memory_.prev_flat_grad = grad;
    memory_.t = memory_.n_iter == 1 ? std::min(1.0, 1 / magnitudes(grad).sum) * rate : rate;
    const double slope = inner_product(grad, memory_.d), before = loss;
    if (slope > -options_.tolerance_change) break;
    const Index more = advance(closure, i == options_.max_iter, slope, &loss, &grad);
    calls += more;
    memory_.func_evals += more;
    if (calls >= evaluations(options_) || magnitudes(grad).largest <= options_.tolerance_grad) break;
    if (magnitudes(memory_.d).largest * std::abs(memory_.t) <= options_.tolerance_change) break;
    if (std::abs(loss - before) < options_.tolerance_change) break;
  }
  return first;
}

nn::NamedTensors LBFGS::state() const {
  nn::NamedTensors named = Optimizer::state();
  const auto put = [&](const char* name, const Tensor& value) {
    named.emplace_back(std::string("lbfgs.") + name, value.detach().clone());
  };
  put("n_iter", tensor(static_cast<double>(memory_.n_iter), DType::f64));
  put("func_evals", tensor(static_cast<double>(memory_.func_evals), DType::f64));
  if (memory_.n_iter == 0) return named;
  put("t", tensor(memory_.t, DType::f64));
  put("H_diag", tensor(memory_.h_diag, DType::f64));
  put("d", memory_.d);
  put("prev_flat_grad", memory_.prev_flat_grad);
  if (memory_.ro.empty()) return named;
  put("ro", tensor(memory_.ro, DType::f64));
  put("old_dirs", stack(memory_.old_dirs));
  put("old_stps", stack(memory_.old_stps));
  return named;
}

void LBFGS::set_state(const nn::NamedTensors& state) {
  const NoGrad no_grad;
  nn::NamedTensors own, rest;
  for (const auto& entry : state) (entry.first.starts_with("lbfgs.") ? own : rest).push_back(entry);
  std::size_t used = 0;
  const auto take = [&](const std::string& name, const Shape& shape) {
    const auto found = std::ranges::find(own, "lbfgs." + name, &nn::NamedTensors::value_type::first);
    check(found != own.end(), "LBFGS: the saved state has no 'lbfgs.{}'; it was saved by another optimizer", name);
    check(found->second.shape() == shape,
          "LBFGS: the saved state's 'lbfgs.{}' is {}, this optimizer's is {}; it belongs to another model", name,
          found->second.shape(), shape);
    ++used;
    return found->second.detach().clone();
  };
  const auto whole = [&](const char* name) { return detail::whole_number("LBFGS", name, take(name, {}).item()); };
  const Index count = flat_grad().numel();
  const DType dtype = slots()[0].param.dtype();
  Memory memory{.n_iter = whole("n_iter"), .func_evals = whole("func_evals")};
  if (memory.n_iter > 0) {
    memory.t = take("t", {}).item();
    memory.h_diag = take("H_diag", {}).item();
    memory.d = take("d", {count}).to(dtype);
    memory.prev_flat_grad = take("prev_flat_grad", {count}).to(dtype);
  }
  if (const auto ro = std::ranges::find(own, "lbfgs.ro", &nn::NamedTensors::value_type::first); ro != own.end()) {
    const Index pairs = ro->second.numel();
    memory.ro = take("ro", {pairs}).to_vector();
    const Tensor dirs = take("old_dirs", {pairs, count}).to(dtype), stps = take("old_stps", {pairs, count}).to(dtype);
    for (Index i = 0; i < pairs; ++i) {
      memory.old_dirs.push_back(reshape(slice(dirs, 0, i, i + 1), {count}).clone());
      memory.old_stps.push_back(reshape(slice(stps, 0, i, i + 1), {count}).clone());
    }
  }
  check(used == own.size(), "LBFGS: {} of the saved state's entries are not of LBFGS; it was saved by another version",
        own.size() - used);
  Optimizer::set_state(rest);
  memory_ = std::move(memory);
}

}  // namespace gradus::optim
