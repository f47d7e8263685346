// Window: what convolution and pooling share, a kernel that slides over a plane. each_run() finds the
// elements under it; its callers need no stride, padding or dilation.
#pragma once

#include <algorithm>

#include <gradus/core/ops/detail/common.h>

namespace gradus {

/// One plane of `in` sizes (height, width), and the number of positions `out` of the kernel.
struct Window {
  Size2 in, out, kernel, stride, padding, dilation;

  Index taps() const { return kernel.height * kernel.width; }
  Index in_size() const { return in.height * in.width; }
  Index out_size() const { return out.height * out.width; }

  /// Calls f(tap, position in the output plane, position in the input plane, n) for n consecutive outputs of a row: the
  /// tap of the kernel then lies on input elements that are stride.width apart. Taps on padding are left out. Taps come
  /// in row-major order.
  template <class F>
  void each_run(const F& f) const {
    const auto [first_row, last_row] =
        taps_inside(in.height, out.height, kernel.height, stride.height, padding.height, dilation.height);
    const auto [first_tap, last_tap] =
        taps_inside(in.width, out.width, kernel.width, stride.width, padding.width, dilation.width);
    for (Index kh = first_row; kh < last_row; ++kh) {
      const auto [top, bottom] = inside(kh * dilation.height - padding.height, stride.height, in.height, out.height);
      for (Index kw = first_tap; kw < last_tap; ++kw) {
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
  // The taps that lie on the input at some position: a pooling window may be much larger than the input.
  static Range taps_inside(Index size, Index places, Index kernel, Index stride, Index padding, Index dilation) {
    const Index before = padding - (places - 1) * stride;
    return {before <= 0 ? 0 : (before - 1) / dilation + 1,
            size == 0 ? 0 : std::min(kernel, (size - 1 + padding) / dilation + 1)};
  }
  // The output places o with 0 <= o stride + shift < size.
  static Range inside(Index shift, Index stride, Index size, Index places) {
    const Index begin = shift >= 0 ? 0 : (-shift - 1) / stride + 1;
    const Index end = size <= shift ? 0 : std::min(places, (size - 1 - shift) / stride + 1);
    return {begin, end};
  }
};

/// How many positions a kernel has along one dimension of `in` elements; 0 if it does not fit, or if the padded
/// dimension or the dilated kernel is longer than the largest Index. With ceil_mode the last one may reach beyond the
/// padding.
Index window_places(Index in, Index kernel, Index stride, Index padding, Index dilation, bool ceil_mode = false);

/// How a kernel fits on x (.., H, W). Throws Error in the name of `op` unless it fits at least once.
Window make_window(const char* op, const Tensor& x, Size2 kernel, Size2 stride, Size2 padding, Size2 dilation,
                   bool ceil_mode = false);

}  // namespace gradus
