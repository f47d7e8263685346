// max_pool2d and avg_pool2d: each plane by itself. The maximum keeps the place of each largest element for its
// gradient. In one dimension both are planes of height 1. Adaptive pools take the windows of one dimension after those
// of the other: the mean of a rectangle is the mean of its rows' means, and its first maximum the first of theirs.
// lp_pool is a root of the mean of powers.
#include <gradus/core/ops/detail/rules.h>
#include <gradus/core/ops/detail/window.h>

#include <cmath>
#include <span>

namespace gradus {
namespace {

// Where in its plane each maximum lies.
using Places = std::vector<std::int32_t, PoolAllocator<std::int32_t>>;

// The window, the result's shape, how many planes there are, and how many a thread takes at a time.
struct Pool {
  Window w;
  Shape shape;
  Index planes, grain;

  Pool(const char* op, const Tensor& x, Size2 kernel, const Pool2dOptions& options) {
    check_defined(op, {x});
    check(x.rank() >= 2, "{}: x {} must be (.., height, width)", op, x.shape());
    check(x.size(-2) > 0 && x.size(-1) > 0, "{}: x {} has no element to pool; height and width must be at least 1", op,
          x.shape());
    const bool own_stride = options.stride.height != 0 || options.stride.width != 0;
    w = make_window(op, x, kernel, own_stride ? options.stride : kernel, options.padding, 1, options.ceil_mode);
    check(options.padding.height <= kernel.height / 2 && options.padding.width <= kernel.width / 2,
          "{}: a padding of {} x {} is more than half the window of {} x {}; some windows would hold nothing else", op,
          options.padding.height, options.padding.width, kernel.height, kernel.width);
    planes = x.numel() / w.in_size();
    grain = std::max<Index>(1, pointwise_grain / saturating_product({w.taps(), w.out_size()}));
    shape = x.shape();
    shape.set(-2, w.out.height);
    shape.set(-1, w.out.width);
  }
};

// to, place: the largest element of each window of one plane, and where it lies. Places are -1 before.
template <class T>
void max_of_windows(const Window& w, const T* from, T* to, std::int32_t* place) {
  w.each_run([&](Index, Index out, Index in, Index n) {
    for (Index i = 0; i < n; ++i, in += w.stride.width) {
      const T value = from[in];
      const bool is_nan = std::isnan(value);  // a NaN wins, as in PyTorch, so that it is not hidden
      if (place[out + i] >= 0 && !(value > to[out + i]) && !is_nan) continue;
      to[out + i] = value;
      place[out + i] = static_cast<std::int32_t>(in);
    }
  });
}

// How many elements the mean of each window divides by: those under it, and padding where that counts, but nothing
// beyond, where a last window of ceil_mode may reach.
struct Divisors {
  Window w;
  bool padding;

