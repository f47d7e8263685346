// What is written where is decided by steps alone unless the budget is in seconds, so that a run that was stopped and
// one that was not leave the same log.
#include "train_session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <limits>
#include <new>
#include <string_view>
#include <utility>

#include <gradus/models/generate/generate.h>
#include <gradus/models/text/text.h>
#include <gradus/models/train/evaluate.h>

#include "hints.h"
#include "loss_svg.h"
#include "numbers.h"
#include "output.h"
#include "signals.h"
#include "waiting.h"

namespace gpt {
namespace {

namespace models = gradus::models;
using gradus::Index;
using Clock = std::chrono::steady_clock;

// A handler runs on whichever thread the system picks.
std::atomic<int> signal_received = 0;
static_assert(std::atomic<int>::is_always_lock_free);

// The first signal asks the training to end after this step; a second SIGINT or SIGTERM ends the program at once, a
// second SIGHUP does not: shell and system both send one when a terminal closes.
extern "C" void on_signal(int number) {
  signal_received = number;
  for (const int again : {SIGINT, SIGTERM}) handle_signal(again, SIG_DFL);
  std::signal(SIGHUP, SIG_IGN);
  constexpr std::string_view told =
      "\ngpt: stopping after this step; Ctrl-C once more leaves at once, without saving\n";
  const int before = errno;
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, told.data(), told.size());
  errno = before;
}

// Signals end the training in order while one of these lives. A reader of the output that has gone does not end it.
class Signals {
 public:
  Signals() {
    for (const int number : ending_signals) handle_signal(number, on_signal);
    std::signal(SIGPIPE, SIG_IGN);  // for good, so that main() can say that output was lost
  }
  ~Signals() {
    for (const int number : ending_signals) handle_signal(number, SIG_DFL);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
};

template <class... T>
void warn(fmt::format_string<T...> format, T&&... values) {
  std::fputs(fmt::format("gpt: {}\n", fmt::format(format, std::forward<T>(values)...)).c_str(), stderr);
}

// A signal has come while something long was under way.
struct Interrupted {};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// NaN where too few were evaluated to tell.
double margin_of(const models::Evaluation& result) {
  const bool tells = result.margin == 0 || result.sequences >= enough_to_be_sure;
  return tells ? result.margin : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

Session::Session(const std::filesystem::path& folder, models::GPT& model, Data& data, models::Trainer& trainer,
                 SessionOptions options)
    : folder_(folder),
      model_(model),
      data_(data),
      trainer_(trainer),
      options_(std::move(options)),
      writer_(folder, data.dataset->tokenizer(), data.info, options_.settings, options_.keep),
      panel_(options_.name, options_.quiet),
      saved_(Clock::now()),
      logged_(saved_),
      drawn_(saved_) {
  trainer_.set_clock([this] { return clock_.seconds(); });
  if (options_.view) view_.emplace(options_.command, *options_.view);
  if (!options_.record) return;
  recording_.emplace(folder, model, *data.dataset, [this]() -> std::vector<std::string> {
    try {
      return few_samples();
    } catch (const gradus::Error&) {
      return {};  // a model whose logits are not finite; the next measurement says what went wrong
    }
  });
  writer_.keep(*recording_);
  trainer_.watch(&*recording_);
}

// As the recording keeps them and the panel shows them: short, always with the same seed.
std::vector<std::string> Session::few_samples() {
  constexpr Index documents = 6, length = 60;
  models::GenerateOptions few = options_.samples;
  few.max_tokens = length;
  return models::generate(model_, data_.dataset->tokenizer(), "", data_.documents() != nullptr ? documents : 1, few);
}

std::string Session::held_out_loss() const {
  const double loss = gradus::shown(loss_);
  if (margin_ == 0) return fmt::format("{:.4f}", loss);
  return std::isnan(margin_) ? fmt::format("about {:.4f}", loss) : fmt::format("{:.4f} +/- {:.4f}", loss, margin_);
}

void Session::resume(const std::filesystem::path& path, const models::Checkpoint& checkpoint) {
  trainer_.set_state(checkpoint.trainer);
  held_out_ = writer_.continue_from(path, checkpoint);
  unmeasured_ = checkpoint.unmeasured;
  if (!writer_.log_aside().empty()) {
    std::fputs(fmt::format("gpt: the log in '{}' has no line of step {}; it is damaged or another run's, and goes to "
                           "'{}' when the run is saved\n",
                           folder_.native(), trainer_.steps_done(), writer_.log_aside().native())
                   .c_str(),
               stderr);
  }
  for (const models::LogLine& line : models::read_log(folder_ / "log.jsonl")) {
    if (line.step > trainer_.steps_done()) break;  // logged after the checkpoint
    history_.add(line.step, line.train_loss);
    if (line.val_loss) history_.add_held_out(line.step, *line.val_loss);
  }
  if (unmeasured_) history_.add(unmeasured_->step, unmeasured_->train_loss);
}

bool Session::over() const {
  return trainer_.done() || (options_.patience > 0 && held_out_.since_best >= options_.patience);
}

std::string Session::how_to_resume() const {
  return fmt::format("{} train --resume {}", options_.command, shell_word(writer_.resume_from().native()));
}

std::string Session::what_is_left() const {
  if (!writer_.last_saved()) return "nothing was saved, and what the folder held is as it was";
  const std::string step = grouped(*writer_.last_saved());
  std::error_code error;
  if (std::filesystem::exists(writer_.resume_from(), error)) {
    return fmt::format("the last checkpoint is of step {}: {}", step, how_to_resume());
  }
  return fmt::format("the last checkpoint was of step {}, but '{}' is not there any more", step,
                     writer_.resume_from().native());
}

bool Session::look_is_due(double progress_before) const {
  if (trainer_.done()) return true;
  if (options_.eval_every > 0) return trainer_.steps_done() % options_.eval_every == 0;
  constexpr double looks = 10;        // in the whole run,
  constexpr double time_share = 0.1;  // and where the budget is time, as long as they take at most this part of it
  const bool affordable = trainer_.options().seconds == 0 || measuring_ <= time_share * trainer_.seconds();
  return std::floor(trainer_.progress() * looks) > std::floor(progress_before * looks) && affordable;
}

bool Session::save_is_due(bool measured) const {
  constexpr double period = 30;  // seconds
  if (over() || signal_received != 0) return true;
  // At once, to show early that it works; but an earlier run is replaced only by one whose held-out loss is a number.
  if (!writer_.last_saved()) return !writer_.replaces_earlier_run() || measured;
  return options_.save_every > 0 ? trainer_.steps_done() % options_.save_every == 0 : seconds_since(saved_) >= period;
}

models::Evaluation Session::measured_on(Index sequences) {
  Waiting waiting("measuring the held-out loss", options_.quiet);
  const auto watch = [&](double done) {
    if (signal_received != 0) throw Interrupted();
    waiting.show(done);
  };
  return models::evaluate(model_, *data_.dataset, models::Part::held_out, {.sequences = sequences, .progress = watch});
}

// Where the budget is in seconds, as much is measured as takes a fiftieth of it; but so much that it tells something. A
// number of batches that was said may take a quarter of it: there are at least two measurements.
void Session::plan_measuring() {
  const double seconds = trainer_.options().seconds;
  if (seconds == 0) return;
  constexpr Index probed = 4096, least = 8192;  // tokens
  const double part = options_.quick_eval ? 0.02 : 0.25;
  const models::Dataset& dataset = *data_.dataset;
  const Index all = options_.eval_sequences > 0 ? options_.eval_sequences : dataset.size(models::Part::held_out);
  const Index probe = models::sequences_of(dataset, models::Part::held_out, probed);
  if (probe == 0 || all <= probe) return;
  const double start = clock_.seconds();
  const Index tokens = measured_on(probe).tokens;
  const double speed = static_cast<double>(tokens) / std::max(clock_.seconds() - start, 1e-6);
  const auto fit = std::max(least, static_cast<Index>(part * seconds * speed));
  const Index some = models::sequences_of(dataset, models::Part::held_out, fit);
  if (some == 0 || some >= all) return;
  options_.eval_sequences = some;
  if (options_.quick_eval || options_.quiet) return;
  say("\nmeasures on {}, not {}, so that it takes no more than a quarter of the {:g} seconds\n",
      counted(some, "sequence"), grouped(all), seconds);
}

void Session::measure() {
  const models::Evaluation result = measured_on(options_.eval_sequences);
  gradus::check(std::isfinite(result.loss),
                "train: the held-out loss after step {} is {}, so the model was not saved; try a lower learning rate",
                trainer_.steps_done(), std::abs(result.loss));
  loss_ = result.loss;
  margin_ = margin_of(result);
  judged_ = result.sequences;
  measured_ = trainer_.steps_done();
}

bool Session::look(models::LogLine& line) {
  const double start = clock_.seconds();
  measure();
  line.val_loss = loss_;
  history_.add_held_out(line.step, loss_);
  const bool best = held_out_.add(loss_, line.step);
  panel_.set_held_out(held_out_loss(), gradus::shown(loss_), held_out_);
  if (!options_.quiet) {
    panel_.set_samples(few_samples());
  }
  const double seconds = clock_.seconds() - start;
  measuring_ += seconds;
  trainer_.reserve(seconds);  // the last one comes after the last step
  return best;
}

void Session::step() {
  trainer_.spend(clock_.seconds() - counted_);
  const double progress = trainer_.progress();
  const models::StepReport report = trainer_.step();
  counted_ = clock_.seconds();
  const models::LogLine line{report.step,      trainer_.tokens_done(),
                             report.loss,      report.lr,
                             report.grad_norm, static_cast<double>(report.tokens) / std::max(report.seconds, 1e-9)};
  history_.add(line.step, line.train_loss);
  complete(line, look_is_due(progress));
  if (signal_received == 0) panel_.update(trainer_, report, history_);  // else it would overwrite what the signal said
}

void Session::complete(models::LogLine line, bool look_is_due) {
  bool best = false;
  try {
    best = look_is_due && look(line);
  } catch (const Interrupted&) {
    unmeasured_ = line;
    save();
    draw_picture(false);
    return;
  }
  constexpr double period = 0.1;  // seconds: whoever watches the log sees it move, and short steps do not wait for it
  writer_.log(line);
  if (seconds_since(logged_) >= period) {
    logged_ = Clock::now();
    writer_.flush();
  }
  if (best || save_is_due(line.val_loss.has_value())) save();
  draw_picture(line.val_loss.has_value());
  show_page();
}

void Session::save() {
  // An earlier run is replaced only by one whose held-out loss is a number.
  if (writer_.replaces_earlier_run() && measured_ != trainer_.steps_done()) {
    const double loss = models::evaluate(model_, *data_.dataset, models::Part::held_out, {.sequences = 1}).loss;
    gradus::check(std::isfinite(loss),
                  "train: the held-out loss after step {} is {}, so the model was not saved; try a "
                  "lower learning rate",
                  trainer_.steps_done(), std::abs(loss));
  }
  models::TrainerState state = trainer_.state();
  state.seconds += clock_.seconds() - counted_;
  writer_.save(model_, state, held_out_, unmeasured_);
  saved_ = Clock::now();
}

void Session::tell_page(const std::string& address) {
  page_ = address;
  panel_.set_page(address);
  if (::isatty(STDOUT_FILENO) != 0) open_in_browser(address);
}

// From the first model that this run has saved on.
void Session::show_page() {
  if (!view_ || !writer_.last_saved() || signal_received != 0) return;  // Ctrl-C reaches the page too
  try {
    if (!view_->started()) view_->start(folder_);
    if (const auto address = view_->address()) tell_page(*address);
  } catch (const gradus::Error& problem) {
    view_.reset();
    warn("{}; the training continues without the page", problem.what());
  }
}

// A short training may have ended before there was a page, and a finished one that is resumed has no step.
void Session::keep_page() {
  if (!view_) return;
  try {
    if (!view_->started()) view_->start(folder_);
    if (const auto address = view_->wait_for_address()) tell_page(*address);
    say("the page {} shows this run until Ctrl-C\n", page_);
    std::fflush(stdout);
    view_->wait();
  } catch (const gradus::Error& problem) {
    warn("{}; the run is saved", problem.what());
  }
}

void Session::draw_picture(bool measured) {
  if (writer_.replaces_earlier_run()) return;
  const double period = measured ? 1 : 5;  // seconds
  if (seconds_since(drawn_) < period && !over() && signal_received == 0) return;
  drawn_ = Clock::now();
  try {
    models::write_text(folder_ / "loss.svg", loss_svg(history_, options_.name));
  } catch (const gradus::Error& problem) {
    if (!std::exchange(picture_fails_, true)) warn("{}; the training continues without the picture", problem.what());
  }
}

// A finished run that was resumed without a larger budget.
void Session::go_on_from_the_end() {
  measure();
  // Killed between its last checkpoint and the models that come after it.
  const bool unfinished = models::moment_of(folder_ / models::model_file).step != trainer_.steps_done();
  if (unfinished && writer_.resume_from() == folder_) save();
  if (options_.quiet) return;
  const Index steps = trainer_.steps_done();
  if (trainer_.done()) {
    say("\nnothing is left to do after {}; give a larger budget, e.g. --steps {}\n", counted(steps, "step"), 2 * steps);
  } else {
    say("\npatience ended this run at step {}; to continue, give more of it, e.g. --patience {}, or 0 for no end\n",
        grouped(steps), 2 * held_out_.since_best);
  }
}

void Session::begin() {
  plan_measuring();
  if (trainer_.steps_done() == 0) {
    const double start = clock_.seconds();
    const models::Evaluation before = measured_on(options_.eval_sequences);
    trainer_.reserve(clock_.seconds() - start);
    held_out_.first = loss_ = before.loss;
    margin_ = margin_of(before);
    if (!options_.quiet) say("\nheld-out loss before training {}\n", held_out_loss());
    if (recording_) recording_->begin();
  } else if (!options_.quiet) {
    say("\nresumed after step {}\n", grouped(trainer_.steps_done()));
  }
  std::fflush(stdout);
  if (unmeasured_) complete(*std::exchange(unmeasured_, std::nullopt), true);
}

void Session::run_steps() {
  try {
    if (over() && !unmeasured_) {
      go_on_from_the_end();
      return;
    }
    begin();
  } catch (const Interrupted&) {
    return;
  }
  while (!over() && signal_received == 0) step();
  // A signal may have come between the step's own save and here.
  if (trainer_.steps_done() > 0 && writer_.last_saved() != trainer_.steps_done()) {
    save();
    draw_picture(false);
  }
}

int Session::run() {
  const Signals signals;
  try {
    run_steps();
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    panel_.finish();
    try {
      writer_.flush();
    } catch (const gradus::Error&) {
      // The lines go with it; `error` came first and tells more.
    }
    gradus::fail("{}; {}", told(error), what_is_left());
  }
  panel_.finish();
  // A run that was over when the signal came ends as if none had come.
  const int signal = over() && measured_ == trainer_.steps_done() ? 0 : signal_received.load();
  report_end(signal);
  return signal;
}

void Session::report_end(int signal) {
  const Index steps = trainer_.steps_done();
  trainer_.spend(clock_.seconds() - counted_);
  if (signal != 0) {
    if (steps == 0) {
      say("stopped before the first step; nothing was saved\n");
    } else {
      say("stopped at step {}; saved in {}; to resume: {}\n", grouped(steps), folder_.native(), how_to_resume());
    }
    return;
  }
  if (options_.quiet) return;
  if (!trainer_.done()) {
    say("stopped early: {} in a row without a new best\n", counted(held_out_.since_best, "measurement"));
  }
  if (margin_ != 0) {
    say("evaluated on {} of {} spread over the held-out part; more: {} eval {}\n", grouped(judged_),
        counted(data_.dataset->size(models::Part::held_out), "sequence"), options_.command,
        shell_word(folder_.native()));
  }
  say("held-out loss after training {} ({}, {:.3g} seconds)\n", held_out_loss(), counted(steps, "step"),
      trainer_.seconds());
  if (const auto best = better_before(gradus::shown(loss_), held_out_.best, held_out_.best_step)) {
    say("the best was {} at step {}: {} sample {} --best\n", *best, grouped(held_out_.best_step), options_.command,
        shell_word(folder_.native()));
  }
}

}  // namespace gpt
