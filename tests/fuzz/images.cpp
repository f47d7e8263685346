// Files of images and labels of any bytes: they are read or they are an Error, and what is read is in its range.
#include <gradus/nn/data/mnist_cifar.h>

#include <algorithm>

#include "fuzz.h"

using namespace gradus;
using namespace gradus::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string path = folder() / "input";
  write_file(path, text_of(data, size));
  const auto in_range = [](const Tensor& x) {
    return std::ranges::all_of(x.data<float>(), [](float pixel) { return pixel >= 0 && pixel <= 1; });
  };
  const auto numbers = result_of([&] { return nn::read_idx(path); });
  const auto images = result_of([&] { return nn::read_mnist_images(path); });
  const auto labels = result_of([&] { return nn::read_mnist_labels(path); });
  if (images) expect(numbers && images->numel() == numbers->numel() && in_range(*images), "pixels are from 0 to 1");
  if (labels) expect(numbers && static_cast<Index>(labels->size()) == numbers->numel(), "there is a label for each");
  const auto pictures = result_of([&] { return nn::read_cifar10({path}); });
  if (pictures) {
    expect(in_range(pictures->images) && pictures->size() == pictures->images.size(0), "each picture has a label");
    expect(std::ranges::all_of(pictures->labels, [](std::int32_t label) { return label >= 0 && label < 10; }),
           "0 .. 9");
  }
  return 0;
}
