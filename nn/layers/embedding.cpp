// Embedding is the op with its table.
#include <gradus/nn/layers/embedding.h>

#include <gradus/core/ops.h>
#include <gradus/nn/init.h>

namespace gradus::nn {

Embedding::Embedding(Index num, Index dim, EmbeddingOptions options) {
  check(num > 0 && dim > 0, "Embedding: {} rows of {} numbers; both must be at least 1", num, dim);
  weight = parameter(Tensor::empty({num, dim}, options.dtype));
  init::normal_(weight);
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
