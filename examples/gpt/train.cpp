// gpt train: from a text to a model in a folder. Everything that can be wrong is looked at before the first step, so
// that nobody waits for a training whose result cannot be kept.
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <filesystem>

#include <gradus/core/cpu.h>
#include <gradus/core/parallel.h>
#include <gradus/core/platform.h>
#include <gradus/core/random.h>
#include <gradus/models/adapt.h>
#include <gradus/models/cost.h>
#include <gradus/models/evaluate.h>
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

// "a tenth at random", "all of judge.txt".
std::string held_out_part(const models::RunData& info) {
  if (!info.held_out_sources.empty()) return "all of " + name_of(info.held_out_sources);
  constexpr double percent = 100;
  const bool tenth = info.held_out == 0.1;
  const std::string share = tenth ? "tenth" : fmt::format("{:g} %", percent * info.held_out);
  return info.documents ? fmt::format("{}{} at random", tenth ? "a " : "", share) : fmt::format("the last {}", share);
}

void print_documents(const models::DocumentDataset& documents, const Data& data) {
  constexpr const char* line = "         {} {}\n";
  if (documents.num_copies() > 0) {
    fmt::print(line, counted(documents.num_copies(), "document"),
               data.info.distinct
                   ? "repeat others; those that are alike are held out or trained on together"
                   : "repeat others, and some of what is held out is trained on too, as when this run began");
  }
  if (documents.num_leaked() > 0) {
    fmt::print(line, counted(documents.num_leaked(), "document"), "of those held out are trained on too");
  }
  if (data.trimmed > 0) {
    fmt::print(line, counted(data.trimmed, "document"),
               "lost white space at the ends of the line; --keep-space keeps it");
  }
  if (documents.num_cut() > 0) {
    fmt::print("         {} documents are longer than the context and were cut; --context {} takes the longest whole\n",
               grouped(documents.num_cut()), documents.longest());
  }
}

void print_data(const Data& data, Index vocabulary) {
  const models::Dataset& dataset = *data.dataset;
  const auto* documents = data.documents();
  fmt::print("data     {}: {}{} characters\n         {} held out, {} tokens; {} to train on; vocabulary {}\n",
             name_of(data.info.sources()),
             documents != nullptr ? grouped(documents->num_documents()) + " documents, " : "", grouped(data.characters),
             held_out_part(data.info), grouped(dataset.tokens(models::Part::held_out)),
             grouped(dataset.tokens(models::Part::train)), vocabulary);
  if (documents != nullptr) print_documents(*documents, data);
  if (data.changed > 0) fmt::print("         {}\n", told_unknown(data));
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

void print_header(const Preset& plan, const Data& data, const models::GPT& model, double need,
                  const std::string& settings) {
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
  if (train.batch_size > data.dataset->size(models::Part::train)) {
    fmt::print("         a batch is more than the {} {} there are: a step sees them more than once\n",
               grouped(data.dataset->size(models::Part::train)), plan.documents ? "documents" : "windows");
  }
  const auto available = static_cast<double>(gradus::platform::available_memory());
  fmt::print("machine  {}, {}; about {} of memory{}\n", counted(gradus::num_threads(), "thread"),
             gradus::instruction_set(), memory(need),
             available > 0 ? fmt::format(" of {} free", memory(available)) : "");
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
  std::optional<models::GPT> weights;  // of --init-from, where the file tells both
};

// The texts of the run that is resumed, unless others are named.
void take_texts_of(const models::RunData& data, TrainArguments& arguments) {
  gradus::check(!arguments.held_out || !data.held_out_sources.empty(),
                "--held-out cannot change when a run is resumed; leave it out, or start a new run, e.g. from the model "
                "with --init-from");
  const auto take = [](const char* flag, Given<std::vector<std::string>>& now, const std::vector<std::string>& then) {
    if (now || then.empty()) return;
    gradus::check(std::ranges::find(then, standard_input) == then.end(),
                  "the run read its text from standard input; give it once more with --{}: the file, or -", flag);
    now = then;
  };
  take("data", arguments.sources, data.sources());
  take("held-out", arguments.held_out, data.held_out_sources);
}

Start make_start(TrainArguments& arguments) {
  Start start;
  if (arguments.resume) {
    start.checkpoint = models::load_checkpoint(*arguments.resume);
    start.config = start.checkpoint->model.config();
    start.tokenizer = start.checkpoint->tokenizer;
    take_texts_of(start.checkpoint->data, arguments);
    arguments.resume_from(start.checkpoint->settings);
    arguments.adopt(*start.config, start.checkpoint->data.documents);
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
      models::Run run = models::load_run(path.parent_path(), path.filename().c_str());
      start.config = run.model.config();
      start.tokenizer = run.tokenizer;
      if (!arguments.dtype && run.model.dtype() == gradus::DType::f64) arguments.dtype = "f64";
      arguments.adopt(*start.config, run.data.documents);
      start.weights = std::move(run.model);
    }
  }
  return start;
}

