// gpt check: the gradients of a whole model, parameter by parameter, against finite differences.
#include <fmt/format.h>

#include <optional>

#include <gradus/core/ops.h>
#include <gradus/core/runtime/random.h>
#include <gradus/nn/gradcheck.h>

#include "commands.h"
#include "model.h"
#include "numbers.h"
#include "output.h"
#include "run_text.h"
#include "train_arguments.h"

namespace gpt {
namespace {

namespace models = gradus::models;
using gradus::Index;

struct CheckArguments {
  std::string folder;
  std::optional<std::string> shape;
  std::vector<std::string> sources;
  bool best = false;
  std::optional<Index> layers, width, heads;
  Index sequences = 4, entries = 50;
  std::uint64_t seed = 42;
};

struct Subject {
  std::string name;
  models::GPT model;
  models::Batch batch;
};

// The model of a run, on its own text or another.
Subject trained(const CheckArguments& given) {
  models::Run run = load_model(given.folder, given.best);
  const Data data = read_data_of_run(given.sources, given.folder, run.data, run.tokenizer);
  Subject subject{given.folder, std::move(run.model), {}};
  data.dataset->next(given.sequences, subject.batch);
  return subject;
}

// A new model of the given shape, on the bundled names.
Subject fresh(const CheckArguments& given) {
  const std::string shape = given.shape.value_or("gpt2");
  const bool gpt2 = shape == "gpt2";
  models::GPTConfig config = gpt2 ? models::GPTConfig::gpt2("124M") : models::GPTConfig::microgpt(1);
  config.n_layer = given.layers.value_or(gpt2 ? 2 : config.n_layer);
  config.n_embd = given.width.value_or(gpt2 ? 48 : config.n_embd);
  config.n_head = given.heads.value_or(4);
  config.block_size = 16;
  config.dropout = 0;
  check_sizes(config);
  const models::RunData names{.source = "bundled:names", .block_size = config.block_size};
  const Data data = make_data(read_texts(names.sources(), names, "", true), {}, names, {}, true);
  config.vocab_size = data.dataset->tokenizer().vocab_size();
  gradus::manual_seed(given.seed);
  Subject subject{fmt::format("a new {}-shaped model", shape), models::GPT(config), {}};
  data.dataset->next(given.sequences, subject.batch);
  return subject;
}

void check_usage(const CheckArguments& given) {
  const bool is_new = given.folder.empty();
  require(is_new || !(given.shape || given.layers || given.width || given.heads),
          "--shape, --layers, --width and --heads make a new model, but DIR, '{}', names one; leave it or them out",
          given.folder);
  require(!is_new || (given.sources.empty() && !given.best),
          "--data and --best are about the model of a run; name its folder, e.g. gpt check runs/names");
}

int check(const CheckArguments& arguments) {
  check_usage(arguments);
  Subject subject = arguments.folder.empty() ? fresh(arguments) : trained(arguments);
  models::GPT& model = subject.model;
  const models::Batch& batch = subject.batch;
  model.eval();
  print("{}: {}, width {}, {}, {}; {}, {}; in f64\n\n", subject.name, counted(model.config().n_layer, "layer"),
        model.config().n_embd, counted(model.config().n_head, "head"), counted(model.num_parameters(), "parameter"),
        counted(std::ssize(batch.lengths), "sequence"), counted(std::ssize(batch.tokens), "token"));
  std::fflush(stdout);

  // Gradients of single weights are small: a larger step than for plain functions drowns them less in rounding.
  const gradus::GradcheckReport report =
      gradus::gradcheck(model, [&] { return cross_entropy(model(batch.tokens, batch.lengths), batch.targets); },
                        {.step = 1e-5, .atol = 1e-9, .max_entries = arguments.entries, .seed = arguments.seed});

  std::size_t widest = 9;
  for (const gradus::GradcheckEntry& entry : report.entries) widest = std::max(widest, entry.name.size());
  print("{:{}}  {:>10}  {:>8}  {:>14}  {:>14}  {:>9}\n", "parameter", widest, "shape", "compared", "analytic",
        "numeric", "error");
  for (const gradus::GradcheckEntry& entry : report.entries) {
    print("{:{}}  {:>10}  {:>8}  {:>14.6e}  {:>14.6e}  {:>9.1e}{}\n", entry.name, widest, to_string(entry.shape),
          entry.checked, entry.analytic, entry.numeric, entry.worst_error, entry.failures == 0 ? "" : "  WRONG");
  }
  print("\n{}\n", report);
  return report ? 0 : 1;
}

}  // namespace

void add_check(CLI::App& app, const std::string&, Action& action) {
  auto arguments = std::make_shared<CheckArguments>();
  CheckArguments& a = *arguments;
  CLI::App& command = *app.add_subcommand("check", "Compare a model's gradients with finite differences");
  command.add_option("DIR", a.folder, "The folder that gpt train wrote; without it a new model");
  command
      .add_option("--data", a.sources, "The text to compute the loss of; needed where the run's own lies elsewhere now")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_flag("--best", a.best, "Check the model with the lowest held-out loss, not the last one");
  command.add_option("--shape", a.shape, "Of the new model: gpt2 (LayerNorm, biases, GELU, tied) or microgpt")
      ->check(one_of({"gpt2", "microgpt"}))
      ->default_str("gpt2")
      ->type_name("NAME");
  const auto size = [&](const char* name, std::optional<Index>& value, const char* help) {
    command.add_option(name, value, help)->type_name("N");
  };
  size("--layers", a.layers, "Its transformer blocks");
  size("--width", a.width, "Its width; a multiple of --heads");
  size("--heads", a.heads, "Its attention heads");
  command.add_option("--sequences", a.sequences, "Documents or windows of training text to compute the loss of")
      ->check(range("--sequences", 1, 10'000))
      ->capture_default_str()
      ->type_name("N");
  command.add_option("--entries", a.entries, "Entries of each parameter to compare, drawn at random; 0: all of them")
      ->check(range("--entries", 0, 1'000'000'000))
      ->capture_default_str()
      ->type_name("N");
  command.add_option("--seed", a.seed, "Of the new model's weights and the entries drawn")
      ->check(range("--seed", 0, most_seed))
      ->capture_default_str()
      ->type_name("N");
  add_threads(command);
  command.footer(
      "Each line shows a parameter's worst entry: the gradient from backward() beside the central difference\n"
      "(loss(w + h) - loss(w - h)) / 2h, and their relative error. The Taylor remainder checks all entries at once.\n"
      "Exit status 1 when a gradient is wrong.\n\n"
      "Examples:\n"
      "  gpt check runs/names\n"
      "  gpt check --shape gpt2 --layers 2 --width 64");
  command.callback([arguments, &action] { action = [arguments] { return check(*arguments); }; });
}

}  // namespace gpt
