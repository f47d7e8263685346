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
#include "data.h"
#include "numbers.h"
#include "output.h"
#include "train_arguments.h"
#include "train_session.h"

namespace gpt {
namespace {

namespace fs = std::filesystem;
namespace models = gradus::models;
using gradus::Index;
using gradus::optim::Schedule;

std::string budget(const models::TrainOptions& train) {
  std::vector<std::string> parts;
  if (train.steps > 0) parts.push_back(fmt::format("{} steps", grouped(train.steps)));
  if (train.seconds > 0) parts.push_back(fmt::format("{:g} seconds", train.seconds));
  if (train.tokens > 0) parts.push_back(fmt::format("{} tokens", grouped(train.tokens)));
  return fmt::format("{}", fmt::join(parts, " or "));
}

void print_data(const Data& data, Index vocabulary) {
  const models::Dataset& dataset = *data.dataset;
  const std::string held_out = grouped(dataset.tokens(models::Part::held_out)),
                    rest = grouped(dataset.tokens(models::Part::train));
  fmt::print("data     {}: ", data.info.source);
  if (const auto* documents = data.documents()) {
    fmt::print(
        "{} documents, {} characters\n         a tenth at random held out, {} tokens; {} to train on; vocabulary {}\n",
        grouped(documents->num_documents()), grouped(data.characters), held_out, rest, vocabulary);
    if (documents->num_cut() > 0) {
      fmt::print(
          "         {} documents are longer than the context and were cut; --context {} takes the longest whole\n",
          grouped(documents->num_cut()), documents->longest());
    }
  } else {
    fmt::print("{} characters\n         the last tenth held out, {} tokens; {} to train on; vocabulary {}\n",
               grouped(data.characters), held_out, rest, vocabulary);
  }
}

// The resolved settings, broken into lines between entries.
void print_settings(const std::string& json) {
  constexpr std::size_t most = 100;
  std::string line = "settings ";
  for (std::size_t begin = 0; begin < json.size();) {
    const std::size_t end = std::min(json.find(",\"", begin), json.size() - 1) + 1;
    if (line.size() + end - begin > most) {
      fmt::print("{}\n", line);
      line = std::string(9, ' ');
    }
    line += json.substr(begin, end - begin);
    begin = end;
  }
  fmt::print("{}\n", line);
}

void print_header(const Preset& plan, const Data& data, const models::GPT& model, const std::string& settings) {
  const models::GPTConfig& config = model.config();
  const models::TrainOptions& train = plan.train;
  print_data(data, config.vocab_size);
  fmt::print("model    {}, width {}, {}, context {}, dropout {:g}: {} parameters ({})\n",
             counted(config.n_layer, "layer"), config.n_embd, counted(config.n_head, "head"), config.block_size,
             config.dropout, grouped(model.num_parameters()), model.dtype());
  constexpr const char* schedules[] = {"constant", "linear to", "cosine to"};
  fmt::print(
      "recipe   {}: batch {}{} {}, AdamW, rate {:g} {}{}, warm-up {}, betas {:g} {:g}, weight decay {:g}, clip {:g}\n",
      budget(train), train.batch_size, train.accumulation > 1 ? fmt::format(" x {}", train.accumulation) : "",
      plan.documents ? "documents" : "windows", train.lr, schedules[train.schedule],
      train.schedule == Schedule::constant ? "" : fmt::format(" {:g}", train.min_lr), train.warmup, train.beta1,
      train.beta2, train.weight_decay, train.clip);
  fmt::print("machine  {}, {}\n", counted(gradus::num_threads(), "thread"), gradus::instruction_set());
  print_settings(settings);
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

// `folder`, or with a number behind it, so that nothing is replaced unasked.
std::string free_folder(const std::string& folder) {
  const auto is_taken = [](const std::string& name) {
    const models::FolderContents found = models::look_into(name);
    return found.run || !found.other.empty() || models::RunLock::is_held(name);
  };
  std::string name = folder;
  for (int number = 2; is_taken(name); ++number) name = fmt::format("{}-{}", folder, number);
  return name;
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
  if (arguments.init_from) gradus::nn::load_safetensors(*arguments.init_from, model);
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
  if (arguments.config) arguments.fill_from(models::read_file(*arguments.config), *arguments.config);
  if (arguments.resume && (arguments.out || arguments.init_from)) {
    throw UsageError("--resume goes on in the folder it names; leave --out and --init-from out");
  }
  const bool warmup_given = arguments.warmup.has_value();
  if (arguments.overwrite && !arguments.out) {
    throw UsageError("--overwrite replaces the run in a folder; name that with --out");
  }
  std::optional<models::RunLock> lock;
  const auto take = [&](const std::string& folder) {
    if (!lock && fs::is_directory(folder)) lock.emplace(folder);
  };
  if (arguments.resume) take(models::run_folder_of(*arguments.resume).string());  // before anything is read of it
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
  samples.validate();
  models::TrainOptions checked = plan.train;
  if (plan.epochs > 0) checked.steps = std::max<Index>(checked.steps, 1);  // how many, the data will tell
  checked.validate();

  // A text of one's own gets a folder of its own, so that it does not replace the model of the preset's data.
  std::string run_name = own_text ? fs::path(source).stem().string() : std::string(plan.name);
  if (run_name.starts_with("bundled:")) run_name.erase(0, run_name.find(':') + 1);
  const std::string text = read_source(source);
  if (start.checkpoint) {
    gradus::check(models::fingerprint(text) == start.checkpoint->data.fingerprint,
                  "'{}' is not the text that the run in '{}' was learning from any more; name that text with --data",
                  source, *arguments.resume);
  }
  const std::string out = start.checkpoint ? models::run_folder_of(*arguments.resume).string()
                                           : arguments.out.value_or(free_folder("runs/" + run_name));
  Data data = make_data(source, text, plan.documents, {.block_size = *arguments.context, .seed = *arguments.seed},
                        start.tokenizer);
  plan.model.vocab_size = data.dataset->tokenizer().vocab_size();
  plan.model.validate();
  limit_epochs(plan, *data.dataset, warmup_given);
  arguments.warmup = plan.train.warmup;

  models::GPT model = make_model(arguments, plan.model, start);
  models::Trainer trainer(model, *data.dataset, plan.train);
  if (!start.checkpoint) check_may_be_written(out, arguments.overwrite);
  take(out);  // before anything in it is removed
  models::prepare_run_folder(out);
  take(out);                            // where it was not there yet
  arguments.source = data.info.source;  // valid in any folder
  const std::string settings = arguments.to_json();
  if (!arguments.quiet) print_header(plan, data, model, settings);

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
