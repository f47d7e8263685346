// Ids go to the first layer, everything behind it is one chain.
#include <gradus/nn/layers/sequential.h>

#include <gradus/core/ops.h>
#include <gradus/core/runtime/platform.h>
#include <gradus/nn/layers/embedding.h>

namespace gradus::nn {

Tensor Sequential::run(Tensor x, std::size_t first) const {
  const auto& layers = layers_.all();
  for (std::size_t i = first; i < layers.size(); ++i) {
    Tensor y = (*layers[i].module)(x);
    if (hook_) hook_(layers[i].name, *layers[i].module, x, y);
    x = std::move(y);
  }
  return x;
}

Tensor Sequential::operator()(const Ids& ids) const {
  check(size() > 0, "Sequential: ids came, but it has no layers; its first must be an Embedding");
  const Layer& first = layers_.at(0);
  const auto* const embedding = dynamic_cast<const Embedding*>(&first);
  check(embedding != nullptr, "Sequential: ids came, but its first layer is a {}; it must be an Embedding",
        platform::type_name(typeid(first).name()));
  const Tensor x = (*embedding)(ids);
  if (hook_) hook_(layers_.all().front().name, first, tensor(ids, ids.shape()), x);
  return run(x, 1);
}

}  // namespace gradus::nn
