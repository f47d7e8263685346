// A watcher notes when each op and each backward ends, and what it worked on. All else is reckoned afterwards, so that
// watching costs little.
#include <gradus/core/inspect/profile.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <map>
#include <ostream>
#include <string_view>
#include <system_error>
#include <unordered_map>

#include <gradus/core/autograd.h>
#include <gradus/core/inspect/detail/module_paths.h>
#include <gradus/core/inspect/detail/op_work.h>
#include <gradus/core/watch.h>

namespace gradus {
namespace {

using detail::Operand;
using Clock = std::chrono::steady_clock;

constexpr std::size_t no_module = static_cast<std::size_t>(-1);
constexpr const char* outside = "outside ops";

// An op that has run, or its backward.
struct Seen {
  const char *op, *step;
  std::size_t module = no_module;  // in ModulePaths
  bool backward = false, begins_call = false, is_view = false;
  Index begin = 0, end = 0;
  std::optional<double> flops = {};  // that the op told
  std::size_t first = 0, count = 0;  // its tensors in Recorder::operands_, the result first
};

// What an op's forward leaves for its backward.
struct Noted {
  std::uint64_t id;  // addresses are used again
  const char *op, *step;
  std::size_t module;
  std::optional<double> flops;
};

class Recorder final : public OpWatcher {
 public:
  explicit Recorder(std::vector<std::pair<std::string, Tensor>> names) : paths_(std::move(names)) {
    constexpr std::size_t usual = 4096;
    seen_.reserve(usual);
    operands_.reserve(usual);
    start_ = Clock::now();
  }

  void on_call(const char*) override {
    last_ = now();
    is_call_ = true;
  }
  void on_flops(double flops) override { told_ = flops; }
  void on_forward(const char* op, const Tensor& y, Inputs inputs) override;
  // Recording may give the op another id.
  void on_record(const Node& op) override { newest_->id = op.id; }
  void on_weight(const Tensor&) override { last_ = now(); }
  void on_backward(const Node& op, bool released) override;

  /// Ends the span.
  ProfileReport report(const ProfileOptions& options);

 private:
  Index now() const { return std::chrono::nanoseconds(Clock::now() - start_).count(); }
  void add_operand(const Node& x, bool wants_grad) { operands_.push_back({x.shape, x.dtype, wants_grad}); }
  const Noted* noted(const Node& node) const {
    const auto found = noted_.find(&node);
    return found != noted_.end() && found->second.id == node.id ? &found->second : nullptr;
  }
  void add(Seen seen) {
    seen.begin = last_;
    seen.end = last_ = now();
    seen_.push_back(seen);
  }
  std::size_t module_of(std::span<const Node* const> inputs) const;
  std::vector<ProfileRow> module_rows(std::vector<std::size_t>& row_of) const;

