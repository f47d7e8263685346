#include "loss_history.h"

#include <algorithm>

namespace gpt {

void LossHistory::add(gradus::Index step, double loss) {
  step_sum_ += static_cast<double>(step);
  loss_sum_ += loss;
  if (++filled_ < size_) return;
  const auto count = static_cast<double>(filled_);
  train_.push_back({step_sum_ / count, loss_sum_ / count});
  step_sum_ = loss_sum_ = 0;
  filled_ = 0;
  constexpr std::size_t most = 2048;
  if (train_.size() < most) return;
  for (std::size_t i = 0; i < most / 2; ++i) {
    const Point a = train_[2 * i], b = train_[2 * i + 1];
    train_[i] = {(a.step + b.step) / 2, (a.loss + b.loss) / 2};
  }
  train_.resize(most / 2);
  size_ *= 2;
}

void LossHistory::add_held_out(gradus::Index step, double loss) {
  held_out_.push_back({static_cast<double>(step), loss});
}

std::vector<LossHistory::Point> LossHistory::smoothed() const {
  std::vector<Point> result = train_;
  const double take = std::min(1.0, std::max(0.01, 50.0 / static_cast<double>(train_.size() + 1)));
  double mean = 0, weight = 0;
  for (Point& point : result) {  // weighted so that the first points do not count too much (Kingma & Ba 2015)
    weight += (1 - weight) * take;
    mean += (point.loss - mean) * take / weight;
    point.loss = mean;
  }
  return result;
}

}  // namespace gpt
