// Sizes near the ends of what an Index holds: every number that a program can give ends in an Error or in a result,
// never in an overflow. UndefinedBehaviorSanitizer watches.
#include <functional>
#include <limits>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/core/ops/cached_attention.h>

#include "../../support.h"

namespace gradus::testing {
namespace {

constexpr Index most = std::numeric_limits<Index>::max();
// From where on a machine cannot have the memory.
const std::vector<Index> huge{Index{1} << 40, Index{1} << 61, Index{1} << 62, most - 1, most};

TEST(Sizes, SaturatingProductStopsAtTheLargestIndex) {
  EXPECT_EQ(saturating_product({}), 1);
  EXPECT_EQ(saturating_product({6, 7}), 42);
  EXPECT_EQ(saturating_product({most, 1}), most);
  EXPECT_EQ(saturating_product({most, 2}), most);
  EXPECT_EQ(saturating_product({Index{1} << 32, Index{1} << 32, 3}), most);
  EXPECT_EQ(saturating_product({Index{1} << 32, Index{1} << 32, 0}), 0);
}

// Or the product of some of its sizes would not fit.
TEST(Sizes, AShapeWithoutElementsHasSizesThatFitToo) {
  expect_contains(error_of([] { zeros({Index{1} << 40, 0, Index{1} << 40}); }), "63 bits");
  expect_contains(error_of([] { zeros({0, most, 2}); }), "63 bits");
  EXPECT_EQ(zeros({0, most}).numel(), 0);
  EXPECT_EQ(zeros({Index{1} << 31, 0, Index{1} << 31}).numel(), 0);
}

TEST(Sizes, ThatConvolutionsGetEndInAnErrorOrFit) {
  const Tensor image = ones({1, 1, 4, 4}), kernel = ones({1, 1, 2, 2}), series = ones({1, 1, 4}),
               taps = ones({1, 1, 2});
  const Tensor none = zeros({0, 1, 4, 4}), no_kernels = zeros({0, 1, 2, 2});
  for (const Index n : huge) {
    for (const Tensor& x : {image, none}) {
      for (const Tensor& w : {kernel, no_kernels}) {
        error_if_any([&] { conv2d(x, w, {}, {.padding = n}); });
        error_if_any([&] { conv2d(x, w, {}, {.padding = {0, n}}); });
        error_if_any([&] { conv2d(x, w, {}, {.stride = most, .padding = n}); });
        expect_contains(error_of([&] { conv2d(x, w, {}, {.dilation = n}); }), "does not fit");
        error_if_any([&] { conv2d(x, w, {}, {.padding = n, .dilation = n}); });
        EXPECT_EQ(conv2d(x, w, {}, {.stride = n}).shape(), (Shape{x.size(0), w.size(0), 1, 1}));
        EXPECT_EQ(conv2d(x, w, {}, {.stride = n, .padding = 1}).shape(), (Shape{x.size(0), w.size(0), 1, 1}));
      }
    }
    EXPECT_NE(error_of([&] { conv1d(series, taps, {}, {.padding = n}); }), "");
    expect_contains(error_of([&] { conv1d(series, taps, {}, {.dilation = n}); }), "does not fit");
    EXPECT_EQ(conv1d(series, taps, {}, {.stride = n, .padding = 1}).size(2), 1);
  }
  expect_contains(error_of([&] { conv2d(image, kernel, {}, {.padding = Index{1} << 62}); }), "does not fit");
  // Windows far apart, and gradients back through them.
  Tensor x = ones({1, 1, 4, 4}).requires_grad(true);
  sum(conv2d(x, kernel, {}, {.stride = most, .padding = 1})).backward();
  expect_close(sum(x.grad()), {1});
}

TEST(Sizes, ThatPoolingGetsEndInAnErrorOrFit) {
  const Tensor x = ones({1, 4, 4});
  for (auto* const pool : {&max_pool2d, &avg_pool2d}) {
    for (const Index n : huge) {
      EXPECT_NE(error_of([&] { (*pool)(x, n, {}); }), "");
      EXPECT_NE(error_of([&] { (*pool)(x, 2, {.padding = n}); }), "");
      EXPECT_EQ((*pool)(x, 2, {.stride = n, .padding = 1}).shape(), (Shape{1, 1, 1}));
      error_if_any([&] { (*pool)(x, n, {.stride = n, .padding = n / 2}); });
      error_if_any([&] { (*pool)(x, {n, 1}, {.stride = n, .padding = {n / 2, 0}}); });
      error_if_any([&] { (*pool)(zeros({0, 4, 4}), n, {.padding = n / 2}); });
    }
    // A window that reaches far beyond the input takes time for the input alone.
    const Index wide = Index{1} << 40;
    EXPECT_EQ((*pool)(x, {wide, 1}, {.stride = {wide, 1}, .padding = {wide / 2, 0}}).shape(), (Shape{1, 1, 4}));
  }
  expect_close(max_pool2d(x, Index{1} << 20, {.stride = Index{1} << 20, .padding = Index{1} << 19}), {1});
}

TEST(Sizes, OfArangeConcatAndShapesEndInAnError) {
  for (const double end : {1e18, 1e19, 1e300, std::numeric_limits<double>::max()}) {
    EXPECT_NE(error_of([&] { arange(end); }), "");
    EXPECT_NE(error_of([&] { arange(0, -end, -1); }), "");
    EXPECT_NE(error_of([&] { arange(0, 1, 1 / end); }), "");
  }
  const Tensor wide = zeros({0, Index{1} << 62});
  expect_contains(error_of([&] { concat({wide, wide}, 1); }), "63 bits");
  expect_contains(error_of([&] { stack(std::vector<Tensor>(4, wide), 1); }), "63 bits");
  for (const Index n : huge) {
    EXPECT_NE(error_of([&] { zeros({n, n}); }), "");
    EXPECT_NE(error_of([&] { zeros({n, Index{1} << 21}); }), "");
    EXPECT_NE(error_of([&] { reshape(ones({4}), {n, 4}); }), "");
    EXPECT_NE(error_of([&] { reshape(ones({4}), {n}); }), "");
    EXPECT_NE(error_of([&] { narrow(ones({4}), 0, 1, n); }), "");
    EXPECT_NE(error_of([&] { select(ones({4}), 0, n); }), "");
    EXPECT_EQ(slice(ones({4}), 0, 1, n).shape(), Shape{3});
    EXPECT_EQ(slice(ones({4}), 0, -n, n, n).shape(), Shape{1});
    EXPECT_NE(error_of([&] { ones({4}).size(n); }), "");
    EXPECT_NE(error_of([&] { broadcast_to(ones({1}), {n, n}); }), "");
    EXPECT_NE(error_of([&] { randperm(n); }), "");
    EXPECT_NE(error_of([&] { default_generator().below(n); }), "");
  }
}

TEST(Sizes, OfProductsOfEmptyBatchesDoNotOverflow) {
  const Index a = Index{1} << 20, b = Index{1} << 30;
  EXPECT_EQ(matmul(zeros({0, b, a}), zeros({0, a, b})).shape(), (Shape{0, b, b}));
  EXPECT_EQ(scaled_dot_product_attention(zeros({0, b, 8}), zeros({0, b, 8}), zeros({0, b, 8}), {}).shape(),
            (Shape{0, b, 8}));
  EXPECT_EQ(sum(zeros({0, b, b}), {1}).shape(), (Shape{0, b}));
}

TEST(Sizes, OfAttentionEndInAnError) {
  const Tensor qkv = ones({4, 12});
  const NoGrad no_grad;
  for (const Index n : huge) {
    EXPECT_NE(error_of([&] { packed_attention(qkv, n, std::vector<Index>{4}); }), "");
    EXPECT_NE(error_of([&] { packed_attention(qkv, 1, std::vector<Index>{n, n, 4}); }), "");
    KeyValues first, second;
    const std::vector<KeyValues*> caches{&first, &second};
    EXPECT_NE(error_of([&] { cached_attention(qkv, n, std::vector<Index>{2, 2}, caches); }), "");
    EXPECT_NE(error_of([&] { cached_attention(qkv, 1, std::vector<Index>{n, n}, caches); }), "");
  }
  EXPECT_EQ(cached_attention(zeros({0, 12}), 1, {}, {}).shape(), (Shape{0, 4}));
}

}  // namespace
}  // namespace gradus::testing
