// conv2d as a matrix product: the patches under the kernel become the columns of a matrix (im2col, Chellapilla, Puri &
// Simard 2006), which the weight multiplies. The gradient makes the patches again instead of keeping them, which would
// hold kernel-size copies of every input. A depthwise convolution, whose groups have one channel each, has too little
// to multiply for that: it adds up its taps directly. conv_transpose2d is the gradient of conv2d by its input, and its
// own gradient conv2d. In one dimension both are a plane of height 1.
// B batch, G groups, C channels of a group, O channels of its result, K = C kernel.height kernel.width, P places of the
// kernel. Loops run over B G planes: plane i is group i % G of sample i / G.
#include <gradus/core/ops/detail/gemm.h>
#include <gradus/core/ops/detail/rules.h>
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

Index window_places(Index in, Index kernel, Index stride, Index padding, Index dilation, bool ceil_mode) {
  Index padded = 0, reach = 0;  // of the kernel, from its first tap to its last
  const bool too_long = __builtin_mul_overflow(padding, Index{2}, &padded) ||
                        __builtin_add_overflow(padded, in, &padded) ||
                        __builtin_mul_overflow(dilation, kernel - 1, &reach);
  if (too_long) return 0;
  const Index room = padded - reach - 1;
  if (!ceil_mode) return room < 0 ? 0 : room / stride + 1;
  const Index steps = room / stride + (room % stride > 0 ? 1 : 0);
  // No window begins after the last element: it would hold nothing.
  return std::max<Index>(0, steps > (in + padding - 1) / stride ? steps : steps + 1);
}

namespace {

void check_window(const char* op, Size2 kernel, Size2 stride, Size2 padding, Size2 dilation) {
  check(kernel.height > 0 && kernel.width > 0, "{}: a kernel of {} x {}; both must be at least 1", op, kernel.height,
        kernel.width);
  check(stride.height > 0 && stride.width > 0, "{}: a stride of {} x {}; both must be at least 1", op, stride.height,
        stride.width);
  check(padding.height >= 0 && padding.width >= 0, "{}: a padding of {} x {}; both must be at least 0", op,
        padding.height, padding.width);
  check(dilation.height > 0 && dilation.width > 0, "{}: a dilation of {} x {}; both must be at least 1", op,
        dilation.height, dilation.width);
}

// Loops run up to these products, so they must fit in an Index, even if no tensor has that many elements: a pooling
// kernel is only two numbers, and x may be empty.
void check_plane_sizes(const char* op, const Tensor& x, const Window& w) {
  constexpr Index most = std::numeric_limits<Index>::max();
  check(saturating_product({w.in.height, w.in.width}) < most &&
            saturating_product({w.out.height, w.out.width}) < most &&
            saturating_product({w.kernel.height, w.kernel.width}) < most,
        "{}: a kernel of {} x {} with padding {} x {} on x {} makes planes of more elements than fit in 63 bits; pad "
        "less, "
        "or take a smaller kernel",
        op, w.kernel.height, w.kernel.width, w.padding.height, w.padding.width, x.shape());
}

}  // namespace

Window make_window(const char* op, const Tensor& x, Size2 kernel, Size2 stride, Size2 padding, Size2 dilation,
                   bool ceil_mode) {
  check_window(op, kernel, stride, padding, dilation);
  Window w{{x.size(-2), x.size(-1)}, {0, 0}, kernel, stride, padding, dilation};
  w.out = {window_places(w.in.height, kernel.height, stride.height, padding.height, dilation.height, ceil_mode),
           window_places(w.in.width, kernel.width, stride.width, padding.width, dilation.width, ceil_mode)};
  check(w.out.height > 0 && w.out.width > 0,
        "{}: a kernel of {} x {} with dilation {} x {} does not fit on x {} with padding {} x {}; pad more, or take a "
        "smaller kernel",
        op, kernel.height, kernel.width, dilation.height, dilation.width, x.shape(), padding.height, padding.width);
  check_plane_sizes(op, x, w);
  return w;
}

