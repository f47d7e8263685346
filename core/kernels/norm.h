// layer_norm and rms_norm, row by row.
#pragma once

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/kernels/loops.h>
#include <gradus/core/kernels/reduce.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

/// sqrt(x) by the vectors' routine, so that the bits are theirs.
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
void layer_norm(LayerNorm<T> in) {
  const T n = static_cast<T>(in.cols);
  for (Index r = 0; r < in.rows; ++r, in.x += in.cols, in.y += in.cols) {
    const T mean = sum(in.x, in.cols) / n;
    const Vec<T> mu(mean);
    const T square = sum_of<T>(in.cols, [&](Index i, Index m) {
      const Vec<T> centered = keep<T>(get(in.x + i, m) - mu, m);
      return centered * centered;
    });
    const T rstd = T(1) / scalar_root(square / n + in.eps);
    in.mean[r] = mean, in.rstd[r] = rstd;
    const Vec<T> inverse(rstd);
    with_constant(in.weight != nullptr, [&](auto weighted) {
      with_constant(in.bias != nullptr, [&](auto biased) {
        each_vector<T>(in.cols, [&](Index i, Index m) {
          const Vec<T> v = times<T>((get(in.x + i, m) - mu) * inverse, in.weight + i, m, weighted);
          put(in.y + i, plus<T>(v, in.bias + i, m, biased), m);
        });
      });
    });
  }
}

// Arguments that loops read lie in locals: a store of a vector may, for all the compiler knows, change a struct.
// With n = (x - mean) rstd and g = dy weight:  dx = rstd (g - mean(g) - n mean(g n)),  dweight = dy n,  dbias = dy.
template <class T, class Adding, class Weighted>
GRADUS_INLINE void layer_norm_grad_rows(LayerNormGrad<T> in, Adding adding, Weighted weighted) {
  const T *dy = in.dy, *x = in.x;
  const T *const weight = in.weight, *const mean = in.mean, *const rstd = in.rstd;
  T *dx = in.dx, *const dweight = in.dweight, *const dbias = in.dbias;
  const Index rows = in.rows, cols = in.cols;
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
      if (dx != nullptr) add_to(dx + i, inverse * subtract_product(g(i, m) - mean_g, n, mean_gn), m, adding);
      if (dweight != nullptr) {
        put(dweight + i, multiply_add(get(dy + i, m), n, get(dweight + i, m)), m);
      }
      if (dbias != nullptr) add_to(dbias + i, get(dy + i, m), m);
    });
    if (dx != nullptr) dx += cols;
  }
}
template <class T>
void layer_norm_grad(LayerNormGrad<T> in) {
  with_constant(in.adds, [&](auto adding) {
    with_constant(in.weight != nullptr, [&](auto weighted) { layer_norm_grad_rows(in, adding, weighted); });
  });
}

template <class T>
void rms_norm(RmsNorm<T> in) {
  for (Index r = 0; r < in.rows; ++r, in.x += in.cols, in.y += in.cols) {
    const T square = sum_of<T>(in.cols, [&](Index i, Index m) {
      const Vec<T> v = get(in.x + i, m);
      return v * v;
    });
    in.rstd[r] = T(1) / scalar_root(square / static_cast<T>(in.cols) + in.eps);
    const Vec<T> inverse(in.rstd[r]);
    with_constant(in.weight != nullptr, [&](auto weighted) {
      each_vector<T>(in.cols, [&](Index i, Index m) {
        put(in.y + i, times<T>(get(in.x + i, m) * inverse, in.weight + i, m, weighted), m);
      });
    });
  }
}

// With n = x rstd and g = dy weight:  dx = rstd (g - n mean(g n)),  dweight = dy n.
template <class T, class Adding, class Weighted>
GRADUS_INLINE void rms_norm_grad_rows(RmsNormGrad<T> in, Adding adding, Weighted weighted) {
  const T *dy = in.dy, *x = in.x;
  const T *const weight = in.weight, *const rstd = in.rstd;
  T *dx = in.dx, *const dweight = in.dweight;
  const Index rows = in.rows, cols = in.cols;
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
void rms_norm_grad(RmsNormGrad<T> in) {
  with_constant(in.adds, [&](auto adding) {
    with_constant(in.weight != nullptr, [&](auto weighted) { rms_norm_grad_rows(in, adding, weighted); });
  });
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
