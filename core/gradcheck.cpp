// Runs f once with backward(), then on values alone. Numbers that are compared with each other come from the same f64
// arithmetic, so what remains of a difference is truncation (~ step^2) and rounding (~ 1e-16 / step).
#include <gradus/core/gradcheck.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <ostream>

#include <gradus/core/autograd.h>
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

// The slopes of the weighted sum of f's outputs to both sides of one value.
struct Slopes {
  double left, right, central;
  double jump() const { return std::abs(right - left); }
  double size() const { return std::max(std::abs(left), std::abs(right)); }
};

class Check {
 public:
  Check(const std::function<Tensor()>& f, std::vector<std::pair<std::string, Tensor>> leaves,
        const GradcheckOptions& options)
      : f_(f), options_(options), generator_(options.seed) {
    for (auto& [name, x] : leaves) {
      check(x.dtype() == DType::f64, "gradcheck: '{}' is {}; leaves must be f64", name, x.dtype());
      if (x.requires_grad()) leaves_.push_back({std::move(name), std::move(x), {}});
    }
  }

  GradcheckReport run() {
    GradcheckReport report;
    const Tensor y = f_();
    check(y.dtype() == DType::f64,
          "gradcheck: f returned {}; it was given f64 tensors and must compute in f64, so convert its constants",
          y.dtype());
    weight_ = Tensor::empty(y.shape(), DType::f64);
    generator_.fill_uniform(weight_.data<double>(), 0.5, 1.5);
    {
      const NoGrad guard;
      if (!std::ranges::equal(f_().data<double>(), y.data<double>(), same)) {
        return failed(report,
                      "f is not deterministic: two calls with the same inputs gave different values; seed or "
                      "switch off what is random in it");
      }
    }
    if (!y.requires_grad() || leaves_.empty()) {
      return failed(report, "no gradient: nothing that f computed depends on an input being checked");
    }
    find_gradients(y);

    const NoGrad guard;
    value_ = weighted_sum(y);
    for (const double term : y.data<double>()) magnitude_ += 1.5 * std::abs(term);
    if (!std::isfinite(value_)) {
      return failed(report, fmt::format("f is {} at these inputs; choose some where it is finite", value_));
    }
    for (Leaf& leaf : leaves_) compare(leaf, report);
    if (report.checked == 0) return failed(report, "nothing was compared: every input checked is empty");
    if (options_.taylor && report.kinks == 0) report.taylor_order = taylor_order();
    return judged(std::move(report));
  }

 private:
  struct Leaf {
    std::string name;
    Tensor x;
    std::vector<double> gradient;
  };

  double weighted_sum(const Tensor& y) const {
    const std::span<const double> a = y.data<double>(), w = weight_.data<double>();
    return std::inner_product(a.begin(), a.end(), w.begin(), 0.0);
  }

