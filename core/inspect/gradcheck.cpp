// Calls backward() twice, of which the second must double the gradients, then f on values alone. Numbers that are
// compared with each other come from the same f64 arithmetic, so what remains of a difference is truncation (~ step^2)
// and rounding (~ 1e-16 / step).
#include <gradus/core/inspect/gradcheck.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <ostream>

#include <gradus/core/derivatives.h>
#include <gradus/core/ops.h>

namespace gradus {
namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();

GradcheckReport failed(GradcheckReport report, std::string reason) {
  report.passed = false;
  report.reason = std::move(reason);
  return report;
}

bool same(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

// What two evaluations at x - h and x + h tell of the slope at x.
struct Slopes {
  double h, left, right, central;
  double rounding;  // how much of each slope may be rounding
  bool finite() const { return std::isfinite(left) && std::isfinite(right); }
  double jump() const { return std::abs(right - left); }
  double size() const { return std::max(std::abs(left), std::abs(right)); }
};

enum class Place { smooth, kink, jump };

// The numeric derivative at one place, and how far it may be off.
struct Derivative {
  Place place = Place::smooth;
  double low = 0, high = 0;  // equal unless there is a kink
  double uncertainty = 0;
};

class Check {
 public:
  Check(const std::function<Tensor()>& f, const std::vector<std::pair<std::string, Tensor>>& leaves,
        const GradcheckOptions& options)
      : f_(f), options_(options), generator_(options.seed) {
    for (const auto& [name, x] : leaves) {
      check(x.defined(), "gradcheck: '{}' is an undefined tensor; leave it out", name);
      check(x.is_leaf(), "gradcheck: '{}' is the result of '{}'; only leaves can be moved", name, x.node().called());
      check(x.dtype() == DType::f64, "gradcheck: '{}' is {}; leaves must be f64", name, x.dtype());
      const NodePtr& node = x.node_ptr();
      const bool again = std::ranges::any_of(leaves_, [&](const Leaf& leaf) { return leaf.x.node_ptr() == node; });
      if (!x.requires_grad()) {
        skipped_.push_back(name);
      } else if (!again) {
        leaves_.push_back({name, x, {}, {}});
      }
    }
  }

  GradcheckReport run() {
    GradcheckReport report;
    report.skipped = skipped_;
    check(grad_enabled(), "gradcheck: called under NoGrad, where nothing is recorded; end its scope first");
    const Tensor y = f_();
    check(y.dtype() == DType::f64,
          "gradcheck: f returned {}; it was given f64 tensors and must compute in f64, so convert its constants",
          y.dtype());
    weight_ = Tensor::empty(y.shape(), DType::f64);
    generator_.fill_uniform(weight_.data<double>(), 0.5, 1.5);
    if (y.numel() == 1) weight_.fill_(1);
    values_ = y.to_vector();
    constexpr const char* random =
        "f is not deterministic: two calls with the same inputs gave different values; seed or switch off what is "
        "random in it";
    if (changed()) return failed(report, random);
    if (!y.requires_grad() || leaves_.empty()) {
      return failed(report, "no gradient: nothing that f computed depends on an input being checked");
    }
    if (const auto odd = std::ranges::find_if_not(values_, [](double v) { return std::isfinite(v); });
        odd != values_.end()) {
      return failed(report, fmt::format("f is {} at these inputs; choose some where it is finite", number(*odd)));
    }
    if (const std::string overwritten = find_gradients(y); !overwritten.empty()) {
      return failed(report, fmt::format("a second backward() did not add to the gradient of {}: a backward function "
                                        "writes it with = where += is due",
                                        overwritten));
    }

    const NoGrad guard;
    for (Leaf& leaf : leaves_) compare(leaf, report);
    if (report.checked == 0) return failed(report, "nothing was compared: every input checked is empty");
    bool wrong = false;
    if (options_.taylor) wrong = !judge_remainder(report);
    if (changed()) return failed(report, random);
    return judged(std::move(report), wrong);
  }

  static std::string number(double value) { return fmt::format("{}", shown(value)); }

 private:
  struct Leaf {
    std::string name;
    Tensor x;
    std::vector<double> gradient;
    std::vector<bool> kinked;  // entries found to be on a kink; empty: none
  };

  bool changed() const {
    const NoGrad guard;
    return !std::ranges::equal(f_().data<double>(), values_, same);
  }

  // f now minus f at the inputs, summed output by output, so that outputs that do not change add no rounding.
  struct Change {
    double value = 0, rounding = 0;
  };
  Change change() const {
    const Tensor y = f_();
    const std::span<const double> now = y.data<double>(), w = weight_.data<double>();
    check(now.size() == values_.size(),
          "gradcheck: f returned {} values, and {} at first; its shape must not depend on "
          "the values",
          now.size(), values_.size());
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < now.size(); ++i) {
      const double difference = now[i] - values_[i];
      if (difference == 0) continue;
      sum += w[i] * difference;
      squares += w[i] * w[i] * (values_[i] * values_[i] + difference * difference);
    }
    return {sum, epsilon * std::sqrt(squares)};
  }

  // Gradients from one backward(), and from a second one on top of it: an op that adds, as it must, has doubled them;
  // one that overwrites has not. Returns the name of a leaf that was overwritten. Restores the earlier gradients.
  std::string find_gradients(Tensor y) {
    struct Restore {
      std::vector<Leaf>& leaves;
      std::vector<Buffer> before;
      ~Restore() {
        for (std::size_t i = 0; i < before.size(); ++i) leaves[i].x.node().grad = std::move(before[i]);
      }
    } restore{leaves_, {}};
    for (const Leaf& leaf : leaves_) {
      restore.before.push_back(leaf.x.node().grad);
      leaf.x.zero_grad();
    }
    const auto gradient_of = [](const Leaf& leaf) {
      return leaf.x.grad().defined() ? leaf.x.grad().to_vector()
                                     : std::vector<double>(static_cast<std::size_t>(leaf.x.numel()), 0.0);
    };
    y.backward(weight_);
    for (Leaf& leaf : leaves_) leaf.gradient = gradient_of(leaf);
    y = f_();
    y.backward(weight_);
    for (const Leaf& leaf : leaves_) {
      const std::vector<double> twice = gradient_of(leaf);
      double largest = 0, difference = 0;
      for (std::size_t i = 0; i < twice.size(); ++i) {
        largest = std::max(largest, std::abs(leaf.gradient[i]));
        difference = std::max(difference, std::abs(twice[i] - 2 * leaf.gradient[i]));
      }
      if (difference > options_.atol + options_.rtol * largest) return leaf.name;
    }
    return {};
  }

  Slopes slopes(double& x, double h) const {
    struct Restore {
      double &x, kept;
      ~Restore() { x = kept; }
    } restore{x, x};
    x = restore.kept + h;
    const double to_right = x - restore.kept;
    const Change above = change();
    x = restore.kept - h;
    const double to_left = restore.kept - x;
    const Change below = change();
    return {h, -below.value / to_left, above.value / to_right, (above.value - below.value) / (to_right + to_left),
            (above.rounding + below.rounding) / h};
  }

  // For entries that one step does not settle: steps from large to small, each pair extrapolated to h = 0 (Richardson
  // 1911); of these the one that agrees best with its neighbor. As the step shrinks, the difference of
  // the slopes to the right and to the left stays at a kink, shrinks where f is smooth and grows where f is
  // discontinuous.
  Derivative refine(double& x) const {
    constexpr double ratio = 4;
    const double kept = x;
    std::vector<Slopes> all;
    for (double h = 1e-3 * std::max(1.0, std::abs(kept)); h > 1e-7 * std::max(std::abs(kept), 1e-3); h /= ratio) {
      const Slopes slope = slopes(x, h);
      if (slope.finite()) all.push_back(slope);
    }
    if (all.size() < 3) return {Place::jump, 0, 0, std::numeric_limits<double>::infinity()};

    Derivative best;
    best.uncertainty = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i + 1 < all.size(); ++i) {
      const double estimate = (ratio * ratio * all[i + 1].central - all[i].central) / (ratio * ratio - 1);
      const double uncertainty = std::max({std::abs(estimate - all[i + 1].central), all[i + 1].rounding,
                                           all[i + 1].jump() > all[i].jump() / 2 ? all[i + 1].jump() : 0.0});
      if (uncertainty < best.uncertainty) best = {Place::smooth, estimate, estimate, uncertainty};
    }
    if (best.uncertainty <= 1e-3 * std::abs(best.low) + options_.atol) return best;
    // The smallest step whose difference stands clear of rounding, against one sixteen times as large.
    for (std::size_t i = all.size(); i-- > 2;) {
      if (all[i].jump() < 20 * all[i].rounding) continue;
      const double growth = all[i].jump() / all[i - 2].jump();
      if (growth > 0.5) {
        return {growth > 4 ? Place::jump : Place::kink, std::min(all[i].left, all[i].right),
                std::max(all[i].left, all[i].right), 10 * all[i].rounding};
      }
      break;
    }
    return best;
  }