models::GPT make_model(const TrainArguments& arguments, const models::GPTConfig& config, Start& start,
                       const models::CharTokenizer& tokenizer) {
  if (start.checkpoint) return std::move(start.checkpoint->model);
  const gradus::DType dtype = *arguments.dtype == "f64" ? gradus::DType::f64 : gradus::DType::f32;
  gradus::manual_seed(*arguments.seed);
  const bool changes = start.weights && (start.tokenizer != tokenizer || config.block_size != start.config->block_size);
  if (changes) {
    start.weights->to(dtype);
    return models::adapt(*start.weights, *start.tokenizer, config, tokenizer);
  }
  models::GPT model(config);
  model.to(dtype);
  if (arguments.init_from) gradus::nn::load_safetensors(*arguments.init_from, model);
  return model;
}

// What the data are to be, before they are read.
models::RunData wanted_data(const TrainArguments& arguments, const Start& start) {
  models::RunData info;
  if (start.checkpoint) {
    info = start.checkpoint->data;
  } else {
    info.documents = *arguments.format == "lines";
    info.seed = *arguments.seed;
    info.block_size = *arguments.context;
    info.held_out = arguments.held_out_share.value_or(info.held_out);
    info.keep_space = *arguments.keep_space;
    if (*arguments.unknown == "skip") info.unknown = models::Unknown::skip;
    if (*arguments.unknown == "replace") info.unknown = models::Unknown::replace;
  }
  const std::vector<std::string> sources = absolute(*arguments.sources);
  info.source = sources.front();
  info.more_sources.assign(std::next(sources.begin()), sources.end());
  if (arguments.held_out) info.held_out_sources = absolute(*arguments.held_out);
  return info;
}

// The tokenizer of the weights that training begins with, for documents or not, and with the data's characters if they
// are to be added. Throws Error where the data have others.
std::optional<models::CharTokenizer> start_tokenizer(const TrainArguments& arguments, const Start& start,
                                                     const Text& text, const std::optional<Text>& held_out,
                                                     bool documents) {
  if (!start.tokenizer || start.checkpoint) return start.tokenizer;
  const models::CharTokenizer known(start.tokenizer->characters(), documents);
  if (*arguments.unknown != "refuse" && *arguments.unknown != "add") return known;
  const models::CharTokenizer own = make_tokenizer(text, held_out, documents, arguments.quiet);
  const models::CharTokenizer both(known.characters() + own.characters(), documents);
  if (*arguments.unknown == "add" || both == known) return both;
  std::u32string unknown;
  std::ranges::set_difference(own.characters(), known.characters(), std::back_inserter(unknown));
  constexpr std::size_t most = 20;
  gradus::fail("'{}' has {} that the weights of '{}' do not know: {}{}; choose --unknown skip, replace or add",
               name_of(*arguments.sources), counted(std::ssize(unknown), "character"), *arguments.init_from,
               models::printable(models::encode_utf8(unknown.substr(0, most))), unknown.size() > most ? " .." : "");
}

