// PyTorch sums the products in another order.
#include "../op_table.h"

#include <algorithm>
#include <string>

namespace gradus::testing {
namespace {

void add_matmul(std::vector<OpRow>& rows) {
  struct Product {
    const char* variant;
    Shape a, b;
    bool transpose_a = false, transpose_b = false;
    std::function<Shapes(Index)> sized = {};
    Shapes large = {};
    bool directions = false;
  };
  const Product products[] = {
      {"vectors", {7}, {7}, false, false, GRADUS_SIZED({n}, {n})},
      {"matrix_vector", {3, 5}, {5}, false, false, GRADUS_SIZED({3, n}, {n})},
      {"vector_matrix", {5}, {5, 3}, false, false, GRADUS_SIZED({5}, {5, n})},
      {"vector_batch", {4}, {2, 4, 3}},
      {"batch_vector", {2, 3, 4}, {4}},
      {"small", {3, 4}, {4, 5}, false, false, GRADUS_SIZED({3, 4}, {4, n}), {{300, 257}, {257, 301}}},
      {"inner_size", {3, 4}, {4, 5}, false, false, GRADUS_SIZED({3, n}, {n, 2})},
      {"rows", {3, 4}, {4, 5}, false, false, GRADUS_SIZED({n, 3}, {3, 5})},
      {"transposed_a", {4, 3}, {4, 5}, true, false, GRADUS_SIZED({4, n}, {4, 3}), {{257, 300}, {257, 301}}},
      {"transposed_b", {3, 4}, {5, 4}, false, true, GRADUS_SIZED({3, 4}, {n, 4}), {{300, 257}, {301, 257}}},
      {"transposed_both", {4, 3}, {5, 4}, true, true, GRADUS_SIZED({n, 3}, {5, n}), {{257, 300}, {301, 257}}},
      {"all_sizes_1", {1, 1}, {1, 1}},
      {"one_row", {1, 5}, {5, 7}},
      {"one_column", {5, 4}, {4, 1}},
      {"outer_product", {5, 1}, {1, 7}},
      {"batched", {3, 2, 4}, {3, 4, 5}, false, false, GRADUS_SIZED({2, 3, n}, {2, n, 2}), {{12, 65, 33}, {12, 33, 47}}},
      {"batched_transposed", {2, 4, 3}, {2, 5, 4}, true, true, GRADUS_SIZED({2, n, 3}, {2, 5, n})},
      {"shared_weight", {2, 3, 4}, {4, 5}, false, false, GRADUS_SIZED({2, 3, 4}, {4, n}), {{12, 65, 33}, {33, 47}}},
      {"shared_weight_transposed", {2, 3, 4}, {5, 4}, false, true},
      {"shared_weight_both_transposed", {2, 4, 3}, {5, 4}, true, true},
      {"shared_left", {3, 4}, {2, 4, 5}, false, false, {}, {{65, 33}, {12, 33, 47}}},
      {"shared_left_transposed", {4, 3}, {2, 4, 5}, true, false},
      {"broadcast", {2, 1, 3, 4}, {5, 4, 2}},
      {"broadcast_both_ways_transposed", {2, 1, 4, 3}, {1, 3, 2, 4}, true, true, {}, {{3, 1, 33, 65}, {1, 4, 47, 33}}},
      {"rank_5", {2, 1, 2, 2, 3}, {2, 1, 3, 2}},
      {"tiles", {13, 33}, {33, 13}},
      {"blocks", {37, 300}, {300, 257}, false, false, {}, {}, true},
      {"blocks_transposed", {300, 33}, {257, 300}, true, true, {}, {}, true},
      {"deep", {13, 1030}, {1030, 33}, false, false, {}, {}, true},
      {"tall", {2061, 17}, {17, 35}, false, false, {}, {}, true},
      {"broad", {9, 11}, {11, 4133}, false, false, {}, {}, true},
      {"one_row_of_a_large_matrix", {1, 300}, {257, 300}, false, true, {}, {}, true},
  };
  for (const Product& p : products) {
    // k products of both signs: the rounding grows with their number, not with the result. A gradient sums over m or n.
    Index longest = 1;
    for (const Shape& shape : {p.a, p.b}) longest = std::max(longest, *std::max_element(shape.begin(), shape.end()));
    const double k = static_cast<double>(longest);
    rows.push_back(
        {.op = "matmul",
         .variant = p.variant,
         .shapes = {p.a, p.b},
         .f = [ta = p.transpose_a, tb = p.transpose_b](In x) { return matmul(x[0], x[1], ta, tb); },
         .reference = [ta = p.transpose_a, tb = p.transpose_b](Arrays x) { return ref::matmul(x[0], x[1], ta, tb); },
         .sized = p.sized,
         .large = p.large,
         .torch = fmt::format("x[0]{} @ x[1]{}", p.transpose_a ? ".mT" : "", p.transpose_b ? ".mT" : ""),
         .torch_sizes = {17, 33},
         .limits = {8, 8},
         .f32_tolerance = 5e-6 + 1e-7 * k,
         .f32_grad_tolerance = 1e-5 + 2e-7 * k,
         .f64_tolerance = p.directions ? 1e-11 : 1e-12,  // a thousand terms, summed in another order
         .directions = p.directions});
  }
}

void add_linear(std::vector<OpRow>& rows) {
  struct Linear {
    const char* variant;
    Shape x, weight;
    std::function<Shapes(Index)> sized = {};
    Shapes large = {};
    bool directions = false;
  };
  const Linear linears[] = {
      {"row", {5}, {3, 5}, GRADUS_SIZED({n}, {3, n}, {3})},
      {"rows", {4, 5}, {3, 5}, GRADUS_SIZED({4, 5}, {n, 5}, {n}), {{600, 65}, {129, 65}, {129}}},
      {"three_dimensions", {2, 3, 4}, {5, 4}, GRADUS_SIZED({2, 2, n}, {5, n}, {5})},
      {"blocks", {50, 300}, {257, 300}, {}, {{70, 300}, {257, 300}, {257}}, true},
      {"broad", {3, 7}, {4133, 7}, {}, {}, true},
  };
  for (const Linear& l : linears) {
    for (const bool bias : {true, false}) {
      const auto without_bias = [bias](Shapes shapes) {
        if (!bias && shapes.size() == 3) shapes.pop_back();
        return shapes;
      };
      std::function<Shapes(Index)> sized;
      if (l.sized) sized = [=, given = l.sized](Index n) { return without_bias(given(n)); };
      rows.push_back({.op = "linear",
                      .variant = std::string(l.variant) + (bias ? "" : "_without_bias"),
                      .shapes = without_bias({l.x, l.weight, {l.weight[0]}}),
                      .f = [bias](In x) { return bias ? linear(x[0], x[1], x[2]) : linear(x[0], x[1]); },
                      .reference = [bias](Arrays x) { return ref::linear(x[0], x[1], bias ? &x[2] : nullptr); },
                      .sized = sized,
                      .large = without_bias(l.large),
                      .torch_sizes = {17, 33},
                      .limits = {8, 8},
                      .f32_tolerance = l.directions ? 4e-5 : 5e-6,
                      .f32_grad_tolerance = l.directions ? 8e-5 : 1e-5,
                      .f64_tolerance = l.directions ? 1e-11 : 1e-12,
                      .directions = l.directions});
    }
  }
}

const AddRows matmul_rows("matmul", [](std::vector<OpRow>& rows) {
  add_matmul(rows);
  add_linear(rows);
});

}  // namespace
}  // namespace gradus::testing
