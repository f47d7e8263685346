// Linear regression with an L1 penalty (Tibshirani 1996, the lasso). Only 4 of 20 weights matter. Without the penalty
// the noise gives all of them some value; with it those that do not matter go to 0, and the others a little toward it.
//
//   build/bin/l1 [scale]        scale 0.1 trains a tenth as long
#include <fmt/ranges.h>
#include <gradus/gradus.h>

using namespace gradus;

int main(int argc, char** argv) {
  const double scale = argc > 1 ? std::stod(argv[1]) : 1;
  manual_seed(1);
  const Tensor truth = tensor({0, 0, 1.5, 0, 0, -2, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, -0.7, 0, 0});
  const Tensor x = randn({50, 20}), y = matmul(x, truth) + 0.5 * randn({50});

  for (const double penalty : {0.0, 0.2}) {
    const Tensor w = nn::parameter(zeros({20}));
    optim::Adam adam({w}, {.lr = 0.05});
    optim::StepLR scheduler(adam, 500, 0.1);
    for (int step = 0; step < 1500 * scale; ++step) {
      const Tensor loss = square(matmul(x, w) - y).mean() + penalty * norm(w, 1);
      adam.zero_grad();
      loss.backward();
      adam.step();
      scheduler.step();
    }
    fmt::print("penalty {}: {:.0f} of 20 weights are not 0; error {:.2f}\n", penalty, sum(abs(w) > 0.01),
               norm(w - truth));
    fmt::print("   {:.2f}\n", fmt::join(w.to_vector(), " "));
  }
  fmt::print("truth:\n   {:.2f}\n", fmt::join(truth.to_vector(), " "));
}
