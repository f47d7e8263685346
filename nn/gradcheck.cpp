#include <gradus/nn/gradcheck.h>

#include <vector>

namespace gradus {
namespace {

// Converts parameters and buffers to f64 for as long as it lives.
class InF64 {
 public:
  InF64() = default;
  explicit InF64(const nn::Module& module) : InF64() {  // delegates, so that the destructor also runs if this throws
    for (auto& [name, tensor] : module.named_state()) {
      Node& node = tensor.node();
      check(node.is_leaf(), "gradcheck: {} is the result of '{}', not a leaf; a module's parameters must be leaves",
            name, node.called());
      before_.push_back({tensor, node.dtype, node.data, node.grad});
      node.grad.reset();
      // A copy also of what is f64 already: the module may write to its buffers while it computes.
      node.data = (node.dtype == DType::f64 ? tensor.detach().clone() : tensor.detach().to(DType::f64)).node().data;
      node.dtype = DType::f64;
    }
  }
  ~InF64() {
    for (Before& before : before_) {
      Node& node = before.tensor.node();
      node.dtype = before.dtype;
      node.data = std::move(before.data);
      node.grad = std::move(before.grad);
    }
  }
  InF64(const InF64&) = delete;
  InF64& operator=(const InF64&) = delete;

 private:
  struct Before {
    Tensor tensor;
    DType dtype;
    Buffer data, grad;
  };
  std::vector<Before> before_;
};

}  // namespace

GradcheckReport gradcheck(const nn::Module& module, const std::function<Tensor()>& loss,
                          const GradcheckOptions& options) {
  const InF64 guard(module);
  try {
    return gradcheck(loss, module.named_parameters(), options);
  } catch (const Error& error) {
    fail(
        "gradcheck: the module was converted to f64, and the loss threw \"{}\"; other tensors that it uses must be f64 "
        "too: an input, or a member that members() does not name",
        error.what());
  }
}

}  // namespace gradus
