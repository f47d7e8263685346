#include "signals.h"

namespace gpt {

void handle_signal(int number, void (*handler)(int)) {
  struct sigaction now {};
  if (::sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_IGN) return;
  std::signal(number, handler);
}

}  // namespace gpt
