// Attention of one head over one document, in blocks of query rows: a block's scores against all keys it may see fit in
// the cache, so nothing of size T x S is ever stored. Forward keeps two numbers per row, the maximum and 1 over the sum
// of exp(score - maximum), from which the gradient recomputes the weights. (Dao et al. 2022, section 3.1, do so from
// one, the maximum plus the logarithm of the sum; but large scores swallow the logarithm.)
#pragma once

#include <limits>

#include <gradus/core/kernels/gemm.h>
#include <gradus/core/kernels/kernels.h>
#include <gradus/core/kernels/loops.h>
#include <gradus/core/kernels/math.h>
#include <gradus/core/kernels/softmax.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

inline constexpr Index query_block = 4 * tile_rows;

template <class T>
GRADUS_INLINE Index round_up(Index n) {
  return vectors_for<T>(n) * width<T>;
}

// Scratch, in this order: packed K^T, V^T, K (or V in the forward pass), one packed block (dO, then Q), scores,
// dscores.
template <class T>
struct AttentionScratch {
  T *keys_t, *values_t, *keys, *block, *scores, *dscores;
  Index row;  // elements between rows of scores
  AttentionScratch(T* p, const Attention<T>& in) : row(round_up<T>(in.S)) {
    keys_t = p;
    values_t = keys_t + in.D * row;
    keys = values_t + in.E * row;
    const Index wide = in.D > in.E ? in.D : in.E;
    block = keys + in.S * round_up<T>(wide);
    scores = block + query_block * round_up<T>(wide);
    dscores = scores + query_block * row;
  }
  Index size(const T* p) const { return static_cast<Index>(dscores - p) + query_block * row; }
};

template <class T>
Index attention_scratch(const Attention<T>& in) {
  alignas(64) T origin[1] = {};
  return AttentionScratch<T>(origin, in).size(origin);
}

// How many keys the query rows before `end` may see: all, or with `causal` those up to the row's own place, counted
// so that the last query sees the last key.
template <class T>
GRADUS_INLINE Index visible(const Attention<T>& in, Index end) {
  if (!in.causal) return in.S;
  const Index keys = end + in.S - in.T_;
  return keys < 0 ? 0 : keys;
}

// As many columns of a packed K^T or V^T as hold the first `seen` keys: a panel is read as wide as it was packed.
template <class T>
GRADUS_INLINE Index whole_panels(const Attention<T>& in, Index seen) {
  const Index columns = (seen + panel<T> - 1) / panel<T> * panel<T>;
  return at_most(columns, in.S);
}

// K^T times the scale, so that scores come out scaled: both passes see the same bits, and none exceeds its row's
// maximum, however large they are.
template <class T>
GRADUS_INLINE void pack_scaled_keys(const AttentionScratch<T>& s, const Attention<T>& in) {
  pack_b(s.keys_t, Factor<T>{in.k, 1, in.k_stride}, in.D, in.S);
  scale(s.keys_t, in.scale, in.D * s.row);
}

// If a document is no longer than a vector, as a name is, each lane holds one query: the scores of a key are one
// vector, and softmax needs no sums across lanes. The packed product would spend its time on packing and on partial
// tiles.
template <class T>
GRADUS_INLINE bool is_short(const Attention<T>& in) {
  return in.S <= width<T> && in.T_ <= in.S && in.T_ > 0;
}

// sums[c] = sum over r < rows of x[r] * factors[r * stride + c]
template <class T>
GRADUS_INLINE void combine(T* sums, const Vec<T>* x, const T* factors, Index stride, Index rows, Index cols) {
  for (Index c = 0; c < cols; ++c) {
    Vec<T> sum(0);
    for (Index r = 0; r < rows; ++r) sum = multiply_add(x[r], Vec<T>(factors[r * stride + c]), sum);
    store(sums + c * width<T>, sum);
  }
}

// The inner products of one row with every lane's column.
template <class T>
GRADUS_INLINE Vec<T> against(const T* row, const T* columns, Index n) {
  Vec<T> sum(0);
  for (Index i = 0; i < n; ++i) sum = multiply_add(Vec<T>(row[i]), load(columns + i * width<T>), sum);
  return sum;
}

// The lanes whose queries may see key j.
template <class T>
GRADUS_INLINE Mask<T> sees(const Attention<T>& in, Index j) {
  alignas(64) T place[width<T>];
  for (Index i = 0; i < width<T>; ++i) place[i] = static_cast<T>(i);
  return Vec<T>::load_aligned(place) >= Vec<T>(in.causal ? static_cast<T>(j - (in.S - in.T_)) : T(0));
}