namespace {

// Half of what a kernel reaches beyond its first tap comes before the input, the rest after it.
Window make_same_window(const char* op, const Tensor& x, Size2 kernel, Size2 stride, Size2 dilation) {
  check_window(op, kernel, stride, 0, dilation);
  check(stride.height == 1 && stride.width == 1,
        "{}: padding \"same\" with a stride of {} x {}; it needs a stride of 1, so give the padding in numbers", op,
        stride.height, stride.width);
  const Size2 in{x.size(-2), x.size(-1)};
  const Size2 reach{saturating_product({dilation.height, kernel.height - 1}),
                    saturating_product({dilation.width, kernel.width - 1})};
  constexpr Index most = std::numeric_limits<Index>::max() / 4;
  check(in.height > 0 && in.width > 0 && reach.height < most && reach.width < most,
        "{}: padding \"same\" for a kernel of {} x {} with dilation {} x {} on x {}; height and width of x must be at "
        "least 1, and dilation times kernel must fit in 61 bits",
        op, kernel.height, kernel.width, dilation.height, dilation.width, x.shape());
  const Window w{in, in, kernel, stride, {reach.height / 2, reach.width / 2}, dilation};
  check_plane_sizes(op, x, w);
  return w;
}

// The sizes of a convolution.
struct Conv {
  Window w;
  Index B, G, C, O;

