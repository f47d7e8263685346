// The definitions of the ops, spelled out. See reference.h.
#include "reference.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace gradus::testing {

double Array::at(const std::vector<Index>& index) const {
  Index flat = 0;
  for (std::size_t d = 0; d < index.size(); ++d) flat = flat * shape[static_cast<Index>(d)] + index[d];
  return values.at(static_cast<std::size_t>(flat));
}

namespace reference {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

Array swap_last_two(const Array& x) {
  std::vector<Index> dims;
  for (Index d = 0; d < x.shape.rank(); ++d) dims.push_back(d);
  std::swap(dims[dims.size() - 1], dims[dims.size() - 2]);
  return permute(x, dims);
}

}  // namespace

Array make(const Shape& shape, const std::function<double(const Indices&)>& f) {
  Array y{shape, {}};
  Indices index(at(shape.rank()), 0);
  for (Index n = shape.numel(); n > 0; --n) {
    y.values.push_back(f(index));
    for (std::size_t d = index.size(); d-- > 0;) {
      if (++index[d] < shape[static_cast<Index>(d)]) break;
      index[d] = 0;
    }
  }
  return y;
}

Array map(const Array& x, const std::function<double(double)>& f) {
  Array y{x.shape, {}};
  for (const double value : x.values) y.values.push_back(f(value));
  return y;
}

Shape broadcast_shape(const Shape& a, const Shape& b) {
  std::vector<Index> sizes;
  for (Index d = 1; d <= std::max(a.rank(), b.rank()); ++d) {
    const Index from_a = d <= a.rank() ? a[-d] : 1, from_b = d <= b.rank() ? b[-d] : 1;
    sizes.insert(sizes.begin(), from_a == 1 ? from_b : from_a);
  }
  return {sizes};
}

double broadcast_at(const Array& x, const Indices& index) {
  Indices own;
  const std::size_t skipped = index.size() - at(x.shape.rank());
  for (Index d = 0; d < x.shape.rank(); ++d) own.push_back(x.shape[d] == 1 ? 0 : index[skipped + at(d)]);
  return x.at(own);
}

Array binary(const Array& a, const Array& b, const std::function<double(double, double)>& f) {
  return make(broadcast_shape(a.shape, b.shape),
              [&](const Indices& i) { return f(broadcast_at(a, i), broadcast_at(b, i)); });
}

Array where(const Array& condition, const Array& a, const Array& b) {
  return make(broadcast_shape(condition.shape, broadcast_shape(a.shape, b.shape)), [&](const Indices& i) {
    return broadcast_at(condition, i) != 0 ? broadcast_at(a, i) : broadcast_at(b, i);
  });
}

Array permute(const Array& x, const std::vector<Index>& dims) {
  std::vector<Index> sizes;
  for (const Index dim : dims) sizes.push_back(x.shape[dim]);
  return make(sizes, [&](const Indices& i) {
    Indices source(i.size());
    for (std::size_t d = 0; d < dims.size(); ++d) source[at(dims[d])] = i[d];
    return x.at(source);
  });
}

Array slice(const Array& x, Index dim, Index begin, Index end) {
  Shape shape = x.shape;
  shape.set(dim, end - begin);
  return make(shape, [&](Indices i) {
    i[at(dim)] += begin;
    return x.at(i);
  });
}

Array concat(const std::vector<Array>& parts, Index dim) {
  Shape shape = parts[0].shape;
  Index size = 0;
  for (const Array& part : parts) size += part.shape[dim];
  shape.set(dim, size);
  return make(shape, [&](Indices i) {
    std::size_t part = 0;
    while (i[at(dim)] >= parts[part].shape[dim]) i[at(dim)] -= parts[part++].shape[dim];
    return parts[part].at(i);
  });
}

Array stack(const std::vector<Array>& parts, Index dim) {
  std::vector<Index> sizes(parts[0].shape.begin(), parts[0].shape.end());
  sizes.insert(sizes.begin() + dim, static_cast<Index>(parts.size()));
  return make(sizes, [&](Indices i) {
    const Index part = i[at(dim)];
    i.erase(i.begin() + dim);
    return parts[at(part)].at(i);
  });
}

