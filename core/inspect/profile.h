// profile: where the time of a computation goes, op by op and module by module, and how near each comes to what the
// machine can do.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

#include <gradus/core/tensor.h>

namespace gradus {
#pragma GCC visibility push(default)

struct ProfileOptions {
  // Named parameters, which tell the modules: an op is of the module of a parameter that it uses, else of the module of
  // its newest input that has one. Without them there is no table of modules.
  std::vector<std::pair<std::string, Tensor>> names = {};
  bool steps = false;  // a row for each step of a composed op, "mse_loss: sub", instead of one for the op
};

/// A line of a table. Times are in nanoseconds.
struct ProfileRow {
  std::string name;
  Index calls = 0;  // by the program; with ProfileOptions::steps, of the step
  Index forward = 0, backward = 0;
  // Products count a multiplication and an addition as two, in the forward and for each gradient that is asked for:
  // matmul, linear, convolutions, and of attention q k^T and weights times v for the keys that a query sees (twice that
  // in its backward). Ops that only move values count none, all others one for each element of their largest tensor.
  double flops = 0, flops_f64 = 0;  // all of them, and those in f64
  // The forward reads its inputs and writes its result. The backward reads the gradient of the result and the inputs,
  // and writes the gradients that are asked for. Views move nothing, and ops that only move values read what they move.
  double bytes = 0;

  Index time() const { return forward + backward; }
};

/// An op that has run, or its backward.
struct ProfileEvent {
  const char* op;      // what the program called
  const char* step;    // the step of it; `op` again if it is not composed
  std::size_t module;  // ProfileReport::modules[module]; without a table of modules 0
  bool backward;
  Index begin, time;  // nanoseconds, from when the profile began
  double flops, bytes;
  DType dtype;
  Shape result;
  std::vector<Shape> inputs;  // those that were given
};

/// What this machine can do at most, per second.
struct MachineLimits {
  double flops;  // of a large product in f32; f64 has half of it
  double bytes;  // read and written by a large copy
  int threads;   // with so many
};
/// Measures the limits with num_threads() threads, the first time it is called with so many: some 50 ms, and 64 MB for
/// as long. Other watchers do not see it.
MachineLimits machine_limits();

/// What profile() found.
struct ProfileReport {
  Index total = 0;  // nanoseconds
  // Ops by their time, modules in the order of the named parameters, then "(no module)". The last row of both is
  // "outside ops": the optimizer, data, and what else is no op. The times of a table's rows add up to the total.
  std::vector<ProfileRow> ops = {}, modules = {};
  std::vector<ProfileEvent> events = {};  // in the order of time

  /// Both tables. Modules that differ in numbers alone ("h.0.mlp", "h.1.mlp") share a line ("h.*.mlp") where there
  /// are more than 24. The last column is the larger of two shares of machine_limits(), which this calls.
  std::string text() const;
  /// Chrome's trace event format, for chrome://tracing and ui.perfetto.dev: every event with its module, shapes, bytes
  /// and FLOPs. Throws Error if the file cannot be written.
  void write_chrome_trace(std::ostream& out) const;
  void write_chrome_trace(const std::filesystem::path& path) const;
};

/// Runs f once and reports the ops that it called on this thread and their backwards.
///     fmt::print("{}", profile([&] { mse_loss(mlp(x), y).backward(); }));
/// An op's time ends when the op has its result or its gradients, and begins when the program calls it or at the end of
/// the op before. What f throws reaches the caller. Run f before, so that memory and threads are there.
ProfileReport profile(const std::function<void()>& f, const ProfileOptions& options = {});

inline std::string to_string(const ProfileReport& report) {
  return report.text();
}
std::ostream& operator<<(std::ostream& out, const ProfileReport& report);

#pragma GCC visibility pop
}  // namespace gradus

template <>
struct fmt::formatter<gradus::ProfileReport> : fmt::formatter<std::string_view> {
  auto format(const gradus::ProfileReport& report, fmt::format_context& context) const {
    return gradus::write_text(*this, report.text(), context);
  }
};
