// The optimizers' elementwise step: one pass over parameter, moments and gradient.
#pragma once

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/kernels/loops.h>
#include <gradus/core/kernels/reduce.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

// Kingma & Ba 2015, algorithm 1; decoupled weight decay after Loshchilov & Hutter 2019, algorithm 2.
template <class T>
void adam(T* param, T* m, T* v, const T* grad, Index n, const AdamCoefficients<T>& coefficients) {
  const AdamCoefficients<T> c = coefficients;
  const Vec<T> keep_m(c.keep_m), take_m(c.take_m), keep_v(c.keep_v), take_v(c.take_v);
  const Vec<T> step(c.step_size), correction(c.inv_sqrt_correction), eps(c.eps), decay(c.decay);
  with_constant(c.decoupled, [&](auto decoupled) {
    each_vector<T>(n, [&](Index i, Index k) {
      Vec<T> p = get(param + i, k), g = get(grad + i, k);
      if constexpr (decltype(decoupled)::value) {
        p = p - decay * p;
      } else {
        g = g + decay * p;
      }
      const Vec<T> first = keep_m * get(m + i, k) + take_m * g;
      const Vec<T> second = keep_v * get(v + i, k) + take_v * (g * g);
      put(m + i, first, k);
      put(v + i, second, k);
      put(param + i, p - quotient(step * first, root(second) * correction + eps), k);
    });
  });
}

template <class T>
double squared_norm(const T* x, Index n, T factor) {
  return sum_in_blocks<T>(n, [&](Index i, Index m) {
    const Vec<T> v = get(x + i, m) * Vec<T>(factor);
    return v * v;
  });
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