  Index along(Index place, Index in, Index kernel, Index stride, Index padded) const {
    const Index begin = place * stride - padded, end = std::min(begin + kernel, in + padded);
    return padding ? end - begin : std::min(end, in) - std::max<Index>(begin, 0);
  }
  // The mean of each window is rows x columns^T, for a plane x.
  std::pair<Tensor, Tensor> matrices(DType dtype) const {
    const auto one = [&](Index out, Index in, Index kernel, Index stride, Index padded) {
      Tensor means = zeros({out, in}, dtype);
      dispatch(dtype, [&]<class T>() {
        T* row = means.node().values<T>();
        for (Index i = 0; i < out; ++i, row += in) {
          const Index begin = i * stride - padded, end = std::min(begin + kernel, in);
          const auto share = static_cast<T>(1 / static_cast<double>(along(i, in, kernel, stride, padded)));
          std::fill(row + std::max<Index>(begin, 0), row + std::max<Index>(end, 0), share);
        }
      });
      return means;
    };
    return {one(w.out.height, w.in.height, w.kernel.height, w.stride.height, w.padding.height),
            one(w.out.width, w.in.width, w.kernel.width, w.stride.width, w.padding.width)};
  }
  // Calls f(place, divisor) for each place of a plane of the result.
  template <class F>
  void each(const F& f) const {
    for (Index row = 0; row < w.out.height; ++row) {
      const Index rows = along(row, w.in.height, w.kernel.height, w.stride.height, w.padding.height);
      for (Index col = 0; col < w.out.width; ++col) {
        f(row * w.out.width + col, rows * along(col, w.in.width, w.kernel.width, w.stride.width, w.padding.width));
      }
    }
  }
};

// sums: scratch for a plane of the result; double, because a window may be a whole image.
template <class T>
void mean_of_windows(const Divisors& divisors, const T* from, T* to, double* sums) {
  const Window& w = divisors.w;
  std::fill_n(sums, w.out_size(), 0.0);
  w.each_run([&](Index, Index out, Index in, Index n) {
    for (Index i = 0; i < n; ++i) sums[out + i] += static_cast<double>(from[in + i * w.stride.width]);
  });
  divisors.each([&](Index i, Index divisor) { to[i] = static_cast<T>(sums[i] / static_cast<double>(divisor)); });
}

// shares: scratch for a plane of the result.
template <class T>
void spread_means(const Divisors& divisors, T* dx, const T* dy, T* shares) {
  const Window& w = divisors.w;
  divisors.each([&](Index i, Index divisor) { shares[i] = dy[i] / static_cast<T>(divisor); });
  w.each_run([&](Index, Index to, Index from, Index n) {
    for (Index i = 0; i < n; ++i) dx[from + i * w.stride.width] += shares[to + i];
  });
}

// The same for the planes begin .. end-1.
template <class T>
void spread_means(const Divisors& divisors, T* dx, const T* dy, Index begin, Index end, T* shares) {
  for (Index p = begin; p < end; ++p) {
    spread_means(divisors, dx + p * divisors.w.in_size(), dy + p * divisors.w.out_size(), shares);
  }
}

// Adds the gradients of the planes begin .. end-1 where their largest values were.
template <class T>
void spread_maxima(T* dx, const T* dy, std::span<const std::int32_t> places, Index in_size, Index out_size, Index begin,
                   Index end) {
  for (Index i = begin * out_size; i < end * out_size; ++i) {
    dx[i / out_size * in_size + places[static_cast<std::size_t>(i)]] += dy[i];
  }
}

}  // namespace

Tensor max_pool2d(const Tensor& x, Size2 kernel, Pool2dOptions options) {
  const Pool pool("max_pool2d", x, kernel, options);
  const Window& w = pool.w;
  Tensor y = Tensor::empty(pool.shape, x.dtype());
  Places places(static_cast<std::size_t>(y.numel()), -1);
  check(w.in_size() < Index{1} << 31, "max_pool2d: x {} has planes of more than 2^31 elements; cut them first",
        x.shape());
  dispatch(x.dtype(), [&]<class T>() {
    parallel_for(pool.planes, pool.grain, [&](Index begin, Index end) {
      for (Index p = begin; p < end; ++p) {
        max_of_windows(w, x.node().values<T>() + p * w.in_size(), y.node().values<T>() + p * w.out_size(),
                       places.data() + p * w.out_size());
      }
    });
  });
  const auto held = std::allocate_shared<const Places>(PoolAllocator<const Places>{}, std::move(places));
  const auto backward = [held, in_size = w.in_size(), out_size = w.out_size(), planes = pool.planes,
                         grain = pool.grain](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      T* const dx = in[0].grad_or_null<T>();
      const T* const dy = out.grad_or_null<T>();
      parallel_for(planes, grain,
                   [&](Index begin, Index end) { spread_maxima(dx, dy, *held, in_size, out_size, begin, end); });
    });
  };
  const auto rule = [held, planes = pool.planes](const Tensor&, const Tensor& dy, const RuleInputs& in) {
    const Tensor shares = reshape(dy, {planes, dy.numel() / planes});
    const Tensor nothing = zeros({planes, in[0].numel() / planes}, dy.dtype());
    return reshape(scatter_add(nothing, 1, Ids(Ids(*held), shares.shape()), shares), in[0].shape());
  };
  return record("max_pool2d", y, {x}, backward, rule);
}

Tensor avg_pool2d(const Tensor& x, Size2 kernel, Pool2dOptions options) {
  const Pool pool("avg_pool2d", x, kernel, options);
  const Divisors divisors{pool.w, options.count_include_pad};
  Tensor y = Tensor::empty(pool.shape, x.dtype());
  dispatch(x.dtype(), [&]<class T>() {
    const Window& w = pool.w;
    parallel_for_scratch<double>(pool.planes, pool.grain, w.out_size(), [&](Index begin, Index end, double* sums) {
      for (Index p = begin; p < end; ++p) {
        mean_of_windows(divisors, x.node().values<T>() + p * w.in_size(), y.node().values<T>() + p * w.out_size(),
                        sums);
      }
    });
  });
  const auto backward = [divisors, planes = pool.planes, grain = pool.grain](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      T* const dx = in[0].grad_or_null<T>();
      const T* const dy = out.grad_or_null<T>();
      parallel_for_scratch<T>(planes, grain, divisors.w.out_size(), [&](Index begin, Index end, T* shares) {
        spread_means(divisors, dx, dy, begin, end, shares);
      });
    });
  };
  return record("avg_pool2d", y, {x}, backward, [divisors](const Tensor&, const Tensor& dy, const RuleInputs&) {
    const auto [rows, columns] = divisors.matrices(dy.dtype());
    return matmul(matmul(rows, dy, true), columns);
  });
}

