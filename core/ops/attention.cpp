// Attention over separate q, k and v with any leading dimensions, and over the packed output of a joint projection.
// Both hand every (document, head) pair to the same kernel; pairs share nothing, so they run side by side. Masks,
// biases and dropout act on weights that the kernel never stores: with these, the steps are ops of their own.
#include <algorithm>
#include <cmath>
#include <limits>

#include <gradus/core/ops/detail/common.h>
#include <gradus/core/ops/detail/rules.h>

namespace gradus {
namespace {

double scale_of(const AttentionOptions& options, Index head_size) {
  return options.scale != 0 ? options.scale : 1 / std::sqrt(static_cast<double>(head_size));
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
  double scale;
  bool causal;
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
            .scale = static_cast<T>(scale),
            .causal = causal};
  }

  // Of the forward: a product of a query with each key that it sees, and of the weights with the values. The backward
  // has twice as many.
  double flops() const {
    double seen = 0;
    for (Index i = 0; i < count(); i += heads) {
      const auto [queries, keys] = std::pair(static_cast<double>(place(i).T_), static_cast<double>(place(i).S));
      const double later = std::min(queries, keys);  // the last so many queries see all keys, all but one, ..
      seen += causal ? later * keys - later * (later - 1) / 2 : queries * keys;
    }
    return 2 * seen * static_cast<double>(heads * (D + E));
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

bool needs_weights(const AttentionOptions& options) {
  return options.dropout_p != 0 || options.attn_mask.defined() || options.attn_bias.defined();
}

void check_broadcasts(const char* name, const Tensor& mask, const Shape& scores) {
  bool fits = mask.rank() <= scores.rank();
  for (Index d = 1; fits && d <= mask.rank(); ++d) fits = mask.size(-d) == scores[-d] || mask.size(-d) == 1;
  check(fits,
        "scaled_dot_product_attention: {} {} must broadcast to the scores {}: counted from the end, its sizes must be "
        "equal or 1",
        name, mask.shape(), scores);
}

// 1 where the query must not see the key, because it comes later.
Tensor later_keys(const Tensor& q, const Tensor& k) {
  const Index queries = q.size(-2), keys = k.size(-2);
  return triu(ones({queries, keys}, q.dtype()), keys - queries + 1);
}

// 1 where the query must not see the key; undefined if each sees all.
Tensor hidden_keys(const Tensor& q, const Tensor& k, const AttentionOptions& options) {
  Tensor hidden;
  if (options.attn_mask.defined()) hidden = logical_not(options.attn_mask);
  if (!options.causal) return hidden;
  const Tensor later = later_keys(q, k);
  return hidden.defined() ? logical_or(hidden, later) : later;
}

// softmax(q k^T scale + bias) over the keys that are not hidden.
Tensor weights_of(const Tensor& q, const Tensor& k, double scale, const Tensor& bias, const Tensor& hidden) {
  Tensor scores = matmul(q, k, false, true) * scale;  // (.., T, S)
  if (bias.defined()) scores = scores + bias;
  // Not -infinity, of which a row without any other number would be NaN.
  if (hidden.defined()) scores = masked_fill(scores, hidden, std::numeric_limits<float>::lowest());
  const Tensor weights = softmax(scores);
  return hidden.defined() ? masked_fill(weights, hidden, 0) : weights;
}

Tensor attention_of_weights(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options) {
  const Tensor &mask = options.attn_mask, &bias = options.attn_bias;
  check_same_dtype("scaled_dot_product_attention", q, {mask, bias});
  Shape shape = q.shape();
  shape.set(-1, k.size(-2));
  if (bias.defined()) check_broadcasts("attn_bias", bias, shape);
  if (mask.defined()) {
    check_broadcasts("attn_mask", mask, shape);
    detail::check_flags("scaled_dot_product_attention", "attn_mask", mask);
  }
  return composed("scaled_dot_product_attention", [&] {
    const Tensor weights = weights_of(q, k, scale_of(options, q.size(-1)), bias, hidden_keys(q, k, options));
    return matmul(dropout(weights, options.dropout_p), v);
  });
}

// The gradients of attention, by the weights that the kernel does not keep.
Qkv<Tensor> attention_rule(const Qkv<Tensor>& x, const Tensor& dy, double scale, bool causal) {
  const Tensor weights = weights_of(x.q, x.k, scale, {}, causal ? later_keys(x.q, x.k) : Tensor());  // (.., T, S)
  const Tensor dweights = matmul(dy, x.v, false, true);
  const Tensor dscores = weights * (dweights - sum(dweights * weights, -1, true)) * scale;
  return {.q = matmul(dscores, x.k), .k = matmul(dscores, x.q, true), .v = matmul(weights, dy, true)};
}

// Rows (count length, parts heads D) of packed documents of one length, as parts of (count, heads, length, D); and
// back.
std::vector<Tensor> unpacked(const Tensor& rows, Index count, Index length, Index parts, Index heads) {
  const Index D = rows.size(1) / (parts * heads);
  return unbind(permute(reshape(rows, {count, length, parts, heads, D}), {2, 0, 3, 1, 4}));
}
Tensor packed(const std::vector<Tensor>& parts) {
  const auto [count, heads, length, D] = parts[0].sizes<4>();
  return reshape(permute(stack(parts), {1, 3, 0, 2, 4}),
                 {count * length, static_cast<Index>(parts.size()) * heads * D});
}

// Calls f(first row, documents, their length) for documents of one length at once, for others one by one, and puts the
// results together.
template <class F>
Tensor each_document(std::span<const Index> lengths, const F& f) {
  if (std::ranges::adjacent_find(lengths, std::ranges::not_equal_to()) == lengths.end()) {
    return f(0, static_cast<Index>(lengths.size()), lengths.front());
  }
  std::vector<Tensor> documents;
  Index begin = 0;
  for (const Index length : lengths) {
    if (length > 0) documents.push_back(f(begin, 1, length));
    begin += length;
  }
  return concat(documents);
}

// packed_attention with dropout.
Tensor packed_attention_of_weights(const Tensor& qkv, Index heads, std::span<const Index> lengths,
                                   const AttentionOptions& options) {
  return composed("packed_attention", [&] {
    return each_document(lengths, [&](Index begin, Index count, Index length) {
      const auto x = unpacked(slice(qkv, 0, begin, begin + count * length), count, length, 3, heads);
      return packed({attention_of_weights(x[0], x[1], x[2], options)});
    });
  });
}

Tensor packed_attention_rule(const Tensor& qkv, const Tensor& dy, Index heads, std::span<const Index> lengths,
                             double scale, bool causal) {
  return each_document(lengths, [&](Index begin, Index count, Index length) {
    const Index end = begin + count * length;
    const auto x = unpacked(slice(qkv, 0, begin, end), count, length, 3, heads);
    const auto share = unpacked(slice(dy, 0, begin, end), count, length, 1, heads);
    const auto dx = attention_rule({.q = x[0], .k = x[1], .v = x[2]}, share[0], scale, causal);
    return packed({dx.q, dx.k, dx.v});
  });
}

void check_dropout(const char* op, double p) {
  check(p >= 0 && p <= 1, "{}: dropout_p is {}; it must be from 0 to 1", op, p);
}

}  // namespace

void detail::check_flags(const char* op, const char* name, const Tensor& mask) {
  dispatch(mask.dtype(), [&]<class T>() {
    for (const T value : mask.data<T>()) {
      check(value == 0 || value == 1,
            "{}: {} holds {}; it must hold 0 and 1, and numbers to add to the scores are attn_bias", op, name, value);
    }
  });
}

Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const AttentionOptions& options) {
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
  check_dropout("scaled_dot_product_attention", options.dropout_p);
  if (needs_weights(options)) return attention_of_weights(q, k, v, options);
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
              .scale = scale_of(options, D),
              .causal = options.causal,
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
  if (detail::watcher() != nullptr) detail::tell_flops(pairs.flops());
  const auto rule = [scale = pairs.scale, causal = pairs.causal](const Tensor&, const Tensor& dy,
                                                                 const RuleInputs& in) {
    const auto dx = attention_rule({.q = in[0], .k = in[1], .v = in[2]}, dy, scale, causal);
    return Gradients{dx.q, dx.k, dx.v};
  };
  auto backward = [pairs = std::move(pairs), max, share](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const Qkv<const T*> from{.q = in[0].values<T>(), .k = in[1].values<T>(), .v = in[2].values<T>()};
      const Qkv<GradShare<T>> to{.q = in[0].grad_share<T>(), .k = in[1].grad_share<T>(), .v = in[2].grad_share<T>()};
      pairs.backward<T>(from, out.grad_or_null<T>(), max, share, to);
    });
  };
  return record("scaled_dot_product_attention", y, {q, k, v}, std::move(backward), rule);
}

