// Ops that say how the numbers of a tensor are spread: sums without NaN, ranks, running extremes, counts.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <gradus/core/ops/detail/common.h>

namespace gradus {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

constexpr auto before = less_with_nan_last<double>;

// Calls choose(line) for each line of x along `dim`: the `count` places in the line that it returns are the ids there.
template <class F>
Ids chosen_ids(const Tensor& x, Index dim, Index count, const F& choose) {
  const Index n = x.size(dim), inner = Blocks(x.shape(), dim).inner;
  Shape shape = x.shape();
  shape.set(dim, count);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(shape.numel()));
  const std::vector<double> values = x.to_vector();
  std::vector<double> line(static_cast<std::size_t>(n));
  const Index lines = n == 0 ? 0 : x.numel() / n;
  for (Index l = 0; l < lines; ++l) {
    const Index o = l / inner, i = l % inner;
    for (Index k = 0; k < n; ++k)
      line[static_cast<std::size_t>(k)] = values[static_cast<std::size_t>((o * n + k) * inner + i)];
    const std::vector<Index> places = choose(line);
    for (Index k = 0; k < count; ++k) {
      ids[static_cast<std::size_t>((o * count + k) * inner + i)] =
          static_cast<std::int32_t>(places[static_cast<std::size_t>(k)]);
    }
  }
  return {Ids(ids), shape};
}

// The element of each line of x that choose(line) names.
template <class F>
Sorted one_of_each(const char* op, const Tensor& x, Index dim, bool keepdim, const F& choose) {
  check_defined(op, {x});
  check(x.rank() > 0, "{}: {} has no dimension; reshape it to (1)", op, x.shape());
  const Index d = x.shape().normalize(dim, op);
  check(x.size(d) > 0, "{}: shape {} has no element to choose from along dimension {}; its size must be at least 1", op,
        x.shape(), dim);
  Sorted result;
  result.indices =
      chosen_ids(x, d, 1, [&](const std::vector<double>& line) { return std::vector<Index>{choose(line)}; });
  result.values = composed(op, [&] {
    const Tensor y = gather(x, d, result.indices);
    return keepdim ? y : squeeze(y, d);
  });
  result.indices = std::move(result.indices).reshape(result.values.shape());
  return result;
}

// The place of the extreme element up to each one. One takes over if it is NaN or after(it, the extreme before).
template <class F>
Sorted running(const char* op, const Tensor& x, Index dim, const F& after) {
  check_defined(op, {x});
  const Index d = x.shape().normalize(dim, op);
  Sorted result;
  result.indices = chosen_ids(x, d, x.size(d), [&](const std::vector<double>& line) {
    std::vector<Index> places;
    std::size_t best = 0;
    for (std::size_t k = 0; k < line.size(); ++k) {
      if (std::isnan(line[k]) || after(line[k], line[best])) best = k;
      places.push_back(static_cast<Index>(best));
    }
    return places;
  });
  result.values = composed(op, [&] { return gather(x, d, result.indices); });
  return result;
}

// Each two neighbors along `dim`: all but the last, and all but the first.
std::pair<Tensor, Tensor> neighbors(const Tensor& x, Index dim) {
  const Index d = x.shape().normalize(dim, detail::called("diff")), n = std::max<Index>(1, x.size(d));
  return {slice(x, d, 0, n - 1), slice(x, d, 1, n)};
}

}  // namespace

Tensor nansum(const Tensor& x) {
  return composed("nansum", [&] { return sum(where(isnan(x), 0, x)); });
}
Tensor nansum(const Tensor& x, const Dims& dims, bool keepdim) {
  return composed("nansum", [&] { return sum(where(isnan(x), 0, x), dims, keepdim); });
}
Tensor nanmean(const Tensor& x) {
  return composed("nanmean", [&] { return nansum(x) / sum(x == x); });
}
Tensor nanmean(const Tensor& x, const Dims& dims, bool keepdim) {
  return composed("nanmean", [&] { return nansum(x, dims, keepdim) / sum(x == x, dims, keepdim); });
}

