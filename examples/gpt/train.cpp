// gpt train: from a text to a model in a folder. Everything that can be wrong is looked at before the first step, so
// that nobody waits for a training whose result cannot be kept.
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <filesystem>

#include <gradus/core/runtime/parallel.h>
#include <gradus/core/runtime/platform.h>
#include <gradus/models/generate/generate.h>
#include <gradus/models/gpt/cost.h>
#include <gradus/models/text/text.h>
#include <gradus/models/train/evaluate.h>

#include "commands.h"
#include "hints.h"
#include "numbers.h"
#include "output.h"
#include "tokenizer_choice.h"
#include "train_arguments.h"
#include "train_header.h"
#include "train_session.h"
#include "train_start.h"
#include "waiting.h"

namespace gpt {
namespace {

namespace fs = std::filesystem;
namespace models = gradus::models;
using gradus::Index;

void print_samples(models::GPT& model, const Data& data, models::GenerateOptions options, Index count) {
  if (const auto* documents = data.documents()) {
    const auto samples = models::generate(model, data.dataset->tokenizer(), "", count, options);
    say("\n{} at temperature {:g}\n", counted(count, "sample"), options.temperature);
    Index number = 0, new_ones = 0;
    for (const std::string& sample : samples) {
      say("sample {:2}: {}\n", ++number, sample);
      new_ones += documents->contains(sample) ? 0 : 1;
    }
    say("{} of {} {} new (not in the data)\n\n", new_ones, number, new_ones == 1 ? "is" : "are");
  } else {
    options.max_tokens = 300;
    say("\na sample at temperature {:g}\n{}\n\n", options.temperature,
        models::generate(model, data.dataset->tokenizer(), "", 1, options).front());
  }
}

bool may_be_taken(const std::string& folder) {
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_directory(folder, error)) return false;
  const models::FolderContents found = models::look_into(folder);
  return !found.run && found.other.empty();
}

// Makes `folder`, or one with a number behind its name so that nothing is replaced unasked, and locks it. Trainings
// that begin at once may look at the same one: whoever has its lock has it, once no other was there before.
std::string take_free_folder(const std::string& folder, std::optional<models::RunLock>& lock) {
  for (int number = 1;; ++number) {
    const std::string name = number == 1 ? folder : fmt::format("{}-{}", folder, number);
    if (!may_be_taken(name)) continue;
    models::make_folder(name);
    try {
      lock.emplace(name);
    } catch (const models::RunLock::Held&) {
      continue;
    }
    if (may_be_taken(name)) return name;
    lock.reset();
  }
}

void check_may_be_written(const std::string& folder, bool overwrite) {
  const models::FolderContents found = models::look_into(folder);
  gradus::check(found.other.empty(),
                "'{}' holds '{}', which no training wrote; choose a new or empty folder, or that of a run", folder,
                found.other);
  gradus::check(overwrite || !found.run,
                "'{}' holds a run; resume it: --resume {}, or replace it: --overwrite, or choose another folder",
                folder, shell_word(folder));
}

// The folder of the run that is resumed, of --out, or a free one; locked before anything in it is removed.
std::string folder_to_train_in(const TrainArguments& arguments, const std::string& otherwise,
                               std::optional<models::RunLock>& lock) {
  std::string folder;
  if (arguments.resume) {
    folder = models::run_folder_of(*arguments.resume).string();
  } else if (arguments.out) {
    folder = *arguments.out;
    check_may_be_written(folder, arguments.overwrite);
    models::make_folder(folder);
    lock.emplace(folder);
    check_may_be_written(folder, arguments.overwrite);
  } else {
    folder = take_free_folder(otherwise, lock);
  }
  models::prepare_run_folder(folder);
  return folder;
}

// Without "." and "..", and without a slash at the end, so that its last part is a name.
fs::path full_path(const fs::path& path) {
  const fs::path full = fs::absolute(path).lexically_normal();
  return full.has_filename() ? full : full.parent_path();
}

// What the run of a text of one's own is called: as the file, if that leaves room for more in a file's name. It gets a
// folder of its own, so that it does not replace the model of the preset's data.
std::string name_of_run(const std::string& source) {
  constexpr std::size_t longest = 200;
  if (source == standard_input) return "stdin";
  std::string name = full_path(source).stem().string();
  if (source.starts_with(bundled_prefix)) name = source.substr(bundled_prefix.size());
  if (name.size() <= longest) return name;
  std::size_t end = longest;
  while (models::continues_character(name[end])) --end;  // not within a character
  return name.substr(0, end);
}

// How much is measured where nothing was said: no more than what takes a moment. A budget in seconds has the session
// look how long that is.
void limit_measuring(TrainArguments& arguments, const Preset& plan, const models::Dataset& dataset,
                     SessionOptions& options) {
  constexpr Index most_tokens = 1 << 17;
  if (arguments.eval_batches) {
    options.eval_sequences = *arguments.eval_batches * plan.train.batch_size;
    return;
  }
  options.eval_sequences = models::sequences_of(dataset, models::Part::held_out, most_tokens);
  if (plan.train.seconds > 0) {
    options.quick_eval = true;
    return;
  }
  arguments.eval_batches = (options.eval_sequences + plan.train.batch_size - 1) / plan.train.batch_size;
  options.eval_sequences = *arguments.eval_batches * plan.train.batch_size;
}

// What the run will take. Throws Error where the machine has not that much left.
double memory_need(const TrainArguments& arguments, const Preset& plan, const Data& data) {
  const models::Dataset& dataset = *data.dataset;
  const auto part = models::Part::train;
  const double length =
      static_cast<double>(dataset.tokens(part)) / static_cast<double>(std::max<Index>(1, dataset.size(part)));
  const Index tokens = std::llround(length * static_cast<double>(plan.train.batch_size));
  const auto dtype = *arguments.dtype == "f64" ? gradus::DType::f64 : gradus::DType::f32;
  constexpr double bytes_a_token = 12;  // of tokens and targets that a step draws
  const bool ragged = plan.format == models::TextFormat::lines;
  const double need = models::cost_of(plan.model, dtype, tokens, ragged, arguments.train_last.value_or(0)).training +
                      bytes_a_token * static_cast<double>(tokens * plan.train.accumulation);
  const auto available = static_cast<double>(gradus::platform::available_memory());
  gradus::check(available == 0 || need <= available,
                "this training needs about {} of memory, the machine has {} left; use a smaller {}", memory(need),
                memory(available),
                tokens > plan.model.block_size ? "--batch (and --accumulation instead), --context or model"
                                               : "--context or model");
  return need;
}

// A budget in epochs as steps. A warm-up that nobody asked for is not longer than a tenth of that.
void limit_epochs(Preset& plan, const models::Dataset& dataset, bool warmup_given) {
  if (plan.epochs == 0) return;
  const double sequences = static_cast<double>(plan.train.batch_size) * static_cast<double>(plan.train.accumulation);
  const double all = plan.epochs * static_cast<double>(dataset.size(models::Part::train));
  const Index steps = std::max<Index>(1, std::llround(std::ceil(all / sequences)));
  plan.train.steps = plan.train.steps > 0 ? std::min(plan.train.steps, steps) : steps;
  if (!warmup_given) plan.train.warmup = std::min(plan.train.warmup, plan.train.steps / most_warmup);
}

TrainArguments with_config(const TrainArguments& given) {
  TrainArguments arguments = given;
  if (arguments.config) {
    const std::string json = models::read_file(*arguments.config);
    models::check_is_text(json, *arguments.config);
    arguments.fill_from(json, *arguments.config);
  }
  if (arguments.tokenizer) arguments.tokenizer = full_choice(*arguments.tokenizer);
  return arguments;
}

void check_usage(const TrainArguments& arguments) {
  if (arguments.resume && (arguments.out || arguments.init_from)) {
    throw UsageError("--resume continues in the folder that it names; leave --out and --init-from out");
  }
  if (arguments.held_out && arguments.held_out_share) {
    throw UsageError("--held-out and --held-out-share both say what to evaluate on; leave one out");
  }
  if (arguments.unknown.value_or("refuse") != "refuse" && !arguments.init_from && !arguments.resume) {
    throw UsageError(
        fmt::format("--unknown {} is about characters that the weights of --init-from do not know, and a "
                    "new model learns all there are; name weights with --init-from, or leave it out",
                    *arguments.unknown));
  }
  if (arguments.preset == "finetune" && !arguments.init_from && !arguments.resume) {
    throw UsageError("--preset finetune trains weights further; name them with --init-from");
  }
  const char* const part = arguments.lora ? "--lora" : arguments.train_last ? "--train-last" : nullptr;
  if (part != nullptr && !arguments.init_from && !arguments.resume) {
    throw UsageError(
        fmt::format("{} trains a part of a model that has learned; name its weights with --init-from", part));
  }
  if (arguments.lora && arguments.train_last) {
    throw UsageError("--lora and --train-last both say which part is trained; leave one out");
  }
  if (arguments.lora_alpha && !arguments.lora && !arguments.resume) {
    throw UsageError("--lora-alpha scales what --lora adds; give --lora too, or leave it out");
  }
  if (arguments.overwrite && !arguments.out) {
    throw UsageError("--overwrite replaces the run in a folder; name that with --out");
  }
}

// Everywhere where the model has some.
void set_dropouts(models::GPTConfig& model, double dropout) {
  model.dropout = dropout;
  model.embd_dropout.reset();
  if (model.attn_dropout > 0) model.attn_dropout = dropout;
}

// What is still open, from the preset and the weights.
Preset plan_of(TrainArguments& arguments, const Start& start) {
  Preset plan = arguments.resolve();
  if (start.config) {
    const double dropout = plan.model.dropout;
    plan.model = *start.config;
    if (dropout != plan.model.dropout) set_dropouts(plan.model, dropout);
    plan.model.checkpoint_activations = *arguments.checkpoint_activations;
    if (!start.checkpoint) plan.model.block_size = *arguments.context;
    if (!start.checkpoint && arguments.lora) {
      require(*arguments.lora <= plan.model.n_embd, "--lora is {}, but a rank is at most the model's width, {}",
              *arguments.lora, plan.model.n_embd);
      if (!arguments.lora_alpha) arguments.lora_alpha = 2 * static_cast<double>(*arguments.lora);
      plan.model.lora_rank = *arguments.lora, plan.model.lora_alpha = *arguments.lora_alpha;
    }
  }
  if (plan.tokenizer != nullptr && !arguments.tokenizer && !start.config) arguments.tokenizer = plan.tokenizer;
  if (!arguments.sources && plan.source == nullptr) {
    throw UsageError(fmt::format("the preset {} needs a text to learn from; name one with --data FILE", plan.name));
  }
  return plan;
}

SessionOptions session_options(TrainArguments& arguments, const Preset& plan, const Data& data,
                               const std::string& out) {
  SessionOptions options{.name = full_path(out).filename().string(),
                         .command = arguments.program,
                         .settings = {},
                         .eval_every = *arguments.eval_every,
                         .eval_sequences = 0,
                         .quick_eval = false,
                         .patience = *arguments.patience,
                         .save_every = *arguments.save_every,
                         .keep = *arguments.keep,
                         .quiet = arguments.quiet,
                         .record = *arguments.record == "on",
                         .view = arguments.view,
                         .samples = {.temperature = plan.temperature, .seed = *arguments.seed}};
  limit_measuring(arguments, plan, *data.dataset, options);
  arguments.sources = data.info.sources();  // valid in any folder
  if (arguments.held_out) arguments.held_out = data.info.held_out_sources;
  options.settings = arguments.to_json();
  return options;
}

int train(const TrainArguments& given) {
  std::optional<EndsTold> early(std::in_place, "\ngpt: stopped before the training began; nothing was saved\n");
  TrainArguments arguments = with_config(given);
  check_usage(arguments);
  const bool warmup_given = arguments.warmup.has_value();
  std::optional<models::RunLock> lock;
  if (arguments.resume) {  // before anything is read of it
    const fs::path folder = models::run_folder_of(*arguments.resume);
    std::error_code error;
    if (fs::is_directory(folder, error)) lock.emplace(folder);
  }
  Start start = make_start(arguments);
  Preset plan = plan_of(arguments, start);
  if (arguments.threads) gradus::set_num_threads(static_cast<int>(*arguments.threads));
  const std::string name = arguments.sources ? name_of_run(arguments.sources->front()) : std::string(plan.name);
  if (!arguments.sources) arguments.sources = {plan.source};

  Data data = load_data(arguments, start);
  plan.model.vocab_size = data.dataset->tokenizer().vocab_size();
  plan.model.validate();
  limit_epochs(plan, *data.dataset, warmup_given);
  arguments.warmup = plan.train.warmup;
  const double need = memory_need(arguments, plan, data);
  models::GPT model = make_model(arguments, plan.model, start, data.dataset->tokenizer());
  if (arguments.train_last) {
    require(*arguments.train_last <= plan.model.n_layer, "--train-last is {}, the model has {} blocks",
            *arguments.train_last, plan.model.n_layer);
    model.train_last(*arguments.train_last);
  }
  models::Trainer trainer(model, *data.dataset, plan.train);
  const std::string out = folder_to_train_in(arguments, "runs/" + name, lock);
  const SessionOptions options = session_options(arguments, plan, data, out);
  if (!arguments.quiet) print_header(plan, data, model, need, out);

  Session session(out, model, data, trainer, options);
  if (start.checkpoint) session.resume(*arguments.resume, *start.checkpoint);
  early.reset();
  if (const int signal = session.run(); signal != 0) return 128 + signal;

  if (!arguments.quiet) {
    std::fflush(stdout);  // many samples take a while
    if (*arguments.samples > 0) print_samples(model, data, options.samples, *arguments.samples);
    say("saved in {}; for more samples: {} sample {}\n", out, arguments.program, shell_word(out));
  }
  say("held-out loss {}\n", session.held_out_loss());
  lock.reset();  // others may have the folder while the page is looked at
  session.keep_page();
  return 0;
}

}  // namespace

