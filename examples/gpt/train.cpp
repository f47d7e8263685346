// gpt train: from a text to a model in a folder. Everything that can be wrong is looked at before the first step, so
// that nobody waits for a training whose result cannot be kept.
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <filesystem>

#include <gradus/core/cpu.h>
#include <gradus/core/parallel.h>
#include <gradus/core/random.h>
#include <gradus/models/generate.h>
#include <gradus/models/run_folder.h>
#include <gradus/models/trainer.h>

#include "commands.h"
#include "data.h"
#include "presets.h"
#include "progress.h"

namespace gpt {
namespace {

namespace models = gradus::models;
using gradus::Index;
using gradus::optim::Schedule;

template <class T>
using Given = std::optional<T>;  // empty: as the preset says

struct TrainArguments {
  std::string program;
  std::string preset = "names";
  Given<std::string> source, out;
  Given<bool> documents;
  Given<double> seconds, lr, min_lr, weight_decay, beta1, beta2, clip, dropout, temperature;
  Given<Index> steps, warmup, batch, accumulation, layers, width, heads, context;
  Given<Schedule::Kind> schedule;
  std::uint64_t seed = 42;
  gradus::DType dtype = gradus::DType::f32;
  Index samples = 20;
  bool quiet = false;
};

volatile std::sig_atomic_t signal_received = 0;

// The first signal asks the training to end after this step; a second one ends the program at once.
extern "C" void on_signal(int number) {
  signal_received = number;
  std::signal(number, SIG_DFL);
}

Preset resolve(const TrainArguments& given) {
  Preset preset = find_preset(given.preset);
  models::TrainOptions& train = preset.train;
  models::GPTConfig& model = preset.model;
  if (given.seconds || given.steps) {
    train.seconds = given.seconds.value_or(0);
    train.steps = given.steps.value_or(0);
  }
  if (given.lr) {
    train.min_lr *= *given.lr / train.lr;  // the decay keeps its shape
    train.lr = *given.lr;
  }
  train.min_lr = given.min_lr.value_or(train.min_lr);
  constexpr Index most_warmup = 10;  // at most a tenth of the run, unless asked for
  if (train.steps > 0) train.warmup = std::min(train.warmup, train.steps / most_warmup);
  train.warmup = given.warmup.value_or(train.warmup);
  train.schedule = given.schedule.value_or(train.schedule);
  train.batch_size = given.batch.value_or(train.batch_size);
  train.accumulation = given.accumulation.value_or(train.accumulation);
  train.weight_decay = given.weight_decay.value_or(train.weight_decay);
  train.beta1 = given.beta1.value_or(train.beta1);
  train.beta2 = given.beta2.value_or(train.beta2);
  train.clip = given.clip.value_or(train.clip);
  model.n_layer = given.layers.value_or(model.n_layer);
  model.n_embd = given.width.value_or(model.n_embd);
  model.n_head = given.heads.value_or(model.n_head);
  model.block_size = given.context.value_or(model.block_size);
  model.dropout = given.dropout.value_or(model.dropout);
  preset.documents = given.documents.value_or(preset.documents);
  preset.temperature = given.temperature.value_or(preset.temperature);
  return preset;
}

std::string budget(const models::TrainOptions& options) {
  const std::string steps = options.steps > 0 ? fmt::format("{} steps", grouped(options.steps)) : "";
  const std::string seconds = options.seconds > 0 ? fmt::format("{:g} seconds", options.seconds) : "";
  return steps + (!steps.empty() && !seconds.empty() ? " or " : "") + seconds;
}

void print_header(const Preset& preset, const Data& data, const models::GPT& model) {
  const models::GPTConfig& config = model.config();
  const models::TrainOptions& train = preset.train;
  const models::Dataset& dataset = *data.dataset;
  const char* unit = preset.documents ? "documents" : "windows";
  const Index training = dataset.tokens(models::Part::train), held_out = dataset.tokens(models::Part::held_out);
  fmt::print("data     {}: ", data.info.source);
  if (const auto* documents = data.documents()) {
    fmt::print(
        "{} documents, {} characters\n         a tenth at random held out, {} tokens; {} to train on; vocabulary {}\n",
        grouped(documents->num_documents()), grouped(data.characters), grouped(held_out), grouped(training),
        config.vocab_size);
    if (documents->num_cut() > 0) {
      fmt::print(
          "         {} documents are longer than the context and were cut; --context {} takes the longest whole\n",
          grouped(documents->num_cut()), documents->longest());
    }
  } else {
    fmt::print("{} characters\n         the last tenth held out, {} tokens; {} to train on; vocabulary {}\n",
               grouped(data.characters), grouped(held_out), grouped(training), config.vocab_size);
  }
  fmt::print("model    {} layers, width {}, {} heads, context {}, dropout {:g}: {} parameters ({})\n", config.n_layer,
             config.n_embd, config.n_head, config.block_size, config.dropout, grouped(model.num_parameters()),
             model.dtype());
  constexpr const char* schedules[] = {"constant", "linear to", "cosine to"};
  fmt::print(
      "recipe   {}: batch {}{} {}, AdamW, rate {:g} {}{}, warm-up {}, betas {:g} {:g}, weight decay {:g}, clip {:g}\n",
      budget(train), train.batch_size, train.accumulation > 1 ? fmt::format(" x {}", train.accumulation) : "", unit,
      train.lr, schedules[train.schedule],
      train.schedule == Schedule::constant ? "" : fmt::format(" {:g}", train.min_lr), train.warmup, train.beta1,
      train.beta2, train.weight_decay, train.clip);
  fmt::print("machine  {} thread{}, {}\n", gradus::num_threads(), gradus::num_threads() == 1 ? "" : "s",
             gradus::instruction_set());
}

// Until the budget is used up or a signal comes.
void run_steps(models::Trainer& trainer, models::GPT& model, const models::Dataset& dataset, bool quiet) {
  Progress progress(quiet);
  constexpr double looks = 10;        // at the held-out loss on the way,
  constexpr double time_share = 0.1;  // as long as they take at most this part of the time
  double next_look = 1 / looks, looking = 0;
  while (!trainer.done() && signal_received == 0) {
    const models::StepReport report = trainer.step();
    if (!quiet && !trainer.done() && trainer.progress() >= next_look && looking <= time_share * trainer.seconds()) {
      const auto start = std::chrono::steady_clock::now();
      progress.set_held_out(models::evaluate(model, dataset).loss);
      looking += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      next_look = trainer.progress() + 1 / looks;
    }
    progress.update(trainer, report);
  }
  progress.finish();
}

void print_samples(models::GPT& model, const Data& data, models::GenerateOptions options, Index count) {
  if (const auto* documents = data.documents()) {
    const auto samples = models::generate(model, data.dataset->tokenizer(), "", count, options);
    fmt::print("\n{} samples at temperature {:g}\n", samples.size(), options.temperature);
    Index number = 0, new_ones = 0;
    for (const std::string& sample : samples) {
      fmt::print("sample {:2}: {}\n", ++number, sample);
      new_ones += documents->contains(sample) ? 0 : 1;
    }
    fmt::print("{} of {} are new (not in the data)\n\n", new_ones, number);
  } else {
    options.max_tokens = 300;
    fmt::print("\na sample at temperature {:g}\n{}\n\n", options.temperature,
               models::generate(model, data.dataset->tokenizer(), "", 1, options).front());
  }
}

// `folder`, or with a number behind it, so that no model of another text is replaced unasked.
std::string free_folder(const std::string& folder, const std::string& fingerprint) {
  const auto holds_other_run = [&](const std::string& name) {
    if (!std::filesystem::exists(name + "/model.safetensors")) return false;
    try {
      return models::load_run(name).data.fingerprint != fingerprint;
    } catch (const gradus::Error&) {
      return true;  // cannot be read: not ours to replace
    }
  };
  std::string name = folder;
  for (int number = 2; holds_other_run(name); ++number) name = fmt::format("{}-{}", folder, number);
  return name;
}

int train(const TrainArguments& given) {
  Preset preset = resolve(given);
  preset.train.validate();
  const models::GenerateOptions samples{.temperature = preset.temperature, .seed = given.seed};
  samples.validate();
  if (!given.source && preset.source == nullptr) {
    throw UsageError(fmt::format("the preset {} needs a text to learn from; name one with --data FILE", preset.name));
  }
  const std::string source = given.source.value_or(preset.source != nullptr ? preset.source : "");
  // A text of one's own gets a folder of its own, so that it does not replace the model of the preset's data.
  std::string run_name = given.source ? std::filesystem::path(source).stem().string() : std::string(preset.name);
  if (run_name.starts_with("bundled:")) run_name.erase(0, run_name.find(':') + 1);
  const std::string text = read_source(source);
  const std::string out = given.out.value_or(free_folder("runs/" + run_name, models::fingerprint(text)));
  const Data data =
      make_data(source, text, preset.documents, {.block_size = preset.model.block_size, .seed = given.seed});
  models::GPTConfig config = preset.model;
  config.vocab_size = data.dataset->tokenizer().vocab_size();
  config.validate();

  gradus::manual_seed(given.seed);
  models::GPT model(config);
  model.to(given.dtype);
  if (!given.seconds && !given.steps && preset.epochs > 0) {
    const Index sequences = preset.train.batch_size * preset.train.accumulation;
    preset.train.steps = (preset.epochs * data.dataset->size(models::Part::train) + sequences - 1) / sequences;
  }
  models::Trainer trainer(model, *data.dataset, preset.train);
  models::prepare_run_folder(out);
  const double before = models::evaluate(model, *data.dataset).loss;
  if (!given.quiet) {
    print_header(preset, data, model);
    fmt::print("\nheld-out loss before training {:.4f}\n", before);
    std::fflush(stdout);
  }

  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  run_steps(trainer, model, *data.dataset, given.quiet);
  if (const int number = signal_received; number != 0) {
    models::save_run(out, model, data.dataset->tokenizer(), data.info);
    fmt::print("stopped at step {}; the model so far is in {}\n", grouped(trainer.steps_done()), out);
    return 128 + number;
  }

  const double after = models::evaluate(model, *data.dataset).loss;
  models::save_run(out, model, data.dataset->tokenizer(), data.info);
  if (!given.quiet) {
    fmt::print("held-out loss after training {:.4f} ({} steps, {:.3g} seconds)\n", after, grouped(trainer.steps_done()),
               trainer.seconds());
    if (given.samples > 0) print_samples(model, data, samples, given.samples);
    fmt::print("saved in {}; for more samples: {} sample {}\n", out, given.program, out);
  }
  fmt::print("held-out loss {:.4f}\n", after);
  return 0;
}

}  // namespace

void add_train(CLI::App& app, const std::string& program, Run& run) {
  auto arguments = std::make_shared<TrainArguments>();
  TrainArguments& a = *arguments;
  a.program = program;
  CLI::App& command = *app.add_subcommand("train", "Train a model and save it");
  const auto option = [&command](const char* name, auto& value, const char* help, const char* type, const char* group) {
    return command.add_option(name, value, help)->type_name(type)->group(group);
  };

  std::string presets_help = "The recipe that the other options change:";
  for (const Preset& preset : presets()) presets_help += fmt::format("\n{} - {}", preset.name, preset.summary);
  constexpr const char* what = "What to learn";
  command.add_option("--preset", a.preset, presets_help)
      ->check(CLI::IsMember(preset_names()))
      ->capture_default_str()
      ->type_name("NAME")
      ->group(what);
  option("--data", a.source, "UTF-8 text to learn from, or bundled:names, bundled:korean_names", "FILE", what);
  command
      .add_option("--format", a.documents, "lines: each line is a document; text: running text (default: the preset's)")
      ->transform(
          CLI::CheckedTransformer(std::map<std::string, bool>{{"lines", true}, {"text", false}}).description(""))
      ->type_name("lines|text")
      ->group(what);
  option("--out", a.out,
         "Folder for the model (default: runs/ and the name of FILE or of the preset, and -2, -3, .. if another text's "
         "model "
         "is there)",
         "DIR", what);
  option("--seconds", a.seconds, "How long to train", "S", what);
  option("--steps", a.steps, "How many steps to train; with --seconds, whichever ends first", "N", what);

  constexpr const char* size = "Model";
  option("--layers", a.layers, "Transformer blocks", "N", size);
  option("--width", a.width, "Numbers that stand for a character; a multiple of --heads", "N", size);
  option("--heads", a.heads, "Attention heads", "N", size);
  option("--context", a.context, "Characters that the model looks back on", "N", size);
  option("--dropout", a.dropout, "Part of the activations dropped while training", "P", size);

  constexpr const char* recipe = "Recipe";
  option("--batch", a.batch, "Documents or windows a batch", "N", recipe);
  option("--accumulation", a.accumulation, "Batches a step", "N", recipe);
  option("--lr", a.lr, "Learning rate after the warm-up", "X", recipe);
  option("--min-lr", a.min_lr, "Learning rate at the end of the decay", "X", recipe);
  option("--warmup", a.warmup, "Steps in which the learning rate rises", "N", recipe);
  command.add_option("--schedule", a.schedule, "How the learning rate decays")
      ->transform(CLI::CheckedTransformer(std::map<std::string, Schedule::Kind>{{"constant", Schedule::constant},
                                                                                {"linear", Schedule::linear},
                                                                                {"cosine", Schedule::cosine}})
                      .description(""))
      ->type_name("constant|linear|cosine")
      ->group(recipe);
  option("--weight-decay", a.weight_decay, "AdamW's decay of matrices", "X", recipe);
  option("--beta1", a.beta1, "AdamW's memory of gradients", "X", recipe);
  option("--beta2", a.beta2, "AdamW's memory of their squares", "X", recipe);
  option("--clip", a.clip, "Largest norm of all gradients; 0: no limit", "X", recipe);

  constexpr const char* rest = "This run";
  option("--seed", a.seed, "Of the first weights, the held-out part and the order of the data", "N", rest)
      ->check(whole_number())
      ->capture_default_str();
  command
      .add_option_function<std::string>(
          "--dtype",
          [&a](const std::string& name) { a.dtype = name == "f64" ? gradus::DType::f64 : gradus::DType::f32; },
          "Numbers of 32 or 64 bits")
      ->check(CLI::IsMember({"f32", "f64"}).description(""))
      ->type_name("f32|f64")
      ->group(rest);
  add_threads(command);
  command.get_option("--threads")->group(rest);
  option("--samples", a.samples, "Samples to show at the end", "N", rest)
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  option("--temperature", a.temperature, "Of these samples", "X", rest);
  command.add_flag("--quiet", a.quiet, "Print only the held-out loss at the end")->group(rest);

  command.footer(
      "Ctrl-C ends the training after the step under way and saves the model so far.\n\n"
      "Examples:\n"
      "  gpt train                                        bundled names, at most 20 seconds\n"
      "  gpt train --data towns.txt --out runs/towns      your own list, one a line\n"
      "  gpt train --data towns.txt --seconds 300 --layers 4 --width 128\n"
      "  gpt train --preset shakespeare --data tinyshakespeare.txt\n"
      "  gpt train --preset microgpt                      the 200-line Python program's model");
  command.callback([arguments, &run] { run = [arguments] { return train(*arguments); }; });
}

}  // namespace gpt