  void find_gradients(const Tensor& y) {
    struct Restore {  // the gradients that were there before
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
    y.backward(weight_);
    for (Leaf& leaf : leaves_) {
      leaf.gradient = leaf.x.grad().defined() ? leaf.x.grad().to_vector()
                                              : std::vector<double>(static_cast<std::size_t>(leaf.x.numel()), 0.0);
    }
  }

  Slopes slopes(double& x, double h) const {
    struct Restore {
      double &x, kept;
      ~Restore() { x = kept; }
    } restore{x, x};
    x = restore.kept + h;
    const double above = weighted_sum(f_()), to_right = x - restore.kept;
    x = restore.kept - h;
    const double below = weighted_sum(f_()), to_left = restore.kept - x;
    return {(value_ - below) / to_left, (above - value_) / to_right, (above - below) / (to_right + to_left)};
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

  // A kink keeps its jump of slopes however small the step; a curve's shrinks with it. Where the smaller step takes the
  // jump away, there was a kink within the larger one, and the smaller one's slope is the one to compare with.
  void compare(Leaf& leaf, GradcheckReport& report) {
    GradcheckEntry entry{.name = leaf.name, .shape = leaf.x.shape()};
    const std::span<double> values = leaf.x.data<double>();
    for (const std::size_t j : chosen(values.size())) {
      const double h = options_.step * std::max(1.0, std::abs(values[j]));
      Slopes slope = slopes(values[j], h);
      const double rounding = 100 * epsilon * magnitude_ / h;
      bool kink = false;
      if (slope.jump() > 1e-3 * slope.size() + rounding) {
        const Slopes closer = slopes(values[j], h / 8);
        kink = closer.jump() > 0.5 * slope.jump() && closer.jump() > 8 * rounding;
        if (!kink && closer.jump() < slope.jump() / 16) slope = closer;
      }
      const double analytic = leaf.gradient[j];
      double numeric = slope.central;
      if (kink) {
        const auto [low, high] = std::minmax(slope.left, slope.right);
        numeric = std::clamp(std::isnan(analytic) ? low : analytic, low, high);
        if (report.kinks++ == 0)
          report.kink_place =
              GradcheckEntry{.name = leaf.name, .shape = entry.shape, .worst_index = static_cast<Index>(j)}
                  .worst_place();
        ++entry.kinks;
      }
      const double difference = std::abs(analytic - numeric), size = std::max(std::abs(analytic), std::abs(numeric));
      const double error = difference / std::max(size, options_.atol / options_.rtol);
      if (!(difference <= options_.atol + options_.rtol * size)) ++entry.failures;
      if (entry.checked++ == 0 || !(error <= entry.worst_error)) {
        entry.worst_error = error;
        entry.worst_index = static_cast<Index>(j);
        entry.analytic = analytic;
        entry.numeric = numeric;
      }
    }
    const bool worse = entry.checked > 0 && (report.checked == 0 || !(entry.worst_error <= report.worst_error));
    if (worse) {
      report.worst_error = entry.worst_error;
      report.worst_input = report.entries.size();
    }
    report.checked += entry.checked;
    report.entries.push_back(std::move(entry));
  }

  // The remainder for h = 2^-4, 2^-6, .. as long as it stands well above the rounding of f; the order is the median of
  // the last three steps.
  std::optional<double> taylor_order() {
    std::vector<std::vector<double>> kept, direction;
    double slope = 0, slope_magnitude = 0;
    for (const Leaf& leaf : leaves_) {
      const std::span<const double> x = leaf.x.data<double>();
      kept.emplace_back(x.begin(), x.end());
      std::vector<double>& v = direction.emplace_back(x.size());
      generator_.fill_uniform(std::span<double>(v), -1, 1);
      for (std::size_t i = 0; i < v.size(); ++i) {
        slope += v[i] * leaf.gradient[i];
        slope_magnitude += std::abs(v[i] * leaf.gradient[i]);
      }
    }
    const auto move_to = [&](double h) {
      for (std::size_t i = 0; i < leaves_.size(); ++i) {
        const std::span<double> x = leaves_[i].x.data<double>();
        for (std::size_t j = 0; j < x.size(); ++j) x[j] = h == 0 ? kept[i][j] : kept[i][j] + h * direction[i][j];
      }
    };
    struct Restore {
      const decltype(move_to)& move;
      ~Restore() { move(0); }
    } restore{move_to};

    constexpr double ratio = 4;
    std::vector<double> orders;
    double previous = 0;
    for (double h = 1.0 / 16; h > 1e-8; h /= ratio) {
      move_to(h);
      const double remainder = std::abs(weighted_sum(f_()) - value_ - h * slope);
      const double rounding = 1e4 * epsilon * (magnitude_ + h * slope_magnitude);
      if (!(remainder > rounding)) break;
      if (previous > 0) orders.push_back(std::log(previous / remainder) / std::log(ratio));
      previous = remainder;
    }
    if (orders.size() < 2) return std::nullopt;
    if (orders.size() > 3) orders.erase(orders.begin(), orders.end() - 3);
    std::ranges::sort(orders);
    return orders[orders.size() / 2];
  }

  static GradcheckReport judged(GradcheckReport report) {
    Index failures = 0;
    for (const GradcheckEntry& entry : report.entries) failures += entry.failures;
    if (failures > 0) {
      return failed(report,
                    fmt::format("{} of {} gradients differ from central differences", failures, report.checked));
    }
    if (report.taylor_order && !(*report.taylor_order > 1.5)) {
      return failed(report, "the Taylor remainder shrinks as h^1: a gradient is wrong, or values lie next to a kink");
    }
    report.passed = true;
    return report;
  }

  const std::function<Tensor()>& f_;
  GradcheckOptions options_;
  Generator generator_;
  std::vector<Leaf> leaves_;
  Tensor weight_;
  double value_ = 0, magnitude_ = 0;  // of the weighted sum at the inputs, and of its terms
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
  check(options.step > 0 && options.rtol > 0 && options.atol > 0 && options.max_entries >= 0,
        "gradcheck: step {}, rtol {} and atol {} must be above 0, max_entries {} at least 0", options.step,
        options.rtol, options.atol, options.max_entries);
  return Check(f, leaves, options).run();
}

GradcheckReport gradcheck(const std::function<Tensor(const std::vector<Tensor>&)>& f, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options) {
  const bool choose = std::ranges::any_of(inputs, [](const Tensor& x) { return x.requires_grad(); });
  std::vector<Tensor> x;
  std::vector<std::pair<std::string, Tensor>> leaves;
  for (const Tensor& input : inputs) {
    x.push_back(input.dtype() == DType::f64 ? input.clone() : input.detach().to(DType::f64));
    x.back().requires_grad(choose ? input.requires_grad() : true);
    leaves.emplace_back(fmt::format("input {}", leaves.size()), x.back());
  }
  return gradcheck([&] { return f(x); }, leaves, options);
}

std::string GradcheckReport::text() const {
  std::string text = passed ? "gradcheck passed" : "gradcheck failed: " + reason;
  if (entries.empty()) return text;
  text +=
      fmt::format("\n  compared  {} entries of {} tensor{}", checked, entries.size(), entries.size() == 1 ? "" : "s");
  if (checked > 0) {
    const GradcheckEntry& worst = entries[worst_input];
    text += fmt::format("\n  worst     {}: analytic {:.12g}, numeric {:.12g}, relative error {:.2e}",
                        worst.worst_place(), worst.analytic, worst.numeric, worst.worst_error);
  }
  if (kinks > 0) text += fmt::format("\n  kinks     {} entries have two slopes, {} for one", kinks, kink_place);
  if (taylor_order) {
    text += fmt::format("\n  Taylor    remainder shrinks as h^{:.2f}: {}", *taylor_order,
                        *taylor_order > 1.5 ? "the gradient is right" : "a right gradient gives h^2");
  }
  return text;
}

std::ostream& operator<<(std::ostream& out, const GradcheckReport& report) {
  return out << report.text();
}

}  // namespace gradus
