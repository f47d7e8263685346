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

// What belongs to queries, keys and values: their numbers, or their gradients.
template <class Part>
struct Qkv {
  Part q, k, v;
};

// All (document, head) pairs. The heads of a token lie side by side in its row; q, k and v may be parts of one row.
// Plain attention has documents of one head, as long as each other.
struct Pairs {
  Index heads, D, E;  // size of a query and of a value
  Index q_stride, k_stride, v_stride;
  AttentionOptions options;
  Index documents, longest_T, longest_S;
  // Where the documents of packed attention start, and the end of the last; empty where all are equally long.
  std::vector<Index, PoolAllocator<Index>> starts;

  Index count() const { return documents * heads; }
  Index out_stride() const { return heads * E; }

  // Pair i is head i % heads of document i / heads.
  struct Place {
    Index q, k, v, out, row;  // where its rows start; `row` in max and share
    Index T_, S;
  };
  Place place(Index i) const {
    const Index document = i / heads, head = i % heads;
    Index query = document * longest_T, key = document * longest_S, queries = longest_T, keys = longest_S;
    if (!starts.empty()) {
      query = key = starts[static_cast<std::size_t>(document)];
      queries = keys = starts[static_cast<std::size_t>(document) + 1] - query;
    }
    return {.q = query * q_stride + head * D,
            .k = key * k_stride + head * D,
            .v = key * v_stride + head * E,
            .out = query * out_stride() + head * E,
            .row = query * heads + head * queries,
            .T_ = queries,
            .S = keys};
  }

  template <class T>
  kernels::Attention<T> at(const Place& place, Qkv<const T*> from) const {
    return {.q = from.q + place.q,
            .k = from.k + place.k,
            .v = from.v + place.v,
            .q_stride = q_stride,
            .k_stride = k_stride,
            .v_stride = v_stride,
            .out_stride = out_stride(),
            .T_ = place.T_,
            .S = place.S,
            .D = D,
            .E = E,
            .scale = scale_of<T>(options, D),
            .causal = options.causal};
  }

  // Calls f(place, scratch for the kernel) for every pair; pairs share nothing, so they run side by side.
  template <class T, class F>
  void each(const F& f) const {
    if (count() == 0) return;
    const Place longest{.q = 0, .k = 0, .v = 0, .out = 0, .row = 0, .T_ = longest_T, .S = longest_S};
    const Index size = kernels::kernels<T>().attention_scratch(at<T>(longest, {nullptr, nullptr, nullptr}));
    const Index queries = starts.empty() ? longest_T : starts.back() / documents;
    const Index keys = starts.empty() ? longest_S : queries;
    const Index grain = pair_grain(saturating_product({queries, keys, D + E}));
    parallel_for_scratch<T>(count(), grain, size, [&](Index begin, Index end, T* scratch) {
      for (Index i = begin; i < end; ++i) f(place(i), scratch);
    });
  }