template <class T>
void short_attention(const Attention<T>& in, const AttentionResult<T>& to, T* queries_t, T* out_t) {
  constexpr Index w = width<T>;
  transpose_block(queries_t, w, w, in.q, in.q_stride, in.T_, in.D);
  scale(queries_t, in.scale, in.D * w);
  Vec<T> weights[w];
  Vec<T> max(-std::numeric_limits<T>::infinity()), sum(0);
  for (Index j = 0; j < in.S; ++j) {
    weights[j] = against(in.k + j * in.k_stride, queries_t, in.D);
    max = xsimd::select(sees(in, j), xsimd::max(weights[j], max), max);
  }
  for (Index j = 0; j < in.S; ++j) {
    weights[j] = xsimd::select(sees(in, j), exponential_of_negative(weights[j] - max), Vec<T>(0));
    sum += weights[j];
  }
  const Vec<T> share = quotient(Vec<T>(1), sum);
  for (Index j = 0; j < in.S; ++j) weights[j] *= share;
  put(to.max, max, in.T_);
  put(to.share, share, in.T_);
  combine(out_t, weights, in.v, in.v_stride, in.S, in.E);
  transpose_block(to.out, in.out_stride, in.E, out_t, w, in.E, in.T_);
}

// to (rows, cols) = or += the transpose of columns (cols, a vector wide).
template <class T>
GRADUS_INLINE void put_transposed(T* to, Index to_row, Index cols, const T* columns, Index rows, bool adds) {
  with_constant(adds, [&](auto adding) { transpose_block(to, to_row, cols, columns, width<T>, cols, rows, adding); });
}

template <class T>
void short_attention_grad(const Attention<T>& in, const AttentionGrad<T>& grad, T* queries_t, T* dout_t, T* result_t) {
  constexpr Index w = width<T>;
  transpose_block(queries_t, w, w, in.q, in.q_stride, in.T_, in.D);
  scale(queries_t, in.scale, in.D * w);
  transpose_block(dout_t, w, w, grad.dout, in.out_stride, in.T_, in.E);
  const Vec<T> max = get(grad.max, in.T_), share = get(grad.share, in.T_), factor(in.scale);
  Vec<T> weights[w], dscores[w];
  Vec<T> delta(0);
  for (Index j = 0; j < in.S; ++j) {
    const Vec<T> score = against(in.k + j * in.k_stride, queries_t, in.D);
    weights[j] = xsimd::select(sees(in, j), exponential_of_negative(score - max) * share, Vec<T>(0));
    dscores[j] = against(in.v + j * in.v_stride, dout_t, in.E);
    delta = multiply_add(weights[j], dscores[j], delta);
  }
  for (Index j = 0; j < in.S; ++j) dscores[j] = weights[j] * (dscores[j] - delta) * factor;
  if (grad.dq != nullptr) {
    combine(result_t, dscores, in.k, in.k_stride, in.S, in.D);
    put_transposed(grad.dq, in.q_stride, in.D, result_t, in.T_, grad.adds_q);
  }
  if (grad.dk == nullptr && grad.dv == nullptr) return;
  for (Index j = in.S; j < w; ++j) weights[j] = dscores[j] = Vec<T>(0);
  transpose_square(weights);
  transpose_square(dscores);
  if (grad.dk != nullptr) {
    combine(result_t, dscores, in.q, in.q_stride, in.T_, in.D);
    put_transposed(grad.dk, in.k_stride, in.D, result_t, in.S, grad.adds_k);
  }
  if (grad.dv != nullptr) {
    combine(result_t, weights, grad.dout, in.out_stride, in.T_, in.E);
    put_transposed(grad.dv, in.v_stride, in.E, result_t, in.S, grad.adds_v);
  }
}

template <class T>
void attention(const Attention<T>& in, const AttentionResult<T>& to, T* scratch) {
  const AttentionScratch<T> s(scratch, in);
  if (is_short(in)) {
    short_attention(in, to, s.keys_t, s.block);
    return;
  }
  pack_scaled_keys(s, in);
  pack_b(s.keys, Factor<T>{in.v, in.v_stride, 1}, in.S, in.E);
  // Panels of V hold all S keys of a few columns; a block that sees fewer keys reads the first rows of each panel.
  for (Index begin = 0; begin < in.T_; begin += query_block) {
    const Index end = at_most(begin + query_block, in.T_);
    const Index seen = visible(in, end);
    // Scaling the output by a row's share costs less than scaling the weights. The unscaled sum overflows if values
    // exceed the largest number divided by the count of keys.
    product_of_packed(s.scores, s.row, Factor<T>{in.q + begin * in.q_stride, in.q_stride, 1}, s.keys_t, end - begin,
                      whole_panels(in, seen), in.D, false);
    for (Index t = begin; t < end; ++t) {
      T* const row = s.scores + (t - begin) * s.row;
      const Index keys = visible(in, t + 1);
      for (Index j = keys; j < seen; ++j) row[j] = 0;
      to.max[t] = 0, to.share[t] = 1;
      if (keys == 0) continue;  // a query before the first key: attends to nothing, its output is 0
      to.max[t] = row_max(row, keys);
      to.share[t] = T(1) / exp_row(row, row, to.max[t], keys);
    }
    const T* packed = s.keys;
    for (Index j = 0; j < in.E; j += panel<T>) {
      const Index cols = at_most(in.E - j, panel<T>);
      product_of_packed(to.out + begin * in.out_stride + j, in.out_stride, Factor<T>{s.scores, s.row, 1}, packed,
                        end - begin, cols, seen, false);
      packed += in.S * round_up<T>(cols);
    }
    for (Index t = begin; t < end; ++t) scale(to.out + t * in.out_stride, to.share[t], in.E);
  }
}

