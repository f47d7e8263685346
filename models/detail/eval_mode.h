// Switches a model to evaluation for as long as it lives, also when an exception ends that.
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