Array reduce(const Array& x, const std::vector<Index>& dims, bool keepdim,
             const std::function<double(const std::vector<double>&)>& f) {
  const auto reduced = [&](Index d) { return std::find(dims.begin(), dims.end(), d) != dims.end(); };
  std::vector<Index> kept, over;
  for (Index d = 0; d < x.shape.rank(); ++d) {
    if (!reduced(d)) {
      kept.push_back(x.shape[d]);
    } else if (keepdim) {
      kept.push_back(1);
    }
    if (reduced(d)) over.push_back(x.shape[d]);
  }
  return make(kept, [&](const Indices& i) {
    const Array terms = make(over, [&](const Indices& j) {
      Indices source;
      std::size_t from_i = 0, from_j = 0;
      for (Index d = 0; d < x.shape.rank(); ++d) {
        if (reduced(d)) {
          source.push_back(j[from_j++]);
          if (keepdim) ++from_i;
        } else {
          source.push_back(i[from_i++]);
        }
      }
      return x.at(source);
    });
    return f(terms.values);
  });
}

double sum_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

double max_of(const std::vector<double>& values) {
  return *std::max_element(values.begin(), values.end());
}

double variance_of(const std::vector<double>& values, double correction) {
  const double mean = sum_of(values) / static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return sum / (static_cast<double>(values.size()) - correction);
}

Array matmul(Array a, Array b, bool transpose_a, bool transpose_b) {
  const bool row = a.shape.rank() == 1, column = b.shape.rank() == 1;
  if (row) a.shape = {1, a.shape[0]};
  if (column) b.shape = {b.shape[0], 1};
  if (transpose_a) a = swap_last_two(a);
  if (transpose_b) b = swap_last_two(b);
  const Index k = a.shape[-1];
  const auto leading = [](const Shape& shape) { return Shape(std::vector<Index>(shape.begin(), shape.end() - 2)); };
  Shape shape = broadcast_shape(leading(a.shape), leading(b.shape));
  shape.push_back(a.shape[-2]);
  shape.push_back(b.shape[-1]);
  // Where the matrix of x that belongs to the leading coordinates of `index` starts.
  const auto matrix = [](const Array& x, const Indices& index) {
    Index number = 0;
    const std::size_t skipped = index.size() - at(x.shape.rank());
    for (Index d = 0; d + 2 < x.shape.rank(); ++d) {
      number = number * x.shape[d] + (x.shape[d] == 1 ? 0 : index[skipped + at(d)]);
    }
    return x.values.data() + number * x.shape[-2] * x.shape[-1];
  };
  const Index n = b.shape[-1];
  Array c = make(shape, [&](const Indices& index) {
    const double* const pa = matrix(a, index) + index[index.size() - 2] * k;
    const double* const pb = matrix(b, index) + index[index.size() - 1];
    double sum = 0;
    for (Index l = 0; l < k; ++l) sum += pa[l] * pb[l * n];
    return sum;
  });
  std::vector<Index> sizes(c.shape.begin(), c.shape.end());
  if (column) sizes.pop_back();
  if (row) sizes.erase(sizes.end() - (column ? 1 : 2));
  c.shape = sizes;
  return c;
}

Array linear(const Array& x, const Array& weight, const Array* bias) {
  Shape shape = x.shape;
  shape.set(-1, weight.shape[0]);
  return make(shape, [&](Indices index) {
    const Index o = index.back();
    double sum = bias == nullptr ? 0 : bias->at({o});
    for (Index i = 0; i < weight.shape[1]; ++i) {
      index.back() = i;
      sum += x.at(index) * weight.at({o, i});
    }
    return sum;
  });
}

Array softmax(const Array& x, Index dim, bool logarithm) {
  const Array largest = reference::reduce(x, {dim}, true, max_of);
  const Array shifted = binary(x, largest, [](double a, double b) { return a - b; });
  const Array total = reference::reduce(map(shifted, [](double a) { return std::exp(a); }), {dim}, true, sum_of);
  return binary(shifted, total, [&](double a, double b) { return logarithm ? a - std::log(b) : std::exp(a) / b; });
}

namespace {

// Each row of the last dimension through `f`, which gets the row and fills its result.
Array by_row(const Array& x, const std::function<void(const double* row, double* out, Index n)>& f) {
  Array y{x.shape, std::vector<double>(x.values.size())};
  const Index n = x.shape[-1];
  for (std::size_t i = 0; i < x.values.size(); i += at(n)) f(&x.values[i], &y.values[i], n);
  return y;
}

}  // namespace

Array layer_norm(const Array& x, const Array* weight, const Array* bias, double eps) {
  return by_row(x, [&](const double* row, double* out, Index n) {
    const std::vector<double> values(row, row + n);
    const double mean = sum_of(values) / static_cast<double>(n);
    const double deviation = std::sqrt(variance_of(values, 0) + eps);
    for (Index i = 0; i < n; ++i) {
      out[i] = (row[i] - mean) / deviation * (weight == nullptr ? 1 : weight->values[at(i)]) +
               (bias == nullptr ? 0 : bias->values[at(i)]);
    }
  });
}

