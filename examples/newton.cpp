// Second derivatives as directions. Logistic regression on a table whose columns are nearly the same and differ in
// size, as columns of tables do: gradient descent crawls along the valley of its loss. Newton's method goes to where
// the quadratic model of the loss is least. It never forms the Hessian H: conjugate gradients solve H s = -g from
// products H v alone, which hvp() makes at the price of a gradient or two. L-BFGS guesses H from the gradients it sees.
//
//   build/bin/newton
#include <fmt/format.h>
#include <gradus/gradus.h>

#include <cmath>

using namespace gradus;

struct Table {
  Tensor x, labels;  // (N, 20) and (N): 1 or -1
};

Table make_table(Index count) {
  constexpr Index columns = 20;
  const Tensor common = randn({count, 1}, DType::f64);
  const Tensor sizes = exp(linspace(0, -2, columns, DType::f64));
  const Tensor x = (common + 0.3 * randn({count, columns}, DType::f64)) * sizes;
  const Tensor score = matmul(x, randn({columns, 1}, DType::f64)).flatten() + 0.5 * randn({count}, DType::f64);
  return {x, sign(score)};
}

// The negative log likelihood of a row, and a little pull towards 0.
Tensor loss_of(const Table& table, const Tensor& w) {
  const Tensor scores = matmul(table.x, w.unsqueeze(1)).flatten();
  return mean(softplus(-table.labels * scores)) + 5e-4 * sum(square(w));
}

double length(const Tensor& x) {
  return std::sqrt(sum(square(x)).item());
}

struct Result {
  int iterations = 0, passes = 0;  // passes over the table: gradients, and products with the Hessian
  double loss = 0, slope = 0;      // and the length of the gradient, where it ended
};
constexpr double small = 1e-8;  // the length of the gradient at which all end

// Conjugate gradients (Hestenes & Stiefel 1952): s with H s = -g, as far as the gradient's length deserves.
Tensor newton_direction(const Table& table, const Tensor& w, const Tensor& g, int& passes) {
  Tensor s = zeros_like(g), left = -g, d = left;
  const double enough = length(g) * std::min(0.5, std::sqrt(length(g)));
  while (length(left) > enough) {
    const auto h_d = hvp([&](const Tensor& at) { return loss_of(table, at); }, w, d).second;
    ++passes;
    const double before = sum(square(left)).item(), a = before / sum(d * h_d).item();
    s = s + a * d;
    left = left - a * h_d;
    d = left + sum(square(left)).item() / before * d;
  }
  return s;
}

Result newton(const Table& table) {
  Result result;
  Tensor w = zeros({table.x.size(1)}, DType::f64);
  while (true) {
    const auto [loss, g] = vjp([&](const Tensor& at) { return loss_of(table, at); }, w);
    ++result.passes;
    result.loss = loss.item();
    result.slope = length(g);
    if (result.slope < small) return result;
    const Tensor s = newton_direction(table, w, g, result.passes);
    double part = 1;  // of the step; far from the minimum the quadratic model may promise too much
    while (loss_of(table, w + part * s).item() > result.loss + 1e-4 * part * sum(g * s).item()) part /= 2;
    w = w + part * s;
    ++result.iterations;
  }
}

Result lbfgs(const Table& table) {
  Result result;
  const Tensor w = zeros({table.x.size(1)}, DType::f64).requires_grad(true);
  optim::LBFGS optimizer({w}, {.max_iter = 1000,
                               .tolerance_grad = small / std::sqrt(static_cast<double>(w.numel())),  // of an element
                               .tolerance_change = 0,
                               .line_search_fn = optim::LineSearch::strong_wolfe});
  optimizer.step([&] {
    optimizer.zero_grad();
    const Tensor loss = loss_of(table, w);
    loss.backward();
    ++result.passes;
    result.loss = loss.item();
    result.slope = length(w.grad());
    return loss;
  });
  for (const auto& [name, value] : optimizer.state()) {
    if (name == "lbfgs.n_iter") result.iterations = static_cast<int>(value.item());
  }
  return result;
}

// At most `limit` steps, each 1 / (the largest eigenvalue of the Hessian at the start): longer ones may diverge.
Result gradient_descent(const Table& table, int limit) {
  Result result;
  const Tensor w = zeros({table.x.size(1)}, DType::f64).requires_grad(true);
  Tensor v = ones_like(w);
  for (int i = 0; i < 20; ++i) v = hvp([&](const Tensor& at) { return loss_of(table, at); }, w, v / length(v)).second;
  optim::SGD optimizer({w}, {.lr = 1 / length(v)});
  do {
    optimizer.zero_grad();
    const Tensor loss = loss_of(table, w);
    loss.backward();
    ++result.passes;
    result.loss = loss.item();
    result.slope = length(w.grad());
    if (result.iterations == limit) break;
    optimizer.step();
    ++result.iterations;
  } while (result.slope > small);
  return result;
}

int main() {
  manual_seed(1);
  const Table table = make_table(500);
  fmt::print("{:18} iterations   passes   loss               length of the gradient\n", "");
  const auto print = [](const char* name, const Result& result) {
    fmt::print("{:18} {:10} {:8}   {:.12f}     {:.1e}\n", name, result.iterations, result.passes, result.loss,
               result.slope);
  };
  print("gradient descent", gradient_descent(table, 20000));
  print("L-BFGS", lbfgs(table));
  print("Newton and CG", newton(table));
}
