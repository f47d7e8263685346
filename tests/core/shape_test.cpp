// Shape: sizes, negative dimensions, the matrix view, and the text in which errors show it.
#include <gradus/core/dtype.h>
#include <gradus/core/shape.h>

#include "../support.h"

namespace gradus::testing {
namespace {

TEST(Shape, CountsElements) {
  EXPECT_EQ(Shape().numel(), 1);
  EXPECT_EQ((Shape{2, 3, 4}).numel(), 24);
  EXPECT_EQ((Shape{2, 0, 4}).numel(), 0);
  EXPECT_EQ((Shape{1, 1, 1, 1, 1, 1, 1, 5}).numel(), 5);
}

TEST(Shape, TakesNegativeDimensionsFromTheEnd) {
  const Shape shape{2, 3, 4};
  EXPECT_EQ(shape.rank(), 3);
  EXPECT_EQ(shape[0], 2);
  EXPECT_EQ(shape[-1], 4);
  EXPECT_EQ(shape[-3], 2);
  EXPECT_EQ(shape.back(), 4);
  expect_contains(error_of([&] { shape[3]; }), "no dimension 3 in a tensor with 3 dimensions; use -3 .. 2");
  expect_contains(error_of([&] { shape[-4]; }), "no dimension -4");
}

TEST(Shape, IsComparedBySizes) {
  EXPECT_EQ((Shape{2, 3}), (Shape{std::vector<Index>{2, 3}}));
  EXPECT_NE((Shape{2, 3}), (Shape{3, 2}));
  EXPECT_NE((Shape{2, 3}), (Shape{2, 3, 1}));
  EXPECT_NE(Shape(), Shape{1});
}

TEST(Shape, IsAMatrixOfItsLastDimension) {
  const auto rows_and_cols = [](const Shape& shape) {
    const auto [rows, cols] = shape.as_matrix();
    return std::pair(rows, cols);
  };
  EXPECT_EQ(rows_and_cols({2, 3, 4}), (std::pair<Index, Index>(6, 4)));
  EXPECT_EQ(rows_and_cols({7}), (std::pair<Index, Index>(1, 7)));
  EXPECT_EQ(rows_and_cols({}), (std::pair<Index, Index>(1, 1)));
  EXPECT_EQ(rows_and_cols({5, 0}), (std::pair<Index, Index>(5, 0)));
}

TEST(Shape, PrintsLikeATuple) {
  EXPECT_EQ(fmt::format("{}", Shape{2, 3}), "(2, 3)");
  EXPECT_EQ(fmt::format("{}", Shape{5}), "(5)");
  EXPECT_EQ(fmt::format("{}", Shape{}), "()");
}

TEST(Shape, RefusesWhatCannotBe) {
  expect_contains(error_of([] { Shape{2, -3}; }), "size -3 in dimension 1");
  expect_contains(error_of([] { Shape({1, 2, 3, 4, 5, 6, 7, 8, 9}); }), "more than 8 dimensions");
  expect_contains(error_of([] { Shape({Index{1} << 32, Index{1} << 32}).numel(); }), "63 bits");
}

TEST(DType, HasSizesAndNames) {
  EXPECT_EQ(size_of(DType::f32), 4U);
  EXPECT_EQ(size_of(DType::f64), 8U);
  EXPECT_EQ(fmt::format("{} {}", DType::f32, DType::f64), "f32 f64");
  EXPECT_EQ(dtype_of<double>(), DType::f64);
}

}  // namespace
}  // namespace gradus::testing
