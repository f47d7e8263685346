// What one sees while a model trains: on a terminal a panel that is redrawn in place, with a small loss curve; in a
// pipe or file, on a terminal that cannot move its cursor (TERM=dumb) and in a window too small for the panel a plain
// line every twentieth of the run, and every minute. The window may change its size at any time.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <gradus/models/train/checkpoint.h>
#include <gradus/models/train/trainer.h>

#include "loss_history.h"
#include "output.h"

namespace gpt {

class Panel {
 public:
  Panel(std::string_view title, bool quiet);

  void update(const gradus::models::Trainer& trainer, const gradus::models::StepReport& report,
              const LossHistory& history);
  /// `text`: the loss as it is shown.
  void set_held_out(const std::string& text, double loss, const gradus::models::HeldOut& all);
  void set_samples(const std::vector<std::string>& samples);
  /// Where a page shows this training.
  void set_page(const std::string& address);
  /// Leaves what is there behind; whatever is printed next stands below it.
  void finish();

 private:
  std::vector<std::string> draw(const gradus::models::Trainer& trainer, const gradus::models::StepReport& report,
                                const LossHistory& history, std::size_t width) const;
  std::string plain(const gradus::models::Trainer& trainer, const gradus::models::StepReport& report) const;
  std::string bar(double done, std::size_t width, std::size_t taken) const;
  std::string speed() const;
  void print_line(const gradus::models::Trainer& trainer, const gradus::models::StepReport& report);
  void draw_or_print(const gradus::models::Trainer& trainer, const gradus::models::StepReport& report,
                     const LossHistory& history);

  std::string title_;
  bool quiet_, terminal_, unicode_, colors_;
  std::string held_out_, samples_, page_;  // as they are shown
  bool page_said_ = false;                 // in a plain line
  bool fresh_ = false;                     // whether the held-out loss was not shown yet
  double loss_ = 0, loss_weight_ = 0;      // running mean of the loss over the last hundred steps or so
  double tokens_ = 0, seconds_ = 0;        // the same for the speed
  int lines_ = 0;                          // plain ones so far
  Window window_;                          // as it was last seen
  std::size_t height_ = 0;                 // of what is on the terminal and can be drawn over
  std::size_t widest_ = 0;                 // columns of its widest line
  std::chrono::steady_clock::time_point drawn_{}, said_{};
};

}  // namespace gpt
