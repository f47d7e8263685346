// embedding: rows of a table picked by number. Its gradient adds each row back to where it came from. Each thread
// adds some columns of all rows, because two rows may come from the same place.
#include <algorithm>

#include <gradus/core/ops/detail/common.h>
#include <gradus/core/ops/detail/rules.h>

namespace gradus {
namespace {

// Adds the rows from `first` to `last` of dy to the rows of the table that they came from.
template <class T>
void add_rows(T* table, const T* dy, std::span<const std::int32_t> ids, Index cols, Index first, Index last) {
  const Index grain = std::max<Index>(64, pointwise_grain / std::max<Index>(1, last - first));
  parallel_for(cols, grain, [&](Index begin, Index end) {
    for (Index i = first; i < last; ++i) {
      kernels::kernels<T>().add(table + ids[static_cast<std::size_t>(i)] * cols + begin, dy + i * cols + begin,
                                end - begin);
    }
  });
}

}  // namespace

Tensor embedding(const Tensor& weight, Ids ids) {
  check_defined("embedding", {weight});
  check(weight.rank() == 2, "embedding: weight {} must have two dimensions, (rows, size of a row)", weight.shape());
  const Index rows = weight.size(0), cols = weight.size(1), n = static_cast<Index>(ids.size());
  for (const std::int32_t id : ids) {
    check(id >= 0 && id < rows, "embedding: id {} is outside the table {}; ids must be 0 .. {}", id, weight.shape(),
          rows - 1);
  }
  Shape shape = ids.shape();
  shape.push_back(cols);
  Tensor y = Tensor::empty(shape, weight.dtype());
  dispatch(weight.dtype(), [&]<class T>() {
    const T* const table = weight.node().values<T>();
    T* const to = y.node().values<T>();
    parallel_for(n, row_grain(cols), [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        std::copy_n(table + ids[static_cast<std::size_t>(i)] * cols, cols, to + i * cols);
      }
    });
  });
  const auto held = share(std::move(ids));
  const auto backward = [held, n, cols](const Node& out, Inputs in) {
    dispatch(out.dtype, [&]<class T>() {
      T* const dtable = in[0].grad_or_null<T>();
      const T* const dy = out.grad_or_null<T>();
      const Index size = in[0].numel(), block = std::max(row_block, 16 * in[0].shape[0]);
      sum_in_tree(dtable, size, n, block,
                  [&](T* table, Index first, Index last) { add_rows(table, dy, *held, cols, first, last); });
    });
  };
  return record("embedding", y, {weight}, backward,
                [held, n, cols](const Tensor&, const Tensor& dy, const RuleInputs& in) {
                  return index_add(zeros(in[0].shape(), dy.dtype()), 0, held->reshape(n), reshape(dy, {n, cols}));
                });
}

Tensor embedding(const Tensor& weight, Ids ids, const Shape& ids_shape) {
  check(ids_shape.numel() == static_cast<Index>(ids.size()),
        "embedding: {} ids do not fill shape {}, which needs {}; leave the shape out for a list of rows", ids.size(),
        ids_shape, ids_shape.numel());
  return embedding(weight, Ids(std::move(ids), ids_shape));
}

}  // namespace gradus
