// Kernels over rows: sums, softmax, norms, cross entropy.
#pragma once

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/kernels/loops.h>
#include <gradus/core/kernels/pointwise.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

template <class T>
T sum(const T* x, Index n) {
  return sum_of<T>(n, [&](Index i, Index m) { return get(x + i, m); });
}

template <class T>
double squared_norm(const T* x, Index n, T factor) {
  return sum_in_blocks<T>(n, [&](Index i, Index m) {
    const Vec<T> v = get(x + i, m) * Vec<T>(factor);
    return v * v;
  });
}

/// The largest of n > 0 numbers. A NaN may be overlooked: exp(x - max) has one all the same. Four maxima side by side:
/// 0.3 ns a vector, where one that looked for NaNs took 3.5.
template <class T>
GRADUS_INLINE T row_max(const T* x, Index n) {
  constexpr Index w = width<T>;
  if (n < w) {
    T best = x[0];
    for (Index i = 1; i < n; ++i) best = x[i] > best ? x[i] : best;
    return best;
  }
  Vec<T> m0 = load(x + n - w), m1 = m0, m2 = m0, m3 = m0;  // may overlap others: a maximum may count twice
  Index i = 0;
  for (; i + 4 * w <= n; i += 4 * w) {
    m0 = xsimd::max(m0, load(x + i));
    m1 = xsimd::max(m1, load(x + i + w));
    m2 = xsimd::max(m2, load(x + i + 2 * w));
    m3 = xsimd::max(m3, load(x + i + 3 * w));
  }
  for (; i + w <= n; i += w) m0 = xsimd::max(m0, load(x + i));
  return largest(xsimd::max(xsimd::max(m0, m1), xsimd::max(m2, m3)));
}

/// y = exp(x - max); returns the sum of y.
template <class T>
GRADUS_INLINE T exp_row(const T* x, T* y, T max, Index n) {
  return sum_of<T>(n, [&](Index i, Index m) {
    prefetch(x + i);
    prefetch_for_writing(y + i);
    const Vec<T> e = exponential_of_negative(get(x + i, m) - Vec<T>(max));
    put(y + i, e, m);
    return keep<T>(e, m);
  });
}

template <class T>
void softmax(const T* x, T* y, Index rows, Index cols) {
  if (cols == 0) return;
  for (; rows > 0; --rows, x += cols, y += cols) scale(y, T(1) / exp_row(x, y, row_max(x, cols), cols), cols);
}

// dx = y (dy - <dy, y>)
template <class T>
void softmax_grad(T* dx, bool adds, const T* dy, const T* y, Index rows, Index cols, bool far) {
  const Output<T> out(dx, far && !adds && cols % width<T> == 0);
  with_constant(adds, [&](auto adding) {
    for (Index r = 0; r < rows; ++r, dy += cols, y += cols) {
      const Vec<T> dot(sum_of<T>(cols, [&](Index i, Index m) { return get(dy + i, m) * get(y + i, m); }));
      each_vector<T>(
          cols, [&](Index i, Index m) { out.add_to(r * cols + i, get(y + i, m) * (get(dy + i, m) - dot), m, adding); });
    }
  });
}

template <class T>
GRADUS_INLINE T log_of(T x) {
  alignas(64) T part[width<T>];
  xsimd::log(Vec<T>(x)).store_aligned(part);
  return part[0];
}

template <class T>
GRADUS_INLINE T sqrt_of(T x) {
  alignas(64) T part[width<T>];
  root(Vec<T>(x)).store_aligned(part);
  return part[0];
}

/// log of the sum of exp(x - max)
template <class T>
GRADUS_INLINE T log_sum_exp(const T* x, T max, Index n) {
  return log_of(
      sum_of<T>(n, [&](Index i, Index m) { return keep<T>(exponential_of_negative(get(x + i, m) - Vec<T>(max)), m); }));
}

template <class T>
void log_softmax(const T* x, T* y, Index rows, Index cols) {
  if (cols == 0) return;
  for (; rows > 0; --rows, x += cols, y += cols) {
    const T max = row_max(x, cols);
    const Vec<T> first(max), second(log_sum_exp(x, max, cols));  // two subtractions keep the digits of x - max
    each_vector<T>(cols, [&](Index i, Index m) { put(y + i, (get(x + i, m) - first) - second, m); });
  }
}