Tensor packed_attention(const Tensor& qkv, Index heads, std::span<const Index> lengths,
                        const AttentionOptions& options) {
  check_defined("packed_attention", {qkv});
  check(!options.attn_mask.defined() && !options.attn_bias.defined(),
        "packed_attention: an attn_mask or attn_bias came, but documents have scores of different sizes; call "
        "scaled_dot_product_attention() for each document");
  check_dropout("packed_attention", options.dropout_p);
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
              .scale = scale_of(options, D),
              .causal = options.causal,
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
  if (needs_weights(options) && qkv.size(0) > 0) return packed_attention_of_weights(qkv, heads, lengths, options);
  Tensor y = Tensor::empty({qkv.size(0), width}, qkv.dtype());
  const Buffer max(qkv.size(0) * heads, qkv.dtype()), share(qkv.size(0) * heads, qkv.dtype());
  dispatch(qkv.dtype(), [&]<class T>() {
    const T* const q = qkv.node().values<T>();
    pairs.forward<T>({.q = q, .k = q + width, .v = q + 2 * width}, y.node().values<T>(), max, share);
  });
  if (detail::watcher() != nullptr) detail::tell_flops(pairs.flops());
  const auto held = std::allocate_shared<const Pairs>(PoolAllocator<const Pairs>{}, std::move(pairs));
  const auto backward = [held, width, max, share](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const T* const q = in[0].values<T>();
      const GradShare<T> dq = in[0].grad_share<T>();
      held->backward<T>({.q = q, .k = q + width, .v = q + 2 * width}, out.grad_or_null<T>(), max, share,
                        {.q = dq, .k = dq + width, .v = dq + 2 * width});
    });
  };
  return record("packed_attention", y, {qkv}, backward, [held](const Tensor&, const Tensor& dy, const RuleInputs& in) {
    std::vector<Index> documents;
    for (std::size_t i = 1; i < held->starts.size(); ++i) documents.push_back(held->starts[i] - held->starts[i - 1]);
    return packed_attention_rule(in[0], dy, held->heads, documents, held->scale, held->causal);
  });
}

}  // namespace gradus
