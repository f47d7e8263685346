// The rows of convolutions, pooling and losses, each with its definition as a loop over plain doubles.
#include <algorithm>
#include <cmath>
#include <limits>

#include "op_table.h"

namespace gradus::testing {
namespace {

namespace ref = reference;
using Shapes = std::vector<Shape>;

// The sizes of the result of a window of `kernel` over x (.., H, W).
Index places(Index size, Index kernel, Index stride, Index padding, Index dilation) {
  return (size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
}

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

Array pool_reference(const Array& x, Size2 kernel, Pool2dOptions o, bool largest) {
  if (o.stride.height == 0) o.stride = kernel;
  Shape shape = x.shape;
  shape.set(-2, places(x.shape[-2], kernel.height, o.stride.height, o.padding.height, 1));
  shape.set(-1, places(x.shape[-1], kernel.width, o.stride.width, o.padding.width, 1));
  return ref::make(shape, [&](const ref::Indices& at) {
    double sum = 0, most = -std::numeric_limits<double>::infinity();
    for (Index i = 0; i < kernel.height; ++i) {
      for (Index j = 0; j < kernel.width; ++j) {
        ref::Indices from = at;
        Index& row = from[from.size() - 2] = from[from.size() - 2] * o.stride.height - o.padding.height + i;
        Index& col = from.back() = from.back() * o.stride.width - o.padding.width + j;
        if (row < 0 || row >= x.shape[-2] || col < 0 || col >= x.shape[-1]) continue;
        sum += x.at(from);
        most = std::max(most, x.at(from));
      }
    }
    return largest ? most : sum / static_cast<double>(kernel.height * kernel.width);
  });
}

// The mean of f(prediction, target) over all elements, or their sum divided by `divisor` (x).
Array mean_of(Arrays x, const std::function<double(double, double)>& f, double divisor = 0) {
  double sum = 0;
  for (std::size_t i = 0; i < x[0].values.size(); ++i) sum += f(x[0].values[i], x[1].values[i]);
  return {{}, {sum / (divisor > 0 ? divisor : static_cast<double>(x[0].values.size()))}};
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
       [](Index n) {
         return Shapes{{1, 1, 2, n + 1}, {2, 1, 2, 2}, {2}};
       },
       {{20, 3, 12, 12}, {8, 3, 3, 3}, {8}}},
      {"no_bias", {2, 2, 4, 4}, {3, 2, 3, 3}, false},
      {"padding",
       {2, 2, 4, 5},
       {3, 2, 3, 3},
       true,
       {.padding = 1},
       [](Index n) {
         return Shapes{{1, 1, 2, n}, {1, 1, 1, 3}, {1}};
       }},
      {"stride", {1, 2, 7, 6}, {3, 2, 3, 2}, true, {.stride = {2, 3}}},
      {"dilation", {1, 2, 7, 6}, {2, 2, 3, 2}, true, {.dilation = {2, 3}}},
      {"everything",
       {2, 3, 9, 8},
       {4, 3, 3, 2},
       true,
       {.stride = {2, 1}, .padding = {3, 2}, .dilation = {1, 3}},
       [](Index n) {
         return Shapes{{1, 1, 1, n}, {1, 1, 3, 2}, {1}};
       }},
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
    rows.push_back({.op = "conv1d",
                    .variant = variant,
                    .shapes = {{2, 3, 11}, {4, 3, 3}, {4}},
                    .f = [o = o](In x) { return conv1d(x[0], x[1], x[2], o); },
                    .reference = [=, o = o](Arrays x) { return flat(x, o); },
                    .f32_tolerance = 5e-6,
                    .f32_grad_tolerance = 3e-5});
  }
}

void add_pools(std::vector<OpRow>& rows) {
  struct Pool {
    const char* variant;
    Shape x;
    Size2 kernel;
    Pool2dOptions options = {};
    std::function<Shapes(Index)> sized = {};
    Shape large = {};
  };
  const Pool cases[] = {
      {"halves", {2, 3, 4, 6}, 2, {}, {}, {30, 5, 40, 40}},
      {"rest_is_left_out", {2, 5, 7}, {2, 3}},
      {"overlapping",
       {2, 3, 5, 5},
       3,
       {.stride = {1, 2}},
       [](Index n) {
         return Shapes{{2, 3, n + 2}};
       }},
      {"padding",
       {1, 2, 5, 4},
       3,
       {.stride = 2, .padding = 1},
       [](Index n) {
         return Shapes{{2, 2, n}};
       }},
      {"of_one", {3, 4}, 1},
  };
  for (const Pool& c : cases) {
    for (const bool largest : {true, false}) {
      rows.push_back({.op = largest ? "max_pool2d" : "avg_pool2d",
                      .variant = c.variant,
                      .shapes = {c.x},
                      .f =
                          [=](In x) {
                            return largest ? max_pool2d(x[0], c.kernel, c.options)
                                           : avg_pool2d(x[0], c.kernel, c.options);
                          },
                      .reference = [=](Arrays x) { return pool_reference(x[0], c.kernel, c.options, largest); },
                      .domains = {largest ? Domain::distinct : Domain::any},
                      .sized = c.sized,
                      .large = c.large.rank() == 0 ? Shapes{} : Shapes{c.large}});
    }
  }
}

void add_losses(std::vector<OpRow>& rows) {
  struct Loss {
    const char *op, *variant;
    Tensor (*f)(const Tensor&, const Tensor&);
    std::function<Array(Arrays)> reference;
    std::vector<Domain> domains;
  };
  const Loss cases[] = {
      {"l1_loss",
       "",
       [](const Tensor& x, const Tensor& t) { return l1_loss(x, t); },
       [](Arrays x) { return mean_of(x, [](double p, double t) { return std::abs(p - t); }); },
       {Domain::any}},
      {"huber_loss",
       "",
       [](const Tensor& x, const Tensor& t) { return huber_loss(x, t, 0.7); },
       [](Arrays x) {
         return mean_of(x, [](double p, double t) {
           const double d = std::abs(p - t);
           return d <= 0.7 ? d * d / 2 : 0.7 * (d - 0.35);
         });
       },
       {Domain::any}},
      {"binary_cross_entropy_with_logits",
       "",
       [](const Tensor& x, const Tensor& t) { return binary_cross_entropy_with_logits(x, t); },
       [](Arrays x) {
         return mean_of(
             x, [](double p, double t) { return t * std::log1p(std::exp(-p)) + (1 - t) * std::log1p(std::exp(p)); });
       },
       {Domain::wide, Domain::flags}},
      {"kl_div",
       "",
       [](const Tensor& x, const Tensor& t) { return kl_div(x, t); },
       [](Arrays x) {
         return mean_of(
             x, [](double p, double t) { return t * (std::log(t) - p); }, 3);
       },
       {Domain::any, Domain::positive}},
      {"kl_div",
       "impossible_targets",
       [](const Tensor& x, const Tensor& t) { return kl_div(x, t.detach()); },
       [](Arrays x) {
         return mean_of(
             x, [](double p, double t) { return t == 0 ? 0 : t * (std::log(t) - p); }, 3);
       },
       {Domain::any, Domain::flags}},
  };
  for (const Loss& c : cases) {
    rows.push_back({.op = c.op,
                    .variant = c.variant,
                    .shapes = {{3, 5}, {3, 5}},
                    .f = [f = c.f](In x) { return f(x[0], x[1]); },
                    .reference = c.reference,
                    .domains = c.domains,
                    .no_gradient = *c.variant == '\0' ? std::set<std::size_t>{} : std::set<std::size_t>{1},
                    .f32_tolerance = 4e-6});
  }
}

}  // namespace

void add_windows_and_losses(std::vector<OpRow>& rows) {
  add_convolutions(rows);
  add_pools(rows);
  add_losses(rows);
}

}  // namespace gradus::testing