  std::vector<std::size_t> chosen(std::size_t count) {
    std::vector<std::size_t> all(count);
    std::iota(all.begin(), all.end(), std::size_t{0});
    const auto most = static_cast<std::size_t>(options_.max_entries);
    if (most == 0 || most >= count) return all;
    for (std::size_t i = 0; i < most; ++i) {
      std::swap(all[i], all[i + static_cast<std::size_t>(generator_.below(static_cast<Index>(count - i)))]);
    }
    all.resize(most);
    std::ranges::sort(all);
    return all;
  }

  // The allowed difference of two gradients.
  double allowed(double analytic, double numeric) const {
    return options_.atol + options_.rtol * std::max(std::abs(analytic), std::abs(numeric));
  }

  void compare(Leaf& leaf, GradcheckReport& report) {
    GradcheckEntry entry{.name = leaf.name, .shape = leaf.x.shape()};
    const std::span<double> values = leaf.x.data<double>();
    double worst = -1;
    for (const std::size_t j : chosen(values.size())) {
      const double analytic = leaf.gradient[j];
      const Slopes slope = slopes(values[j], options_.step * std::max(1.0, std::abs(values[j])));
      Derivative derivative{Place::smooth, slope.central, slope.central, 0};
      const bool plain = slope.jump() <= 1e-3 * slope.size() + 20 * slope.rounding;
      if (!(plain && std::abs(analytic - slope.central) <= allowed(analytic, slope.central))) {
        derivative = refine(values[j]);
      }
      const auto place = [&] {
        GradcheckEntry here{.name = leaf.name, .shape = entry.shape};
        here.worst_index = static_cast<Index>(j);
        return here.worst_place();
      };
      if (derivative.place == Place::kink) {
        leaf.kinked.resize(values.size());
        leaf.kinked[j] = true;
        ++entry.kinks;
        if (report.kinks++ == 0) report.kink_place = place();
      }
      if (derivative.place == Place::jump && jump_place_.empty()) jump_place_ = place();
      const double numeric =
          std::isnan(analytic) ? derivative.low : std::clamp(analytic, derivative.low, derivative.high);
      double difference = std::abs(analytic - numeric);
      if (std::isnan(difference) || derivative.place == Place::jump)
        difference = std::numeric_limits<double>::infinity();
      const double limit = allowed(analytic, numeric) + derivative.uncertainty;
      const double beyond = std::isinf(difference) ? difference : difference / limit;
      if (beyond > 1) ++entry.failures;
      ++entry.checked;
      entry.largest_difference = std::max(entry.largest_difference, difference);
      entry.largest_gradient = std::max(entry.largest_gradient, std::abs(analytic));
      if (beyond > worst) {
        worst = beyond;
        entry.worst_index = static_cast<Index>(j);
        entry.analytic = analytic;
        entry.numeric = numeric;
        const double size = std::max(std::abs(analytic), std::abs(numeric));
        entry.worst_error = difference == 0 ? 0 : difference / size;
      }
    }
    if (worst > worst_) {
      worst_ = worst;
      report.worst_error = entry.worst_error;
      report.worst_input = report.entries.size();
    }
    report.checked += entry.checked;
    report.entries.push_back(std::move(entry));
  }

