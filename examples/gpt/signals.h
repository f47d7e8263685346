// The signals that ask a program to end, handled in one way.
#pragma once

#include <array>
#include <csignal>

namespace gpt {

/// Ctrl-C, `kill`, and a terminal that closes.
inline constexpr std::array ending_signals{SIGINT, SIGTERM, SIGHUP};

/// Has `handler` take the signal. One that was ignored when the program started stays ignored: nohup has SIGHUP so, and
/// a shell without job control SIGINT for what it starts in the background. Handlers may call it.
void handle_signal(int number, void (*handler)(int));

}  // namespace gpt
