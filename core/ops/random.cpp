// Random numbers that depend on numbers of a tensor, and random ids.
#include <algorithm>
#include <cmath>
#include <limits>

#include <gradus/core/ops/detail/common.h>

namespace gradus {

Ids randint(Index low, Index high, const Shape& shape, Generator& generator) {
  check(low < high, "randint: low is {}, high {}; low must be below high, which is left out", low, high);
  std::vector<Index> ids(static_cast<std::size_t>(shape.numel()));
  for (Index& id : ids) id = low + generator.below(high - low);
  return {Ids(ids), shape};
}

Tensor bernoulli(const Tensor& probability, Generator& generator) {
  check_defined("bernoulli", {probability});
  const Tensor y = Tensor::empty_like(probability);
  dispatch(y.dtype(), [&]<class T>() {
    const T* const p = probability.node().values<T>();
    T* const to = y.node().values<T>();
    for (Index i = 0; i < y.numel(); ++i) {
      check(p[i] >= 0 && p[i] <= 1, "bernoulli: probability {} is not in 0 .. 1", p[i]);
      to[i] = generator.uniform<double>() < static_cast<double>(p[i]) ? T(1) : T(0);
    }
  });
  return y;
}

namespace {

// With replacement: the place where the running sum of the weights passes a uniform part of the whole.
void draw(std::span<const double> weights, Index count, Generator& generator, std::vector<std::int32_t>& ids) {
  std::vector<double> until;
  double total = 0;
  for (const double weight : weights) until.push_back(total += weight);
  for (Index i = 0; i < count; ++i) {
    const auto found = std::ranges::upper_bound(until, generator.uniform<double>() * total);
    ids.push_back(static_cast<std::int32_t>(found - until.begin()));
  }
}

// Without replacement: the largest of the keys log(u) / weight (Efraimidis & Spirakis 2006).
void draw_distinct(std::span<const double> weights, Index count, Generator& generator, std::vector<std::int32_t>& ids) {
  std::vector<std::pair<double, std::int32_t>> keys;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double u = 1 - generator.uniform<double>();  // above 0
    keys.emplace_back(weights[i] == 0 ? -std::numeric_limits<double>::infinity() : std::log(u) / weights[i],
                      static_cast<std::int32_t>(i));
  }
  std::ranges::partial_sort(keys, keys.begin() + count, std::greater<>());
  for (Index i = 0; i < count; ++i) ids.push_back(keys[static_cast<std::size_t>(i)].second);
}

}  // namespace

Ids multinomial(const Tensor& weights, Index num_samples, bool replacement, Generator& generator) {
  check_defined("multinomial", {weights});
  check(weights.rank() == 1 || weights.rank() == 2, "multinomial: weights {} must be (n) or (rows, n)",
        weights.shape());
  check(num_samples >= 1, "multinomial: {} samples; draw at least 1", num_samples);
  const Shape::Matrix size = weights.shape().as_matrix();
  const std::vector<double> all = weights.to_vector();
  std::vector<std::int32_t> ids;
  for (Index row = 0; row < size.rows; ++row) {
    const std::span<const double> one(all.data() + row * size.cols, static_cast<std::size_t>(size.cols));
    Index possible = 0;
    for (const double weight : one) {
      check(weight >= 0 && std::isfinite(weight),
            "multinomial: weight {} in row {}; weights must be finite and at least 0", weight, row);
      possible += weight > 0 ? 1 : 0;
    }
    const Index needed = replacement ? 1 : num_samples;
    check(possible >= needed,
          "multinomial: row {} has {} weights above 0 and needs {}; draw fewer, or with replacement", row, possible,
          needed);
    if (replacement) {
      draw(one, num_samples, generator, ids);
    } else {
      draw_distinct(one, num_samples, generator, ids);
    }
  }
  Shape shape = weights.shape();
  shape.set(-1, num_samples);
  return {Ids(ids), shape};
}

}  // namespace gradus
