// Window: what convolution and pooling share, a kernel that slides over a plane. Everything that depends on strides,
// padding and dilation is the one walk each_run().
#pragma once

#include <algorithm>

#include <gradus/core/ops/common.h>

namespace gradus {

/// One plane of `in` sizes (height, width), and the places `out` where the kernel comes to stand.
struct Window {
  Size2 in, out, kernel, stride, padding, dilation;

  Index taps() const { return kernel.height * kernel.width; }
  Index in_size() const { return in.height * in.width; }
  Index out_size() const { return out.height * out.width; }

  /// f(tap, position in the output plane, position in the input plane, n): for the n output places that follow one
  /// another in a row, the tap of the kernel lies on input elements that are stride.width apart. Taps on padding are
  /// left out. Taps come in row-major order.
  template <class F>
  void each_run(const F& f) const {
    for (Index kh = 0; kh < kernel.height; ++kh) {
      const auto [top, bottom] = inside(kh * dilation.height - padding.height, stride.height, in.height, out.height);
      for (Index kw = 0; kw < kernel.width; ++kw) {
        const Index shift = kw * dilation.width - padding.width;
        const auto [left, right] = inside(shift, stride.width, in.width, out.width);
        if (left >= right) continue;
        for (Index row = top; row < bottom; ++row) {
          const Index in_row = row * stride.height + kh * dilation.height - padding.height;
          f(kh * kernel.width + kw, row * out.width + left, in_row * in.width + left * stride.width + shift,
            right - left);
        }
      }
    }
  }

 private:
  struct Range {
    Index begin, end;
  };
  // The output places o with 0 <= o stride + shift < size.
  static Range inside(Index shift, Index stride, Index size, Index places) {
    const Index begin = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
    const Index end = size <= shift ? 0 : std::min(places, (size - 1 - shift) / stride + 1);
    return {begin, end};
  }
};

/// How a kernel fits on x (.., H, W). Throws Error in the name of `op` unless it fits at least once.
Window make_window(const char* op, const Tensor& x, Size2 kernel, Size2 stride, Size2 padding, Size2 dilation);

}  // namespace gradus