  Index K() const { return C * w.taps(); }
  Index P() const { return w.out_size(); }
  Index image() const { return C * w.in_size(); }
  Index patches() const { return saturating_product({K(), P()}); }
  bool depthwise() const { return G > 1 && C == 1; }
  Buffer columns(DType dtype) const { return Buffer(depthwise() ? 0 : patches(), dtype); }
  Index grain() const {  // some 10 us of multiply-adds and copying of patches
    return std::max<Index>(1, 300'000 / std::max<Index>(1, saturating_product({O, patches()})));
  }
};

// y += the depthwise convolution of one channel.
template <class T>
void add_taps(T* y, const T* x, const T* weight, const Window& w) {
  w.each_run([&](Index tap, Index out, Index in, Index n) {
    for (Index i = 0; i < n; ++i) y[out + i] += weight[tap] * x[in + i * w.stride.width];
  });
}

// dx += the gradient of its input.
template <class T>
void add_taps_grad(T* dx, const T* dy, const T* weight, const Window& w) {
  w.each_run([&](Index tap, Index out, Index in, Index n) {
    for (Index i = 0; i < n; ++i) dx[in + i * w.stride.width] += weight[tap] * dy[out + i];
  });
}

// dweight += the gradient of its kernel. sums: scratch for the kernel; double: each sums over a whole image.
template <class T>
void add_taps_grad_weight(T* dweight, const T* dy, const T* x, const Window& w, double* sums) {
  std::fill_n(sums, w.taps(), 0.0);
  w.each_run([&](Index tap, Index out, Index in, Index n) {
    double sum = sums[tap];
    for (Index i = 0; i < n; ++i) {
      sum += static_cast<double>(dy[out + i]) * static_cast<double>(x[in + i * w.stride.width]);
    }
    sums[tap] = sum;
  });
  for (Index tap = 0; tap < w.taps(); ++tap) dweight[tap] += static_cast<T>(sums[tap]);
}

// y (B, G O, P) = or += weight patches + bias, image by image. Bias may be null.
template <class T>
void conv_forward(const Conv& c, const T* x, const T* weight, const T* bias, T* y, bool adds) {
  const Index K = c.K(), P = c.P(), O = c.O;
  parallel_for(c.B * c.G, c.grain(), [&](Index begin, Index end) {
    const Buffer cols = c.columns(dtype_of<T>());
    for (Index i = begin; i < end; ++i) {
      const Index first = i % c.G * O;  // the group's first channel
      T* const to = y + i * O * P;
      for (Index o = 0; o < O && bias != nullptr; ++o) std::fill_n(to + o * P, P, bias[first + o]);
      if (c.depthwise()) {
        if (bias == nullptr && !adds) std::fill_n(to, O * P, T(0));
        for (Index o = 0; o < O; ++o) add_taps(to + o * P, x + i * c.image(), weight + (first + o) * K, c.w);
        continue;
      }
      gather_patches(cols.as<T>(), x + i * c.image(), c.C, c.w);
      gemm(to, factor(weight + first * K, K), factor<T>(cols.as<T>(), P), O, P, K, adds || bias != nullptr);
    }
  });
}

// The patches of dx are weight^T dy.
template <class T>
void conv_grad_x(const Conv& c, T* dx, const T* dy, const T* weight) {
  const Index K = c.K(), P = c.P(), O = c.O;
  parallel_for(c.B * c.G, c.grain(), [&](Index begin, Index end) {
    const Buffer cols = c.columns(dtype_of<T>());
    for (Index i = begin; i < end; ++i) {
      const T* const from = dy + i * O * P;
      const T* const kernel = weight + i % c.G * O * K;
      T* const to = dx + i * c.image();
      if (c.depthwise()) {
        for (Index o = 0; o < O; ++o) add_taps_grad(to, from + o * P, kernel + o * K, c.w);
        continue;
      }
      gemm(cols.as<T>(), factor(kernel, K, true), factor(from, P), K, P, O, false);
      add_patches(to, cols.as<T>(), c.C, c.w);
    }
  });
}

// dweight (O, K) += the share of one image of a depthwise convolution. sums: scratch for the taps of a filter.
template <class T>
void add_depthwise_grad_weight(const Conv& c, T* dweight, const T* dy, const T* image, double* sums) {
  for (Index o = 0; o < c.O; ++o) add_taps_grad_weight(dweight + o * c.K(), dy + o * c.P(), image, c.w, sums);
}

// dweight is the sum over the batch of dy patches^T.
template <class T>
void conv_grad_weight(const Conv& c, T* dweight, const T* dy, const T* x) {
  const Index K = c.K(), P = c.P(), O = c.O;
  sum_over_rows(dweight, c.G * O * K, c.B, [&](T* sum, Index begin, Index end) {
    const Buffer cols = c.columns(dtype_of<T>()), sums(c.depthwise() ? c.w.taps() : 0, DType::f64);
    for (Index i = begin * c.G; i < end * c.G; ++i) {
      const T* const from = dy + i * O * P;
      T* const to = sum + i % c.G * O * K;
      if (c.depthwise()) {
        add_depthwise_grad_weight(c, to, from, x + i * c.image(), sums.as<double>());
        continue;
      }
      gather_patches(cols.as<T>(), x + i * c.image(), c.C, c.w);
      gemm(to, factor(from, P), factor<T>(cols.as<T>(), P, true), O, K, P, true);
    }
  });
}

// dbias is the sum over the batch and the P elements of each plane of dy (B, O, P).
template <class T>
void conv_grad_bias(T* dbias, const T* dy, Index B, Index O, Index P) {
  sum_in_tree(dbias, O, B, row_block, [&](T* sums, Index begin, Index end) {
    for (Index i = begin * O; i < end * O; ++i) sums[i % O] += kernels::kernels<T>().sum(dy + i * P, P);
  });
}

// conv2d and conv_transpose2d are linear in each input, and their rules are made of each other.

Tensor transposed(const Conv& conv, const Tensor& x, const Tensor& weight, const Tensor& bias);
Tensor weight_gradient(const Conv& conv, const Tensor& dy, const Tensor& x);

// dy (B, O, H, W) summed over all but O: the gradient of a bias.
Tensor bias_gradient(const Tensor& dy) {
  return sum(dy, {0, 2, 3});
}

Tensor convolved(const Conv& conv, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  Tensor y = Tensor::empty({conv.B, conv.G * conv.O, conv.w.out.height, conv.w.out.width}, x.dtype());
  dispatch(x.dtype(), [&]<class T>() {
    conv_forward<T>(conv, x.node().values<T>(), weight.node().values<T>(), values_or_null<T>(bias),
                    y.node().values<T>(), false);
  });
  const auto backward = [conv](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const T* const dy = out.grad_or_null<T>();
      T *const dx = in[0].grad_or_null<T>(), *const dw = in[1].grad_or_null<T>(), *const db = in[2].grad_or_null<T>();
      if (dx != nullptr) conv_grad_x<T>(conv, dx, dy, in[1].values<T>());
      if (dw != nullptr) conv_grad_weight<T>(conv, dw, dy, in[0].values<T>());
      if (db != nullptr) conv_grad_bias<T>(db, dy, conv.B, conv.G * conv.O, conv.P());
    });
  };
  return record("conv2d", y, {x, weight, bias}, backward,
                [conv](const Tensor&, const Tensor& dy, const RuleInputs& in) {
                  return Gradients{in.wants(0) ? transposed(conv, dy, in[1], {}) : Tensor(),
                                   in.wants(1) ? weight_gradient(conv, dy, in[0]) : Tensor(),
                                   in.wants(2) ? bias_gradient(dy) : Tensor()};
                });
}