void add_train(CLI::App& app, const std::string& program, Action& action) {
  auto arguments = std::make_shared<TrainArguments>();
  arguments->program = program;
  CLI::App& command = *app.add_subcommand("train", "Train a model and save it");
  add_train_options(command, *arguments);
  command.footer(
      "Ctrl-C, SIGTERM or SIGHUP (a closed terminal) ends the training after the step under way and saves it; Ctrl-C "
      "once\n"
      "more ends it at once. It does not end when what reads its output does.\n"
      "DIR then holds config.json, tokenizer.json, model.safetensors (the last), best.safetensors (lowest held-out\n"
      "loss), train_state.safetensors and checkpoints/ (to resume from), log.jsonl (a line per step) and loss.svg.\n\n"
      "Examples:\n"
      "  gpt train                                        bundled names, at most 20 seconds\n"
      "  gpt train --data towns.txt --out runs/towns      your own list, one a line\n"
      "  gpt train --data towns.txt --seconds 300 --layers 4 --width 128\n"
      "  gpt train --resume runs/towns --seconds 600      resumes where it stopped\n"
      "  gpt train --preset shakespeare --data tinyshakespeare.txt\n"
      "  gpt train --init-from gpt2 --data my.txt         fine-tunes a GPT-2 of Hugging Face's\n"
      "  gpt train --preset microgpt                      the 200-line Python program's model");
  command.callback([arguments, &action] { action = [arguments] { return train(*arguments); }; });
}

}  // namespace gpt
