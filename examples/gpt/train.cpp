// gpt train: from a text to a model in a folder. Everything that can be wrong is looked at before the first step, so
// that nobody waits for a training whose result cannot be kept.
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <filesystem>

#include <gradus/core/cpu.h>
#include <gradus/core/parallel.h>
#include <gradus/core/random.h>
#include <gradus/models/generate.h>
#include <gradus/models/text.h>
#include <gradus/nn/safetensors.h>

#include "commands.h"
#include "numbers.h"
#include "output.h"
#include "run_text.h"
#include "train_arguments.h"
#include "train_session.h"

namespace gpt {
namespace {

namespace fs = std::filesystem;
namespace models = gradus::models;
using gradus::Index;
using gradus::optim::Schedule;

// "ends after 20 seconds or 2,000 steps"
std::string budget(const models::TrainOptions& train) {
  std::vector<std::string> parts;
  if (train.seconds > 0) parts.push_back(fmt::format("{:g} seconds", train.seconds));
  if (train.steps > 0) parts.push_back(counted(train.steps, "step"));
  if (train.tokens > 0) parts.push_back(counted(train.tokens, "token"));
  return fmt::format("ends after {}", fmt::join(parts, " or "));
}

void print_data(const Data& data, Index vocabulary) {
  const models::Dataset& dataset = *data.dataset;
  const std::string held_out = grouped(dataset.tokens(models::Part::held_out)),
                    rest = grouped(dataset.tokens(models::Part::train));
  say("data     {}: ", data.info.source);
  if (const auto* documents = data.documents()) {
    say("{} documents, {} characters\n         a tenth at random held out, {} tokens; {} to train on; vocabulary {}\n",
        grouped(documents->num_documents()), grouped(data.characters), held_out, rest, vocabulary);
    if (documents->num_cut() > 0) {
      say("         {} documents are longer than the context and were cut; --context {} takes the longest whole\n",
          grouped(documents->num_cut()), documents->longest());
    }
  } else {
    say("{} characters\n         the last tenth held out, {} tokens; {} to train on; vocabulary {}\n",
        grouped(data.characters), held_out, rest, vocabulary);
  }
}

// First what matters to a person: what is learned, by how large a model, for how long, and where it goes. All settings
// are in the log.
void print_header(const Preset& plan, const Data& data, const models::GPT& model, const std::string& out) {
  const models::GPTConfig& config = model.config();
  const models::TrainOptions& train = plan.train;
  print_data(data, config.vocab_size);
  say("model    {}, width {}, {}, context {}, dropout {:g}: {} parameters ({})\n", counted(config.n_layer, "layer"),
      config.n_embd, counted(config.n_head, "head"), config.block_size, config.dropout, grouped(model.num_parameters()),
      model.dtype());
  say("time     {}, on {} ({}); Ctrl-C ends it sooner and saves\n", budget(train),
      counted(gradus::num_threads(), "thread"), gradus::instruction_set());
  say("folder   {}\n", out);
  constexpr const char* schedules[] = {"constant", "linear to", "cosine to"};
  say("recipe   batch {}{} {}, AdamW, rate {:g} {}{}, warm-up {}, betas {:g} {:g}, weight decay {:g}, clip {:g}\n",
      train.batch_size, train.accumulation > 1 ? fmt::format(" x {}", train.accumulation) : "",
      plan.documents ? "documents" : "windows", train.lr, schedules[train.schedule],
      train.schedule == Schedule::constant ? "" : fmt::format(" {:g}", train.min_lr), train.warmup, train.beta1,
      train.beta2, train.weight_decay, train.clip);
}

void print_samples(models::GPT& model, const Data& data, models::GenerateOptions options, Index count) {
  if (const auto* documents = data.documents()) {
    const auto samples = models::generate(model, data.dataset->tokenizer(), "", count, options);
    say("\n{} at temperature {:g}\n", counted(count, "sample"), options.temperature);
    Index number = 0, new_ones = 0;
    for (const std::string& sample : samples) {
      say("sample {:2}: {}\n", ++number, sample);
      new_ones += documents->contains(sample) ? 0 : 1;
    }
    say("{} of {} are new (not in the data)\n\n", new_ones, number);
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
                "'{}' holds a run; go on with it: --resume {}, or replace it: --overwrite, or choose another folder",
                folder, models::shell_word(folder));
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

// What the run of a text of one's own is called: as the file, if that leaves room for more in a file's name.
std::string name_of_run(const std::string& source) {
  constexpr std::size_t longest = 200;
  std::string name = fs::path(source).stem().string();
  if (source.starts_with("bundled:")) name = source.substr(source.find(':') + 1);
  if (name.size() <= longest) return name;
  std::size_t end = longest;
  while ((static_cast<unsigned char>(name[end]) & 0xC0U) == 0x80U) --end;  // not within a character
  return name.substr(0, end);
}

void check_is_same_text(const std::string& text, const models::Checkpoint& checkpoint, const std::string& source,
                        bool named, const std::string& run) {
  if (models::fingerprint(text) == checkpoint.data.fingerprint) return;
  const std::string model = models::shell_word((models::run_folder_of(run) / models::model_file).native());
  const std::string anew =
      fmt::format("to train its weights on the other one: --init-from {} --data {}", model, models::shell_word(source));
  gradus::check(!named, "'{}' is not the text that the run in '{}' learns from, and a run keeps to one; {}", source,
                run, anew);
  gradus::fail("'{}' has changed since the run in '{}' learned from it; name the text as it was with --data, or {}",
               source, run, anew);
}

// Without "." and "..", and without a slash at the end, so that its last part is a name.
fs::path full_path(const fs::path& path) {
  const fs::path full = fs::absolute(path).lexically_normal();
  return full.has_filename() ? full : full.parent_path();
}

// Where weights come from elsewhere: the model's sizes and its vocabulary, if the file tells them.
struct Start {
  std::optional<models::Checkpoint> checkpoint;
  std::optional<models::GPTConfig> config;
  std::optional<models::CharTokenizer> tokenizer;
};

Start make_start(TrainArguments& arguments) {
  Start start;
  if (arguments.resume) {
    start.checkpoint = models::load_checkpoint(*arguments.resume);
    start.config = start.checkpoint->model.config();
    start.tokenizer = start.checkpoint->tokenizer;
    if (!arguments.source) arguments.source = start.checkpoint->data.source;
    arguments.resume_from(start.checkpoint->settings);
  } else if (arguments.init_from) {
    fs::path path = *arguments.init_from;
    gradus::check(!fs::is_directory(path), "--init-from is the folder '{}'; name a file of weights, such as '{}'",
                  path.native(), (path / models::model_file).native());
    path = fs::absolute(path);
    arguments.init_from = path.string();  // valid in any folder
    const gradus::nn::Metadata metadata = gradus::nn::read_metadata(path);
    gradus::check(!metadata.contains("state"),
                  "'{}' is the state of a training; begin with its weights: --init-from {}, or go on with it: --resume",
                  path.native(), models::shell_word((models::run_folder_of(path) / models::model_file).native()));
    if (metadata.contains("config.json")) {
      const models::Run run = models::load_run(path.parent_path(), path.filename().c_str());
      start.config = run.model.config();
      start.tokenizer = run.tokenizer;
      if (!arguments.dtype && run.model.dtype() == gradus::DType::f64) arguments.dtype = "f64";
    }
  }
  if (start.config) arguments.adopt(*start.config);
  return start;
}

models::GPT make_model(const TrainArguments& arguments, const models::GPTConfig& config, Start& start) {
  if (start.checkpoint) return std::move(start.checkpoint->model);
  gradus::manual_seed(*arguments.seed);
  models::GPT model(config);
  model.to(*arguments.dtype == "f64" ? gradus::DType::f64 : gradus::DType::f32);
  if (arguments.init_from) {
    gradus::nn::load_safetensors(*arguments.init_from, model);
    models::check_loaded(model, *arguments.init_from);
  }
  return model;
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

int train(const TrainArguments& given) {
  TrainArguments arguments = given;
  if (arguments.config) {
    const std::string json = models::read_file(*arguments.config);
    models::check_is_text(json, *arguments.config);
    arguments.fill_from(json, *arguments.config);
  }
  if (arguments.resume && (arguments.out || arguments.init_from)) {
    throw UsageError("--resume goes on in the folder it names; leave --out and --init-from out");
  }
  const bool warmup_given = arguments.warmup.has_value();
  if (arguments.overwrite && !arguments.out) {
    throw UsageError("--overwrite replaces the run in a folder; name that with --out");
  }
  std::optional<models::RunLock> lock;
  if (arguments.resume) {  // before anything is read of it
    const fs::path folder = models::run_folder_of(*arguments.resume);
    std::error_code error;
    if (fs::is_directory(folder, error)) lock.emplace(folder);
  }
  const bool named = arguments.source.has_value();
  Start start = make_start(arguments);
  Preset plan = arguments.resolve();
  if (arguments.threads) gradus::set_num_threads(static_cast<int>(*arguments.threads));
  if (start.config) {
    start.config->dropout = plan.model.dropout;
    plan.model = *start.config;
  }
  if (!arguments.source && plan.source == nullptr) {
    throw UsageError(fmt::format("the preset {} needs a text to learn from; name one with --data FILE", plan.name));
  }
  const bool own_text = arguments.source.has_value();
  if (!own_text) arguments.source = plan.source;
  const std::string source = *arguments.source;
  const models::GenerateOptions samples{.temperature = plan.temperature, .seed = *arguments.seed};

  // A text of one's own gets a folder of its own, so that it does not replace the model of the preset's data.
  const std::string run_name = own_text ? name_of_run(source) : std::string(plan.name);
  const std::string text = start.checkpoint ? read_text_of_run(source, named, *arguments.resume) : read_source(source);
  if (start.checkpoint) check_is_same_text(text, *start.checkpoint, source, named, *arguments.resume);
  Data data = make_known_data(source, text, plan.documents, {.block_size = *arguments.context, .seed = *arguments.seed},
                              start.tokenizer);
  plan.model.vocab_size = data.dataset->tokenizer().vocab_size();
  plan.model.validate();
  limit_epochs(plan, *data.dataset, warmup_given);
  arguments.warmup = plan.train.warmup;

  models::GPT model = make_model(arguments, plan.model, start);
  models::Trainer trainer(model, *data.dataset, plan.train);
  const std::string out = folder_to_train_in(arguments, "runs/" + run_name, lock);
  arguments.source = data.info.source;  // valid in any folder
  const std::string settings = arguments.to_json();
  if (!arguments.quiet) print_header(plan, data, model, out);

  SessionOptions options{.name = full_path(out).filename().string(),
                         .command = arguments.program,
                         .settings = settings,
                         .eval_every = *arguments.eval_every,
                         .eval_sequences = *arguments.eval_batches * plan.train.batch_size,
                         .patience = *arguments.patience,
                         .save_every = *arguments.save_every,
                         .keep = *arguments.keep,
                         .quiet = arguments.quiet,
                         .samples = samples};
  Session session(out, model, data, trainer, options);
  if (start.checkpoint) session.resume(*arguments.resume, *start.checkpoint);
  if (const int signal = session.run(); signal != 0) return 128 + signal;

  if (!arguments.quiet) {
    std::fflush(stdout);  // many samples take a while
    if (*arguments.samples > 0) print_samples(model, data, samples, *arguments.samples);
    say("saved in {}; for more samples: {} sample {}\n", out, arguments.program, models::shell_word(out));
  }
  say("held-out loss {:.4f}\n", gradus::shown(session.held_out_loss()));
  return 0;
}

}  // namespace

void add_train(CLI::App& app, const std::string& program, Run& run) {
  auto arguments = std::make_shared<TrainArguments>();
  arguments->program = program;
  CLI::App& command = *app.add_subcommand("train", "Train a model and save it");
  add_train_options(command, *arguments);
  command.footer(
      "Ctrl-C, SIGTERM or SIGHUP (a closed terminal) ends the training after the step under way and saves it; Ctrl-C "
      "once\n"
      "more ends it at once. It does not end when what reads its output does.\n"
      "DIR then holds config.json, tokenizer.json, model.safetensors (the last), best.safetensors (lowest held-out\n"
      "loss), train_state.safetensors and checkpoints/ (to go on from), log.jsonl (a line a step) and loss.svg.\n\n"
      "Examples:\n"
      "  gpt train                                        bundled names, at most 20 seconds\n"
      "  gpt train --data towns.txt --out runs/towns      your own list, one a line\n"
      "  gpt train --data towns.txt --seconds 300 --layers 4 --width 128\n"
      "  gpt train --resume runs/towns --seconds 600      goes on where it stopped\n"
      "  gpt train --preset shakespeare --data tinyshakespeare.txt\n"
      "  gpt train --preset microgpt                      the 200-line Python program's model");
  command.callback([arguments, &run] { run = [arguments] { return train(*arguments); }; });
}

}  // namespace gpt