  detail::ModulePaths paths_;
  std::vector<Seen> seen_;
  std::vector<Operand> operands_;
  std::vector<const Node*> inputs_;  // kept from op to op for their memory
  std::unordered_map<const Node*, Noted> noted_;
  Noted* newest_ = nullptr;
  std::optional<double> told_;
  bool is_call_ = false;
  Clock::time_point start_;
  Index last_ = 0;  // when the event before ended, or the program called an op
};

// The one of a parameter among the inputs, else of the newest input that has one.
std::size_t Recorder::module_of(std::span<const Node* const> inputs) const {
  if (paths_.empty()) return no_module;
  std::size_t module = no_module;
  std::uint64_t newest = 0;
  bool unknown = false;  // an input was computed before the profile began
  for (const Node* const input : inputs) {
    if (const auto own = paths_.of(*input)) return *own;
    const Noted* const known = noted(*input);
    unknown = unknown || (known == nullptr && !input->is_leaf());
    if (known == nullptr || known->module == no_module || known->id < newest) continue;
    module = known->module;
    newest = known->id;
  }
  if (module != no_module || !unknown) return module;
  const auto nearest = paths_.nearest(inputs);
  return nearest ? nearest->module : no_module;
}

void Recorder::on_forward(const char* op, const Tensor& y, Inputs inputs) {
  constexpr const char* none = "";
  const char* const called = detail::called(none);
  const bool is_step = called != none;
  Seen seen{.op = is_step ? called : op,
            .step = op,
            .begins_call = is_call_ || !is_step,
            .flops = std::exchange(told_, std::nullopt),
            .first = operands_.size()};
  is_call_ = false;
  add_operand(y.node(), false);
  inputs_.clear();
  for (const Tensor& input : inputs) {
    if (!input.defined()) continue;
    inputs_.push_back(&input.node());
    add_operand(input.node(), false);
    seen.is_view = seen.is_view || y.node().data.is_same(input.node().data);
  }
  seen.count = operands_.size() - seen.first;
  seen.module = module_of(inputs_);
  newest_ = &noted_[&y.node()];
  *newest_ = {y.node().id, seen.op, seen.step, seen.module, seen.flops};
  add(seen);
}

void Recorder::on_backward(const Node& op, bool) {
  Seen seen{.op = op.called(), .step = op.op, .backward = true, .first = operands_.size()};
  add_operand(op, false);
  inputs_.clear();
  for (const NodePtr& input : op.inputs) {
    if (input == nullptr) continue;
    inputs_.push_back(input.get());
    add_operand(*input, input->wants_grad());
  }
  seen.count = operands_.size() - seen.first;
  if (const Noted* const known = noted(op)) {
    seen.op = known->op;
    seen.step = known->step;  // the last step of a composed op bears that one's name by now
    seen.module = known->module;
    seen.flops = known->flops;
  } else {
    seen.module = module_of(inputs_);
  }
  add(seen);
}

void count(ProfileRow& row, const ProfileEvent& event, bool is_call) {
  (event.backward ? row.backward : row.forward) += event.time;
  if (is_call && !event.backward) ++row.calls;
  row.flops += event.flops;
  if (event.dtype == DType::f64) row.flops_f64 += event.flops;
  row.bytes += event.bytes;
}

// A row for each module that was seen, and one for ops without.
std::vector<ProfileRow> Recorder::module_rows(std::vector<std::size_t>& row_of) const {
  std::vector<ProfileRow> rows;
  row_of.assign(paths_.modules().size() + 1, no_module);
  if (paths_.empty()) return rows;
  std::vector<bool> used(row_of.size());
  for (const Seen& seen : seen_) used[std::min(seen.module, row_of.size() - 1)] = true;
  for (std::size_t i = 0; i < row_of.size(); ++i) {
    if (!used[i]) continue;
    row_of[i] = rows.size();
    rows.push_back({.name = i < paths_.modules().size() ? paths_.modules()[i] : "(no module)"});
  }
  return rows;
}

ProfileReport Recorder::report(const ProfileOptions& options) {
  ProfileReport report{.total = now()};
  std::vector<std::size_t> row_of_module;
  report.modules = module_rows(row_of_module);
  std::map<std::string, ProfileRow> ops;
  Index in_ops = 0;
  for (const Seen& seen : seen_) {
    const std::span<const Operand> all(operands_.data() + seen.first, seen.count);
    const auto work = detail::work_of({.op = seen.step,
                                       .backward = seen.backward,
                                       .is_view = seen.is_view,
                                       .flops = seen.flops,
                                       .result = all.front(),
                                       .inputs = all.subspan(1)});
    ProfileEvent event{.op = seen.op,
                       .step = seen.step,
                       .module = 0,
                       .backward = seen.backward,
                       .begin = seen.begin,
                       .time = seen.end - seen.begin,
                       .flops = work.flops,
                       .bytes = work.bytes,
                       .dtype = all.front().dtype,
                       .result = all.front().shape,
                       .inputs = {}};
    for (const Operand& input : all.subspan(1)) event.inputs.push_back(input.shape);
    in_ops += event.time;
    const bool is_step = std::string_view(seen.op) != seen.step;
    std::string name = options.steps && is_step ? fmt::format("{}: {}", seen.op, seen.step) : seen.op;
    count(ops[std::move(name)], event, options.steps || seen.begins_call);
    if (!report.modules.empty()) {
      event.module = row_of_module[std::min(seen.module, row_of_module.size() - 1)];
      count(report.modules[event.module], event, seen.begins_call);
    }
    report.events.push_back(std::move(event));
  }
  for (auto& [name, row] : ops) {
    row.name = name;
    report.ops.push_back(std::move(row));
  }
  std::ranges::stable_sort(report.ops, std::ranges::greater{}, &ProfileRow::time);
  const ProfileRow rest{.name = outside, .forward = report.total - in_ops};
  report.ops.push_back(rest);
  if (!paths_.empty()) report.modules.push_back(rest);
  return report;
}

// "h.3.mlp.c_fc" as "h.*.mlp.c_fc".
std::string without_numbers(const std::string& module) {
  std::string text;
  for (std::size_t begin = 0; begin <= module.size();) {
    const std::size_t end = std::min(module.find('.', begin), module.size());
    const std::string part = module.substr(begin, end - begin);
    const bool is_number = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    text += (begin > 0 ? "." : "") + (is_number ? "*" : part);
    begin = end + 1;
  }
  return text;
}

std::vector<ProfileRow> merged(const std::vector<ProfileRow>& rows) {
  constexpr std::size_t most = 24;
  if (rows.size() <= most) return rows;
  std::vector<ProfileRow> result;
  std::unordered_map<std::string, std::size_t> places;
  for (const ProfileRow& row : rows) {
    const auto [place, is_new] = places.emplace(without_numbers(row.name), result.size());
    if (is_new) result.push_back({.name = place->first});
    ProfileRow& to = result[place->second];
    to.calls += row.calls;
    to.forward += row.forward;
    to.backward += row.backward;
    to.flops += row.flops;
    to.flops_f64 += row.flops_f64;
    to.bytes += row.bytes;
  }
  return result;
}

std::string readable_bytes(double bytes) {
  const char* unit = "B";
  for (const char* larger : {"KB", "MB", "GB", "TB"}) {
    if (bytes < 1000) break;
    bytes /= 1000;
    unit = larger;
  }
  return *unit == 'B' ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, unit);
}

// "61 % F": the larger share of a limit, and of which.
std::string share_of_limit(const ProfileRow& row, const MachineLimits& limits) {
  const double seconds = static_cast<double>(row.time()) * 1e-9;
  if (seconds == 0 || (row.flops == 0 && row.bytes == 0)) return {};
  const double flops = (row.flops + row.flops_f64) / limits.flops / seconds, bytes = row.bytes / limits.bytes / seconds;
  return fmt::format("{:.0f} % {}", 100 * std::max(flops, bytes), flops >= bytes ? 'F' : 'B');
}

std::string table(const char* title, const std::vector<ProfileRow>& rows, Index total, const MachineLimits& limits) {
  std::size_t width = std::string_view(title).size();
  for (const ProfileRow& row : rows) width = std::max(width, row.name.size());
  std::string text = fmt::format("{:<{}}  {:>7} {:>11} {:>11} {:>7} {:>8} {:>9} {:>9}\n", title, width, "calls",
                                 "forward ms", "backward ms", "share", "GFLOP/s", "bytes", "of limit");
  const auto add = [&](const ProfileRow& row) {
    const auto ms = [](Index time) { return time == 0 ? "" : fmt::format("{:.3f}", static_cast<double>(time) * 1e-6); };
    const std::string speed =
        row.flops == 0 || row.time() == 0 ? "" : fmt::format("{:.1f}", row.flops / static_cast<double>(row.time()));
    const double share = total == 0 ? 0 : 100 * static_cast<double>(row.time()) / static_cast<double>(total);
    const std::string line =
        fmt::format("{:<{}}  {:>7} {:>11} {:>11} {:>5.1f} % {:>8} {:>9} {:>9}", row.name, width,
                    row.calls == 0 ? "" : fmt::format("{}", row.calls), ms(row.forward), ms(row.backward), share, speed,
                    row.bytes == 0 ? "" : readable_bytes(row.bytes), share_of_limit(row, limits));
    text += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
  };
  for (const ProfileRow& row : rows) add(row);
  return text;
}

std::string json_string(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      quoted += fmt::format("\\u{:04x}", static_cast<int>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace

ProfileReport profile(const std::function<void()>& f, const ProfileOptions& options) {
  check(f != nullptr, "profile: f is empty; give it the function to measure");
  Recorder recorder(options.names);
  f();
  return recorder.report(options);
}

std::string ProfileReport::text() const {
  const MachineLimits limits = machine_limits();
  std::string text = fmt::format("{:.3f} ms\n\n", static_cast<double>(total) * 1e-6) + table("op", ops, total, limits);
  if (!modules.empty()) text += '\n' + table("module", merged(modules), total, limits);
  return text + fmt::format(
                    "\nof limit: F of {:.1f} GFLOP/s in a product of f32 (f64 has half), B of {:.1f} GB/s in a copy, "
                    "with {} thread{};\nabove 100 % B the values were in the caches",
                    limits.flops * 1e-9, limits.bytes * 1e-9, limits.threads, limits.threads == 1 ? "" : "s");
}

std::ostream& operator<<(std::ostream& out, const ProfileReport& report) {
  return out << report.text();
}

void ProfileReport::write_chrome_trace(std::ostream& out) const {
  const auto microseconds = [](Index time) { return static_cast<double>(time) * 1e-3; };
  out << "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n";
  out << fmt::format(
      "{{\"name\": \"profile\", \"cat\": \"profile\", \"ph\": \"X\", \"pid\": 1, \"tid\": 1, \"ts\": 0, \"dur\": "
      "{:.3f}}}",
      microseconds(total));
  for (const ProfileEvent& event : events) {
    const std::string_view op = event.op, step = event.step;
    const std::string name = op == step ? std::string(op) : fmt::format("{}: {}", op, step);
    const std::string module =
        modules.empty() ? "" : fmt::format("\"module\": {}, ", json_string(modules[event.module].name));
    out << fmt::format(
        ",\n{{\"name\": {}, \"cat\": \"{}\", \"ph\": \"X\", \"pid\": 1, \"tid\": 1, \"ts\": {:.3f}, \"dur\": {:.3f}, "
        "\"args\": {{{}\"result\": \"{}\", \"inputs\": \"{}\", \"dtype\": \"{}\", \"flops\": {:.0f}, \"bytes\": "
        "{:.0f}}}}}",
        json_string(event.backward ? name + " backward" : name), event.backward ? "backward" : "forward",
        microseconds(event.begin), microseconds(event.time), module, event.result, fmt::join(event.inputs, " "),
        event.dtype, event.flops, event.bytes);
  }
  out << "\n]}\n";
}

void ProfileReport::write_chrome_trace(const std::filesystem::path& path) const {
  errno = 0;
  std::ofstream out(path, std::ios::binary);
  if (out) write_chrome_trace(out);
  out.close();
  check(!out.fail(), "profile: the trace cannot be written to '{}': {}; check the path and the free space there",
        path.native(), std::generic_category().message(errno));
}

}  // namespace gradus