  // f(x + h v) - f(x) - h <g, v> for one direction v, at whatever h.
  class Remainder {
   public:
    Remainder(Check& owner) : check_(owner) {
      for (const Leaf& leaf : check_.leaves_) {
        const std::span<const double> x = leaf.x.data<double>();
        kept_.emplace_back(x.begin(), x.end());
        std::vector<double>& v = direction_.emplace_back(x.size());
        check_.generator_.fill_uniform(std::span<double>(v), -1, 1);
        for (std::size_t i = 0; i < v.size(); ++i) {
          // As large as the value, so that no sign changes; a kink is left out.
          v[i] *= !leaf.kinked.empty() && leaf.kinked[i] ? 0 : x[i] == 0 ? 1 : std::abs(x[i]);
          slope_ += v[i] * leaf.gradient[i];
          slope_squares_ += v[i] * leaf.gradient[i] * v[i] * leaf.gradient[i];
        }
      }
    }
    ~Remainder() { move_to(0); }
    Remainder(const Remainder&) = delete;
    Remainder& operator=(const Remainder&) = delete;

    Change at(double h) {
      move_to(h);
      const Change change = check_.change();
      return {change.value - h * slope_, change.rounding + epsilon * std::abs(h) * std::sqrt(slope_squares_)};
    }

