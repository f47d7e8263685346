// cross_entropy, fused from logits to the mean loss: nothing of the logits' size is stored besides their gradient.
// mse_loss is composed.
#include <algorithm>

#include <gradus/core/ops/detail/common.h>

namespace gradus {

Tensor cross_entropy(const Tensor& logits, std::span<const std::int32_t> targets, std::int32_t ignore_index,
                     double label_smoothing) {
  check_defined("cross_entropy", {logits});
  check(logits.rank() >= 1, "cross_entropy: logits are a single number; the last dimension must be the classes");
  const Index rows = logits.shape().as_matrix().rows, cols = logits.shape().as_matrix().cols;
  const auto given = static_cast<Index>(targets.size());
  const bool second = logits.rank() > 2 && given * logits.size(1) == logits.numel();  // PyTorch's order of dimensions
  check(rows == given, "cross_entropy: logits {} have {} rows but {} targets came; one a row{}", logits.shape(), rows,
        given, second ? ", with the classes last: permute() them there if they are second" : "");
  check(label_smoothing >= 0 && label_smoothing < 1,
        "cross_entropy: label_smoothing is {}; it must be at least 0 and below 1", label_smoothing);
  Index count = 0;
  for (const std::int32_t target : targets) {
    if (target == ignore_index) continue;
    check(target >= 0 && target < cols,
          "cross_entropy: target {} is outside the {} classes of logits {}; targets must be "
          "0 .. {}, or {} to be ignored",
          target, cols, logits.shape(), cols - 1, ignore_index);
    ++count;
  }
  Tensor loss = Tensor::empty({}, logits.dtype());
  std::vector<std::int32_t, PoolAllocator<std::int32_t>> kept(targets.begin(), targets.end());
  const Buffer max(rows, logits.dtype()), log_sum(rows, logits.dtype()), losses(rows, logits.dtype());
  dispatch(logits.dtype(), [&]<class T>() {
    const T* const x = logits.node().values<T>();
    parallel_for(rows, row_grain(cols), [&](Index begin, Index end) {
      kernels::kernels<T>().cross_entropy(x + begin * cols, kept.data() + begin, ignore_index,
                                          static_cast<T>(label_smoothing), losses.as<T>() + begin, max.as<T>() + begin,
                                          log_sum.as<T>() + begin, end - begin, cols);
    });
    double sum = 0;
    for (Index r = 0; r < rows; ++r) sum += static_cast<double>(losses.as<T>()[r]);
    *loss.node().values<T>() = static_cast<T>(count == 0 ? 0 : sum / static_cast<double>(count));
  });
  return record("cross_entropy", loss, {logits},
                [max, log_sum, kept = std::move(kept), ignore_index, label_smoothing, count, rows, cols](
                    const Node& out, Inputs in) {
                  if (count == 0) return;
                  dispatch(out.dtype, [&]<class T>() {
                    const T scale = *out.grad_or_null<T>() / static_cast<T>(count);
                    const T* const px = in[0].values<T>();
                    const GradShare<T> dx = in[0].grad_share<T>();
                    parallel_for(rows, row_grain(cols), [&](Index begin, Index end) {
                      kernels::kernels<T>().cross_entropy_grad(dx.p + begin * cols, dx.adds, scale, px + begin * cols,
                                                               kept.data() + begin, ignore_index,
                                                               static_cast<T>(label_smoothing), max.as<T>() + begin,
                                                               log_sum.as<T>() + begin, end - begin, cols);
                    });
                  });
                });
}

Tensor mse_loss(const Tensor& prediction, const Tensor& target) {
  check_defined("mse_loss", {prediction, target});
  check(prediction.shape() == target.shape(),
        "mse_loss: prediction {} and target {} must have equal shapes; reshape one", prediction.shape(),
        target.shape());
  check_same_dtype("mse_loss", prediction, {target});
  return composed("mse_loss", [&] {
    const Tensor difference = prediction - target;
    return mean(difference * difference);
  });
}

}  // namespace gradus