Tensor quantile(const Tensor& x, double q, Index dim, bool keepdim) {
  check_defined("quantile", {x});
  check(q >= 0 && q <= 1, "quantile: q is {}; it must be from 0 to 1", q);
  check(x.rank() > 0 && x.size(dim) > 0, "quantile: {} has no element along dimension {}", x.shape(), dim);
  return composed("quantile", [&] {
    const Tensor sorted = sort(x, dim).values;
    const Index last = x.size(dim) - 1;
    const double place = q * static_cast<double>(last);
    const auto below = static_cast<Index>(place);
    const auto at = [&](Index i) { return narrow(sorted, dim, std::min(i, last), 1); };
    const Tensor y = lerp(at(below), at(below + 1), place - static_cast<double>(below));
    const Tensor all = where(isnan(at(last)), at(last), y);
    return keepdim ? all : squeeze(all, dim);
  });
}
Tensor quantile(const Tensor& x, double q) {
  return composed("quantile", [&] { return quantile(flatten(x), q, 0); });
}

Sorted kthvalue(const Tensor& x, Index k, Index dim, bool keepdim) {
  return one_of_each("kthvalue", x, dim, keepdim, [k](const std::vector<double>& line) {
    check(k >= 1 && k <= static_cast<Index>(line.size()), "kthvalue: k is {}; it must be 1 .. {}", k, line.size());
    std::vector<Index> order(line.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<Index>(i);
    std::ranges::stable_sort(order, before, [&](Index i) { return line[static_cast<std::size_t>(i)]; });
    return order[static_cast<std::size_t>(k - 1)];
  });
}
Sorted mode(const Tensor& x, Index dim, bool keepdim) {
  return one_of_each("mode", x, dim, keepdim, [](const std::vector<double>& line) {
    struct Seen {
      Index count = 0, last = 0;
    };
    std::map<double, Seen, bool (*)(double, double)> seen(before);
    for (std::size_t i = 0; i < line.size(); ++i) {
      Seen& value = seen[line[i]];
      value = {value.count + 1, static_cast<Index>(i)};
    }
    return std::ranges::max_element(seen, {}, [](const auto& value) { return value.second.count; })->second.last;
  });
}
Tensor msort(const Tensor& x) {
  return composed("msort", [&] { return sort(x, 0).values; });
}
Sorted cummax(const Tensor& x, Index dim) {
  return running("cummax", x, dim, [](double a, double best) { return a >= best; });
}
Sorted cummin(const Tensor& x, Index dim) {
  return running("cummin", x, dim, [](double a, double best) { return a <= best; });
}
// One logaddexp an element: a common maximum would lose sums that are far below it.
Tensor logcumsumexp(const Tensor& x, Index dim) {
  check_defined("logcumsumexp", {x});
  return composed("logcumsumexp", [&] {
    std::vector<Tensor> sums = unbind(x, dim);
    for (std::size_t i = 1; i < sums.size(); ++i) sums[i] = logaddexp(sums[i - 1], sums[i]);
    return sums.empty() ? x : stack(sums, dim);
  });
}

Tensor diff(const Tensor& x, Index n, Index dim) {
  check_defined("diff", {x});
  check(n >= 0, "diff: n is {}; it must be at least 0", n);
  return composed("diff", [&] {
    Tensor y = x;
    for (Index i = 0; i < n; ++i) {
      const auto [first, second] = neighbors(y, dim);
      y = second - first;
    }
    return y;
  });
}
Tensor trapezoid(const Tensor& y, double dx, Index dim) {
  check_defined("trapezoid", {y});
  return composed("trapezoid", [&] {
    const auto [first, second] = neighbors(y, dim);
    return sum(first + second, dim) * (dx / 2);
  });
}
Tensor trapezoid(const Tensor& y, const Tensor& x, Index dim) {
  check_defined("trapezoid", {y, x});
  return composed("trapezoid", [&] {
    const auto [first, second] = neighbors(y, dim);
    return sum((first + second) * diff(x, 1, x.rank() == 1 ? 0 : dim), dim) / 2;
  });
}
Tensor cumulative_trapezoid(const Tensor& y, double dx, Index dim) {
  check_defined("cumulative_trapezoid", {y});
  return composed("cumulative_trapezoid", [&] {
    const auto [first, second] = neighbors(y, dim);
    return cumsum(first + second, dim) * (dx / 2);
  });
}
Tensor dist(const Tensor& a, const Tensor& b, double p) {
  return composed("dist", [&] { return norm(a - b, p); });
}

std::pair<Tensor, Tensor> var_mean(const Tensor& x, const Dims& dims, bool keepdim, double correction) {
  return {var(x, dims, keepdim, correction), mean(x, dims, keepdim)};
}
std::pair<Tensor, Tensor> std_mean(const Tensor& x, const Dims& dims, bool keepdim, double correction) {
  return {gradus::std(x, dims, keepdim, correction), mean(x, dims, keepdim)};
}
std::pair<Tensor, Tensor> aminmax(const Tensor& x, const Dims& dims, bool keepdim) {
  return {amin(x, dims, keepdim), amax(x, dims, keepdim)};
}

Tensor cov(const Tensor& x, double correction) {
  check_defined("cov", {x});
  check(x.rank() <= 2, "cov: {} has {} dimensions; give variables in rows, observations in columns", x.shape(),
        x.rank());
  return composed("cov", [&] {
    const Tensor rows = atleast_2d(x), centered = rows - mean(rows, 1, true);
    const Tensor y = matmul(centered, centered, false, true) / (static_cast<double>(rows.size(1)) - correction);
    return x.rank() < 2 ? reshape(y, Shape{}) : y;
  });
}
Tensor corrcoef(const Tensor& x) {
  return composed("corrcoef", [&] {
    const Tensor c = cov(x);
    if (c.rank() == 0) return c / c;
    const Tensor deviation = sqrt(diagonal(c));
    return clamp(c / outer(deviation, deviation), -1, 1);
  });
}

Ids searchsorted(const Tensor& sorted, const Tensor& values, bool right) {
  check_defined("searchsorted", {sorted, values});
  check(sorted.rank() == 1, "searchsorted: the sorted numbers {} have {} dimensions; give a vector", sorted.shape(),
        sorted.rank());
  const std::vector<double> in = sorted.to_vector();
  std::vector<Index> places;
  for (const double value : values.to_vector()) {
    const auto at = right ? std::ranges::upper_bound(in, value, before) : std::ranges::lower_bound(in, value, before);
    places.push_back(at - in.begin());
  }
  return {Ids(places), values.shape()};
}
Ids bucketize(const Tensor& values, const Tensor& boundaries, bool right) {
  return searchsorted(boundaries, values, right);
}
Ids bincount(const Ids& ids, Index minlength) {
  std::vector<Index> counts(static_cast<std::size_t>(std::max<Index>(0, minlength)));
  for (const std::int32_t id : ids) {
    check(id >= 0, "bincount: id {}; it counts numbers from 0 on", id);
    const auto at = static_cast<std::size_t>(id);
    if (at >= counts.size()) counts.resize(at + 1);
    ++counts[at];
  }
  return counts;
}

namespace {

Tensor without_repeats(std::vector<double> values, DType dtype) {
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return tensor(values, dtype);
}

}  // namespace

Tensor unique(const Tensor& x) {
  check_defined("unique", {x});
  std::vector<double> values = x.to_vector();
  std::ranges::sort(values, before);
  return without_repeats(std::move(values), x.dtype());
}
Tensor unique_consecutive(const Tensor& x) {
  check_defined("unique_consecutive", {x});
  return without_repeats(x.to_vector(), x.dtype());
}
Tensor histc(const Tensor& x, Index bins, double min, double max) {
  check_defined("histc", {x});
  check(bins > 0 && min <= max, "histc: {} bins from {} to {}; there must be at least 1, and min at most max", bins,
        min, max);
  const std::vector<double> values = x.to_vector();
  if (min == 0 && max == 0 && !values.empty()) {
    min = std::ranges::min(values);
    max = std::ranges::max(values);
  }
  if (min == max) {
    min -= 1;
    max += 1;
  }
  check(max - min < inf, "histc: the range is {} to {}; it must be finite, give min and max", min, max);
  std::vector<double> counts(static_cast<std::size_t>(bins));
  for (const double value : values) {
    if (!(value >= min && value <= max)) continue;
    const auto bin = static_cast<Index>((value - min) / (max - min) * static_cast<double>(bins));
    ++counts[static_cast<std::size_t>(std::min(bin, bins - 1))];
  }
  return tensor(counts, x.dtype());
}

}  // namespace gradus
