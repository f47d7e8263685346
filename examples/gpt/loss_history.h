// The losses of a run for drawing: at most some thousand points however long it is, since every time the list is full
// neighbors become one. Built from the log or step by step it is the same.
#pragma once

#include <vector>

#include <gradus/core/shape.h>

namespace gpt {

class LossHistory {
 public:
  struct Point {
    double step, loss;
  };

  void add(gradus::Index step, double loss);
  void add_held_out(gradus::Index step, double loss);

  const std::vector<Point>& train() const { return train_; }
  const std::vector<Point>& held_out() const { return held_out_; }
  /// The training losses as a running mean over about a fiftieth of the run.
  std::vector<Point> smoothed() const;

 private:
  std::vector<Point> train_, held_out_;
  double step_sum_ = 0, loss_sum_ = 0;   // of the point that is being filled
  gradus::Index filled_ = 0, size_ = 1;  // how many steps it has, and should have
};

}  // namespace gpt
