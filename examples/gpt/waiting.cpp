#include "waiting.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <string_view>
#include <utility>

#include "output.h"
#include "signals.h"

namespace gpt {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds before_first(300), between_frames(100);
constexpr std::chrono::seconds between_lines(10);

// Escapes, which say() would show on a terminal.
void draw(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

std::atomic<const char*> last_words = nullptr;
static_assert(std::atomic<const char*>::is_always_lock_free);

extern "C" void end_told(int number) {
  constexpr int killed = 128;
  const std::string_view told = last_words.load();
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, told.data(), told.size());
  ::_exit(killed + number);
}

}  // namespace

Waiting::Waiting(std::string what, bool quiet)
    : what_(gradus::models::printable(what)), quiet_(quiet), terminal_(terminal_can_move()), next_(Clock::now()) {
  next_ += terminal_ ? std::chrono::milliseconds(before_first) : std::chrono::milliseconds(between_lines);
}

Waiting::~Waiting() {
  if (!drawn_) return;
  draw("\r\x1b[K");
  std::fflush(stdout);
}

void Waiting::show(double done) {
  const Clock::time_point now = Clock::now();
  if (quiet_ || now < next_) return;
  if (terminal_) {
    constexpr std::size_t most = 60, figure = 8;  // so that it stays one line
    const std::size_t columns = window_now().columns;
    const std::size_t left = std::min(most, columns - std::min(columns, figure));
    draw(fmt::format("\r{:.{}} {:3.0f} %\x1b[K", what_, left, 100 * done));
    drawn_ = true;
    next_ = now + between_frames;
  } else {
    say("{} {:.0f} %\n", what_, 100 * done);
    next_ = now + between_lines;
  }
  std::fflush(stdout);
}

EndsTold::EndsTold(const char* told) {
  last_words = told;
  for (const int number : ending_signals) handle_signal(number, end_told);
}

EndsTold::~EndsTold() {
  for (const int number : ending_signals) handle_signal(number, SIG_DFL);
}

}  // namespace gpt
