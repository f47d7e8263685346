// Readers of the files in which MNIST and CIFAR-10 come. The formats: yann.lecun.com/exdb/mnist (IDX) and
// cs.toronto.edu/~kriz/cifar.html (the binary version). Fashion-MNIST, KMNIST and EMNIST are IDX too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <gradus/core/tensor.h>
#include <gradus/nn/data/dataset.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// Images with their classes. As a dataset, get(i) has image i, (channels, height, width), and its label.
struct LabelledImages {
  Tensor images;                     // (n, channels, height, width), f32, from 0 to 1
  std::vector<std::int32_t> labels;  // (n)

  Index size() const { return static_cast<Index>(labels.size()); }
  Example get(Index i) const;
};

// Everything here throws Error, naming the file and what is wrong with it, for anything that is not exactly such a
// file.

/// An IDX file of any type and shape, its numbers as they are. f32 for 8 and 16 bits and float, else f64.
Tensor read_idx(const std::string& path);
/// An IDX file of bytes, (n, height, width): (n, 1, height, width) in f32, divided by 255.
Tensor read_mnist_images(const std::string& path);
/// An IDX file of bytes, (n).
std::vector<std::int32_t> read_mnist_labels(const std::string& path);
/// Both: train-images-idx3-ubyte and train-labels-idx1-ubyte, unpacked. Throws Error for different counts.
LabelledImages read_mnist(const std::string& images, const std::string& labels);
/// Batches one after another, data_batch_1.bin .. or test_batch.bin: (n, 3, 32, 32), labels 0 .. 9.
LabelledImages read_cifar10(const std::vector<std::string>& paths);

#pragma GCC visibility pop
}  // namespace gradus::nn