// dx = dy - softmax sum(dy)
template <class T>
void log_softmax_grad(T* dx, bool adds, const T* dy, const T* y, Index rows, Index cols) {
  with_constant(adds, [&](auto adding) {
    for (; rows > 0; --rows, dx += cols, dy += cols, y += cols) {
      const Vec<T> s(sum(dy, cols));
      each_vector<T>(cols, [&](Index i, Index m) {
        add_to(dx + i, get(dy + i, m) - exponential_of_negative(get(y + i, m)) * s, m, adding);
      });
    }
  });
}

// v times, or plus, the n numbers at p, where there are any.
template <class T, bool present>
GRADUS_INLINE Vec<T> times(Vec<T> v, const T* p, Index n, std::bool_constant<present> /*weighted*/) {
  if constexpr (present) {
    return v * get(p, n);
  } else {
    return v;
  }
}
template <class T, bool present>
GRADUS_INLINE Vec<T> plus(Vec<T> v, const T* p, Index n, std::bool_constant<present> /*biased*/) {
  if constexpr (present) {
    return v + get(p, n);
  } else {
    return v;
  }
}

template <class T>
void layer_norm(const T* x, const T* weight, const T* bias, T* y, T* mean, T* rstd, Index rows, Index cols, T eps) {
  for (Index r = 0; r < rows; ++r, x += cols, y += cols) {
    mean[r] = sum(x, cols) / static_cast<T>(cols);
    const Vec<T> mu(mean[r]);
    const T variance = sum_of<T>(cols,
                                 [&](Index i, Index m) {
                                   const Vec<T> centered = keep<T>(get(x + i, m) - mu, m);
                                   return centered * centered;
                                 }) /
                       static_cast<T>(cols);
    rstd[r] = T(1) / sqrt_of(variance + eps);
    const Vec<T> inverse(rstd[r]);
    with_constant(weight != nullptr, [&](auto weighted) {
      with_constant(bias != nullptr, [&](auto biased) {
        each_vector<T>(cols, [&](Index i, Index m) {
          const Vec<T> v = times<T>((get(x + i, m) - mu) * inverse, weight + i, m, weighted);
          put(y + i, plus<T>(v, bias + i, m, biased), m);
        });
      });
    });
  }
}

// With n = (x - mean) rstd and g = dy weight:  dx = rstd (g - mean(g) - n mean(g n)),  dweight = dy n,  dbias = dy.
template <class T, class Adding, class Weighted>
GRADUS_INLINE void layer_norm_grad_rows(T* dx, Adding adding, T* dweight, T* dbias, const T* dy, const T* x,
                                        const T* weight, Weighted weighted, const T* mean, const T* rstd, Index rows,
                                        Index cols) {
  for (Index r = 0; r < rows; ++r, x += cols, dy += cols) {
    const Vec<T> mu(mean[r]), inverse(rstd[r]);
    const auto normal = [&](Index i, Index m) { return (get(x + i, m) - mu) * inverse; };
    // Rounded, so that g - mean(g) is 0 in a row of one number.
    const auto g = [&](Index i, Index m) { return rounded(times<T>(get(dy + i, m), weight + i, m, weighted)); };
    Vec<T> mean_g(0), mean_gn(0);
    if (dx != nullptr) {
      const T n = static_cast<T>(cols);
      const Sums<T> sums = sums_of<T>(cols, [&](Index i, Index m) {
        const Vec<T> v = g(i, m);
        return Pair<T>{v, v * normal(i, m)};
      });
      mean_g = Vec<T>(sums.first / n), mean_gn = Vec<T>(sums.second / n);
    }
    each_vector<T>(cols, [&](Index i, Index m) {
      const Vec<T> n = normal(i, m);
      if (dx != nullptr) add_to(dx + i, inverse * (g(i, m) - mean_g - n * mean_gn), m, adding);
      if (dweight != nullptr) add_to(dweight + i, get(dy + i, m) * n, m);
      if (dbias != nullptr) add_to(dbias + i, get(dy + i, m), m);
    });
    if (dx != nullptr) dx += cols;
  }
}
template <class T>
void layer_norm_grad(T* dx, bool adds, T* dweight, T* dbias, const T* dy, const T* x, const T* weight, const T* mean,
                     const T* rstd, Index rows, Index cols) {
  with_constant(adds, [&](auto adding) {
    with_constant(weight != nullptr, [&](auto weighted) {
      layer_norm_grad_rows(dx, adding, dweight, dbias, dy, x, weight, weighted, mean, rstd, rows, cols);
    });
  });
}

