// A residual network tells drawn shapes apart: discs, squares, crosses and rings of any size, place and color, under
// noise. Each block adds to what passes it by (He et al. 2016).
//
//   build/bin/resnet
#include <fmt/format.h>
#include <gradus/gradus.h>

using namespace gradus;

struct BasicBlock : nn::Layer {
  nn::Conv2d conv1, conv2;
  nn::BatchNorm2d bn1, bn2;
  nn::Sequential shortcut;
  BasicBlock(Index in, Index out, Index stride)
      : conv1(in, out, 3, {.stride = stride, .padding = 1, .bias = false}),
        conv2(out, out, 3, {.padding = 1, .bias = false}),
        bn1(out),
        bn2(out) {
    if (stride == 1 && in == out) return;
    shortcut = nn::Sequential{nn::Conv2d(in, out, 1, {.stride = stride, .bias = false}), nn::BatchNorm2d(out)};
  }
  void members(nn::Visitor& visit) const override {
    visit("conv1", conv1);
    visit("bn1", bn1);
    visit("conv2", conv2);
    visit("bn2", bn2);
    visit("shortcut", shortcut);
  }
  Tensor operator()(const Tensor& x) const override {
    const Tensor y = bn2(conv2(relu(bn1(conv1(x)))));
    return relu(y + shortcut(x));
  }
};

// Pictures (count, 3, 16, 16) of class 0 disc, 1 square, 2 cross, 3 ring, computed for all pixels at once.
nn::LabelledImages draw(Index count) {
  const Ids labels = randint(0, 4, {count});
  const Tensor center = 5 + 6 * rand({count, 2, 1, 1}), radius = 2.5 + 2.5 * rand({count, 1, 1});
  const Tensor x = abs(arange(16) - select(center, 1, 0));               // (count, 1, 16)
  const Tensor y = abs(arange(16).unsqueeze(1) - select(center, 1, 1));  // (count, 16, 1)
  const Tensor round = sqrt(x * x + y * y), square = maximum(x, y);      // (count, 16, 16)
  const Tensor disc = round <= radius, box = square <= 0.85 * radius, ring = disc * (round > radius - 1.5);
  const Tensor cross = (square <= radius) * (minimum(x, y) < 1);
  const Tensor is = one_hot(labels, 4).view({count, 4, 1, 1});
  const Tensor ink = sum(is * stack({disc, box, cross, ring}, 1), 1, true);  // (count, 1, 16, 16)
  const Tensor color = 0.3 + 0.7 * rand({count, 3, 1, 1});
  return {ink * color + 0.3 * randn({count, 3, 16, 16}), labels};
}

int main(int argc, char** argv) {
  const double scale = argc > 1 ? std::stod(argv[1]) : 1;  // of the number of epochs
  manual_seed(1);
  nn::Sequential net{nn::Conv2d(3, 16, 3, {.padding = 1, .bias = false}),
                     nn::BatchNorm2d(16),
                     nn::ReLU(),
                     BasicBlock(16, 16, 1),
                     BasicBlock(16, 32, 2),
                     BasicBlock(32, 64, 2),
                     nn::AdaptiveAvgPool2d(1),
                     nn::Flatten(),
                     nn::Linear(64, 4)};
  const nn::LabelledImages test = draw(500);
  nn::DataLoader loader(draw(2000), {.batch_size = 50, .shuffle = true});
  optim::SGD optimizer(net.parameters(), {.lr = 0.05, .momentum = 0.9, .weight_decay = 5e-4});
  fmt::print("{} parameters\n", net.num_parameters());
  for (int epoch = 0; epoch < 5 * scale; ++epoch) {
    net.train();
    for (const nn::Batch& batch : loader) {
      const Tensor loss = cross_entropy(net(batch[0]), batch.labels);
      optimizer.zero_grad();
      loss.backward();
      optimizer.step();
    }
    const NoGrad guard;
    net.eval();
    const double right = nn::accuracy(net(test.images), test.labels);
    fmt::print("epoch {}  right on new pictures {:.1f} %\n", epoch + 1, 100 * right);
    optimizer.set_lr(optimizer.lr() / 2);
  }
}
