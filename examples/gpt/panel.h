// What one sees while a model trains: on a terminal a panel that is redrawn in place, with a small loss curve; in a
// pipe or file a plain line every twentieth of the run, and every minute.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <gradus/models/checkpoint.h>
#include <gradus/models/trainer.h>

#include "loss_history.h"

namespace gpt {

class Panel {
 public:
  Panel(std::string_view title, bool quiet);

  void update(const gradus::models::Trainer& trainer, const gradus::models::StepReport& report,
              const LossHistory& history);
  void set_held_out(double loss, const gradus::models::HeldOut& all);
  void set_samples(const std::vector<std::string>& samples);
  /// Leaves what is there behind; whatever is printed next stands below it.
  void finish();

 private:
  std::vector<std::string> draw(const gradus::models::Trainer& trainer, const gradus::models::StepReport& report,
                                const LossHistory& history, std::size_t width) const;
  std::string plain(const gradus::models::Trainer& trainer, const gradus::models::StepReport& report) const;
  std::string speed() const;

  std::string title_;
  bool quiet_, terminal_, unicode_, colors_;
  std::string held_out_, samples_;     // as they are shown
  bool fresh_ = false;                 // whether the held-out loss was not shown yet
  double loss_ = 0, loss_weight_ = 0;  // running mean of the loss over the last hundred steps or so
  double tokens_ = 0, seconds_ = 0;    // the same for the speed
  int lines_ = 0;                      // plain ones so far
  std::size_t height_ = 0;             // of what is on the terminal
  std::chrono::steady_clock::time_point drawn_{};
};

}  // namespace gpt
