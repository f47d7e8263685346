// A variational autoencoder (Kingma & Welling 2014) learns what digits look like from digits of a font, drawn in random
// sizes and places. It then draws digits that nobody gave it, from random numbers alone.
//
//   build/bin/vae        writes vae.svg
#include <fmt/format.h>
#include <gradus/gradus.h>

#include "../svg.h"

using namespace gradus;

constexpr Index latent = 10;

struct VAE : nn::Module {
  nn::Linear fc1{256, 400}, fc21{400, latent}, fc22{400, latent}, fc3{latent, 400}, fc4{400, 256};
  void members(nn::Visitor& visit) const override {
    visit("fc1", fc1);
    visit("fc21", fc21);
    visit("fc22", fc22);
    visit("fc3", fc3);
    visit("fc4", fc4);
  }
  std::pair<Tensor, Tensor> encode(const Tensor& x) const {
    const Tensor h = relu(fc1(x));
    return {fc21(h), fc22(h)};
  }
  Tensor decode(const Tensor& z) const { return sigmoid(fc4(relu(fc3(z)))); }
  // The digits drawn again from what the code says, and the mean and log variance of the code.
  std::tuple<Tensor, Tensor, Tensor> operator()(const Tensor& x) const {
    const auto [mu, logvar] = encode(x);
    return {decode(mu + randn_like(mu) * exp(0.5 * logvar)), mu, logvar};
  }
};

// What is lost of the digits, and how far the codes are from standard normal ones; summed over all digits.
std::pair<Tensor, Tensor> losses(const VAE& vae, const Tensor& x) {
  const auto [drawn, mu, logvar] = vae(x);
  return {binary_cross_entropy(drawn, x, {.reduction = Reduction::sum}),
          -0.5 * sum(1 + logvar - mu.pow(2) - logvar.exp())};
}

// A font of 3 x 5 pixels, drawn in random sizes and places of a 16 x 16 picture: (count, 256).
Tensor draw(Index count, Generator& generator) {
  const std::string font =
      "1111011011011110101100100101111110011111001111110011110011111011011110010011111001110011111111001111011111110010"
      "01"
      "010010111101111101111111101111001111";
  std::vector<Tensor> pictures;
  for (Index i = 0; i < count; ++i) {
    const Index h = 11 + generator.below(4), w = 8 + generator.below(4);
    const Index top = generator.below(17 - h), left = generator.below(17 - w);
    std::vector<double> pixels;
    for (const char c : font.substr(std::size_t(i % 10) * 15, 15)) pixels.push_back(c - '0');
    const Tensor glyph = interpolate(tensor(pixels, {1, 1, 5, 3}), {.size = {h, w}, .mode = Interpolation::bilinear});
    pictures.push_back(pad(glyph, {left, 16 - w - left, top, 16 - h - top}));
  }
  return concat(pictures).flatten(1);
}

int main(int argc, char** argv) {
  const double scale = argc > 1 ? std::stod(argv[1]) : 1;  // of the number of epochs
  manual_seed(1);
  Generator generator(1);
  const VAE vae;
  const Tensor test = draw(500, generator);
  nn::DataLoader loader({draw(3000, generator)}, {.batch_size = 50, .shuffle = true});
  optim::Adam optimizer(vae.parameters(), {.lr = 1e-3});
  for (int epoch = 0; epoch < 60 * scale; ++epoch) {
    for (const nn::Batch& batch : loader) {
      const auto [lost, divergence] = losses(vae, batch[0]);
      optimizer.zero_grad();
      (lost + divergence).backward();
      optimizer.step();
    }
    const NoGrad guard;
    const auto [lost, divergence] = losses(vae, test);
    if (epoch % 10 == 0)
      fmt::print("epoch {:2}  new digits: lost {:.1f}  code {:.1f} nats\n", epoch, lost.item() / 500,
                 divergence.item() / 500);
  }

  const NoGrad guard;
  const std::vector<double> ink = vae.decode(randn({40, latent})).to_vector();
  Svg svg({0, 170}, {0, 68}, 850, 340);
  for (int i = 0; i < 40 * 256; ++i) {
    const int n = i / 256, row = i % 256 / 16, column = i % 16, shade = int(255 - 255 * ink[std::size_t(i)]);
    if (shade < 250)
      svg.rect(17 * (n % 10) + column, 67 - 17 * (n / 10) - row, 1, 1, fmt::format("rgb({0},{0},{0})", shade));
  }
  svg.save("vae.svg", "digits drawn from random numbers");
}
