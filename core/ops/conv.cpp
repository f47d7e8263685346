// conv2d as a matrix product: the patches under the kernel become the columns of a matrix (im2col, Chellapilla, Puri &
// Simard 2006), which the weight multiplies. The gradient makes the patches again instead of keeping them, which would
// hold kernel-size copies of every input. conv1d is a plane of height 1.
// B batch, C channels, O channels of the result, K = C kernel.height kernel.width, P places of the kernel.
#include <gradus/core/ops/detail/gemm.h>
#include <gradus/core/ops/detail/window.h>

namespace gradus {
namespace {

// cols (K, P) = the patches of one image (C, H, W); zero where the kernel lies on padding.
template <class T>
void gather_patches(T* cols, const T* image, Index channels, const Window& w) {
  std::fill_n(cols, channels * w.taps() * w.out_size(), T(0));
  for (Index c = 0; c < channels; ++c, image += w.in_size(), cols += w.taps() * w.out_size()) {
    w.each_run([&, cols, image](Index tap, Index out, Index in, Index n) {
      T* const to = cols + tap * w.out_size() + out;
      const T* const from = image + in;
      for (Index i = 0; i < n; ++i) to[i] = from[i * w.stride.width];
    });
  }
}

// image += cols, each element where gather_patches() took it from.
template <class T>
void add_patches(T* image, const T* cols, Index channels, const Window& w) {
  for (Index c = 0; c < channels; ++c, image += w.in_size(), cols += w.taps() * w.out_size()) {
    w.each_run([&, cols, image](Index tap, Index out, Index in, Index n) {
      const T* const from = cols + tap * w.out_size() + out;
      T* const to = image + in;
      for (Index i = 0; i < n; ++i) to[i * w.stride.width] += from[i];
    });
  }
}

}  // namespace

Index window_places(Index in, Index kernel, Index stride, Index padding, Index dilation) {
  Index padded = 0, reach = 0;  // of the kernel, from its first tap to its last
  const bool too_long = __builtin_mul_overflow(padding, Index{2}, &padded) ||
                        __builtin_add_overflow(padded, in, &padded) ||
                        __builtin_mul_overflow(dilation, kernel - 1, &reach);
  return too_long || padded <= reach ? 0 : (padded - reach - 1) / stride + 1;
}

Window make_window(const char* op, const Tensor& x, Size2 kernel, Size2 stride, Size2 padding, Size2 dilation) {
  check(kernel.height > 0 && kernel.width > 0, "{}: a kernel of {} x {}; both must be at least 1", op, kernel.height,
        kernel.width);
  check(stride.height > 0 && stride.width > 0, "{}: a stride of {} x {}; both must be at least 1", op, stride.height,
        stride.width);
  check(padding.height >= 0 && padding.width >= 0, "{}: a padding of {} x {}; both must be at least 0", op,
        padding.height, padding.width);
  check(dilation.height > 0 && dilation.width > 0, "{}: a dilation of {} x {}; both must be at least 1", op,
        dilation.height, dilation.width);
  Window w{{x.size(-2), x.size(-1)}, {0, 0}, kernel, stride, padding, dilation};
  w.out = {window_places(w.in.height, kernel.height, stride.height, padding.height, dilation.height),
           window_places(w.in.width, kernel.width, stride.width, padding.width, dilation.width)};
  check(w.out.height > 0 && w.out.width > 0,
        "{}: a kernel of {} x {} with dilation {} x {} does not fit on x {} with padding {} x {}; pad more, or take a "
        "smaller kernel",
        op, kernel.height, kernel.width, dilation.height, dilation.width, x.shape(), padding.height, padding.width);
  // No loop is longer than these products. No tensor of their size need exist: a pooling kernel is two numbers, and x
  // may be empty.
  constexpr Index most = std::numeric_limits<Index>::max();
  check(saturating_product({w.out.height, w.out.width}) < most &&
            saturating_product({kernel.height, kernel.width}) < most,
        "{}: a kernel of {} x {} with padding {} x {} on x {} makes planes of more elements than fit in 63 bits; pad "
        "less, "
        "or take a smaller kernel",
        op, kernel.height, kernel.width, padding.height, padding.width, x.shape());
  return w;
}

namespace {

// The sizes of a convolution.
struct Conv {
  Window w;
  Index B, C, O;

