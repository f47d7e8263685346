// What one sees while a model trains: on a terminal a line that is redrawn in place, in a pipe or file a line every
// twentieth of the run.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <gradus/models/trainer.h>

namespace gpt {

/// 1234567 as "1,234,567".
std::string grouped(gradus::Index number);

class Progress {
 public:
  explicit Progress(bool quiet);

  void update(const gradus::models::Trainer& trainer, const gradus::models::StepReport& report);
  void set_held_out(double loss) { held_out_ = loss; }
  /// Leaves the live line behind; whatever is printed next stands below it.
  void finish();

 private:
  std::string describe(const gradus::models::Trainer& trainer, const gradus::models::StepReport& report) const;

  bool quiet_, terminal_;
  std::optional<double> held_out_;
  double loss_ = 0, loss_weight_ = 0;  // running mean of the loss over the last hundred steps or so
  double tokens_ = 0, seconds_ = 0;    // the same for the speed
  int lines_ = 0;
  std::chrono::steady_clock::time_point drawn_{};
};

}  // namespace gpt
