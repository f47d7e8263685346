// A copy is made by what push_back() remembered of each layer's type.
#include <gradus/nn/layers/sequential.h>

#include <unordered_map>

#include <gradus/core/runtime/platform.h>

namespace gradus::nn {

Sequential::Sequential(const Sequential& other) : Layer(other) {
  std::unordered_map<const Layer*, std::shared_ptr<Layer>> copies;
  for (const Held& held : other.layers_) {
    const Layer& layer = *held.layer;
    std::shared_ptr<Layer>& copy = copies[&layer];
    if (copy == nullptr) copy = held.copy(layer);
    check(copy != nullptr,
          "Sequential: layer {}, of type {}, cannot be copied: its type has no copy constructor, or push_back() was "
          "given "
          "a pointer to a base class; give it the layer or a std::shared_ptr of its own type",
          layers_.size(), platform::type_name(typeid(layer).name()));
    layers_.push_back({copy, held.copy});
  }
}

}  // namespace gradus::nn
