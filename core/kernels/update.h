// Adam's step in one pass over parameter, moments and gradient, and the squared norm.
#pragma once

#include <gradus/core/kernels/kernels.h>
#include <gradus/core/kernels/loops.h>
#include <gradus/core/kernels/reduce.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

// Kingma & Ba 2015, algorithm 1; decoupled weight decay after Loshchilov & Hutter 2019, algorithm 2.
template <class T>
void adam(Adam<T> in, AdamCoefficients<T> c) {
  const Vec<T> keep_m(c.keep_m), take_m(c.take_m), keep_v(c.keep_v), take_v(c.take_v);
  const Vec<T> step(c.step_size), correction(c.inv_sqrt_correction), eps(c.eps), decay(c.decay);
  with_constant(c.decoupled, [&](auto decoupled) {
    each_vector<T>(in.n, [&](Index i, Index k) {
      Vec<T> p = get(in.param + i, k), g = get(in.grad + i, k);
      if constexpr (decltype(decoupled)::value) {
        p = p - decay * p;
      } else {
        g = g + decay * p;
      }
      const Vec<T> first = keep_m * get(in.m + i, k) + take_m * g;
      const Vec<T> second = keep_v * get(in.v + i, k) + take_v * (g * g);
      put(in.m + i, first, k);
      put(in.v + i, second, k);
      put(in.param + i, p - quotient(step * first, root(second) * correction + eps), k);
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