template <class T>
void rms_norm(const T* x, const T* weight, T* y, T* rstd, Index rows, Index cols, T eps) {
  for (Index r = 0; r < rows; ++r, x += cols, y += cols) {
    const T square = sum_of<T>(cols, [&](Index i, Index m) {
      const Vec<T> v = get(x + i, m);
      return v * v;
    });
    rstd[r] = T(1) / sqrt_of(square / static_cast<T>(cols) + eps);
    const Vec<T> inverse(rstd[r]);
    with_constant(weight != nullptr, [&](auto weighted) {
      each_vector<T>(
          cols, [&](Index i, Index m) { put(y + i, times<T>(get(x + i, m) * inverse, weight + i, m, weighted), m); });
    });
  }
}

// With n = x rstd and g = dy weight:  dx = rstd (g - n mean(g n)),  dweight = dy n.
template <class T, class Adding, class Weighted>
GRADUS_INLINE void rms_norm_grad_rows(T* dx, Adding adding, T* dweight, const T* dy, const T* x, const T* weight,
                                      Weighted weighted, const T* rstd, Index rows, Index cols) {
  for (Index r = 0; r < rows; ++r, x += cols, dy += cols) {
    const Vec<T> inverse(rstd[r]);
    const auto g = [&](Index i, Index m) { return times<T>(get(dy + i, m), weight + i, m, weighted); };
    const auto normal = [&](Index i, Index m) { return get(x + i, m) * inverse; };
    Vec<T> mean_gn(0);
    if (dx != nullptr) {
      const T sum = sum_of<T>(cols, [&](Index i, Index m) { return g(i, m) * normal(i, m); });
      mean_gn = Vec<T>(sum / static_cast<T>(cols));
    }
    each_vector<T>(cols, [&](Index i, Index m) {
      const Vec<T> n = normal(i, m);
      if (dx != nullptr) add_to(dx + i, inverse * (g(i, m) - n * mean_gn), m, adding);
      if (dweight != nullptr) add_to(dweight + i, get(dy + i, m) * n, m);
    });
    if (dx != nullptr) dx += cols;
  }
}
template <class T>
void rms_norm_grad(T* dx, bool adds, T* dweight, const T* dy, const T* x, const T* weight, const T* rstd, Index rows,
                   Index cols) {
  with_constant(adds, [&](auto adding) {
    with_constant(weight != nullptr, [&](auto weighted) {
      rms_norm_grad_rows(dx, adding, dweight, dy, x, weight, weighted, rstd, rows, cols);
    });
  });
}

// The row's maximum and the logarithm of its sum stay apart: added up, large logits would swallow the logarithm.
template <class T>
void cross_entropy(const T* x, const std::int32_t* targets, std::int32_t ignore, T smoothing, T* losses, T* max,
                   T* log_sum, Index rows, Index cols) {
  for (Index r = 0; r < rows; ++r, x += cols) {
    losses[r] = max[r] = log_sum[r] = 0;
    if (targets[r] == ignore) continue;
    max[r] = row_max(x, cols);
    log_sum[r] = log_sum_exp(x, max[r], cols);
    losses[r] = (max[r] - x[targets[r]]) + log_sum[r];
    if (smoothing > 0) {
      const T all = (max[r] - sum(x, cols) / static_cast<T>(cols)) + log_sum[r];
      losses[r] = (1 - smoothing) * losses[r] + smoothing * all;
    }
  }
}

// dx = scale (softmax(x) - (1 - smoothing) one_hot(target) - smoothing / cols)
template <class T>
void cross_entropy_grad(T* dx, bool adds, T scale, const T* x, const std::int32_t* targets, std::int32_t ignore,
                        T smoothing, const T* max, const T* log_sum, Index rows, Index cols) {
  const Vec<T> s(scale), share(smoothing / static_cast<T>(cols));
  with_constant(adds, [&](auto adding) {
    for (Index r = 0; r < rows; ++r, x += cols, dx += cols) {
      if (targets[r] == ignore) {
        if (!adds) each_vector<T>(cols, [&](Index i, Index m) { put(dx + i, Vec<T>(0), m); });
        continue;
      }
      const Vec<T> first(max[r]), second(log_sum[r]);
      each_vector<T>(cols, [&](Index i, Index m) {
        add_to(dx + i, s * (exponential_of_negative((get(x + i, m) - first) - second) - share), m, adding);
      });
      dx[targets[r]] -= scale * (1 - smoothing);
    }
  });
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