template <class T>
GRADUS_INLINE void clear(T* p, Index stride, Index rows, Index cols) {
  for (; rows > 0; --rows, p += stride) each_vector<T>(cols, [&](Index i, Index m) { put(p + i, Vec<T>(0), m); });
}

// With P the weights, dP = dO V^T and delta = rowsum(P dP):  dS = P (dP - delta) scale,
// dQ = dS K,  dK = dS^T Q,  dV = P^T dO. (rowsum(dO O) is delta too, but rounds in another way, and a row with one
// weight of 1 would have a gradient that is not 0.)
template <class T>
void attention_grad(const Attention<T>& in, const AttentionGrad<T>& grad, T* scratch) {
  const AttentionScratch<T> s(scratch, in);
  if (is_short(in)) {
    short_attention_grad(in, grad, s.keys_t, s.values_t, s.block);
    return;
  }
  pack_scaled_keys(s, in);
  pack_b(s.values_t, Factor<T>{in.v, 1, in.v_stride}, in.E, in.S);
  if (grad.dq != nullptr) pack_b(s.keys, Factor<T>{in.k, in.k_stride, 1}, in.S, in.D);
  if (grad.dk != nullptr && !grad.adds_k) clear(grad.dk, in.k_stride, in.S, in.D);
  if (grad.dv != nullptr && !grad.adds_v) clear(grad.dv, in.v_stride, in.S, in.E);
  for (Index begin = 0; begin < in.T_; begin += query_block) {
    const Index end = at_most(begin + query_block, in.T_), rows = end - begin;
    const Index seen = visible(in, end);
    const Factor<T> q{in.q + begin * in.q_stride, in.q_stride, 1};
    const Factor<T> dout{grad.dout + begin * in.out_stride, in.out_stride, 1};
    product_of_packed(s.scores, s.row, q, s.keys_t, rows, whole_panels(in, seen), in.D, false);
    product_of_packed(s.dscores, s.row, dout, s.values_t, rows, whole_panels(in, seen), in.E, false);
    for (Index t = begin; t < end; ++t) {
      T* const p = s.scores + (t - begin) * s.row;
      T* const ds = s.dscores + (t - begin) * s.row;
      const Index keys = visible(in, t + 1);
      for (Index j = keys; j < seen; ++j) p[j] = ds[j] = 0;
      const Vec<T> max(grad.max[t]), share(grad.share[t]), factor(in.scale);
      const Vec<T> delta(sum_of<T>(keys, [&](Index i, Index m) {
        const Vec<T> weight = exponential_of_negative(get(p + i, m) - max) * share;
        put(p + i, weight, m);
        return keep<T>(weight * get(ds + i, m), m);
      }));
      each_vector<T>(keys,
                     [&](Index i, Index m) { put(ds + i, get(p + i, m) * (get(ds + i, m) - delta) * factor, m); });
    }
    if (grad.dv != nullptr) {
      pack_b(s.block, dout, rows, in.E);
      product_of_packed(grad.dv, in.v_stride, Factor<T>{s.scores, 1, s.row}, s.block, seen, in.E, rows, true);
    }
    if (grad.dk != nullptr) {
      pack_b(s.block, q, rows, in.D);
      product_of_packed(grad.dk, in.k_stride, Factor<T>{s.dscores, 1, s.row}, s.block, seen, in.D, rows, true);
    }
    if (grad.dq == nullptr) continue;
    const T* packed = s.keys;
    for (Index j = 0; j < in.D; j += panel<T>) {
      const Index cols = at_most(in.D - j, panel<T>);
      product_of_packed(grad.dq + begin * in.q_stride + j, in.q_stride, Factor<T>{s.dscores, s.row, 1}, packed, rows,
                        cols, seen, grad.adds_q);
      packed += in.S * round_up<T>(cols);
    }
  }
}

}  // namespace gradus::kernels::GRADUS_ISA_NAME
