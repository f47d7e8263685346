// What a DataLoader takes its examples from: anything with size() and get(i).
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <gradus/core/runtime/random.h>
#include <gradus/core/tensor.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// One example: its tensors, and its ids; each entry of `ids` is one id or a list of them.
struct Example {
  std::vector<Tensor> tensors;
  std::vector<std::vector<std::int32_t>> ids;
};

/// size() says how many examples there are, and get(i) gives the i-th: a Tensor; a whole number (an id) or a vector of
/// them; another number or a vector of them (a tensor); or a pair, tuple, vector or struct of these. A struct is a
/// plain one, without constructors, of up to six fields.
///     struct Pictures { Index size() const; std::pair<Tensor, std::int32_t> get(Index i) const; .. };
///     DataLoader loader(Pictures("folder"), {.batch_size = 32, .shuffle = true, .workers = 2});
template <class D>
concept DatasetLike = requires(std::unwrap_reference_t<D>& dataset, Index i) {
  { dataset.size() } -> std::convertible_to<Index>;
  dataset.get(i);
};

/// Rows of tensors whose first sizes are equal, with labels if there are any: get(i) has row i of each, and label i.
class TensorDataset {
 public:
  /// tensors: (rows, ..) each. Throws Error unless all have the same rows, and labels are one per row or none.
  explicit TensorDataset(std::vector<Tensor> tensors, std::vector<std::int32_t> labels = {});
  Index size() const { return count_; }
  Example get(Index row) const;

 private:
  std::vector<Tensor> tensors_;
  std::vector<std::int32_t> labels_;
  Index count_ = 0;
};

/// The examples `rows` of a dataset, in that order; random_split and k_fold choose rows. std::ref(dataset) refers to a
/// dataset that outlives it, instead of a copy.
template <DatasetLike D>
class Subset {
 public:
  Subset(D dataset, std::vector<Index> rows) : dataset_(std::move(dataset)), rows_(std::move(rows)) {
    const std::unwrap_reference_t<D>& all = dataset_;
    for (const Index row : rows_) {
      check(row >= 0 && row < static_cast<Index>(all.size()), "Subset: there is no example {} among {}", row,
            static_cast<Index>(all.size()));
    }
  }
  Index size() const { return static_cast<Index>(rows_.size()); }
  decltype(auto) get(Index i) {
    std::unwrap_reference_t<D>& all = dataset_;
    return all.get(rows_.at(static_cast<std::size_t>(i)));
  }

 private:
  D dataset_;
  std::vector<Index> rows_;
};

namespace detail {

// Row i of x, (rows, ..), as a copy: (..).
Tensor row_of(const Tensor& x, Index i);

// Converts to whatever a field of a struct is, to count the fields.
struct AnyField {
  template <class T>
  operator T() const;
};
template <class T, class... Fields>
constexpr std::size_t field_count() {
  constexpr std::size_t most = 6;
  if constexpr (sizeof...(Fields) < most && requires { T{Fields{}..., AnyField{}}; }) {
    return field_count<T, Fields..., AnyField>();
  } else {
    return sizeof...(Fields);
  }
}

// f(field...) of a struct's fields.
template <class T, class F>
void with_fields(const T& x, const F& f) {
  constexpr std::size_t count = field_count<T>();
  static_assert(count > 0,
                "get(i) must give a Tensor, a number, a list of numbers, or a pair, tuple, vector or struct of these");
  if constexpr (count == 1) {
    const auto& [a] = x;
    f(a);
  } else if constexpr (count == 2) {
    const auto& [a, b] = x;
    f(a, b);
  } else if constexpr (count == 3) {
    const auto& [a, b, c] = x;
    f(a, b, c);
  } else if constexpr (count == 4) {
    const auto& [a, b, c, d] = x;
    f(a, b, c, d);
  } else if constexpr (count == 5) {
    const auto& [a, b, c, d, e] = x;
    f(a, b, c, d, e);
  } else {
    const auto& [a, b, c, d, e, g] = x;
    f(a, b, c, d, e, g);
  }
}

template <class T>
concept TupleLike = requires {
  std::tuple_size<T>::value;
};

template <std::integral T>
std::int32_t id_of(T x) {
  check(std::cmp_greater_equal(x, std::numeric_limits<std::int32_t>::min()) &&
            std::cmp_less_equal(x, std::numeric_limits<std::int32_t>::max()),
        "DataLoader: {} is no id; ids are whole numbers of 32 bits", x);
  return static_cast<std::int32_t>(x);
}

template <class T>
void add_to(Example& to, const T& x) {
  if constexpr (std::same_as<T, Tensor>) {
    to.tensors.push_back(x);
  } else if constexpr (std::same_as<T, Example>) {
    to.tensors.insert(to.tensors.end(), x.tensors.begin(), x.tensors.end());
    to.ids.insert(to.ids.end(), x.ids.begin(), x.ids.end());
  } else if constexpr (std::integral<T>) {
    to.ids.push_back({id_of(x)});
  } else if constexpr (std::floating_point<T>) {
    to.tensors.push_back(gradus::tensor(x, sizeof(T) > sizeof(float) ? DType::f64 : DType::f32));
  } else if constexpr (std::ranges::range<T>) {
    using Element = std::ranges::range_value_t<T>;
    if constexpr (std::integral<Element>) {
      std::vector<std::int32_t>& ids = to.ids.emplace_back();
      for (const Element id : x) ids.push_back(id_of(id));
    } else if constexpr (std::floating_point<Element>) {
      to.tensors.push_back(gradus::tensor(std::vector<Element>(std::ranges::begin(x), std::ranges::end(x)),
                                          sizeof(Element) > sizeof(float) ? DType::f64 : DType::f32));
    } else {
      for (const auto& element : x) add_to(to, element);
    }
  } else if constexpr (TupleLike<T>) {
    std::apply([&](const auto&... element) { (add_to(to, element), ...); }, x);
  } else {
    with_fields(x, [&](const auto&... field) { (add_to(to, field), ...); });
  }
}

template <class T>
Example example_of(const T& x) {
  Example example;
  add_to(example, x);
  return example;
}

// The transform takes a Generator: transform(x, generator).
template <class F, class T>
concept DrawsNumbers = std::invocable<F&, T, Generator&>;

}  // namespace detail

#pragma GCC visibility pop
}  // namespace gradus::nn
