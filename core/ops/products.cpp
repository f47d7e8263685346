// Products and distances of matrices, composed of matmul, einsum and norms.
#include <algorithm>

#include <gradus/core/ops/detail/common.h>

namespace gradus {
namespace {

void check_rank(const char* op, const char* name, const Tensor& x, Index rank) {
  check_defined(op, {x});
  check(x.rank() == rank, "{}: {} {} has {} dimensions; it must have {}", op, name, x.shape(), x.rank(), rank);
}

Tensor added(const char* op, const Tensor& x, const AddOptions& options, const Tensor& product) {
  return composed(op, [&] { return options.beta * x + options.alpha * product; });
}

// The first x_count sizes of x, then those of y from y_begin on.
std::vector<Index> sizes_of(const Shape& x, Index x_count, const Shape& y, Index y_begin) {
  std::vector<Index> sizes(x.begin(), x.begin() + x_count);
  sizes.insert(sizes.end(), y.begin() + y_begin, y.end());
  return sizes;
}

}  // namespace

Tensor mm(const Tensor& a, const Tensor& b) {
  check_rank("mm", "a", a, 2);
  check_rank("mm", "b", b, 2);
  return composed("mm", [&] { return matmul(a, b); });
}
Tensor mv(const Tensor& a, const Tensor& b) {
  check_rank("mv", "a", a, 2);
  check_rank("mv", "b", b, 1);
  return composed("mv", [&] { return matmul(a, b); });
}
Tensor vdot(const Tensor& a, const Tensor& b) {
  return composed("vdot", [&] { return dot(a, b); });
}
Tensor inner(const Tensor& a, const Tensor& b) {
  check_defined("inner", {a, b});
  if (a.rank() == 0 || b.rank() == 0) return composed("inner", [&] { return a * b; });
  check(a.size(-1) == b.size(-1), "inner: a {} and b {} must have equal last sizes; transpose one", a.shape(),
        b.shape());
  std::vector<Index> sizes(a.shape().begin(), a.shape().end() - 1);
  sizes.insert(sizes.end(), b.shape().begin(), b.shape().end() - 1);
  return composed("inner", [&] {
    const auto rows = [](const Tensor& x) { return reshape(x, {x.shape().as_matrix().rows, x.size(-1)}); };
    return reshape(matmul(rows(a), rows(b), false, true), sizes);
  });
}
Tensor addmm(const Tensor& x, const Tensor& a, const Tensor& b, AddOptions options) {
  return added("addmm", x, options, mm(a, b));
}
Tensor addmv(const Tensor& x, const Tensor& a, const Tensor& b, AddOptions options) {
  return added("addmv", x, options, mv(a, b));
}
Tensor addr(const Tensor& x, const Tensor& a, const Tensor& b, AddOptions options) {
  return added("addr", x, options, outer(a, b));
}
Tensor baddbmm(const Tensor& x, const Tensor& a, const Tensor& b, AddOptions options) {
  return added("baddbmm", x, options, bmm(a, b));
}
Tensor addbmm(const Tensor& x, const Tensor& a, const Tensor& b, AddOptions options) {
  return added("addbmm", x, options, sum(bmm(a, b), 0));
}
Tensor chain_matmul(const std::vector<Tensor>& matrices) {
  check(!matrices.empty(), "chain_matmul: no tensors came; give at least one");
  Tensor y = matrices[0];
  for (std::size_t i = 1; i < matrices.size(); ++i) y = mm(y, matrices[i]);
  return y;
}
Tensor tensordot(const Tensor& a, const Tensor& b, Index dims) {
  check_defined("tensordot", {a, b});
  check(dims >= 0 && dims <= a.rank() && dims <= b.rank(),
        "tensordot: {} dimensions of {} and {}; both must have that many, at least 0", dims, a.shape(), b.shape());
  const Index kept = a.rank() - dims;
  Index summed = 1;
  for (Index d = 0; d < dims; ++d) {
    check(a.size(kept + d) == b.size(d), "tensordot: the last {} sizes of {} must be the first of {}", dims, a.shape(),
          b.shape());
    summed *= b.size(d);
  }
  const Index rows = a.numel() / std::max<Index>(1, summed), cols = b.numel() / std::max<Index>(1, summed);
  return composed("tensordot", [&] {
    return reshape(matmul(reshape(a, {rows, summed}), reshape(b, {summed, cols})),
                   sizes_of(a.shape(), kept, b.shape(), dims));
  });
}
Tensor kron(const Tensor& a, const Tensor& b) {
  check_defined("kron", {a, b});
  const Index rank = std::max(a.rank(), b.rank());
  constexpr auto most = static_cast<Index>(Shape::max_rank / 2);
  check(rank <= most, "kron: {} and {} have more than {} dimensions; reshape them", a.shape(), b.shape(), most);
  std::vector<Index> outer, inner, sizes;
  for (Index d = 0; d < rank; ++d) {
    const Index in_a = d - (rank - a.rank()), in_b = d - (rank - b.rank());
    const Index m = in_a < 0 ? 1 : a.size(in_a), n = in_b < 0 ? 1 : b.size(in_b);
    outer.insert(outer.end(), {m, 1});
    inner.insert(inner.end(), {1, n});
    sizes.push_back(m * n);
  }
  return composed("kron", [&] { return reshape(reshape(a, outer) * reshape(b, inner), sizes); });
}
Tensor matrix_power(const Tensor& x, Index n) {
  check_defined("matrix_power", {x});
  check(n >= 0, "matrix_power: the power is {}; it must be at least 0, as there is no inverse", n);
  check(x.rank() >= 2 && x.size(-1) == x.size(-2), "matrix_power: {} must be square matrices, (.., n, n)", x.shape());
  if (n == 0) return broadcast_to(eye(x.size(-1), x.dtype()), x.shape());
  return composed("matrix_power", [&] {
    Tensor y, square = x;
    for (Index rest = n; rest > 0; rest /= 2) {
      if (rest % 2 == 1) y = y.defined() ? matmul(y, square) : square;
      if (rest > 1) square = matmul(square, square);
    }
    return y;
  });
}
Tensor cross(const Tensor& a, const Tensor& b, Index dim) {
  check_defined("cross", {a, b});
  check(a.shape() == b.shape() && a.rank() > 0 && a.size(dim) == 3,
        "cross: a {} and b {} must have equal shapes, with size 3 in dimension {}", a.shape(), b.shape(), dim);
  return composed("cross", [&] { return roll(a, -1, dim) * roll(b, -2, dim) - roll(a, -2, dim) * roll(b, -1, dim); });
}
Tensor cdist(const Tensor& a, const Tensor& b, double p) {
  check_defined("cdist", {a, b});
  check(a.rank() >= 2 && b.rank() >= 2 && a.size(-1) == b.size(-1),
        "cdist: a {} and b {} must be rows of equal length, (.., m, k) and (.., n, k)", a.shape(), b.shape());
  return composed("cdist", [&] { return norm(unsqueeze(a, -2) - unsqueeze(b, -3), p, -1); });
}
Tensor pdist(const Tensor& x, double p) {
  check_rank("pdist", "x", x, 2);
  const Ids pairs = triu_indices(x.size(0), x.size(0), 1);
  const auto half = static_cast<std::ptrdiff_t>(pairs.size() / 2);
  return composed("pdist", [&] {
    const auto rows = [&](const std::int32_t* begin) {
      return index_select(x, 0, std::vector<std::int32_t>(begin, begin + half));
    };
    return norm(rows(pairs.begin()) - rows(pairs.begin() + half), p, -1);
  });
}
Tensor vander(const Tensor& x, Index count, bool increasing) {
  check_rank("vander", "x", x, 1);
  check(count >= 0, "vander: {} columns; there must be at least 1, or 0 for as many as x has elements", count);
  const Index n = count == 0 ? x.numel() : count;
  std::vector<Tensor> powers;
  for (Index i = 0; i < n; ++i) powers.push_back(pow(x, static_cast<double>(increasing ? i : n - 1 - i)));
  check(n > 0, "vander: x has no numbers; give at least one");
  return composed("vander", [&] { return stack(powers, 1); });
}
Tensor bilinear(const Tensor& x1, const Tensor& x2, const Tensor& weight, const Tensor& bias) {
  check_rank("bilinear", "weight", weight, 3);
  return composed("bilinear", [&] {
    const Tensor y = einsum("...i,oij,...j->...o", {x1, weight, x2});
    return bias.defined() ? y + bias : y;
  });
}

}  // namespace gradus
