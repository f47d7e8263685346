// MNIST's and CIFAR-10's files, made here byte by byte.
#include <gradus/nn/data/mnist_cifar.h>

#include <gradus/nn/data/data_loader.h>

#include <cstring>

#include "../support.h"

namespace gradus::nn {
namespace {

using namespace std::string_literals;
using testing::bits;
using testing::error_of;
using testing::expect_close;
using testing::expect_contains;
using testing::TempFolder;
using testing::write;
using Ids = std::vector<std::int32_t>;

std::string idx(char type, const std::vector<Index>& sizes, const std::string& numbers) {
  std::string text = "\0\0"s + type + static_cast<char>(sizes.size());
  for (const Index size : sizes) {
    for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(size >> shift & 0xff);
  }
  return text + numbers;
}

template <class F>
std::string error_of_file(const std::string& bytes, F read) {
  const TempFolder folder;
  write(folder / "bad", bytes);
  const std::string error = error_of([&] { read((folder / "bad").string()); });
  expect_contains(error, (folder / "bad").string());
  return error;
}

TEST(Mnist, ImagesAndLabels) {
  const TempFolder folder;
  write(folder / "images", idx(8, {2, 2, 3}, "\x00\xff\x33\x00\x00\x00\x66\x00\x00\x00\x00\xff"s));
  write(folder / "labels", idx(8, {2}, "\x07\xff"));
  const LabelledImages all = read_mnist(folder / "images", folder / "labels");
  EXPECT_EQ(all.images.shape(), (Shape{2, 1, 2, 3}));
  EXPECT_EQ(all.images.dtype(), DType::f32);
  expect_close(all.images, {0, 1, 0.2, 0, 0, 0, 0.4, 0, 0, 0, 0, 1}, 1e-7);
  EXPECT_EQ(all.labels, (Ids{7, 255}));

  DataLoader loader(all, {.batch_size = 2, .workers = 1});
  const Batch batch = *loader.begin();
  EXPECT_EQ(bits(batch[0]), bits(all.images));
  EXPECT_EQ(batch.labels, all.labels);
  expect_contains(error_of([&] { all.get(2); }), "there is no image 2 among 2");

  write(folder / "one", idx(8, {1}, "\x07"));
  expect_contains(error_of([&] { read_mnist(folder / "images", folder / "one"); }), "has 2 images and");
  expect_contains(error_of([&] { read_mnist(folder / "labels", folder / "images"); }), "shape (2); images are bytes");
  expect_contains(error_of([&] { read_mnist_labels(folder / "images"); }), "shape (2, 2, 3); labels are bytes");
}

TEST(Idx, EveryType) {
  const TempFolder folder;
  const auto read = [&](char type, const std::string& numbers) {
    write(folder / "x", idx(type, {2}, numbers));
    return read_idx(folder / "x");
  };
  EXPECT_EQ(bits(read(8, "\x01\xff")), bits({1, 255}));
  EXPECT_EQ(bits(read(9, "\x01\xff")), bits({1, -1}));
  EXPECT_EQ(bits(read(11, "\x01\x02\xff\xfe")), bits({258, -2}));
  EXPECT_EQ(bits(read(12, "\x7f\xff\xff\xff\xff\xff\xff\xfe")), bits({2147483647, -2}));
  EXPECT_EQ(bits(read(13, "\x3f\x80\0\0\xc0\0\0\0"s)), bits({1, -2}));
  const Tensor wide = read(14, "\x3f\xf0\0\0\0\0\0\x01\xc0\0\0\0\0\0\0\0"s);
  EXPECT_EQ(bits(wide), bits({0x1.0000000000001p0, -2}));
  EXPECT_EQ(wide.dtype(), DType::f64);
  write(folder / "x", idx(8, {}, "\5"));
  EXPECT_EQ(read_idx(folder / "x").item(), 5);
  write(folder / "x", idx(8, {20000}, std::string(20000, '\1')));
  EXPECT_EQ(bits(read_idx(folder / "x")), bits(ones({20000})));
}

TEST(Idx, Errors) {
  const auto error = [](const std::string& bytes) { return error_of_file(bytes, read_idx); };
  expect_contains(error(""), "does not begin as IDX files do");
  expect_contains(error("\0\0\x08"s), "does not begin as IDX files do");
  expect_contains(error("\1\0\x08\1"s), "does not begin as IDX files do");
  expect_contains(error("\x1f\x8b packed"), "gunzip");
  expect_contains(error(idx(10, {1}, "1")), "of type 10");
  expect_contains(error(idx(8, std::vector<Index>(9, 1), "1")), "9 dimensions");
  expect_contains(error(idx(8, {3, 2}, "12345")), "shape (3, 2) needs 6 bytes, but 5 follow");
  expect_contains(error(idx(8, {2}, "123")), "needs 2 bytes, but 3 follow");
  expect_contains(error(idx(14, {0, 0xffffffff, 0xffffffff, 0xffffffff}, "")), "is too large");
  expect_contains(error(idx(8, {1, 1}, "").substr(0, 9)), "it is cut off");
  expect_contains(error_of([] { read_idx("/no/such"); }), "read_idx: '/no/such': there is no such file");
}

TEST(Cifar10, Batches) {
  const TempFolder folder;
  const auto image = [](char label, char red) { return label + std::string(1024, red) + std::string(2048, '\0'); };
  write(folder / "1", image(3, '\xff') + image(9, '\x33'));
  write(folder / "2", image(0, '\x66'));
  const LabelledImages all = read_cifar10({folder / "1", folder / "2"});
  EXPECT_EQ(all.images.shape(), (Shape{3, 3, 32, 32}));
  EXPECT_EQ(all.labels, (Ids{3, 9, 0}));
  std::vector<double> expected;
  for (const double red : {1.0, 0.2, 0.4}) {
    expected.insert(expected.end(), 1024, red);
    expected.insert(expected.end(), 2048, 0);
  }
  expect_close(all.images, expected, 1e-7);
  const auto error = [](const std::string& bytes) {
    return error_of_file(bytes, [](const std::string& path) { read_cifar10({path}); });
  };
  expect_contains(error(image(3, 0) + image(10, 0)), "image 1 of the file has label 10");
  expect_contains(error(image(3, 0) + "1"), "it has 3074 bytes, and each image takes 3073");
  expect_contains(error("\x1f\x8b packed"), "gunzip");
}

}  // namespace
}  // namespace gradus::nn
