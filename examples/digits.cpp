// Which digit is it? An MLP sees 784 numbers without knowing which are neighbors; a ConvNet slides small windows over
// the picture, so what it learns in one place holds in all. With a third fewer parameters it makes fewer mistakes.
//
//   build/bin/digits                                                     digits drawn by the program
//   build/bin/digits train-images-idx3-ubyte train-labels-idx1-ubyte     MNIST, unpacked
#include <fmt/format.h>
#include <gradus/gradus.h>

#include "digits_data.h"

using gradus::Index;
using gradus::Tensor;
namespace nn = gradus::nn;

Tensor in_batches(const nn::Sequential& net, const Tensor& images) {
  const gradus::NoGrad guard;
  nn::DataLoader loader({images}, {.batch_size = 100});
  std::vector<Tensor> logits;
  for (const nn::Batch& batch : loader) logits.push_back(net(batch[0]));
  return concat(logits);
}

// Trains for some epochs and prints what the net makes of digits that it has not seen.
void train(const char* name, nn::Sequential net, const nn::Batch& train_part, const nn::Batch& test_part) {
  constexpr int epochs = 3;
  nn::DataLoader loader({train_part[0]}, train_part.labels, {.batch_size = 32, .shuffle = true, .seed = 1});
  gradus::optim::AdamW optimizer(net.parameters(), {.lr = 2e-3});
  fmt::print("{} ({} parameters)\n", name, net.num_parameters());
  for (int epoch = 0; epoch < epochs; ++epoch) {
    double sum = 0;
    net.train();
    for (const nn::Batch& batch : loader) {
      const Tensor loss = cross_entropy(net(batch[0]), batch.labels);
      optimizer.zero_grad();
      loss.backward();
      optimizer.step();
      sum += loss.item() * static_cast<double>(batch.size());
    }
    net.eval();
    fmt::print("  epoch {}  loss {:.4f}  right on new digits {:.1f} %\n", epoch + 1,
               sum / static_cast<double>(train_part.size()),
               100 * nn::accuracy(in_batches(net, test_part[0]), test_part.labels));
    optimizer.set_lr(optimizer.lr() / 3);
  }
  const Tensor confusion = nn::confusion_matrix(in_batches(net, test_part[0]), test_part.labels);
  const std::vector<double> f1 = nn::class_scores(confusion).f1;
  const auto worst = std::ranges::min_element(f1) - f1.begin();
  fmt::print("  hardest digit: {} (F1 {:.3f})\n\n", worst, f1[static_cast<std::size_t>(worst)]);
}

int main(int argc, char** argv) try {
  gradus::check(argc == 1 || argc == 3, "digits: got {} arguments; give none, or an images and a labels file of MNIST",
                argc - 1);
  gradus::manual_seed(5);
  gradus::Generator generator(5);
  const bool has_files = argc == 3;
  const Digits digits = has_files ? read_mnist(argv[1], argv[2]) : draw_digits(4000, generator);
  const Index count = digits.images.size(0), held_out = count / 5;
  const nn::DataLoader all({digits.images}, digits.labels, {});
  std::vector<Index> order = generator.permutation(count);
  const nn::Batch test_part = all.rows({order.begin(), order.begin() + held_out});
  const nn::Batch train_part = all.rows({order.begin() + held_out, order.end()});
  fmt::print("{} digits {}, {} of them held out\n\n{}\n", count, has_files ? "read" : "drawn", held_out,
             picture(train_part[0], 0, 4));

  train("MLP", nn::Sequential{nn::Flatten(), nn::Linear(784, 32), nn::ReLU(), nn::Linear(32, 10)}, train_part,
        test_part);
  train("ConvNet",
        nn::Sequential{nn::Conv2d(1, 12, 5, {.stride = 2, .padding = 2}), nn::BatchNorm2d(12), nn::ReLU(),
                       nn::MaxPool2d(2), nn::Conv2d(12, 24, 3, {.padding = 1}), nn::BatchNorm2d(24), nn::ReLU(),
                       nn::MaxPool2d(2), nn::Flatten(), nn::Linear(24 * 9, 10)},
        train_part, test_part);
} catch (const gradus::Error& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 1;
}
