// Embedding is the op with its table.
#include <gradus/nn/layers/embedding.h>

#include <cmath>
#include <vector>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/nn/init.h>

namespace gradus::nn {

Embedding::Embedding(Index num, Index dim, EmbeddingOptions options) {
  check(num > 0 && dim > 0, "Embedding: {} rows of {} numbers; both must be at least 1", num, dim);
  weight = parameter(Tensor::empty({num, dim}, options.dtype));
  init::normal_(weight);
}

Tensor Embedding::operator()(const Tensor& ids) const {
  check_defined("Embedding", {weight, ids});
  std::vector<std::int32_t, PoolAllocator<std::int32_t>> whole;
  whole.reserve(static_cast<std::size_t>(ids.numel()));
  dispatch(ids.dtype(), [&]<class T>() {
    for (const T id : ids.data<T>()) {
      check(id >= 0 && id < static_cast<T>(weight.size(0)) && std::floor(id) == id,
            "Embedding: {} came as an id; ids are the whole numbers 0 .. {}", id, weight.size(0) - 1);
      whole.push_back(static_cast<std::int32_t>(id));
    }
  });
  return embedding(weight, whole, ids.shape());
}

Tensor Embedding::operator()(Ids ids) const {
  return embedding(weight, std::move(ids));
}

Tensor Embedding::operator()(Ids ids, const Shape& ids_shape) const {
  return embedding(weight, std::move(ids), ids_shape);
}

void Embedding::members(Visitor& visit) const {
  visit("weight", weight);
}

}  // namespace gradus::nn
