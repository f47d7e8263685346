// Attention over separate q, k and v with any leading dimensions, and over the packed output of a joint projection.
// Both hand every (document, head) pair to the same kernel; pairs share nothing, so they run side by side.
#include <algorithm>
#include <cmath>

#include <gradus/core/ops/detail/common.h>

namespace gradus {
namespace {

template <class T>
T scale_of(const AttentionOptions& options, Index head_size) {
  return static_cast<T>(options.scale != 0 ? options.scale : 1 / std::sqrt(static_cast<double>(head_size)));
}

// Pairs of the same few sizes, cut into ranges of some 10 us of work.
Index pair_grain(Index work) {
  return std::max<Index>(1, 200'000 / std::max<Index>(1, work));
}

struct Batch {
  Index count, T_, S, D, E;
  AttentionOptions options;

  template <class T>
  kernels::Attention<T> pair(Index i, const T* q, const T* k, const T* v) const {
    return {q + i * T_ * D,          k + i * S * D, v + i * S * E, D, D, E, E, T_, S, D, E,
            scale_of<T>(options, D), options.causal};
  }
  Index grain() const { return pair_grain(saturating_product({T_, S, D + E})); }
};

struct Packed {
  Index heads, head_size;
  std::vector<Index, PoolAllocator<Index>> starts;  // of the documents, and the end of the last
  AttentionOptions options;

  Index documents() const { return static_cast<Index>(starts.size()) - 1; }
  Index width() const { return heads * head_size; }
  Index longest() const {
    Index most = 0;
    for (std::size_t i = 0; i + 1 < starts.size(); ++i) most = std::max(most, starts[i + 1] - starts[i]);
    return most;
  }
  Index grain() const {
    const Index length = starts.back() / std::max<Index>(1, documents());
    return pair_grain(saturating_product({2, length, length, head_size}));
  }

  // Pair i: head i % heads of document i / heads; `at` is where its rows of q, and of the result, start.
  struct Place {
    Index qkv, out, row, length;
  };
  Place place(Index i) const {
    const auto document = static_cast<std::size_t>(i / heads);
    const Index head = i % heads, start = starts[document];
    return {start * 3 * width() + head * head_size, start * width() + head * head_size,
            start * heads + head * (starts[document + 1] - start), starts[document + 1] - start};
  }
  template <class T>
  kernels::Attention<T> pair(const Place& at, const T* qkv) const {
    const T* const q = qkv + at.qkv;
    return {q,
            q + width(),
            q + 2 * width(),
            3 * width(),
            3 * width(),
            3 * width(),
            width(),
            at.length,
            at.length,
            head_size,
            head_size,
            scale_of<T>(options, head_size),
            options.causal};
  }
};

}  // namespace

Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v, AttentionOptions options) {
  check_defined("scaled_dot_product_attention", {q, k, v});
  check_same_dtype("scaled_dot_product_attention", q, {k, v});
  const bool fits = q.rank() >= 2 && k.rank() == q.rank() && v.rank() == q.rank() && q.size(-1) == k.size(-1) &&
                    k.size(-2) == v.size(-2) && std::equal(q.shape().begin(), q.shape().end() - 2, k.shape().begin()) &&
                    std::equal(q.shape().begin(), q.shape().end() - 2, v.shape().begin());
  check(fits,
        "scaled_dot_product_attention: q {}, k {} and v {} do not fit; they must be (.., T, D), (.., S, D) and "
        "(.., S, E) with equal leading dimensions",
        q.shape(), k.shape(), v.shape());
  check(q.size(-1) > 0, "scaled_dot_product_attention: q {} and k {} have rows of 0 numbers; they need at least 1",
        q.shape(), k.shape());
  const Index queries = q.size(-2), keys = k.size(-2), D = q.size(-1), E = v.size(-1);
  Index count = 1;
  for (Index d = 0; d + 2 < q.rank(); ++d) count *= q.size(d);
  const Batch batch{count, queries, keys, D, E, options};
  Shape shape = q.shape();
  shape.set(-1, E);
  Tensor y = Tensor::empty(shape, q.dtype());
  const Buffer max(count * queries, q.dtype()), share(count * queries, q.dtype());
  dispatch(q.dtype(), [&]<class T>() {
    const T *const pq = q.node().values<T>(), *const pk = k.node().values<T>(), *const pv = v.node().values<T>();
    T* const out = y.node().values<T>();
    const Index size = count == 0 ? 0 : kernels::kernels<T>().attention_scratch(batch.pair(0, pq, pk, pv));
    parallel_for_scratch<T>(count, batch.grain(), size, [&](Index begin, Index end, T* scratch) {
      for (Index i = begin; i < end; ++i) {
        kernels::kernels<T>().attention(batch.pair(i, pq, pk, pv), out + i * queries * E, max.as<T>() + i * queries,
                                        share.as<T>() + i * queries, scratch);
      }
    });
  });
  return record("scaled_dot_product_attention", y, {q, k, v}, [batch, max, share](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const T *const pq = in[0].values<T>(), *const pk = in[1].values<T>(), *const pv = in[2].values<T>();
      const GradShare<T> dq = in[0].grad_share<T>(), dk = in[1].grad_share<T>(), dv = in[2].grad_share<T>();
      const Index size = batch.count == 0 ? 0 : kernels::kernels<T>().attention_scratch(batch.pair(0, pq, pk, pv));
      parallel_for_scratch<T>(batch.count, batch.grain(), size, [&](Index begin, Index end, T* scratch) {
        for (Index i = begin; i < end; ++i) {
          const Index o = i * batch.T_ * batch.E;
          kernels::kernels<T>().attention_grad(
              batch.pair(i, pq, pk, pv),
              {out.grad_or_null<T>() + o, max.as<T>() + i * batch.T_, share.as<T>() + i * batch.T_,
               (dq + i * batch.T_ * batch.D).p, (dk + i * batch.S * batch.D).p, (dv + i * batch.S * batch.E).p, dq.adds,
               dk.adds, dv.adds},
              scratch);
        }
      });
    });
  });
}

