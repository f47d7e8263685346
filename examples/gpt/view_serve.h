// `gpt view --serve`: the page from a server on this machine, which answers texts that are typed and shows a training
// that is under way.
#pragma once

#include "view_parts.h"

namespace gpt {

inline constexpr int default_port = 8177;

/// Serves the page on 127.0.0.1 until Ctrl-C, SIGTERM or SIGHUP; a port of 0 is any that is free. Returns the exit
/// status. Throws Error where the port is taken or there is no model.
int serve_view(const ViewWish& wish, int port);

}  // namespace gpt
