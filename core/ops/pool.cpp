// max_pool2d and avg_pool2d: each plane by itself. The maximum keeps the place of each largest element for its
// gradient.
#include <gradus/core/ops/detail/window.h>

#include <cmath>

namespace gradus {
namespace {

// The window, with the strides and shapes that follow from it.
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
    w = make_window(op, x, kernel, own_stride ? options.stride : kernel, options.padding, 1);
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

// sums: scratch for a plane of the result; double, for a window may be a whole image.
template <class T>
void mean_of_windows(const Window& w, const T* from, T* to, double* sums) {
  std::fill_n(sums, w.out_size(), 0.0);
  w.each_run([&](Index, Index out, Index in, Index n) {
    for (Index i = 0; i < n; ++i) sums[out + i] += static_cast<double>(from[in + i * w.stride.width]);
  });
  for (Index i = 0; i < w.out_size(); ++i) to[i] = static_cast<T>(sums[i] / static_cast<double>(w.taps()));
}

template <class T>
void spread_means(const Window& w, T* dx, const T* dy) {
  w.each_run([&](Index, Index to, Index from, Index n) {
    for (Index i = 0; i < n; ++i) dx[from + i * w.stride.width] += dy[to + i] / static_cast<T>(w.taps());
  });
}

}  // namespace

Tensor max_pool2d(const Tensor& x, Size2 kernel, Pool2dOptions options) {
  const Pool pool("max_pool2d", x, kernel, options);
  const Window& w = pool.w;
  Tensor y = Tensor::empty(pool.shape, x.dtype());
  std::vector<std::int32_t, PoolAllocator<std::int32_t>> places(static_cast<std::size_t>(y.numel()), -1);
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
  return record("max_pool2d", y, {x},
                [places = std::move(places), in_size = w.in_size(), out_size = w.out_size(), planes = pool.planes,
                 grain = pool.grain](const Node& out, Inputs in) {
                  dispatch(out.dtype, [&]<class T>() {
                    T* const dx = in[0].grad_or_null<T>();
                    const T* const dy = out.grad_or_null<T>();
                    parallel_for(planes, grain, [&](Index begin, Index end) {
                      for (Index i = begin * out_size; i < end * out_size; ++i) {
                        dx[i / out_size * in_size + places[static_cast<std::size_t>(i)]] += dy[i];
                      }
                    });
                  });
                });
}

Tensor avg_pool2d(const Tensor& x, Size2 kernel, Pool2dOptions options) {
  const Pool pool("avg_pool2d", x, kernel, options);
  Tensor y = Tensor::empty(pool.shape, x.dtype());
  dispatch(x.dtype(), [&]<class T>() {
    const Window& w = pool.w;
    parallel_for_scratch<double>(pool.planes, pool.grain, w.out_size(), [&](Index begin, Index end, double* sums) {
      for (Index p = begin; p < end; ++p) {
        mean_of_windows(w, x.node().values<T>() + p * w.in_size(), y.node().values<T>() + p * w.out_size(), sums);
      }
    });
  });
  return record("avg_pool2d", y, {x},
                [w = pool.w, planes = pool.planes, grain = pool.grain](const Node& out, Inputs in) {
                  dispatch(out.dtype, [&]<class T>() {
                    T* const dx = in[0].grad_or_null<T>();
                    const T* const dy = out.grad_or_null<T>();
                    parallel_for(planes, grain, [&](Index begin, Index end) {
                      for (Index p = begin; p < end; ++p) {
                        spread_means(w, dx + p * w.in_size(), dy + p * w.out_size());
                      }
                    });
                  });
                });
}

}  // namespace gradus