// Of conv2d: what x (B, G O, out) adds to its input.
Tensor transposed(const Conv& conv, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const Window& w = conv.w;
  const Index channels = conv.G * conv.C;
  Tensor y = Tensor::empty({conv.B, channels, w.in.height, w.in.width}, x.dtype());
  dispatch(x.dtype(), [&]<class T>() {
    const T* const start = values_or_null<T>(bias);
    T* const to = y.node().values<T>();
    for (Index i = 0; i < conv.B * channels; ++i) {
      std::fill_n(to + i * w.in_size(), w.in_size(), start == nullptr ? T(0) : start[i % channels]);
    }
    conv_grad_x<T>(conv, to, x.node().values<T>(), weight.node().values<T>());
  });
  const auto backward = [conv](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      const T* const dy = out.grad_or_null<T>();
      T *const dx = in[0].grad_or_null<T>(), *const dw = in[1].grad_or_null<T>(), *const db = in[2].grad_or_null<T>();
      if (dx != nullptr) conv_forward<T>(conv, dy, in[1].values<T>(), nullptr, dx, true);
      if (dw != nullptr) conv_grad_weight<T>(conv, dw, in[0].values<T>(), dy);
      if (db != nullptr) conv_grad_bias<T>(db, dy, conv.B, conv.G * conv.C, conv.w.in_size());
    });
  };
  const auto rule = [conv](const Tensor&, const Tensor& dy, const RuleInputs& in) {
    return Gradients{in.wants(0) ? convolved(conv, dy, in[1], {}) : Tensor(),
                     in.wants(1) ? weight_gradient(conv, in[0], dy) : Tensor(),
                     in.wants(2) ? bias_gradient(dy) : Tensor()};
  };
  return record("conv_transpose2d", y, {x, weight, bias}, backward, rule);
}

// Of conv2d: the gradient of its weight (G O, C, kernel), where y has the gradient dy. Also a convolution: dy slides
// over x as a kernel whose channels are the images of the batch, and stride and dilation change places.
Tensor weight_gradient(const Conv& conv, const Tensor& dy, const Tensor& x) {
  const auto& [w, B, G, C, O] = conv;
  const Tensor images = reshape(permute(reshape(x, {B, G, C, w.in.height, w.in.width}), {2, 1, 0, 3, 4}),
                                {C, G * B, w.in.height, w.in.width});
  const Tensor filters = reshape(permute(reshape(dy, {B, G, O, w.out.height, w.out.width}), {1, 2, 0, 3, 4}),
                                 {G * O, B, w.out.height, w.out.width});
  const Window turned{
      .in = w.in, .out = w.kernel, .kernel = w.out, .stride = w.dilation, .padding = w.padding, .dilation = w.stride};
  return transpose(convolved({.w = turned, .B = C, .G = G, .C = B, .O = O}, images, filters, {}), 0, 1);
}

void check_bias(const char* op, const Tensor& bias, Index out, const Tensor& weight, const char* source) {
  check(!bias.defined() || bias.shape() == Shape{out}, "{}: bias {} must be ({}), the {} of weight {}", op,
        bias.defined() ? bias.shape() : Shape{}, out, source, weight.shape());
}

