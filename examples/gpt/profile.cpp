// gpt profile: where the time of a training step of a run goes. The steps are taken on a copy in memory; the folder
// stays as it is.
#include <fmt/format.h>

#include <optional>
#include <sstream>

#include <gradus/models/text/text.h>
#include <gradus/models/train/trainer.h>
#include <gradus/nn/profile.h>

#include "commands.h"
#include "model.h"
#include "numbers.h"
#include "output.h"
#include "run_text.h"
#include "train_arguments.h"
#include "waiting.h"

namespace gpt {
namespace {

namespace models = gradus::models;
using gradus::Index;

struct ProfileArguments {
  std::string folder;
  std::optional<std::string> trace;
  std::vector<std::string> sources;
  Index steps = 1;
  bool best = false;
};

// The run's recipe, without an end and at a rate that leaves the weights where they are useful.
models::TrainOptions options_of(const models::Run& run, const std::string& folder, Index steps) {
  TrainArguments settings;
  settings.fill_from(run.settings, folder + "/config.json");
  models::TrainOptions options = settings.resolve().train;
  options.steps = steps;
  options.tokens = options.warmup = 0;
  options.seconds = options.min_lr = 0;
  options.lr = 1e-6;
  options.schedule = gradus::optim::Schedule::constant;
  return options;
}

int profile(const ProfileArguments& arguments) {
  const EndsTold early("\ngpt: stopped before the steps were measured\n");
  constexpr Index warmup = 3;  // memory, threads and caches are then as in the middle of a training
  models::Run run = load_model(arguments.folder, arguments.best);
  const Data data = read_data_of_run(arguments.sources, arguments.folder, run.data, run.tokenizer);
  const models::TrainOptions options = options_of(run, arguments.folder, warmup + arguments.steps);
  models::Trainer trainer(run.model, *data.dataset, options);
  for (Index i = 0; i < warmup; ++i) trainer.step();
  const Index tokens_before = trainer.tokens_done();
  const gradus::ProfileReport report = gradus::profile(run.model, [&] {
    for (Index i = 0; i < arguments.steps; ++i) trainer.step();
  });
  if (arguments.trace) {
    std::ostringstream trace;
    report.write_chrome_trace(trace);
    models::write_text(*arguments.trace, trace.str());
  }
  print("{} of {}, {} in all: {}\n", counted(arguments.steps, "step"),
        counted(options.batch_size * options.accumulation, "sequence"),
        counted(trainer.tokens_done() - tokens_before, "token"), report);
  print("outside ops: drawing the batch, the norm of the gradients, the optimizer, and time between ops\n");
  if (arguments.trace) {
    print("the trace is in {}; open it in chrome://tracing or ui.perfetto.dev\n", *arguments.trace);
  }
  return 0;
}

}  // namespace

void add_profile(CLI::App& app, const std::string&, Action& action) {
  auto arguments = std::make_shared<ProfileArguments>();
  ProfileArguments& a = *arguments;
  CLI::App& command = *app.add_subcommand("profile", "Show where the time of a training step goes");
  command.add_option("DIR", a.folder, "The folder that gpt train wrote; it stays as it is")->required();
  command.add_option("--data", a.sources, "The text to take steps on; needed where the run's own lies elsewhere now")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_option("--steps", a.steps, "Steps to measure, after three that are not")
      ->check(range("--steps", 1, 1000))
      ->capture_default_str()
      ->type_name("N");
  command
      .add_option("--trace", a.trace,
                  "Write every op and its backward to FILE, for chrome://tracing or ui.perfetto.dev")
      ->type_name("FILE");
  command.add_flag("--best", a.best, "Take the model with the lowest held-out loss, not the last one");
  add_threads(command);
  command.footer(
      "A row has the calls of an op, its time forward and backward, and its share of the whole. FLOPs count a\n"
      "multiplication and an addition as two; bytes are those of inputs, results and their gradients. The last column\n"
      "compares with a large product (F) and a large copy (B) on this machine, whichever is nearer.\n\n"
      "Examples:\n"
      "  gpt profile runs/names\n"
      "  gpt profile runs/names --steps 10 --trace trace.json");
  command.callback([arguments, &action] { action = [arguments] { return profile(*arguments); }; });
}

}  // namespace gpt