namespace {

// pool(x as a plane of height 1, kernel, options), in the terms of one dimension.
template <class F>
Tensor pool_line(const char* op, const Tensor& x, Index kernel, const Pool1dOptions& options, const F& pool) {
  check_defined(op, {x});
  check(x.rank() >= 1 && x.size(-1) > 0, "{}: x {} must be (.., length), with a length of at least 1", op, x.shape());
  const auto& [stride, padding, ceil_mode, count_include_pad] = options;
  check(kernel > 0, "{}: a kernel of {}; it must be at least 1", op, kernel);
  check(stride >= 0, "{}: a stride of {}; it must be at least 1, or 0 for the kernel's size", op, stride);
  check(padding >= 0 && padding <= kernel / 2,
        "{}: a padding of {} for a kernel of {}; it must be from 0 to half the kernel", op, padding, kernel);
  const Index step = stride == 0 ? kernel : stride;
  check(window_places(x.size(-1), kernel, step, padding, 1, ceil_mode) > 0,
        "{}: a kernel of {} does not fit on x {} with padding {}; pad more, or take a smaller kernel", op, kernel,
        x.shape(), padding);
  const Pool2dOptions flat{
      .stride = {1, step}, .padding = {0, padding}, .ceil_mode = ceil_mode, .count_include_pad = count_include_pad};
  return composed(op, [&] {
    Shape shape = x.shape();
    const Tensor y = pool(reshape(x, {x.numel() / x.size(-1), 1, x.size(-1)}), {1, kernel}, flat);
    shape.set(-1, y.size(-1));
    return reshape(y, shape);
  });
}

// The windows that cover dimension `dim` evenly, each by itself. pool(part, n) reduces its n elements along dim to 1.
template <class F>
Tensor pool_evenly(const Tensor& x, Index dim, Index size, const F& pool) {
  const Index n = x.size(dim);
  std::vector<Tensor> parts;
  for (Index i = 0; i < size; ++i) {
    const Index begin = i * n / size, end = ((i + 1) * n + size - 1) / size;
    parts.push_back(pool(slice(x, dim, begin, end), end - begin));
  }
  return concat(parts, dim);
}

void check_adaptive(const char* op, const Tensor& x, Index rank, std::initializer_list<Index> sizes) {
  check_defined(op, {x});
  check(x.rank() >= rank, "{}: x {} must be {}", op, x.shape(), rank == 1 ? "(.., length)" : "(.., height, width)");
  for (const Index size : sizes) {
    check(size > 0, "{}: a size of {}; it must be at least 1", op, size);
    check(saturating_product({size, x.shape().numel()}) < std::numeric_limits<Index>::max(),
          "{}: x {} with a size of {} makes more elements than fit in 63 bits", op, x.shape(), size);
  }
  for (Index d = 1; d <= rank; ++d) {
    check(x.size(-d) > 0, "{}: x {} has no element to pool; {} must be at least 1", op, x.shape(),
          rank == 1 ? "its length" : "height and width");
  }
}

template <class F>
Tensor adaptive_pool(const char* op, const Tensor& x, Size2 size, const F& pool) {
  check_adaptive(op, x, 2, {size.height, size.width});
  return composed(op, [&] {
    if (x.size(-2) % size.height == 0 && x.size(-1) % size.width == 0) {
      return pool(x, {x.size(-2) / size.height, x.size(-1) / size.width});
    }
    const Tensor columns = pool_evenly(x, -1, size.width, [&](const Tensor& part, Index n) {
      return pool(part, {1, n});
    });
    return pool_evenly(columns, -2, size.height, [&](const Tensor& part, Index n) { return pool(part, {n, 1}); });
  });
}

Tensor max_of(const Tensor& x, Size2 kernel) {
  return max_pool2d(x, kernel);
}

Tensor mean_of(const Tensor& x, Size2 kernel) {
  return avg_pool2d(x, kernel);
}

}  // namespace

Tensor max_pool1d(const Tensor& x, Index kernel, Pool1dOptions options) {
  return pool_line("max_pool1d", x, kernel, options, max_pool2d);
}

Tensor avg_pool1d(const Tensor& x, Index kernel, Pool1dOptions options) {
  return pool_line("avg_pool1d", x, kernel, options, avg_pool2d);
}

Tensor adaptive_avg_pool2d(const Tensor& x, Size2 size) {
  return adaptive_pool("adaptive_avg_pool2d", x, size, mean_of);
}

Tensor adaptive_max_pool2d(const Tensor& x, Size2 size) {
  return adaptive_pool("adaptive_max_pool2d", x, size, max_of);
}

Tensor adaptive_avg_pool1d(const Tensor& x, Index size) {
  check_adaptive("adaptive_avg_pool1d", x, 1, {size});
  return composed("adaptive_avg_pool1d", [&] {
    Shape shape = x.shape();
    shape.set(-1, size);
    return reshape(adaptive_avg_pool2d(reshape(x, {x.numel() / x.size(-1), 1, x.size(-1)}), {1, size}), shape);
  });
}

Tensor lp_pool1d(const Tensor& x, double norm_type, Index kernel, Index stride) {
  return composed("lp_pool1d", [&] {
    const Tensor means = avg_pool1d(pow(x, norm_type), kernel, {.stride = stride});
    return pow_flat_at_zero(means * static_cast<double>(kernel), 1 / norm_type);
  });
}
Tensor lp_pool2d(const Tensor& x, double norm_type, Size2 kernel, Size2 stride) {
  return composed("lp_pool2d", [&] {
    const Tensor means = avg_pool2d(pow(x, norm_type), kernel, {.stride = stride});
    return pow_flat_at_zero(means * static_cast<double>(kernel.height * kernel.width), 1 / norm_type);
  });
}

}  // namespace gradus
