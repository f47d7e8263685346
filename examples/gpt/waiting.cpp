#include "waiting.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>
#include <utility>

#include "output.h"

namespace gpt {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds before_first(300), between_frames(100);
constexpr std::chrono::seconds between_lines(10);

bool can_redraw() {
  const char* const terminal = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

}  // namespace

Waiting::Waiting(std::string what, bool quiet)
    : what_(gradus::models::printable(what)), quiet_(quiet), terminal_(can_redraw()), next_(Clock::now()) {
  next_ += terminal_ ? std::chrono::milliseconds(before_first) : std::chrono::milliseconds(between_lines);
}

Waiting::~Waiting() {
  if (!drawn_) return;
  say("\r\x1b[K");
  std::fflush(stdout);
}

void Waiting::show(double done) {
  const Clock::time_point now = Clock::now();
  if (quiet_ || now < next_) return;
  if (terminal_) {
    constexpr int most = 60;  // so that it stays one line
    say("\r{:.{}} {:3.0f} %\x1b[K", what_, most, 100 * done);
    drawn_ = true;
    next_ = now + between_frames;
  } else {
    say("{} {:.0f} %\n", what_, 100 * done);
    next_ = now + between_lines;
  }
  std::fflush(stdout);
}

}  // namespace gpt
