#include "window.h"

namespace gradus::testing {
namespace {

Array conv2d_reference(Arrays in, const Conv2dOptions& o) {
  const Array &x = in[0], &w = in[1];
  const Index height = places(x.shape[2], w.shape[2], o.stride.height, o.padding.height, o.dilation.height);
  const Index width = places(x.shape[3], w.shape[3], o.stride.width, o.padding.width, o.dilation.width);
  return ref::make({x.shape[0], w.shape[0], height, width}, [&](const ref::Indices& at) {
    double sum = in.size() > 2 ? in[2].at({at[1]}) : 0;
    for (Index c = 0; c < w.shape[1]; ++c) {
      for (Index i = 0; i < w.shape[2]; ++i) {
        for (Index j = 0; j < w.shape[3]; ++j) {
          const Index row = at[2] * o.stride.height - o.padding.height + i * o.dilation.height;
          const Index col = at[3] * o.stride.width - o.padding.width + j * o.dilation.width;
          if (row < 0 || row >= x.shape[2] || col < 0 || col >= x.shape[3]) continue;
          sum += w.at({at[1], c, i, j}) * x.at({at[0], c, row, col});
        }
      }
    }
    return sum;
  });
}

void add_convolutions(std::vector<OpRow>& rows) {
  struct Conv {
    const char* variant;
    Shape x, weight;
    bool bias;
    Conv2dOptions options = {};
    std::function<Shapes(Index)> sized = {};
    Shapes large = {};
  };
  const Conv cases[] = {
      {"plain",
       {2, 3, 5, 6},
       {4, 3, 3, 2},
       true,
       {},
       GRADUS_SIZED({1, 1, 2, n + 1}, {2, 1, 2, 2}, {2}),
       {{20, 3, 12, 12}, {8, 3, 3, 3}, {8}}},
      {"no_bias", {2, 2, 4, 4}, {3, 2, 3, 3}, false},
      {"padding", {2, 2, 4, 5}, {3, 2, 3, 3}, true, {.padding = 1}, GRADUS_SIZED({1, 1, 2, n}, {1, 1, 1, 3}, {1})},
      {"stride", {1, 2, 7, 6}, {3, 2, 3, 2}, true, {.stride = {2, 3}}},
      {"dilation", {1, 2, 7, 6}, {2, 2, 3, 2}, true, {.dilation = {2, 3}}},
      {"everything",
       {2, 3, 9, 8},
       {4, 3, 3, 2},
       true,
       {.stride = {2, 1}, .padding = {3, 2}, .dilation = {1, 3}},
       GRADUS_SIZED({1, 1, 1, n}, {1, 1, 3, 2}, {1})},
      {"kernel_of_one", {2, 3, 4, 5}, {4, 3, 1, 1}, true},
      {"whole_image", {2, 3, 4, 5}, {2, 3, 4, 5}, true},
      {"mostly_padding", {1, 1, 1, 1}, {2, 1, 3, 3}, true, {.padding = 2}},
  };
  for (const Conv& c : cases) {
    Shapes shapes{c.x, c.weight};
    if (c.bias) shapes.push_back({c.weight[0]});
    rows.push_back({.op = "conv2d",
                    .variant = c.variant,
                    .shapes = shapes,
                    .f = [o = c.options](In x) { return conv2d(x[0], x[1], x.size() > 2 ? x[2] : Tensor(), o); },
                    .reference = [o = c.options](Arrays x) { return conv2d_reference(x, o); },
                    .sized = c.sized,
                    .large = c.large,
                    .torch = fmt::format("F.conv2d(*x, stride={}, padding={}, dilation={})", torch_of(c.options.stride),
                                         torch_of(c.options.padding), torch_of(c.options.dilation)),
                    .limits = {8, 8},
                    .f32_tolerance = 5e-6,
                    .f32_grad_tolerance = 3e-5});  // sums over places and channels
  }
  const auto flat = [](Arrays x, Conv1dOptions o) {
    std::vector<Array> planes(x.begin(), x.end());
    for (const std::size_t i : {0U, 1U}) {
      const Shape s = x[i].shape;
      planes[i].shape = {s[0], s[1], 1, s[2]};
    }
    Array y = conv2d_reference(planes, {{1, o.stride}, {0, o.padding}, {1, o.dilation}});
    y.shape = {y.shape[0], y.shape[1], y.shape[3]};
    return y;
  };
  for (const auto& [variant, o] : {std::pair("plain", Conv1dOptions{}),
                                   std::pair("everything", Conv1dOptions{.stride = 2, .padding = 2, .dilation = 3})}) {
    rows.push_back(
        {.op = "conv1d",
         .variant = variant,
         .shapes = {{2, 3, 11}, {4, 3, 3}, {4}},
         .f = [o = o](In x) { return conv1d(x[0], x[1], x[2], o); },
         .reference = [=, o = o](Arrays x) { return flat(x, o); },
         .torch = fmt::format("F.conv1d(*x, stride={}, padding={}, dilation={})", o.stride, o.padding, o.dilation),
         .limits = {8, 8},
         .f32_tolerance = 5e-6,
         .f32_grad_tolerance = 3e-5});
  }
}

const AddRows conv_rows("conv", add_convolutions);

}  // namespace
}  // namespace gradus::testing
