// FinalGradients: which gradients of leaves are final after which op of a backward(), for PostAccumulateGrad.
#pragma once

#include <unordered_set>
#include <vector>

#include <gradus/core/detail/backward_pass.h>

namespace gradus::detail {

/// Of the backward() that runs on this thread; lives while it runs through `ops`. One inside another only checks that
/// it adds to nothing that was final. Without a PostAccumulateGrad it does nothing.
class FinalGradients {
 public:
  explicit FinalGradients(const NodeList& ops);
  ~FinalGradients();
  FinalGradients(const FinalGradients&) = delete;
  FinalGradients& operator=(const FinalGradients&) = delete;

  /// The backward of ops[i] has run.
  void after(std::size_t i) {
    if (!finals_.empty()) [[unlikely]]
      tell(i);
  }
  /// All of `ops` have run.
  void end() {
    if (!told_.empty()) [[unlikely]]
      tell_end();
  }

 private:
  struct Final {
    std::size_t op;  // the last one that adds to the leaf
    NodePtr leaf;
  };
  void tell(std::size_t i);
  void tell_end();

  std::vector<Final> finals_;  // the last in time first
  std::unordered_set<const Node*> told_;
  FinalGradients* outer_;
};

}  // namespace gradus::detail