// weight (out, in / groups, ..) for x (batch, in, ..). `sizes` names the other dimensions, `one` a single
// sample ("image"), which x may be by mistake.
void check_conv(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias, Index groups, Index rank,
                const char* sizes, const char* one) {
  check_defined(op, {x, weight});
  check(groups > 0, "{}: {} groups; there must be at least 1", op, groups);
  const bool ranks = x.rank() == rank && weight.rank() == rank;
  check(groups > 1 || (ranks && x.size(1) == weight.size(1)),
        "{}: x {} and weight {} must be (batch, in, {}) and (out, in, {}) with the same in; one {} needs a batch of 1",
        op, x.shape(), weight.shape(), sizes, sizes, one);
  check(ranks && saturating_product({weight.size(1), groups}) == x.size(1) && weight.size(0) % groups == 0,
        "{}: x {} and weight {} with {} groups must be (batch, in, {}) and (out, in / groups, {}), in and out being "
        "multiples of groups; one {} needs a batch of 1",
        op, x.shape(), weight.shape(), groups, sizes, sizes, one);
  check_bias(op, bias, weight.size(0), weight, "first size");
  check_same_dtype(op, x, {weight, bias});
}

void check_transposed(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias, Index groups,
                      Index rank, const char* sizes, const char* one) {
  check_defined(op, {x, weight});
  check(groups > 0, "{}: {} groups; there must be at least 1", op, groups);
  check(x.rank() == rank && weight.rank() == rank && x.size(1) == weight.size(0) && x.size(1) % groups == 0,
        "{}: x {} and weight {} with {} groups must be (batch, in, {}) and (in, out / groups, {}) with the same in, a "
        "multiple of groups; one {} needs a batch of 1",
        op, x.shape(), weight.shape(), groups, sizes, sizes, one);
  check_bias(op, bias, saturating_product({weight.size(1), groups}), weight, "groups times the second size");
  check_same_dtype(op, x, {weight, bias});
}

// How long the result is along one dimension; 0 if that is less than 1 or does not fit in an Index.
Index transposed_places(Index in, Index kernel, Index stride, Index padding, Index output_padding, Index dilation) {
  Index length = 0, reach = 0, padded = 0;
  const bool too_long =
      in == 0 || __builtin_mul_overflow(in - 1, stride, &length) ||
      __builtin_mul_overflow(dilation, kernel - 1, &reach) || __builtin_add_overflow(length, reach, &length) ||
      __builtin_add_overflow(length, output_padding, &length) || __builtin_add_overflow(length, Index{1}, &length) ||
      __builtin_mul_overflow(padding, Index{2}, &padded);
  return too_long || length <= padded ? 0 : length - padded;
}

// The window of the convolution whose gradient this is: from the result's plane to that of x.
Window make_transposed_window(const char* op, const Tensor& x, Size2 kernel, const ConvTranspose2dOptions& o) {
  check_window(op, kernel, o.stride, o.padding, o.dilation);
  const Size2 more = o.output_padding;
  check(
      more.height >= 0 && more.width >= 0 && more.height < std::max(o.stride.height, o.dilation.height) &&
          more.width < std::max(o.stride.width, o.dilation.width),
      "{}: an output_padding of {} x {} with stride {} x {} and dilation {} x {}; it must be at least 0 and less than "
      "stride or dilation",
      op, more.height, more.width, o.stride.height, o.stride.width, o.dilation.height, o.dilation.width);
  const Size2 in{x.size(-2), x.size(-1)};
  const Size2 out{
      transposed_places(in.height, kernel.height, o.stride.height, o.padding.height, more.height, o.dilation.height),
      transposed_places(in.width, kernel.width, o.stride.width, o.padding.width, more.width, o.dilation.width)};
  check(
      out.height > 0 && out.width > 0,
      "{}: x {} with a kernel of {} x {} and padding {} x {} leaves no result, or one too large; height and width of x "
      "must be at least 1; pad less",
      op, x.shape(), kernel.height, kernel.width, o.padding.height, o.padding.width);
  const Window w{out, in, kernel, o.stride, o.padding, o.dilation};
  check_plane_sizes(op, x, w);
  return w;
}

