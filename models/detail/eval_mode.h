// EvalMode: a guard that puts a model in eval mode and, when it is destroyed, back in its mode before.
#pragma once

#include <gradus/nn/module.h>

namespace gradus::models::detail {

class EvalMode {
 public:
  explicit EvalMode(nn::Module& model) : model_(model), was_training_(model.training()) { model_.eval(); }
  ~EvalMode() { model_.train(was_training_); }
  EvalMode(const EvalMode&) = delete;
  EvalMode& operator=(const EvalMode&) = delete;

 private:
  nn::Module& model_;
  bool was_training_;
};

}  // namespace gradus::models::detail