Array rms_norm(const Array& x, const Array* weight, double eps) {
  return by_row(x, [&](const double* row, double* out, Index n) {
    double squares = 0;
    for (Index i = 0; i < n; ++i) squares += row[i] * row[i];
    const double root = std::sqrt(squares / static_cast<double>(n) + eps);
    for (Index i = 0; i < n; ++i) out[i] = row[i] / root * (weight == nullptr ? 1 : weight->values[at(i)]);
  });
}

Array embedding(const Array& weight, const std::vector<std::int32_t>& ids, const Shape& ids_shape) {
  Array y{ids_shape, {}};
  y.shape.push_back(weight.shape[1]);
  for (const std::int32_t id : ids) {
    for (Index j = 0; j < weight.shape[1]; ++j) y.values.push_back(weight.at({id, j}));
  }
  return y;
}

Array cross_entropy(const Array& logits, const std::vector<std::int32_t>& targets, std::int32_t ignore_index,
                    double label_smoothing) {
  const Array log_p = softmax(logits, logits.shape.rank() - 1, true);
  const auto classes = at(logits.shape[-1]);
  double sum = 0, count = 0;
  for (std::size_t r = 0; r < targets.size(); ++r) {
    if (targets[r] == ignore_index) continue;
    for (std::size_t c = 0; c < classes; ++c) {
      const double wanted =
          (c == at(targets[r]) ? 1 - label_smoothing : 0) + label_smoothing / static_cast<double>(classes);
      if (wanted != 0) sum -= wanted * log_p.values[r * classes + c];
    }
    ++count;
  }
  return {{}, {count == 0 ? 0 : sum / count}};
}

Array attention(const Array& q, const Array& k, const Array& v, bool causal, double scale) {
  const Index T = q.shape[-2], D = q.shape[-1], S = k.shape[-2], E = v.shape[-1];
  Shape shape = q.shape;
  shape.set(-1, E);
  Array y{shape, {}};
  const Index count = shape.numel() / (T * E);
  for (Index b = 0; b < count; ++b) {
    const auto element = [&](const Array& x, Index rows, Index cols, Index i, Index j) {
      return x.values[at((b * rows + i) * cols + j)];
    };
    for (Index t = 0; t < T; ++t) {
      std::vector<double> weights;
      double largest = -INFINITY, total = 0;
      for (Index s = 0; s < S && (!causal || s <= t + (S - T)); ++s) {
        double score = 0;
        for (Index d = 0; d < D; ++d) score += element(q, T, D, t, d) * element(k, S, D, s, d);
        weights.push_back(score * scale);
        largest = std::max(largest, score * scale);
      }
      for (double& weight : weights) total += weight = std::exp(weight - largest);
      for (Index e = 0; e < E; ++e) {
        double sum = 0;
        for (std::size_t s = 0; s < weights.size(); ++s) {
          sum += weights[s] / total * element(v, S, E, static_cast<Index>(s), e);
        }
        y.values.push_back(sum);
      }
    }
  }
  return y;
}

Array packed_attention(const Array& qkv, Index heads, const std::vector<Index>& lengths, bool causal, double scale) {
  const Index C = qkv.shape[1] / 3, size = C / heads;
  Array y{{qkv.shape[0], C}, std::vector<double>(at(qkv.shape[0] * C))};
  Index first = 0;
  for (const Index length : lengths) {
    for (Index head = 0; head < heads && length > 0; ++head) {
      const auto part = [&](Index which) {
        return make({length, size}, [&](const Indices& i) {
          return qkv.at({first + i[0], which * C + head * size + i[1]});
        });
      };
      const Array out = attention(part(0), part(1), part(2), causal, scale);
      for (Index t = 0; t < length; ++t) {
        for (Index j = 0; j < size; ++j) y.values[at((first + t) * C + head * size + j)] = out.at({t, j});
      }
    }
    first += length;
  }
  return y;
}

Array dropout(const Array& x, double p, std::uint32_t seed) {
  std::mt19937 engine(seed);
  const auto high = static_cast<std::uint32_t>(engine()), low = static_cast<std::uint32_t>(engine());
  const auto murmur = [](std::uint32_t h) {  // MurmurHash3's fmix32
    h ^= h >> 16;
    h *= 0x85ebca6bU;
    h ^= h >> 13;
    h *= 0xc2b2ae35U;
    h ^= h >> 16;
    return h;
  };
  std::uint32_t place = 0;
  return map(x, [&](double value) {
    const std::uint32_t number = murmur(murmur(low + place++) ^ high);
    return (number >> 8) / 16777216.0 < p ? 0 : value / (1 - p);
  });
}

}  // namespace reference
}  // namespace gradus::testing
