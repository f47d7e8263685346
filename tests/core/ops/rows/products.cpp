#include "../op_table.h"

#include <cmath>

namespace gradus::testing {
namespace {

Array sum_of_scaled(double beta, const Array& x, double alpha, const Array& y) {
  return ref::binary(x, y, [=](double a, double b) { return beta * a + alpha * b; });
}

void add_matrices(std::vector<OpRow>& rows) {
  rows.push_back({.op = "mm",
                  .shapes = {{3, 4}, {4, 2}},
                  .f = [](In x) { return mm(x[0], x[1]); },
                  .reference = [](Arrays x) { return ref::matmul(x[0], x[1]); }});
  rows.push_back({.op = "mv",
                  .shapes = {{3, 4}, {4}},
                  .f = [](In x) { return mv(x[0], x[1]); },
                  .reference = [](Arrays x) { return ref::matmul(x[0], x[1]); }});
  rows.push_back({.op = "vdot",
                  .shapes = {{4}, {4}},
                  .f = [](In x) { return vdot(x[0], x[1]); },
                  .reference = [](Arrays x) { return ref::matmul(x[0], x[1]); }});
  rows.push_back({.op = "inner",
                  .shapes = {{2, 3, 4}, {5, 4}},
                  .f = [](In x) { return inner(x[0], x[1]); },
                  .reference = [](Arrays x) { return ref::matmul(x[0], x[1], false, true); }});
  rows.push_back({.op = "addmm",
                  .shapes = {{2}, {3, 4}, {4, 2}},
                  .f = [](In x) { return addmm(x[0], x[1], x[2], {.beta = 0.5, .alpha = 2}); },
                  .reference = [](Arrays x) { return sum_of_scaled(0.5, x[0], 2, ref::matmul(x[1], x[2])); },
                  .torch = "torch.addmm(x[0], x[1], x[2], beta=0.5, alpha=2)"});
  rows.push_back({.op = "addmv",
                  .shapes = {{3}, {3, 4}, {4}},
                  .f = [](In x) { return addmv(x[0], x[1], x[2], {.beta = 0.5, .alpha = 2}); },
                  .reference = [](Arrays x) { return sum_of_scaled(0.5, x[0], 2, ref::matmul(x[1], x[2])); },
                  .torch = "torch.addmv(x[0], x[1], x[2], beta=0.5, alpha=2)"});
  rows.push_back({.op = "addr",
                  .shapes = {{3, 2}, {3}, {2}},
                  .f = [](In x) { return addr(x[0], x[1], x[2], {.beta = 0.5, .alpha = 2}); },
                  .reference =
                      [](Arrays x) {
                        const Array product = ref::matmul(Array{{3, 1}, x[1].values}, Array{{1, 2}, x[2].values});
                        return sum_of_scaled(0.5, x[0], 2, product);
                      },
                  .torch = "torch.addr(x[0], x[1], x[2], beta=0.5, alpha=2)"});
  rows.push_back({.op = "baddbmm",
                  .shapes = {{2, 3, 2}, {2, 3, 4}, {2, 4, 2}},
                  .f = [](In x) { return baddbmm(x[0], x[1], x[2], {.beta = 0.5, .alpha = 2}); },
                  .reference = [](Arrays x) { return sum_of_scaled(0.5, x[0], 2, ref::matmul(x[1], x[2])); },
                  .torch = "torch.baddbmm(x[0], x[1], x[2], beta=0.5, alpha=2)"});
  rows.push_back({.op = "addbmm",
                  .shapes = {{3, 2}, {2, 3, 4}, {2, 4, 2}},
                  .f = [](In x) { return addbmm(x[0], x[1], x[2], {.beta = 0.5, .alpha = 2}); },
                  .reference =
                      [](Arrays x) {
                        const Array sum = ref::reduce(ref::matmul(x[1], x[2]), {0}, false, ref::sum_of);
                        return sum_of_scaled(0.5, x[0], 2, sum);
                      },
                  .torch = "torch.addbmm(x[0], x[1], x[2], beta=0.5, alpha=2)"});
  rows.push_back({.op = "chain_matmul",
                  .shapes = {{2, 3}, {3, 4}, {4, 2}},
                  .f = [](In x) { return chain_matmul(x); },
                  .reference = [](Arrays x) { return ref::matmul(ref::matmul(x[0], x[1]), x[2]); },
                  .torch = "x[0] @ x[1] @ x[2]"});
  rows.push_back({.op = "matrix_power",
                  .shapes = {{2, 3, 3}},
                  .f = [](In x) { return matrix_power(x[0], 3); },
                  .reference = [](Arrays x) { return ref::matmul(ref::matmul(x[0], x[0]), x[0]); },
                  .torch = "torch.matrix_power(x[0], 3)",
                  .limits = {16, 32},
                  .f32_tolerance = 1e-5,
                  .f32_grad_tolerance = 4e-5});
}

void add_tensors(std::vector<OpRow>& rows) {
  rows.push_back({.op = "tensordot",
                  .shapes = {{2, 3, 4}, {3, 4, 5}},
                  .f = [](In x) { return tensordot(x[0], x[1]); },
                  .reference =
                      [](Arrays x) {
                        return ref::matmul(Array{{2, 12}, x[0].values}, Array{{12, 5}, x[1].values});
                      },
                  .torch = "torch.tensordot(x[0], x[1], 2)",
                  .limits = {16, 16},
                  .f32_tolerance = 4e-6});
  rows.push_back({.op = "kron",
                  .shapes = {{2, 3}, {4}},
                  .f = [](In x) { return kron(x[0], x[1]); },
                  .reference =
                      [](Arrays x) {
                        return ref::make({2, 12}, [&](const ref::Indices& i) {
                          return x[0].at({i[0], i[1] / 4}) * x[1].at({i[1] % 4});
                        });
                      }});
  rows.push_back({.op = "cross",
                  .shapes = {{2, 3}, {2, 3}},
                  .f = [](In x) { return cross(x[0], x[1]); },
                  .reference =
                      [](Arrays x) {
                        return ref::make({2, 3}, [&](const ref::Indices& i) {
                          const Index j = (i[1] + 1) % 3, k = (i[1] + 2) % 3;
                          return x[0].at({i[0], j}) * x[1].at({i[0], k}) - x[0].at({i[0], k}) * x[1].at({i[0], j});
                        });
                      },
                  .torch = "torch.cross(x[0], x[1], dim=-1)"});
  rows.push_back({.op = "cdist",
                  .shapes = {{2, 3, 4}, {2, 5, 4}},
                  .f = [](In x) { return cdist(x[0], x[1]); },
                  .reference =
                      [](Arrays x) {
                        return ref::make({2, 3, 5}, [&](const ref::Indices& i) {
                          double sum = 0;
                          for (Index k = 0; k < 4; ++k)
                            sum += std::pow(x[0].at({i[0], i[1], k}) - x[1].at({i[0], i[2], k}), 2);
                          return std::sqrt(sum);
                        });
                      },
                  .torch = "torch.cdist(x[0], x[1], compute_mode='donot_use_mm_for_euclid_dist')",
                  .limits = {16, 64}});
  rows.push_back({.op = "pdist",
                  .shapes = {{3, 4}},
                  .f = [](In x) { return pdist(x[0]); },
                  .reference =
                      [](Arrays x) {
                        return ref::make({3}, [&](const ref::Indices& i) {
                          const Index a = i[0] == 2 ? 1 : 0, b = i[0] == 0 ? 1 : 2;
                          double sum = 0;
                          for (Index k = 0; k < 4; ++k) sum += std::pow(x[0].at({a, k}) - x[0].at({b, k}), 2);
                          return std::sqrt(sum);
                        });
                      },
                  .limits = {16, 64}});
  rows.push_back({.op = "vander",
                  .shapes = {{4}},
                  .f = [](In x) { return vander(x[0]); },
                  .reference =
                      [](Arrays x) {
                        return ref::make({4, 4}, [&](const ref::Indices& i) {
                          return std::pow(x[0].at({i[0]}), static_cast<double>(3 - i[1]));
                        });
                      },
                  // This version's vander has no gradient.
                  .torch = "torch.stack([x[0] ** k for k in (3, 2, 1, 0)], 1)",
                  .limits = {16, 32},
                  .f32_grad_tolerance = 4e-5});
  rows.push_back({.op = "bilinear",
                  .shapes = {{2, 3}, {2, 4}, {5, 3, 4}, {5}},
                  .f = [](In x) { return bilinear(x[0], x[1], x[2], x[3]); },
                  .reference =
                      [](Arrays x) {
                        return ref::make({2, 5}, [&](const ref::Indices& i) {
                          double sum = x[3].at({i[1]});
                          for (Index j = 0; j < 3; ++j) {
                            for (Index k = 0; k < 4; ++k)
                              sum += x[0].at({i[0], j}) * x[2].at({i[1], j, k}) * x[1].at({i[0], k});
                          }
                          return sum;
                        });
                      },
                  .torch = "F.bilinear(x[0], x[1], x[2], x[3])",
                  .limits = {32, 64},
                  .f32_tolerance = 4e-6,
                  .f32_grad_tolerance = 2e-5});
}

const AddRows matrix_rows("products_of_matrices", add_matrices);
const AddRows tensor_rows("products", add_tensors);

}  // namespace
}  // namespace gradus::testing
