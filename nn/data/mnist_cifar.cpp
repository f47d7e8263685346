// Sizes are compared with the file's length before memory is allocated.
#include <gradus/nn/data/mnist_cifar.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <span>

#include <gradus/nn/files/detail/input_file.h>

namespace gradus::nn {
namespace {

using detail::InputFile;

struct Idx {
  unsigned char type = 0;  // 8 and 9: bytes without and with a sign; 11, 12: integers of 16, 32 bits; 13, 14: floats
  std::size_t width = 1;   // bytes per number
  Shape shape;
};

void refuse_other_kinds(InputFile& file) {
  const std::string kind = file.kind();
  file.require(kind.empty(), "{}", kind);
}

Idx read_idx_header(InputFile& file) {
  refuse_other_kinds(file);
  const auto is_magic = [](const std::string& text) { return text[0] == 0 && text[1] == 0; };
  const std::string magic = file.size() < 4 ? "" : file.text(4);
  file.require(!magic.empty() && is_magic(magic), "it does not begin as IDX files do, with two zeros; is it unpacked?");
  constexpr std::array<std::pair<unsigned char, std::size_t>, 6> types{
      {{8, 1}, {9, 1}, {11, 2}, {12, 4}, {13, 4}, {14, 8}}};
  Idx idx{static_cast<unsigned char>(magic[2]), 0, {}};
  for (const auto& [type, width] : types) idx.width = type == idx.type ? width : idx.width;
  file.require(idx.width != 0, "its numbers are of type {}; 8, 9, 11, 12, 13 and 14 are those of IDX", idx.type);
  const auto rank = static_cast<unsigned char>(magic[3]);
  file.require(rank <= Shape::max_rank, "it has {} dimensions; {} are the most", rank, Shape::max_rank);
  std::uint64_t needed = idx.width;
  bool fits = true;
  for (int d = 0; d < rank; ++d) {
    Index size = 0;
    for (const char byte : file.text(4)) size = size << 8 | static_cast<unsigned char>(byte);
    idx.shape.push_back(size);
    // A size of zero counts as one here, because it would hide an overflow among the others.
    const auto factor = static_cast<std::uint64_t>(std::max<Index>(size, 1));
    fits = fits && !__builtin_mul_overflow(needed, factor, &needed) && needed >> 60 == 0;
  }
  file.require(fits, "its shape {} is too large", idx.shape);
  needed = static_cast<std::uint64_t>(idx.shape.numel()) * idx.width;
  file.require(needed == file.left(), "its shape {} needs {} bytes, but {} follow; it is cut off or damaged", idx.shape,
               needed, file.left());
  return idx;
}

// f(i, number) for every big-endian number; T is the file's type.
template <class T, class F>
void each_number(InputFile& file, std::size_t count, const F& f) {
  constexpr std::size_t piece = 8192;
  std::array<T, piece> numbers{};
  for (std::size_t done = 0; done < count;) {
    const std::size_t n = std::min(count - done, piece);
    const std::span<std::byte> bytes = std::as_writable_bytes(std::span(numbers).first(n));
    file.read(bytes);
    for (std::size_t i = 0; i < n; ++i) {
      std::ranges::reverse(bytes.subspan(i * sizeof(T), sizeof(T)));
      f(done + i, numbers[i]);
    }
    done += n;
  }
}

template <class T>
Tensor read_numbers(InputFile& file, const Shape& shape, DType dtype) {
  Tensor x = Tensor::empty(shape, dtype);
  dispatch(dtype, [&]<class To>() {
    const std::span<To> to = x.data<To>();
    each_number<T>(file, to.size(), [&](std::size_t i, T n) { to[i] = static_cast<To>(n); });
  });
  return x;
}

void scale_to_one(std::span<float> pixels) {
  constexpr float most = 255;
  for (float& pixel : pixels) pixel /= most;
}

}  // namespace

Example LabelledImages::get(Index i) const {
  check(i >= 0 && i < size(), "LabelledImages: there is no image {} among {}", i, size());
  return {{detail::row_of(images, i)}, {{labels[static_cast<std::size_t>(i)]}}};
}

Tensor read_idx(const std::string& path) {
  InputFile file("read_idx", path);
  const Idx idx = read_idx_header(file);
  switch (idx.type) {
    case 8:
      return read_numbers<std::uint8_t>(file, idx.shape, DType::f32);
    case 9:
      return read_numbers<std::int8_t>(file, idx.shape, DType::f32);
    case 11:
      return read_numbers<std::int16_t>(file, idx.shape, DType::f32);
    case 12:
      return read_numbers<std::int32_t>(file, idx.shape, DType::f64);
    case 13:
      return read_numbers<float>(file, idx.shape, DType::f32);
    default:
      return read_numbers<double>(file, idx.shape, DType::f64);
  }
}

Tensor read_mnist_images(const std::string& path) {
  InputFile file("read_mnist_images", path);
  const Idx idx = read_idx_header(file);
  file.require(idx.type == 8 && idx.shape.rank() == 3,
               "it has numbers of type {} and shape {}; images are bytes (type 8), (n, height, width): is it a file of "
               "labels?",
               idx.type, idx.shape);
  const Shape shape{idx.shape[0], 1, idx.shape[1], idx.shape[2]};
  Tensor images = read_numbers<std::uint8_t>(file, shape, DType::f32);
  scale_to_one(images.data<float>());
  return images;
}

std::vector<std::int32_t> read_mnist_labels(const std::string& path) {
  InputFile file("read_mnist_labels", path);
  const Idx idx = read_idx_header(file);
  file.require(idx.type == 8 && idx.shape.rank() == 1,
               "it has numbers of type {} and shape {}; labels are bytes (type 8), (n): is it a file of images?",
               idx.type, idx.shape);
  std::vector<std::int32_t> labels(static_cast<std::size_t>(idx.shape[0]));
  each_number<std::uint8_t>(file, labels.size(), [&](std::size_t i, std::uint8_t label) { labels[i] = label; });
  return labels;
}

LabelledImages read_mnist(const std::string& images, const std::string& labels) {
  LabelledImages all{read_mnist_images(images), read_mnist_labels(labels)};
  check(all.images.size(0) == all.size(), "read_mnist: '{}' has {} images and '{}' {} labels; do they belong together?",
        images, all.images.size(0), labels, all.size());
  return all;
}

LabelledImages read_cifar10(const std::vector<std::string>& paths) {
  constexpr std::uint64_t pixels = 3 * 32 * 32, record = 1 + pixels;
  std::vector<InputFile> files;
  Index count = 0;
  for (const std::string& path : paths) {
    InputFile& file = files.emplace_back("read_cifar10", path);
    // A label and pixels may look like another format's first bytes, so whole records are not asked for their format.
    if (file.size() % record != 0) refuse_other_kinds(file);
    file.require(file.size() % record == 0,
                 "it has {} bytes, and each image takes {} with its label; it is cut off, or not of the binary version",
                 file.size(), record);
    count += static_cast<Index>(file.size() / record);
  }
  LabelledImages all{Tensor::empty({count, 3, 32, 32}), {}};
  std::span<float> to = all.images.data<float>();
  for (InputFile& file : files) {
    while (file.left() > 0) {
      const std::string bytes = file.text(record);
      const auto label = static_cast<unsigned char>(bytes[0]);
      file.require(label < 10, "image {} of the file has label {}; labels are from 0 to 9: is it CIFAR-100?",
                   (file.size() - file.left()) / record - 1, label);
      all.labels.push_back(label);
      std::ranges::transform(bytes.substr(1), to.begin(), [](char c) { return static_cast<unsigned char>(c); });
      scale_to_one(to.first(pixels));
      to = to.subspan(pixels);
    }
  }
  return all;
}

}  // namespace gradus::nn