Data load_data(const TrainArguments& arguments, const Start& start) {
  const models::RunData info = wanted_data(arguments, start);
  Text text = read_texts(*arguments.sources, info, info.fingerprint, arguments.quiet);
  std::optional<Text> held_out;
  if (arguments.held_out) {
    held_out = read_texts(*arguments.held_out, info, info.held_out_fingerprint, arguments.quiet);
  }
  if (start.checkpoint) {
    const auto check_known = [&](const Text& read, const std::vector<std::string>& sources, const char* flag) {
      gradus::check(read.known,
                    "'{}' is not the text that the run in '{}' was learning from any more; name that text with --{}",
                    name_of(sources), *arguments.resume, flag);
    };
    check_known(text, *arguments.sources, "data");
    if (held_out) check_known(*held_out, *arguments.held_out, "held-out");
  }
  std::optional<models::CharTokenizer> tokenizer = start_tokenizer(arguments, start, text, held_out, info.documents);
  return make_data(std::move(text), std::move(held_out), info, std::move(tokenizer), arguments.quiet);
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
  const double need = models::cost_of(plan.model, dtype, tokens, plan.documents).training +
                      bytes_a_token * static_cast<double>(tokens * plan.train.accumulation);
  const auto available = static_cast<double>(gradus::platform::available_memory());
  gradus::check(available == 0 || need <= available,
                "this training needs about {} of memory, the machine has {} left; use a smaller {}", memory(need),
                memory(available),
                tokens > plan.model.block_size ? "--batch (and --accumulation instead), --context or model"
                                               : "--context or model");
  return need;
}

// The name of a text without a folder for its run. A text of one's own gets one of its own, so that it does not replace
// the model of the preset's data.
std::string run_name(const std::string& source) {
  if (source == standard_input) return "stdin";
  if (source.starts_with(bundled_prefix)) return source.substr(bundled_prefix.size());
  return full_path(source).stem().string();
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
  if (arguments.held_out && arguments.held_out_share) {
    throw UsageError("--held-out and --held-out-share both say what to judge by; leave one out");
  }
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
    const double dropout = plan.model.dropout;
    plan.model = *start.config;
    plan.model.dropout = dropout;
    if (!start.checkpoint) plan.model.block_size = *arguments.context;
  }
  if (!arguments.sources && plan.source == nullptr) {
    throw UsageError(fmt::format("the preset {} needs a text to learn from; name one with --data FILE", plan.name));
  }
  const std::string name = arguments.sources ? run_name(arguments.sources->front()) : std::string(plan.name);
  if (!arguments.sources) arguments.sources = {plan.source};
  const models::GenerateOptions samples{.temperature = plan.temperature, .seed = *arguments.seed};
  samples.validate();
  models::TrainOptions checked = plan.train;
  if (plan.epochs > 0) checked.steps = std::max<Index>(checked.steps, 1);  // how many, the data will tell
  checked.validate();

  Data data = load_data(arguments, start);
  const std::string out = start.checkpoint ? models::run_folder_of(*arguments.resume).string()
                                           : arguments.out.value_or(free_folder("runs/" + name));
  plan.model.vocab_size = data.dataset->tokenizer().vocab_size();
  plan.model.validate();
  limit_epochs(plan, *data.dataset, warmup_given);
  arguments.warmup = plan.train.warmup;

  const double need = memory_need(arguments, plan, data);
  models::GPT model = make_model(arguments, plan.model, start, data.dataset->tokenizer());
  models::Trainer trainer(model, *data.dataset, plan.train);
  if (!start.checkpoint) check_may_be_written(out, arguments.overwrite);
  take(out);  // before anything in it is removed
  models::prepare_run_folder(out);
  take(out);                                // where it was not there yet
  arguments.sources = data.info.sources();  // valid in any folder
  if (arguments.held_out) arguments.held_out = data.info.held_out_sources;
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
                         .samples = samples};
  limit_measuring(arguments, plan, *data.dataset, options);
  options.settings = arguments.to_json();
  if (!arguments.quiet) print_header(plan, data, model, need, options.settings);

  Session session(out, model, data, trainer, options);
  if (start.checkpoint) session.resume(*arguments.resume, *start.checkpoint);
  if (const int signal = session.run(); signal != 0) return 128 + signal;

  if (!arguments.quiet) {
    std::fflush(stdout);  // many samples take a while
    if (*arguments.samples > 0) print_samples(model, data, samples, *arguments.samples);
    say("saved in {}; for more samples: {} sample {}\n", out, arguments.program, models::shell_word(out));
  }
  say("held-out loss {}\n", session.held_out_loss());
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
