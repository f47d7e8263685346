// The live line is plain ASCII, cut to the terminal's width: one that wraps could not be redrawn.
#include "progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

namespace gpt {
namespace {

using gradus::Index;

std::size_t terminal_width() {
  winsize size{};
  const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

std::string clock_time(double seconds) {
  const Index s = std::llround(seconds);
  return s < 3600 ? fmt::format("{}:{:02}", s / 60, s % 60)
                  : fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

}  // namespace

std::string grouped(Index number) {
  std::string digits = std::to_string(number);
  const std::size_t first = digits.front() == '-' ? 1 : 0;
  for (std::size_t i = digits.size(); i > first + 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(::isatty(STDOUT_FILENO) == 1) {}

std::string Progress::describe(const gradus::models::Trainer& trainer, const gradus::models::StepReport& report) const {
  const double done = trainer.progress();
  const Index steps = trainer.options().steps;
  const std::string step =
      steps > 0 ? fmt::format("{}/{}", grouped(report.step), grouped(steps)) : grouped(report.step);
  const std::string held_out = held_out_ ? fmt::format("  held-out {:.4f}", *held_out_) : "";
  return fmt::format("step {}  loss {:.4f}{}  lr {:.1e}  {} tokens/s  {} left", step, loss_, held_out, report.lr,
                     grouped(std::llround(tokens_ / std::max(seconds_, 1e-9))),
                     clock_time(trainer.seconds() * (1 - done) / std::max(done, 1e-9)));
}

void Progress::update(const gradus::models::Trainer& trainer, const gradus::models::StepReport& report) {
  constexpr double keep = 0.99;
  loss_weight_ = keep * loss_weight_ + (1 - keep);
  loss_ += (report.loss - loss_) * (1 - keep) / loss_weight_;
  tokens_ = keep * tokens_ + static_cast<double>(report.tokens);
  seconds_ = keep * seconds_ + report.seconds;
  if (quiet_) return;

  if (terminal_) {
    constexpr auto period = std::chrono::milliseconds(100);
    const auto now = std::chrono::steady_clock::now();
    if (now - drawn_ < period && !trainer.done()) return;
    drawn_ = now;
    fmt::print("\r{}\x1b[K", describe(trainer, report).substr(0, terminal_width() - 1));
  } else {
    constexpr int lines = 20;
    if (report.step > 1 && trainer.progress() * lines < lines_) return;
    lines_ = static_cast<int>(trainer.progress() * lines) + 1;
    fmt::print("{}\n", describe(trainer, report));
    held_out_.reset();  // among lines that stay, a figure stands where it was measured
  }
  std::fflush(stdout);
}

void Progress::finish() {
  if (!quiet_ && terminal_) fmt::print("\n");
}

}  // namespace gpt
