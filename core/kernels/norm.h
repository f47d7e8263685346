// layer_norm and rms_norm, row by row.
#pragma once

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/kernels/loops.h>
#include <gradus/core/kernels/reduce.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

/// The vectors' square root of one number.
template <class T>
GRADUS_INLINE T scalar_root(T x) {
  alignas(64) T part[width<T>];
  root(Vec<T>(x)).store_aligned(part);
  return part[0];
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
    rstd[r] = T(1) / scalar_root(variance + eps);
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
    rstd[r] = T(1) / scalar_root(square / static_cast<T>(cols) + eps);
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

}  // namespace gradus::kernels::GRADUS_ISA_NAME