  Index K() const { return C * w.taps(); }
  Index P() const { return w.out_size(); }
  Index image() const { return C * w.in_size(); }
  Index patches() const { return saturating_product({K(), P()}); }
  Index grain() const {  // some 10 us of multiply-adds
    return std::max<Index>(1, 300'000 / std::max<Index>(1, saturating_product({O, patches()})));
  }
};

// y (B, O, P) = weight patches + bias, image by image. Bias may be null.
template <class T>
void conv_forward(const Conv& c, const T* x, const T* weight, const T* bias, T* y) {
  const Index K = c.K(), P = c.P();
  parallel_for(c.B, c.grain(), [&](Index begin, Index end) {
    const Buffer cols(c.patches(), dtype_of<T>());
    for (Index b = begin; b < end; ++b) {
      gather_patches(cols.as<T>(), x + b * c.image(), c.C, c.w);
      T* const to = y + b * c.O * P;
      for (Index o = 0; o < c.O && bias != nullptr; ++o) std::fill_n(to + o * P, P, bias[o]);
      gemm(to, factor(weight, K), factor<T>(cols.as<T>(), P), c.O, P, K, bias != nullptr);
    }
  });
}

// The patches of dx are weight^T dy.
template <class T>
void conv_grad_x(const Conv& c, T* dx, const T* dy, const T* weight) {
  const Index K = c.K(), P = c.P();
  parallel_for(c.B, c.grain(), [&](Index begin, Index end) {
    const Buffer cols(c.patches(), dtype_of<T>());
    for (Index b = begin; b < end; ++b) {
      gemm(cols.as<T>(), factor(weight, K, true), factor(dy + b * c.O * P, P), K, P, c.O, false);
      add_patches(dx + b * c.image(), cols.as<T>(), c.C, c.w);
    }
  });
}

// dweight is the sum over the batch of dy patches^T.
template <class T>
void conv_grad_weight(const Conv& c, T* dweight, const T* dy, const T* x) {
  const Index K = c.K(), P = c.P();
  sum_over_rows(dweight, c.O * K, c.B, [&](T* sum, Index begin, Index end) {
    const Buffer cols(c.patches(), dtype_of<T>());
    for (Index b = begin; b < end; ++b) {
      gather_patches(cols.as<T>(), x + b * c.image(), c.C, c.w);
      gemm(sum, factor(dy + b * c.O * P, P), factor<T>(cols.as<T>(), P, true), c.O, K, P, true);
    }
  });
}

template <class T>
void conv_grad_bias(const Conv& c, T* dbias, const T* dy) {
  const Index O = c.O, P = c.P();
  sum_in_tree(dbias, O, c.B, row_block, [&](T* sums, Index begin, Index end) {
    for (Index i = begin * O; i < end * O; ++i) sums[i % O] += kernels::kernels<T>().sum(dy + i * P, P);
  });
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, Conv2dOptions options) {
  check_defined("conv2d", {x, weight});
  check(x.rank() == 4 && weight.rank() == 4 && x.size(1) == weight.size(1),
        "conv2d: x {} and weight {} must be (batch, in, height, width) and (out, in, height, width) with the same in; "
        "one image needs a batch of 1",
        x.shape(), weight.shape());
  const Index O = weight.size(0);
  check(!bias.defined() || bias.shape() == Shape{O}, "conv2d: bias {} must be ({}), the first size of weight {}",
        bias.defined() ? bias.shape() : Shape{}, O, weight.shape());
  check_same_dtype("conv2d", x, {weight, bias});
  const Window w =
      make_window("conv2d", x, {weight.size(2), weight.size(3)}, options.stride, options.padding, options.dilation);
  const Conv conv{.w = w, .B = x.size(0), .C = x.size(1), .O = O};
  Tensor y = Tensor::empty({conv.B, O, w.out.height, w.out.width}, x.dtype());
  dispatch(x.dtype(), [&]<class T>() {
    conv_forward<T>(conv, x.node().values<T>(), weight.node().values<T>(), values_or_null<T>(bias),
                    y.node().values<T>());
  });
  return record("conv2d", y, {x, weight, bias}, [conv](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const T* const dy = out.grad_or_null<T>();
      T *const dx = in[0].grad_or_null<T>(), *const dw = in[1].grad_or_null<T>(), *const db = in[2].grad_or_null<T>();
      if (dx != nullptr) conv_grad_x<T>(conv, dx, dy, in[1].values<T>());
      if (dw != nullptr) conv_grad_weight<T>(conv, dw, dy, in[0].values<T>());
      if (db != nullptr) conv_grad_bias<T>(conv, db, dy);
    });
  });
}

Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, Conv1dOptions options) {
  check_defined("conv1d", {x, weight});
  check(x.rank() == 3 && weight.rank() == 3 && x.size(1) == weight.size(1),
        "conv1d: x {} and weight {} must be (batch, in, length) and (out, in, length) with the same in; one series "
        "needs a batch of 1",
        x.shape(), weight.shape());
  check(!bias.defined() || bias.shape() == Shape{weight.size(0)},
        "conv1d: bias {} must be ({}), the first size of weight {}", bias.defined() ? bias.shape() : Shape{},
        weight.size(0), weight.shape());
  check_same_dtype("conv1d", x, {weight, bias});
  const auto [stride, padding, dilation] = options;
  check(weight.size(2) > 0, "conv1d: weight {} has a kernel of 0; it must be at least 1", weight.shape());
  check(stride > 0, "conv1d: a stride of {}; it must be at least 1", stride);
  check(padding >= 0, "conv1d: a padding of {}; it must be at least 0", padding);
  check(dilation > 0, "conv1d: a dilation of {}; it must be at least 1", dilation);
  check(window_places(x.size(2), weight.size(2), stride, padding, dilation) > 0,
        "conv1d: a kernel of {} with dilation {} does not fit on x {} with padding {}; pad more, or take a smaller "
        "kernel",
        weight.size(2), dilation, x.shape(), padding);
  return composed("conv1d", [&] {
    const Tensor y = conv2d(reshape(x, {x.size(0), x.size(1), 1, x.size(2)}),
                            reshape(weight, {weight.size(0), weight.size(1), 1, weight.size(2)}), bias,
                            {{1, options.stride}, {0, options.padding}, {1, options.dilation}});
    return reshape(y, {y.size(0), y.size(1), y.size(3)});
  });
}

}  // namespace gradus