   private:
    void move_to(double h) {
      for (std::size_t i = 0; i < kept_.size(); ++i) {
        const std::span<double> x = check_.leaves_[i].x.data<double>();
        for (std::size_t j = 0; j < x.size(); ++j) x[j] = h == 0 ? kept_[i][j] : kept_[i][j] + h * direction_[i][j];
      }
    }
    Check& check_;
    std::vector<std::vector<double>> kept_, direction_;
    double slope_ = 0, slope_squares_ = 0;
  };

  // For h = 2^-4, 2^-6, .. as long as the remainder stands well above rounding; the order is the median of the last
  // three steps. Where that says h^1 it may be a wrong gradient or a kink that the direction crosses: a wrong
  // gradient's remainder has opposite signs on both sides of x, a kink's has not, so then another direction is tried.
  // Returns false if two directions call the gradient wrong, or if one does and no later one can tell.
  bool judge_remainder(GradcheckReport& report) {
    constexpr double ratio = 4, smallest = 1e-9;
    int wrong = 0;
    for (int attempt = 0; attempt < 6; ++attempt) {
      Remainder remainder(*this);
      std::vector<double> orders;
      double previous = 0, last = 0;
      for (double h = 1.0 / 16; h > smallest; h /= ratio) {
        const Change here = remainder.at(h);
        if (!std::isfinite(here.value)) continue;
        if (!(std::abs(here.value) > 1e3 * here.rounding)) break;
        if (previous > 0) orders.push_back(std::log(previous / std::abs(here.value)) / std::log(ratio));
        previous = std::abs(here.value);
        last = h;
      }
      if (orders.size() < 2) {
        report.taylor_note = last == 0 ? "nothing left but rounding" : "too few steps above rounding";
        return wrong == 0;
      }
      if (orders.size() > 3) orders.erase(orders.begin(), orders.end() - 3);
      std::ranges::sort(orders);
      const double order = orders[orders.size() / 2];
      if (order > 1.5) {
        report.taylor_order = order;
        return true;
      }
      const double above = remainder.at(last).value, below = remainder.at(-last).value;
      if (std::abs(above + below) < 0.02 * std::abs(above - below) && ++wrong == 2) {
        report.taylor_order = order;
        return false;
      }
    }
    report.taylor_note = "every direction crosses a kink";
    return true;
  }

  GradcheckReport judged(GradcheckReport report, bool wrong_remainder) const {
    Index failures = 0;
    for (const GradcheckEntry& entry : report.entries) failures += entry.failures;
    if (!jump_place_.empty()) {
      return failed(
          report,
          fmt::format("f jumps, or is not finite, next to {}; choose inputs around which it is smooth", jump_place_));
    }
    if (failures > 0) {
      return failed(report,
                    fmt::format("{} of {} gradients differ from central differences", failures, report.checked));
    }
    if (wrong_remainder) {
      return failed(report, "the Taylor remainder shrinks as h, not as h^2: a gradient is wrong");
    }
    report.passed = true;
    return report;
  }

  const std::function<Tensor()>& f_;
  GradcheckOptions options_;
  Generator generator_;
  std::vector<Leaf> leaves_;
  std::vector<std::string> skipped_;
  Tensor weight_;
  std::vector<double> values_;  // f at the inputs
  std::string jump_place_;
  double worst_ = -1;  // the largest difference, in limits
};

}  // namespace

std::string GradcheckEntry::worst_place() const {
  std::vector<Index> at(static_cast<std::size_t>(shape.rank()));
  Index rest = worst_index;
  for (std::size_t d = at.size(); d-- > 0; rest /= shape[static_cast<Index>(d)]) {
    at[d] = rest % shape[static_cast<Index>(d)];
  }
  return at.empty() ? name : fmt::format("{}[{}]", name, fmt::join(at, ", "));
}