// In the terms of one dimension, which the ops on planes do not know.
void check_line(const char* op, const Tensor& weight, Index stride, Index padding, Index dilation) {
  check(weight.size(2) > 0, "{}: weight {} has a kernel of 0; it must be at least 1", op, weight.shape());
  check(stride > 0, "{}: a stride of {}; it must be at least 1", op, stride);
  check(padding >= 0, "{}: a padding of {}; it must be at least 0", op, padding);
  check(dilation > 0, "{}: a dilation of {}; it must be at least 1", op, dilation);
}

// (a, b, c) -> (a, b, 1, c), and back.
Tensor as_plane(const Tensor& x) {
  return reshape(x, {x.size(0), x.size(1), 1, x.size(2)});
}

Tensor as_line(const Tensor& x) {
  return reshape(x, {x.size(0), x.size(1), x.size(3)});
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, Conv2dOptions options) {
  const Index G = options.groups;
  check_conv("conv2d", x, weight, bias, G, 4, "height, width", "image");
  const Size2 kernel{weight.size(2), weight.size(3)};
  const Window w = options.padding.same
                       ? make_same_window("conv2d", x, kernel, options.stride, options.dilation)
                       : make_window("conv2d", x, kernel, options.stride, options.padding.size, options.dilation);
  const Conv conv{.w = w, .B = x.size(0), .G = G, .C = weight.size(1), .O = weight.size(0) / G};
  return convolved(conv, x, weight, bias);
}

Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, Conv1dOptions options) {
  check_conv("conv1d", x, weight, bias, options.groups, 3, "length", "series");
  const auto [stride, padding, dilation, groups] = options;
  check_line("conv1d", weight, stride, padding.size, dilation);
  check(!padding.same || (stride == 1 && x.size(2) > 0),
        "conv1d: padding \"same\" on x {} with a stride of {}; it needs a stride of 1, and a length of at least 1",
        x.shape(), stride);
  check(padding.same || window_places(x.size(2), weight.size(2), stride, padding.size, dilation) > 0,
        "conv1d: a kernel of {} with dilation {} does not fit on x {} with padding {}; pad more, or take a smaller "
        "kernel",
        weight.size(2), dilation, x.shape(), padding.size);
  return composed("conv1d", [&, around = padding] {
    const Padding2d sides = around.same ? Padding2d(Padding::same) : Padding2d(0, around.size);
    return as_line(conv2d(as_plane(x), as_plane(weight), bias,
                          {{1, options.stride}, sides, {1, options.dilation}, options.groups}));
  });
}

Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias, ConvTranspose2dOptions options) {
  const Index G = options.groups;
  check_transposed("conv_transpose2d", x, weight, bias, G, 4, "height, width", "image");
  const Window w = make_transposed_window("conv_transpose2d", x, {weight.size(2), weight.size(3)}, options);
  const Conv conv{.w = w, .B = x.size(0), .G = G, .C = weight.size(1), .O = weight.size(0) / G};
  return transposed(conv, x, weight, bias);
}

Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias, ConvTranspose1dOptions options) {
  check_transposed("conv_transpose1d", x, weight, bias, options.groups, 3, "length", "series");
  const auto [stride, padding, output_padding, groups, dilation] = options;
  check_line("conv_transpose1d", weight, stride, padding, dilation);
  check(output_padding >= 0 && output_padding < std::max(stride, dilation),
        "conv_transpose1d: an output_padding of {} with stride {} and dilation {}; it must be at least 0 and less than "
        "stride or dilation",
        output_padding, stride, dilation);
  check(transposed_places(x.size(2), weight.size(2), stride, padding, output_padding, dilation) > 0,
        "conv_transpose1d: x {} with a kernel of {} and padding {} leaves no result, or one too large; the length must "
        "be at least 1; pad less",
        x.shape(), weight.size(2), padding);
  return composed("conv_transpose1d", [&] {
    return as_line(conv_transpose2d(as_plane(x), as_plane(weight), bias,
                                    {.stride = {1, options.stride},
                                     .padding = {0, options.padding},
                                     .output_padding = {0, options.output_padding},
                                     .groups = options.groups,
                                     .dilation = {1, options.dilation}}));
  });
}

}  // namespace gradus
