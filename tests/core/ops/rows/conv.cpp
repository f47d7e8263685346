#include "window.h"

namespace gradus::testing {
namespace {

// The zeros before the input, and the places of the kernel.
struct Line {
  Index before, places;
};

Line line_of(Index size, Index kernel, Index stride, Index padding, Index dilation, bool same) {
  if (same) return {dilation * (kernel - 1) / 2, size};
  return {padding, places(size, kernel, stride, padding, dilation)};
}

Array conv2d_reference(Arrays in, const Conv2dOptions& o) {
  const Array &x = in[0], &w = in[1];
  const Line rows =
      line_of(x.shape[2], w.shape[2], o.stride.height, o.padding.size.height, o.dilation.height, o.padding.same);
  const Line cols =
      line_of(x.shape[3], w.shape[3], o.stride.width, o.padding.size.width, o.dilation.width, o.padding.same);
  const Index group = w.shape[0] / o.groups;
  return ref::make({x.shape[0], w.shape[0], rows.places, cols.places}, [&](const ref::Indices& at) {
    double sum = in.size() > 2 ? in[2].at({at[1]}) : 0;
    for (Index c = 0; c < w.shape[1]; ++c) {
      const Index channel = at[1] / group * w.shape[1] + c;
      for (Index i = 0; i < w.shape[2]; ++i) {
        for (Index j = 0; j < w.shape[3]; ++j) {
          const Index row = at[2] * o.stride.height - rows.before + i * o.dilation.height;
          const Index col = at[3] * o.stride.width - cols.before + j * o.dilation.width;
          if (row < 0 || row >= x.shape[2] || col < 0 || col >= x.shape[3]) continue;
          sum += w.at({at[1], c, i, j}) * x.at({at[0], channel, row, col});
        }
      }
    }
    return sum;
  });
}

// Element p of a dimension of x adds to stride p + dilation k - padding of the result: p for this place, -1 if none.
Index source_of(Index place, Index tap, Index size, Index stride, Index padding, Index dilation) {
  const Index shifted = place + padding - tap * dilation;
  return shifted < 0 || shifted % stride != 0 || shifted / stride >= size ? -1 : shifted / stride;
}

Array conv_transpose2d_reference(Arrays in, const ConvTranspose2dOptions& o) {
  const Array &x = in[0], &w = in[1];
  const Index height = (x.shape[2] - 1) * o.stride.height - 2 * o.padding.height +
                       o.dilation.height * (w.shape[2] - 1) + o.output_padding.height + 1;
  const Index width = (x.shape[3] - 1) * o.stride.width - 2 * o.padding.width + o.dilation.width * (w.shape[3] - 1) +
                      o.output_padding.width + 1;
  const Index out = w.shape[1], group = x.shape[1] / o.groups;
  return ref::make({x.shape[0], out * o.groups, height, width}, [&](const ref::Indices& at) {
    double sum = in.size() > 2 ? in[2].at({at[1]}) : 0;
    for (Index c = at[1] / out * group; c < (at[1] / out + 1) * group; ++c) {
      for (Index i = 0; i < w.shape[2]; ++i) {
        const Index row = source_of(at[2], i, x.shape[2], o.stride.height, o.padding.height, o.dilation.height);
        for (Index j = 0; j < w.shape[3] && row >= 0; ++j) {
          const Index col = source_of(at[3], j, x.shape[3], o.stride.width, o.padding.width, o.dilation.width);
          if (col >= 0) sum += w.at({c, at[1] % out, i, j}) * x.at({at[0], c, row, col});
        }
      }
    }
    return sum;
  });
}

std::string call_of(const Conv2dOptions& o) {
  const std::string padding = o.padding.same ? "'same'" : torch_of(o.padding.size);
  const std::string groups = o.groups == 1 ? "" : fmt::format(", groups={}", o.groups);
  return fmt::format("F.conv2d(*x, stride={}, padding={}, dilation={}{})", torch_of(o.stride), padding,
                     torch_of(o.dilation), groups);
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
      {"groups",
       {2, 4, 5, 4},
       {6, 2, 3, 2},
       true,
       {.stride = {1, 2}, .padding = 1, .groups = 2},
       GRADUS_SIZED({1, 4, 2, n}, {2, 2, 2, 1}, {2}),
       {{20, 6, 12, 12}, {4, 3, 3, 3}, {4}}},
      {"depthwise",
       {2, 3, 5, 4},
       {3, 1, 3, 2},
       true,
       {.padding = 1, .groups = 3},
       GRADUS_SIZED({1, 3, 2, n}, {3, 1, 2, 1}, {3}),
       {{200, 3, 12, 12}, {3, 1, 3, 3}, {3}}},
      {"depthwise_twice_the_channels",
       {2, 3, 6, 5},
       {6, 1, 2, 3},
       false,
       {.stride = 2, .dilation = {2, 1}, .groups = 3}},
      {"same", {2, 2, 4, 5}, {3, 2, 3, 3}, true, {.padding = Padding::same}},
      {"same_even_kernel", {1, 2, 4, 5}, {3, 2, 2, 4}, true, {.padding = Padding::same, .dilation = {1, 3}}},
      {"same_kernel_larger_than_x", {1, 2, 1, 2}, {2, 1, 4, 6}, true, {.padding = Padding::same, .groups = 2}},
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
                    .torch = call_of(c.options),
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
    const Padding2d around = o.padding.same ? Padding2d(Padding::same) : Padding2d(0, o.padding.size);
    Array y = conv2d_reference(planes, {{1, o.stride}, around, {1, o.dilation}, o.groups});
    y.shape = {y.shape[0], y.shape[1], y.shape[3]};
    return y;
  };
  for (const auto& [variant, o] : {std::pair("plain", Conv1dOptions{}),
                                   std::pair("everything", Conv1dOptions{.stride = 2, .padding = 2, .dilation = 3}),
                                   std::pair("groups", Conv1dOptions{.stride = 2, .padding = 1, .groups = 2}),
                                   std::pair("same", Conv1dOptions{.padding = Padding::same, .dilation = 3})}) {
    const std::string padding = o.padding.same ? "'same'" : std::to_string(o.padding.size);
    const std::string groups = o.groups == 1 ? "" : fmt::format(", groups={}", o.groups);
    const Index in = o.groups == 1 ? 3 : 4;
    rows.push_back({.op = "conv1d",
                    .variant = variant,
                    .shapes = {{2, in, 11}, {4, in / o.groups, o.padding.same ? 4 : 3}, {4}},
                    .f = [o = o](In x) { return conv1d(x[0], x[1], x[2], o); },
                    .reference = [=, o = o](Arrays x) { return flat(x, o); },
                    .torch = fmt::format("F.conv1d(*x, stride={}, padding={}, dilation={}{})", o.stride, padding,
                                         o.dilation, groups),
                    .limits = {8, 8},
                    .f32_tolerance = 5e-6,
                    .f32_grad_tolerance = 3e-5});
  }
}

std::string call_of(const ConvTranspose2dOptions& o) {
  return fmt::format("F.conv_transpose2d(*x, stride={}, padding={}, output_padding={}, groups={}, dilation={})",
                     torch_of(o.stride), torch_of(o.padding), torch_of(o.output_padding), o.groups,
                     torch_of(o.dilation));
}

void add_transposed(std::vector<OpRow>& rows) {
  struct Conv {
    const char* variant;
    Shapes shapes;
    ConvTranspose2dOptions options = {};
    std::function<Shapes(Index)> sized = {};
    Shapes large = {};
  };
  const Conv cases[] = {
      {"plain",
       {{2, 3, 3, 4}, {3, 4, 3, 2}, {4}},
       {},
       GRADUS_SIZED({1, 2, 2, n}, {2, 1, 2, 2}, {1}),
       {{20, 8, 12, 12}, {8, 3, 3, 3}, {3}}},
      {"no_bias", {{2, 2, 3, 3}, {2, 3, 2, 2}}, {.stride = 2}, GRADUS_SIZED({1, 1, 1, n}, {1, 2, 1, 3})},
      {"everything",
       {{2, 3, 3, 4}, {3, 2, 3, 2}, {2}},
       {.stride = {2, 3}, .padding = {2, 1}, .output_padding = {1, 2}, .dilation = {3, 2}}},
      {"groups",
       {{2, 4, 3, 4}, {4, 3, 2, 3}, {6}},
       {.stride = {1, 2}, .padding = 1, .output_padding = {0, 1}, .groups = 2}},
      {"depthwise",
       {{2, 3, 3, 4}, {3, 1, 3, 2}, {3}},
       {.stride = 2, .groups = 3},
       GRADUS_SIZED({1, 3, 1, n}, {3, 1, 2, 2}, {3}),
       {{160, 3, 4, 4}, {3, 1, 3, 3}, {3}}},
      {"output_padding_by_dilation", {{1, 2, 3, 3}, {2, 2, 2, 2}}, {.output_padding = 2, .dilation = 3}},
      {"all_but_one_cut_off", {{1, 1, 1, 2}, {1, 2, 3, 2}, {2}}, {.padding = 1}},
  };
  for (const Conv& c : cases) {
    rows.push_back(
        {.op = "conv_transpose2d",
         .variant = c.variant,
         .shapes = c.shapes,
         .f = [o = c.options](In x) { return conv_transpose2d(x[0], x[1], x.size() > 2 ? x[2] : Tensor(), o); },
         .reference = [o = c.options](Arrays x) { return conv_transpose2d_reference(x, o); },
         .sized = c.sized,
         .large = c.large,
         .torch = call_of(c.options),
         .limits = {8, 8},
         .f32_tolerance = 5e-6,
         .f32_grad_tolerance = 3e-5});
  }
  const ConvTranspose1dOptions line{.stride = 3, .padding = 2, .output_padding = 1, .groups = 2, .dilation = 2};
  rows.push_back({.op = "conv_transpose1d",
                  .shapes = {{2, 4, 5}, {4, 3, 3}, {6}},
                  .f = [=](In x) { return conv_transpose1d(x[0], x[1], x[2], line); },
                  .reference =
                      [](Arrays x) {
                        std::vector<Array> planes(x.begin(), x.end());
                        planes[0].shape = {x[0].shape[0], x[0].shape[1], 1, x[0].shape[2]};
                        planes[1].shape = {x[1].shape[0], x[1].shape[1], 1, x[1].shape[2]};
                        Array y = conv_transpose2d_reference(planes, {{1, 3}, {0, 2}, {0, 1}, 2, {1, 2}});
                        y.shape = {y.shape[0], y.shape[1], y.shape[3]};
                        return y;
                      },
                  .torch = "F.conv_transpose1d(*x, stride=3, padding=2, output_padding=1, groups=2, dilation=2)",
                  .limits = {8, 8},
                  .f32_tolerance = 5e-6,
                  .f32_grad_tolerance = 3e-5});
}

void add_all(std::vector<OpRow>& rows) {
  add_convolutions(rows);
  add_transposed(rows);
}

const AddRows conv_rows("conv", add_all);

}  // namespace
}  // namespace gradus::testing
