// interpolate, one dimension after the other: the rows of x that the result lies between, as embedding picks them; the
// nearer one weighs more.
#include <cmath>

#include <gradus/core/ops/detail/common.h>

namespace gradus {
namespace {

// Places along one dimension of x: result o is (1 - weight[o]) x[low[o]] + weight[o] x[high[o]], for nearest x[low[o]].
struct Places {
  std::vector<std::int32_t> low, high;
  std::vector<double> weight;
};

// `step` is how far apart neighbours of the result are on x. PyTorch computes nearest in f32, and so the same elements
// are taken here.
Places nearest_places(Index in, Index out, double step) {
  Places places;
  const auto narrow = static_cast<float>(step);
  for (Index o = 0; o < out; ++o) {
    const auto place = static_cast<Index>(std::floor(static_cast<float>(o) * narrow));
    places.low.push_back(static_cast<std::int32_t>(std::min(place, in - 1)));
  }
  return places;
}

Places linear_places(Index in, Index out, double step, bool align_corners) {
  Places places;
  for (Index o = 0; o < out; ++o) {
    const auto at = static_cast<double>(o);
    const double place = align_corners ? at * step : std::max(0.0, (at + 0.5) * step - 0.5);
    const Index low = std::min(static_cast<Index>(place), in - 1);
    places.low.push_back(static_cast<std::int32_t>(low));
    places.high.push_back(static_cast<std::int32_t>(std::min(low + 1, in - 1)));
    places.weight.push_back(std::clamp(place - static_cast<double>(low), 0.0, 1.0));
  }
  return places;
}

// x with dimension `dim` at those places.
Tensor at_places(const Tensor& x, Index dim, const Places& places) {
  std::vector<Index> order{dim};
  for (Index d = 0; d < x.rank(); ++d) {
    if (d != dim) order.push_back(d);
  }
  const Tensor first = permute(x, order);
  const Index out = static_cast<Index>(places.low.size()), in = x.size(dim);
  const Tensor rows = reshape(first, {in, x.numel() / in});
  Tensor y = embedding(rows, places.low);
  if (!places.weight.empty()) {
    const Tensor weight = tensor(places.weight, {out, 1}, x.dtype());
    y = y * (1 - weight) + embedding(rows, places.high) * weight;
  }
  Shape shape = first.shape();
  shape.set(0, out);
  std::vector<Index> back(order.size());
  for (std::size_t d = 0; d < order.size(); ++d) back[static_cast<std::size_t>(order[d])] = static_cast<Index>(d);
  return permute(reshape(y, shape), back);
}

// One dimension of x: how large it becomes, and how far apart the result's neighbours are on it.
Tensor resized(const Tensor& x, Index dim, Index size, double scale_factor, const InterpolateOptions& options) {
  const Index in = x.size(dim);
  const double factor = scale_factor;
  const Index out = size > 0 ? size : static_cast<Index>(static_cast<double>(in) * factor);
  double step = size > 0 ? static_cast<double>(in) / static_cast<double>(out) : 1 / factor;
  if (options.align_corners) step = out > 1 ? static_cast<double>(in - 1) / static_cast<double>(out - 1) : 0;
  return at_places(x, dim,
                   options.mode == Interpolation::nearest ? nearest_places(in, out, step)
                                                          : linear_places(in, out, step, options.align_corners));
}

void check_length(const Tensor& x, Index in, Index size, double factor) {
  constexpr double most = std::numeric_limits<std::int32_t>::max();
  const double out = size > 0 ? static_cast<double>(size) : static_cast<double>(in) * factor;
  check(in > 0 && static_cast<double>(in) < most,
        "interpolate: x {} has a dimension of {} to interpolate; it must be from 1 to 2^31 - 2", x.shape(), in);
  check(out >= 1 && out < most,
        "interpolate: x {} would become {} elements long; take another size or scale_factor, for lengths from 1 to "
        "2^31 - 2",
        x.shape(), out);
}

void check_options(const Tensor& x, const InterpolateOptions& o) {
  check_defined("interpolate", {x});
  check(x.rank() == 3 || x.rank() == 4,
        "interpolate: x {} must be (batch, channels, length) or (batch, channels, height, width)", x.shape());
  const bool by_size = o.size.height != 0 || o.size.width != 0;
  const bool by_factor = o.scale_factor.height != 0 || o.scale_factor.width != 0;
  check(by_size != by_factor, "interpolate: {} of size and scale_factor given; give one of them",
        by_size ? "both" : "none");
  check(!by_size || (o.size.width > 0 && (x.rank() == 3 || o.size.height > 0)),
        "interpolate: a size of {} x {}; both must be at least 1", o.size.height, o.size.width);
  check(!by_factor || (o.scale_factor.width > 0 && (x.rank() == 3 || o.scale_factor.height > 0)),
        "interpolate: a scale_factor of {} x {}; both must be above 0", o.scale_factor.height, o.scale_factor.width);
  check(!o.align_corners || o.mode != Interpolation::nearest,
        "interpolate: align_corners with nearest, which has no corners to align; choose bilinear or linear");
  check(o.mode == Interpolation::nearest || (o.mode == Interpolation::linear) == (x.rank() == 3),
        "interpolate: x {} in a mode for {} dimensions; choose linear for (batch, channels, length), bilinear for "
        "(batch, channels, height, width)",
        x.shape(), o.mode == Interpolation::linear ? "three" : "four");
  check_length(x, x.size(-1), o.size.width, o.scale_factor.width);
  if (x.rank() == 4) check_length(x, x.size(2), o.size.height, o.scale_factor.height);
}

}  // namespace

Tensor interpolate(const Tensor& x, InterpolateOptions options) {
  check_options(x, options);
  return composed("interpolate", [&] {
    const Tensor y = resized(x, x.rank() - 1, options.size.width, options.scale_factor.width, options);
    return x.rank() == 3 ? y : resized(y, 2, options.size.height, options.scale_factor.height, options);
  });
}

}  // namespace gradus
