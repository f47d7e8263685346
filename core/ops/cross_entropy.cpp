// cross_entropy, fused from logits to the mean loss: nothing of the logits' size is stored besides their gradient.
#include <algorithm>

#include <gradus/core/ops/detail/common.h>
#include <gradus/core/ops/detail/rules.h>

namespace gradus {
namespace {

// How many rows have a loss. Throws Error for a target that is no class.
Index count_targets(const Tensor& logits, std::span<const std::int32_t> targets, std::int32_t ignore_index) {
  const Index classes = logits.size(-1);
  Index count = 0;
  for (const std::int32_t target : targets) {
    if (target == ignore_index) continue;
    check(target >= 0 && target < classes,
          "cross_entropy: target {} is outside the {} classes of logits {}; targets must be "
          "0 .. {}, or {} to be ignored",
          target, classes, logits.shape(), classes - 1, ignore_index);
    ++count;
  }
  return count;
}

// What the softmax of the logits is held against: rows that are 0 where a target is ignored.
Tensor target_shares(const Ids& targets, Shape::Matrix size, std::int32_t ignore, double smoothing, DType dtype) {
  Tensor shares = zeros({size.rows, size.cols}, dtype);
  dispatch(dtype, [&]<class T>() {
    T* row = shares.node().values<T>();
    for (std::size_t r = 0; r < targets.size(); ++r, row += size.cols) {
      if (targets[r] == ignore) continue;
      std::fill_n(row, size.cols, static_cast<T>(smoothing / static_cast<double>(size.cols)));
      row[targets[r]] += static_cast<T>(1 - smoothing);
    }
  });
  return shares;
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, Ids targets, std::int32_t ignore_index, double label_smoothing) {
  check_defined("cross_entropy", {logits});
  check(logits.rank() >= 1, "cross_entropy: logits are a single number; the last dimension must be the classes");
  const Shape::Matrix size = logits.shape().as_matrix();
  const Index rows = size.rows;
  const auto given = static_cast<Index>(targets.size());
  const bool second = logits.rank() > 2 && given * logits.size(1) == logits.numel();  // PyTorch's order of dimensions
  check(rows == given, "cross_entropy: logits {} have {} rows but {} targets came; one per row{}", logits.shape(), rows,
        given, second ? ", with the classes last: permute() them there if they are second" : "");
  check(label_smoothing >= 0 && label_smoothing < 1,
        "cross_entropy: label_smoothing is {}; it must be at least 0 and below 1", label_smoothing);
  const Index count = count_targets(logits, targets, ignore_index);
  Tensor loss = Tensor::empty({}, logits.dtype());
  const Buffer max(rows, logits.dtype()), log_sum(rows, logits.dtype()), losses(rows, logits.dtype());
  each_rows(logits.dtype(), size, [&]<class T>() {
    return [&, x = logits.node().values<T>()](RowRange r) {
      kernels::kernels<T>().cross_entropy({.x = r.in(x),
                                           .targets = targets.data() + r.begin,
                                           .ignore = ignore_index,
                                           .smoothing = static_cast<T>(label_smoothing),
                                           .losses = r.of_each<T>(losses),
                                           .max = r.of_each<T>(max),
                                           .log_sum = r.of_each<T>(log_sum),
                                           .rows = r.rows,
                                           .cols = r.cols});
    };
  });
  dispatch(logits.dtype(), [&]<class T>() {
    double sum = 0;
    for (Index r = 0; r < rows; ++r) sum += static_cast<double>(losses.as<T>()[r]);
    *loss.node().values<T>() = static_cast<T>(count == 0 ? 0 : sum / static_cast<double>(count));
  });
  const auto held = share(std::move(targets));
  const auto backward = [max, log_sum, held, ignore_index, label_smoothing, count, size](const Node& out, Inputs in) {
    if (count == 0) return;
    each_rows(out.dtype, size, [&]<class T>() {
      const T scale = *out.grad_or_null<T>() / static_cast<T>(count);
      const T* const px = in[0].values<T>();
      const GradShare<T> dx = in[0].grad_share<T>();
      return [&, scale, px, dx](RowRange r) {
        kernels::kernels<T>().cross_entropy_grad({.x = r.in(px),
                                                  .targets = held->data() + r.begin,
                                                  .ignore = ignore_index,
                                                  .smoothing = static_cast<T>(label_smoothing),
                                                  .max = r.of_each<T>(max),
                                                  .log_sum = r.of_each<T>(log_sum),
                                                  .scale = scale,
                                                  .dx = r.in(dx.p),
                                                  .adds = dx.adds,
                                                  .rows = r.rows,
                                                  .cols = r.cols});
      };
    });
  };
  const auto rule = [held, ignore_index, label_smoothing, count, size](const Tensor&, const Tensor& dy,
                                                                       const RuleInputs& in) {
    if (count == 0) return Tensor();
    const Tensor shares = target_shares(*held, size, ignore_index, label_smoothing, in[0].dtype());
    const Tensor counts = sum(shares, -1, true);  // 0 for a row that is ignored, whatever its logits are
    const Tensor x = where(counts > 0, reshape(in[0], {size.rows, size.cols}), 0);
    return reshape((softmax(x) * counts - shares) * (dy / static_cast<double>(count)), in[0].shape());
  };
  return record("cross_entropy", loss, {logits}, backward, rule);
}

}  // namespace gradus