  template <class T>
  void forward(Qkv<const T*> from, T* out, const Buffer& max, const Buffer& share) const {
    each<T>([&](const Place& p, T* scratch) {
      kernels::kernels<T>().attention(
          at(p, from), {.out = out + p.out, .max = max.as<T>() + p.row, .share = share.as<T>() + p.row}, scratch);
    });
  }
  template <class T>
  void backward(Qkv<const T*> from, const T* dout, const Buffer& max, const Buffer& share, Qkv<GradShare<T>> to) const {
    each<T>([&](const Place& p, T* scratch) {
      kernels::kernels<T>().attention_grad(at(p, from),
                                           {.dout = dout + p.out,
                                            .max = max.as<T>() + p.row,
                                            .share = share.as<T>() + p.row,
                                            .dq = (to.q + p.q).p,
                                            .dk = (to.k + p.k).p,
                                            .dv = (to.v + p.v).p,
                                            .adds_q = to.q.adds,
                                            .adds_k = to.k.adds,
                                            .adds_v = to.v.adds},
                                           scratch);
    });
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
  const Index queries = q.size(-2), D = q.size(-1), E = v.size(-1);
  Shape shape = q.shape();
  shape.set(-1, E);
  Index count = 1;
  for (Index d = 0; d + 2 < q.rank(); ++d) count *= q.size(d);
  Pairs pairs{.heads = 1,
              .D = D,
              .E = E,
              .q_stride = D,
              .k_stride = D,
              .v_stride = E,
              .options = options,
              .documents = count,
              .longest_T = queries,
              .longest_S = k.size(-2),
              .starts = {}};
  Tensor y = Tensor::empty(shape, q.dtype());
  const Buffer max(count * queries, q.dtype()), share(count * queries, q.dtype());
  dispatch(q.dtype(), [&]<class T>() {
    pairs.forward<T>({.q = q.node().values<T>(), .k = k.node().values<T>(), .v = v.node().values<T>()},
                     y.node().values<T>(), max, share);
  });
  return record("scaled_dot_product_attention", y, {q, k, v},
                [pairs = std::move(pairs), max, share](const Node& out, Inputs in) {
                  dispatch(out.dtype, [&]<class T>() {
                    const Qkv<const T*> from{.q = in[0].values<T>(), .k = in[1].values<T>(), .v = in[2].values<T>()};
                    const Qkv<GradShare<T>> to{
                        .q = in[0].grad_share<T>(), .k = in[1].grad_share<T>(), .v = in[2].grad_share<T>()};
                    pairs.backward<T>(from, out.grad_or_null<T>(), max, share, to);
                  });
                });
}

Tensor packed_attention(const Tensor& qkv, Index heads, std::span<const Index> lengths, AttentionOptions options) {
  check_defined("packed_attention", {qkv});
  check(qkv.rank() == 2 && heads >= 1 && qkv.size(1) > 0 && qkv.size(1) % 3 == 0 && qkv.size(1) / 3 % heads == 0,
        "packed_attention: qkv {} must be (tokens, 3 x width) with the width a multiple of {} heads", qkv.shape(),
        heads);
  const Index width = qkv.size(1) / 3, D = width / heads;
  Pairs pairs{.heads = heads,
              .D = D,
              .E = D,
              .q_stride = 3 * width,
              .k_stride = 3 * width,
              .v_stride = 3 * width,
              .options = options,
              .documents = static_cast<Index>(lengths.size()),
              .longest_T = 0,
              .longest_S = 0,
              .starts = {0}};
  pairs.starts.reserve(lengths.size() + 1);
  for (const Index length : lengths) {
    check(length >= 0, "packed_attention: a document of length {}; lengths must be at least 0", length);
    Index end = 0;
    check(!__builtin_add_overflow(pairs.starts.back(), length, &end),
          "packed_attention: the lengths add up to more than fits in 63 bits; qkv {} has {} rows", qkv.shape(),
          qkv.size(0));
    pairs.starts.push_back(end);
    pairs.longest_T = pairs.longest_S = std::max(pairs.longest_T, length);
  }
  check(pairs.starts.back() == qkv.size(0), "packed_attention: the lengths add up to {} but qkv {} has {} rows",
        pairs.starts.back(), qkv.shape(), qkv.size(0));
  Tensor y = Tensor::empty({qkv.size(0), width}, qkv.dtype());
  const Buffer max(qkv.size(0) * heads, qkv.dtype()), share(qkv.size(0) * heads, qkv.dtype());
  dispatch(qkv.dtype(), [&]<class T>() {
    const T* const q = qkv.node().values<T>();
    pairs.forward<T>({.q = q, .k = q + width, .v = q + 2 * width}, y.node().values<T>(), max, share);
  });
  return record("packed_attention", y, {qkv},
                [pairs = std::move(pairs), width, max, share](const Node& out, Inputs in) {
                  dispatch(out.dtype, [&]<class T>() {
                    const T* const q = in[0].values<T>();
                    const GradShare<T> dq = in[0].grad_share<T>();
                    pairs.backward<T>({.q = q, .k = q + width, .v = q + 2 * width}, out.grad_or_null<T>(), max, share,
                                      {.q = dq, .k = dq + width, .v = dq + 2 * width});
                  });
                });
}

}  // namespace gradus
