// An autoencoder: pictures of digits squeezed through two numbers and drawn again from them. Nobody tells it the
// labels; still digits that look alike end up close together, which the picture shows.
//
//   build/bin/autoencoder        writes autoencoder.svg
#include <fmt/format.h>
#include <gradus/gradus.h>

#include "digits_data.h"
#include "svg.h"

using gradus::Tensor;
namespace nn = gradus::nn;

int main() {
  gradus::manual_seed(2);
  gradus::Generator generator(2);
  const Digits digits = draw_digits(3000, generator);

  const nn::Sequential encoder{nn::Flatten(),       nn::Linear(784, 128), nn::ReLU(),
                               nn::Linear(128, 32), nn::ReLU(),           nn::Linear(32, 2)};
  const nn::Sequential decoder{nn::Linear(2, 32), nn::ReLU(), nn::Linear(32, 128), nn::ReLU(), nn::Linear(128, 784)};
  std::vector<Tensor> parameters = encoder.parameters();
  for (Tensor& p : decoder.parameters()) parameters.push_back(p);
  gradus::optim::AdamW optimizer(parameters, {.lr = 2e-3});

  nn::DataLoader loader({digits.images}, {.batch_size = 64, .shuffle = true, .seed = 2});
  constexpr int epochs = 30;
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    double sum = 0;
    for (const nn::Batch& batch : loader) {
      const Tensor pixels = reshape(batch[0], {batch.size(), 784});
      const Tensor loss = binary_cross_entropy_with_logits(decoder(encoder(batch[0])), pixels);
      optimizer.zero_grad();
      loss.backward();
      optimizer.step();
      sum += loss.item() * static_cast<double>(batch.size());
    }
    if (epoch % 5 == 0) fmt::print("epoch {:2}  loss {:.4f} a pixel\n", epoch, sum / 3000);
    optimizer.set_lr(2e-3 * (1 - 0.95 * epoch / epochs));
  }

  const gradus::NoGrad guard;
  const Tensor codes = encoder(digits.images), drawn = sigmoid(decoder(codes));
  fmt::print("\nfour digits, and what is left of them after two numbers\n{}\n{}", picture(digits.images, 0, 4),
             picture(reshape(drawn, digits.images.shape()), 0, 4));

  const std::vector<double> xy = codes.to_vector();
  std::vector<double> x, y;
  for (std::size_t i = 0; i < xy.size(); ++i) (i % 2 == 0 ? x : y).push_back(xy[i]);
  std::vector<double> sorted_x = x, sorted_y = y;  // without the outermost two of a hundred
  std::ranges::sort(sorted_x);
  std::ranges::sort(sorted_y);
  Svg svg({sorted_x[30], sorted_x[2970]}, {sorted_y[30], sorted_y[2970]}, 640, 640);
  const char* colors[] = {"#e6194b", "#3cb44b", "#c9a800", "#4363d8", "#f58231",
                          "#911eb4", "#0fa3b1", "#f032e6", "#6b8e23", "#7a5230"};
  for (std::size_t i = 0; i < 1200; ++i) {
    if (x[i] < sorted_x[30] || x[i] > sorted_x[2970] || y[i] < sorted_y[30] || y[i] > sorted_y[2970]) continue;
    svg.text(x[i], y[i], std::to_string(digits.labels[i]), colors[digits.labels[i]], 13);
  }
  svg.save("autoencoder.svg", "each digit at its two numbers");
}
