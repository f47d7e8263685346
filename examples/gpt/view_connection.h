// A server that reads each request itself, whole, bounded and in time, before cpp-httplib looks at it: that library
// bounds neither a line of a request, nor their number, nor a body in chunks or compressed, nor how long a client may
// take for all of it.
#pragma once

#include <httplib.h>

namespace gpt {

inline constexpr std::size_t most_request_bytes = 16'384;  // of a request's head, and as many of its body
inline constexpr std::size_t most_header_lines = 100;
inline constexpr int request_seconds = 5, answer_seconds = 30;           // for all of it
inline constexpr std::size_t served_at_once = 8, connections_kept = 32;  // besides those: they wait

/// Serves one request per connection. Refuses what is larger, slower or of more parts than this program asks for: a
/// body without a length or compressed, a range, an Expect.
class BoundedServer : public httplib::Server {
 public:
  /// `ending`: a file that can be read from when all connections are to end, at once.
  explicit BoundedServer(int ending);

 private:
  bool process_and_close_socket(socket_t socket) override;

  int ending_;
};

}  // namespace gpt