GradcheckReport gradcheck(const std::function<Tensor()>& f, const std::vector<std::pair<std::string, Tensor>>& leaves,
                          const GradcheckOptions& options) {
  const auto positive = [](double value) { return std::isfinite(value) && value > 0; };
  check(positive(options.step) && positive(options.rtol) && positive(options.atol) && options.max_entries >= 0,
        "gradcheck: step {}, rtol {} and atol {} must be numbers above 0, max_entries {} at least 0", options.step,
        options.rtol, options.atol, options.max_entries);
  return Check(f, leaves, options).run();
}

GradcheckReport gradcheck(const std::function<Tensor(const std::vector<Tensor>&)>& f, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options) {
  const bool choose = std::ranges::any_of(inputs, [](const Tensor& x) { return x.requires_grad(); });
  std::vector<Tensor> x;
  std::vector<std::pair<std::string, Tensor>> leaves;
  for (const Tensor& input : inputs) {
    x.push_back(input.dtype() == DType::f64 ? input.detach().clone() : input.detach().to(DType::f64));
    x.back().requires_grad(choose ? input.requires_grad() : true);
    leaves.emplace_back(fmt::format("input {}", leaves.size()), x.back());
  }
  return gradcheck([&] { return f(x); }, leaves, options);
}

GradcheckReport gradgradcheck(const std::function<Tensor(const std::vector<Tensor>&)>& f,
                              const std::vector<Tensor>& inputs, const GradcheckOptions& options) {
  const bool choose = std::ranges::any_of(inputs, [](const Tensor& x) { return x.requires_grad(); });
  std::vector<Tensor> all;
  for (const Tensor& input : inputs) {
    all.push_back(input.detach().to(DType::f64));
    all.back().requires_grad(choose ? input.requires_grad() : true);
  }
  Generator generator(options.seed);
  const Tensor y = f(all);
  all.push_back((rand(y.shape(), DType::f64, generator) + 0.5).requires_grad(true));
  const auto gradients = [&](const std::vector<Tensor>& x) {
    const EnableGrad recording;
    const std::vector<Tensor> arguments(x.begin(), x.end() - 1);
    std::vector<Tensor> wanted, parts;
    std::ranges::copy_if(arguments, std::back_inserter(wanted),
                         [](const Tensor& each) { return each.requires_grad(); });
    const GradOptions how{.weight = x.back(), .create_graph = true, .allow_unused = true};
    for (const Tensor& gradient : grad(f(arguments), wanted, how)) {
      if (gradient.defined()) parts.push_back(reshape(gradient, -1));
    }
    parts.push_back(reshape(x.back() * 0, -1));  // gradients that are 0 everywhere have no graph of their own
    return concat(parts);
  };
  return gradcheck(gradients, all, options);
}

std::string GradcheckReport::text() const {
  const auto counted = [](auto count, const char* one, const char* many) {
    return fmt::format("{} {}", count, count == 1 ? one : many);
  };
  std::string text = passed ? "gradcheck passed" : "gradcheck failed: " + reason;
  if (!skipped.empty()) {
    const std::size_t shown = std::min<std::size_t>(skipped.size(), 5), more = skipped.size() - shown;
    text += fmt::format("\n  skipped   {}{}: no gradient is wanted",
                        fmt::join(skipped.begin(), skipped.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                        more == 0 ? "" : fmt::format(" and {} more", more));
  }
  if (entries.empty()) return text;
  text += fmt::format("\n  compared  {} of {}", counted(checked, "entry", "entries"),
                      counted(entries.size(), "tensor", "tensors"));
  if (checked > 0) {
    const GradcheckEntry& worst = entries[worst_input];
    text += fmt::format("\n  worst     {}: analytic {:.12g}, numeric {:.12g}, relative error {:.2e}",
                        worst.worst_place(), shown(worst.analytic), shown(worst.numeric), shown(worst.worst_error));
  }
  if (kinks > 0) {
    text += fmt::format("\n  kinks     {} with different slopes on both sides, such as {}",
                        counted(kinks, "entry", "entries"), kink_place);
  }
  if (taylor_order) {
    text += fmt::format("\n  Taylor    the remainder shrinks as h^{:.2f}; a right gradient gives 2, a wrong one 1",
                        *taylor_order);
  } else if (!taylor_note.empty()) {
    text += "\n  Taylor    not judged: " + taylor_note;
  }
  return text;
}

std::ostream& operator<<(std::ostream& out, const GradcheckReport& report) {
  return out << report.text();
}

}  // namespace gradus