Tensor packed_attention(const Tensor& qkv, Index heads, std::span<const Index> lengths, AttentionOptions options) {
  check_defined("packed_attention", {qkv});
  check(qkv.rank() == 2 && heads >= 1 && qkv.size(1) > 0 && qkv.size(1) % 3 == 0 && qkv.size(1) / 3 % heads == 0,
        "packed_attention: qkv {} must be (tokens, 3 x width) with the width a multiple of {} heads", qkv.shape(),
        heads);
  const Index width = qkv.size(1) / 3;
  Packed packed{heads, width / heads, {0}, options};
  packed.starts.reserve(lengths.size() + 1);
  for (const Index length : lengths) {
    check(length >= 0, "packed_attention: a document of length {}; lengths must be at least 0", length);
    Index end = 0;
    check(!__builtin_add_overflow(packed.starts.back(), length, &end),
          "packed_attention: the lengths add up to more than fits in 63 bits; qkv {} has {} rows", qkv.shape(),
          qkv.size(0));
    packed.starts.push_back(end);
  }
  check(packed.starts.back() == qkv.size(0), "packed_attention: the lengths add up to {} but qkv {} has {} rows",
        packed.starts.back(), qkv.shape(), qkv.size(0));
  Tensor y = Tensor::empty({qkv.size(0), width}, qkv.dtype());
  const Buffer max(qkv.size(0) * heads, qkv.dtype()), share(qkv.size(0) * heads, qkv.dtype());
  dispatch(qkv.dtype(), [&]<class T>() {
    const T* const p = qkv.node().values<T>();
    T* const out = y.node().values<T>();
    const Index size = kernels::kernels<T>().attention_scratch(packed.pair<T>({0, 0, 0, packed.longest()}, p));
    parallel_for_scratch<T>(packed.documents() * heads, packed.grain(), size, [&](Index begin, Index end, T* scratch) {
      for (Index i = begin; i < end; ++i) {
        const auto at = packed.place(i);
        kernels::kernels<T>().attention(packed.pair(at, p), out + at.out, max.as<T>() + at.row, share.as<T>() + at.row,
                                        scratch);
      }
    });
  });
  return record("packed_attention", y, {qkv}, [packed = std::move(packed), max, share](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const T* const p = in[0].values<T>();
      const auto [dp, adds] = in[0].grad_share<T>();
      const Index size = kernels::kernels<T>().attention_scratch(packed.pair<T>({0, 0, 0, packed.longest()}, p));
      parallel_for_scratch<T>(packed.documents() * packed.heads, packed.grain(), size,
                              [&, dp = dp, adds = adds](Index begin, Index end, T* scratch) {
                                for (Index i = begin; i < end; ++i) {
                                  const auto at = packed.place(i);
                                  T* const dq = dp + at.qkv;
                                  kernels::kernels<T>().attention_grad(
                                      packed.pair(at, p),
                                      {out.grad_or_null<T>() + at.out, max.as<T>() + at.row, share.as<T>() + at.row, dq,
                                       dq + packed.width(), dq + 2 * packed.width(), adds, adds, adds},
                                      scratch);
                                }
                              });
    });
  });
}

}  // namespace gradus
