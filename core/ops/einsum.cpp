// einsum, and the products that are special cases of others. Two operands at a time are brought to the form of matmul:
// (batch, kept of the first, summed) x (batch, summed, kept of the second).
#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include <gradus/core/ops/detail/common.h>

namespace gradus {
namespace {

// A tensor whose dimensions have names: the letters of the equation, and digits for the dimensions of "...".
struct Named {
  Tensor x;
  std::string dims;
};

bool has(std::string_view dims, char name) {
  return dims.find(name) != std::string_view::npos;
}

// Sums `a` over all dimensions that are not wanted.
Named keep(Named a, std::string_view wanted) {
  std::vector<Index> summed;
  std::string kept;
  for (std::size_t d = 0; d < a.dims.size(); ++d) {
    if (has(wanted, a.dims[d])) {
      kept += a.dims[d];
    } else {
      summed.push_back(static_cast<Index>(d));
    }
  }
  if (!summed.empty()) a.x = sum(a.x, summed);
  return {a.x, kept};
}

// The same with its dimensions in this order; those that it does not have get size 1.
Tensor in_order(const Named& a, std::string_view order) {
  std::vector<Index> dims;
  Shape shape;
  for (const char name : order) {
    const std::size_t d = a.dims.find(name);
    if (d != std::string::npos) dims.push_back(static_cast<Index>(d));
    shape.push_back(d == std::string::npos ? 1 : a.x.size(static_cast<Index>(d)));
  }
  return reshape(permute(a.x, dims), shape);
}

Index size_of(const Named& a, char name) {
  const std::size_t d = a.dims.find(name);
  return d == std::string::npos ? 1 : a.x.size(static_cast<Index>(d));
}

// The product of a and b summed over all dimensions that are not wanted.
Named multiply(Named a, Named b, const std::string& wanted) {
  a = keep(std::move(a), wanted + b.dims);
  b = keep(std::move(b), wanted + a.dims);
  std::string batch, left, right, summed;
  for (const char name : a.dims) {
    const bool both = has(b.dims, name);
    (!both ? left : has(wanted, name) ? batch : summed) += name;
  }
  for (const char name : b.dims) {
    if (!has(a.dims, name)) right += name;
  }
  // A dimension of size 1 stands for any size of the other: it is repeated beforehand.
  for (const char name : summed) {
    const Index size = std::max(size_of(a, name), size_of(b, name));
    for (Named* one : {&a, &b}) {
      if (size_of(*one, name) == size) continue;
      Shape shape = one->x.shape();
      shape.set(static_cast<Index>(one->dims.find(name)), size);
      one->x = broadcast_to(one->x, shape);
    }
  }
  const auto grouped = [](const Named& from, const std::string& first, const std::string& second,
                          const std::string& third) {
    const Tensor ordered = in_order(from, first + second + third);
    Shape shape;
    for (const char name : first) shape.push_back(size_of(from, name));
    for (const std::string& group : {second, third}) {
      Index size = 1;
      for (const char name : group) size *= size_of(from, name);
      shape.push_back(size);
    }
    return reshape(ordered, shape);
  };
  const Tensor product = matmul(grouped(a, batch, left, summed), grouped(b, batch, summed, right));
  Shape shape;
  for (const char name : batch) shape.push_back(std::max(size_of(a, name), size_of(b, name)));
  for (const char name : left) shape.push_back(size_of(a, name));
  for (const char name : right) shape.push_back(size_of(b, name));
  return {reshape(product, shape), batch + left + right};
}

// The names of the dimensions that "..." stands for, counted from the last one.
std::string names_of_ellipsis(Index count) {
  std::string names;
  for (Index i = count; i-- > 0;) names += static_cast<char>('0' + i);
  return names;
}

std::string without_spaces(std::string_view text) {
  std::string result;
  std::ranges::copy_if(text, std::back_inserter(result), [](char c) { return c != ' '; });
  return result;
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// The names in one part of the equation, with those of `ellipsis` in the place of "...".
std::string spelled_out(std::string_view equation, std::string_view subscripts, const std::string& ellipsis) {
  std::string names;
  for (std::size_t i = 0; i < subscripts.size(); ++i) {
    if (subscripts.substr(i).starts_with("...")) {
      names += ellipsis;
      i += 2;
      continue;
    }
    check(is_letter(subscripts[i]), "einsum: '{}' in \"{}\" is no letter; name each dimension by one letter a-z or A-Z",
          subscripts[i], equation);
    names += subscripts[i];
  }
  return names;
}

// Takes the diagonal of each two dimensions that have the same name.
Named without_repeats(Named a) {
  for (std::size_t d = 0; d < a.dims.size(); ++d) {
    const std::size_t other = a.dims.find(a.dims[d], d + 1);
    if (other == std::string::npos) continue;
    const char name = a.dims[d];
    a.x = diagonal(a.x, 0, static_cast<Index>(d), static_cast<Index>(other));
    a.dims.erase(other, 1);
    a.dims.erase(d, 1);
    a.dims += name;  // diagonal() puts it last
    --d;
  }
  return a;
}

struct Equation {
  std::vector<Named> operands;
  std::string result;
};

// Throws Error if two sizes of one letter differ and none is 1.
void check_sizes(std::string_view equation, const std::vector<Named>& operands) {
  std::array<Index, 128> sizes{};
  for (const Named& a : operands) {
    for (std::size_t d = 0; d < a.dims.size(); ++d) {
      Index& known = sizes[static_cast<unsigned char>(a.dims[d])];
      const Index size = a.x.size(static_cast<Index>(d));
      check(known == 0 || known == 1 || size == 1 || known == size,
            "einsum: '{}' in \"{}\" is {} in one operand and {} in another; they must be equal", a.dims[d], equation,
            known, size);
      known = known <= 1 ? size : known;
    }
  }
}

Equation parse(std::string_view equation, const std::vector<Tensor>& tensors) {
  const std::string text = without_spaces(equation);
  const std::size_t arrow = text.find("->");
  std::string_view inputs = std::string_view(text).substr(0, arrow);
  Equation result;
  std::string longest_ellipsis;
  for (const Tensor& x : tensors) {
    const std::size_t comma = inputs.find(',');
    const bool is_last = result.operands.size() + 1 == tensors.size();
    check((comma == std::string_view::npos) == is_last,
          "einsum: \"{}\" does not name the dimensions of {} tensors; give one part each, separated by commas",
          equation, tensors.size());
    const std::string_view subscripts = inputs.substr(0, comma);
    const std::size_t dots = subscripts.find("...");
    const auto letters = static_cast<Index>(subscripts.size()) - (dots == std::string_view::npos ? 0 : 3);
    check(dots == std::string_view::npos ? letters == x.rank() : letters <= x.rank(),
          "einsum: \"{}\" names {} dimensions of a tensor {}; name each, or write ... for the rest", subscripts,
          letters, x.shape());
    const std::string ellipsis = names_of_ellipsis(dots == std::string_view::npos ? 0 : x.rank() - letters);
    if (ellipsis.size() > longest_ellipsis.size()) longest_ellipsis = ellipsis;
    result.operands.push_back(without_repeats({x, spelled_out(equation, subscripts, ellipsis)}));
    inputs = is_last ? std::string_view() : inputs.substr(comma + 1);
  }
  check_sizes(equation, result.operands);
  std::string all;
  for (const Named& a : result.operands) all += a.dims;
  if (arrow != std::string::npos) {
    result.result = spelled_out(equation, std::string_view(text).substr(arrow + 2), longest_ellipsis);
    for (const char name : result.result) {
      check(has(all, name), "einsum: '{}' of the result of \"{}\" is in no operand; name it there", name, equation);
      check(std::ranges::count(result.result, name) == 1,
            "einsum: '{}' stands twice in the result of \"{}\"; name it once", name, equation);
    }
    return result;
  }
  result.result = longest_ellipsis;  // without an arrow: what stands once, in the order of the alphabet
  for (int c = 'A'; c <= 'z'; ++c) {
    if (std::ranges::count(text, static_cast<char>(c)) == 1) result.result += static_cast<char>(c);
  }
  return result;
}

}  // namespace

Tensor einsum(std::string_view equation, const std::vector<Tensor>& operands) {
  check(!operands.empty(), "einsum: no tensors came for \"{}\"; give one for each part", equation);
  for (const Tensor& x : operands) {
    check_defined("einsum", {x});
    check_same_dtype("einsum", operands[0], {x});
  }
  return composed("einsum", [&] {
    const Equation all = parse(equation, operands);
    Named product = all.operands[0];
    for (std::size_t i = 1; i < all.operands.size(); ++i) {
      std::string wanted = all.result;
      for (std::size_t later = i + 1; later < all.operands.size(); ++later) wanted += all.operands[later].dims;
      product = multiply(std::move(product), all.operands[i], wanted);
    }
    return in_order(keep(std::move(product), all.result), all.result);
  });
}

Tensor outer(const Tensor& a, const Tensor& b) {
  check_defined("outer", {a, b});
  check(a.rank() == 1 && b.rank() == 1, "outer: shapes {} and {}; both must have one dimension", a.shape(), b.shape());
  return composed("outer", [&] { return unsqueeze(a, 1) * b; });
}

Tensor dot(const Tensor& a, const Tensor& b) {
  check_defined("dot", {a, b});
  check(a.rank() == 1 && a.shape() == b.shape(), "dot: shapes {} and {}; both must be (n), with one n", a.shape(),
        b.shape());
  return composed("dot", [&] { return matmul(a, b); });
}

Tensor bmm(const Tensor& a, const Tensor& b) {
  check_defined("bmm", {a, b});
  check(a.rank() == 3 && b.rank() == 3 && a.size(0) == b.size(0),
        "bmm: shapes {} and {}; they must be (B, m, k) and (B, k, n), with one B", a.shape(), b.shape());
  return composed("bmm", [&] { return matmul(a, b); });
}

}  // namespace gradus
