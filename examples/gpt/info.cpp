// gpt info: what a model consists of, what it costs to use and to train, and how its training went.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>

#include <gradus/models/gpt/cost.h>
#include <gradus/models/train/checkpoint.h>
#include <gradus/models/train/run_folder.h>
#include <gradus/models/train/run_log.h>

#include "commands.h"
#include "data.h"
#include "model.h"
#include "numbers.h"
#include "output.h"
#include "train_arguments.h"

namespace gpt {
namespace {

namespace models = gradus::models;
using gradus::Index;

struct InfoArguments {
  std::string folder;
  bool best = false;
};

// "h.3.attn.c_attn.weight" as "h.*.attn.c_attn": blocks are alike.
std::string module_of(const std::string& name) {
  std::string module = name.substr(0, name.rfind('.'));
  if (!module.starts_with("h.")) return module;
  const std::size_t end = module.find('.', 2);
  return "h.*" + module.substr(end);
}

void print_parameters(const models::GPT& model) {
  std::vector<std::string> order;
  std::map<std::string, std::pair<Index, Index>> modules;  // numbers, and in how many blocks
  for (const auto& [name, parameter] : model.named_parameters()) {
    const std::string module = module_of(name);
    auto& [numbers, blocks] = modules[module];
    if (numbers == 0) order.push_back(module);
    numbers += parameter.numel();
    if (name.ends_with(".weight")) ++blocks;
  }
  const auto total = static_cast<double>(model.num_parameters());
  print("\nparameters       {:>14}  ({})\n", grouped(model.num_parameters()), model.dtype());
  for (const std::string& module : order) {
    const auto& [numbers, blocks] = modules[module];
    print("  {:<20} {:>8}  {:4.1f} %{}\n", module, grouped(numbers), 100 * static_cast<double>(numbers) / total,
          blocks > 1 ? fmt::format("  {} x {}", blocks, grouped(numbers / blocks)) : "");
  }
  if (model.config().tie_weights) print("  lm_head shares the table of wte\n");
}

void print_cost(const models::GPT& model, Index batch_tokens, models::TextFormat format) {
  const models::Cost cost =
      models::cost_of(model.config(), model.dtype(), batch_tokens, format == models::TextFormat::lines);
  print("\nwork per token, at full context\n  to generate {} FLOPs, to train {}\n",
        grouped(std::llround(cost.forward_flops)), grouped(std::llround(cost.training_flops)));
  print("memory\n  to generate {}: weights {}, keys and values of a full context {}\n",
        memory(cost.weights + cost.cache), memory(cost.weights), memory(cost.cache));
  print(
      "  to train about {}: weights, gradients and two moments {}, activations of {} {}, measuring,\n"
      "  and blocks that lie unused in between; the text comes on top\n",
      memory(cost.training), memory(4 * cost.weights), counted(batch_tokens, "token"), memory(cost.activations));
}

// Of the log, what the model has been through.
void print_run(const std::string& folder, const models::Moment& moment) {
  std::vector<Index> damaged;
  std::vector<models::LogLine> log = models::read_log(folder + "/log.jsonl", &damaged);
  if (!damaged.empty()) {
    print("\nlog.jsonl is damaged: {} of its lines cannot be read, the first is line {}\n", damaged.size(),
          damaged.front());
  }
  if (moment.step && !log.empty() && log.back().step > *moment.step) {
    print("\nthe saved model is of step {}, the log reaches {}: the training has not ended, or not by itself\n",
          grouped(*moment.step), grouped(log.back().step));
    std::erase_if(log, [&](const models::LogLine& line) { return line.step > *moment.step; });
  }
  if (log.empty()) {
    print("\nrun              there is no log of it\n");
    return;
  }
  double seconds = 0, tokens_before = 0;
  models::HeldOut held_out;
  std::optional<double> last;
  for (const models::LogLine& line : log) {
    seconds += (static_cast<double>(line.tokens) - tokens_before) / std::max(line.tokens_per_second, 1e-9);
    tokens_before = static_cast<double>(line.tokens);
    if (line.val_loss) {
      held_out.add(*line.val_loss, line.step);
      last = line.val_loss;
    }
  }
  const std::size_t tail = std::max<std::size_t>(1, log.size() / 20);
  double loss = 0;
  for (std::size_t i = log.size() - tail; i < log.size(); ++i) loss += log[i].train_loss / static_cast<double>(tail);
  print("\nrun              {}, {} in {} ({} per second)\n", counted(log.back().step, "step"),
        counted(log.back().tokens, "token"), clock_time(seconds),
        grouped(std::llround(tokens_before / std::max(seconds, 1e-9))));
  print("  training loss  {:.4f} at first, {:.4f} over the last {}\n", log.front().train_loss, loss,
        tail == 1 ? "step" : counted(static_cast<Index>(tail), "step"));
  if (last) {
    const auto best = better_before(*last, held_out.best, held_out.best_step);
    print("  held-out loss  {:.4f} at last, {}\n", *last,
          best ? fmt::format("best {} at step {}", *best, grouped(held_out.best_step)) : "the best there was");
  }
  print("  learning rate  {:.3g} at last; gradient norm {:.3g}\n", log.back().lr, log.back().grad_norm);
}

void print_model(const models::GPTConfig& config) {
  print("model            {}, width {}, {}, context {}, vocabulary {}, dropout {:g}\n",
        counted(config.n_layer, "layer"), config.n_embd, counted(config.n_head, "head"), config.block_size,
        config.vocab_size, config.dropout);
}

int info(const InfoArguments& arguments) {
  const std::string& folder = arguments.folder;
  if (models::is_gpt2(folder)) {
    const models::GPT2 loaded = load_foreign(folder);
    print_model(loaded.model.config());
    print("data             not known: it is a GPT-2 from elsewhere{}\n",
          loaded.tokenizer ? "" : ", without a tokenizer that can be read");
    print_parameters(loaded.model);
    print_cost(loaded.model, loaded.model.config().block_size, models::TextFormat::text);
    return 0;
  }
  const models::Run run = load_model(folder, arguments.best);
  const models::GPTConfig& config = run.model.config();
  print_model(config);
  print("data             {}, {}\n", name_of(run.data.sources()),
        run.data.format == models::TextFormat::lines ? "documents" : "running text");
  if (run.data.block_size < config.block_size) {
    print("                 learned in sequences of {}; beyond that the context was not trained by this run\n",
          run.data.block_size);
  }
  print_parameters(run.model);
  TrainArguments settings;
  settings.fill_from(run.settings, folder + "/config.json");
  // Documents are shorter than the context; how long they are, the log tells.
  Index batch_tokens = settings.batch.value_or(1) * run.data.block_size;
  const std::vector<models::LogLine> log = models::read_log(folder + "/log.jsonl");
  if (!log.empty() && log.back().step > 0) {
    batch_tokens = std::max<Index>(1, log.back().tokens / log.back().step / settings.accumulation.value_or(1));
  }
  print_cost(run.model, batch_tokens, run.data.format);
  print_run(folder, run.moment);
  return 0;
}

}  // namespace

void add_info(CLI::App& app, const std::string&, Action& action) {
  auto arguments = std::make_shared<InfoArguments>();
  CLI::App& command = *app.add_subcommand("info", "Show what a model consists of and how its training went");
  command
      .add_option("DIR", arguments->folder,
                  "The folder that gpt train wrote, or a GPT-2's with config.json and model.safetensors")
      ->required();
  command.add_flag("--best", arguments->best, "Show the model with the lowest held-out loss, not the last one");
  add_threads(command);
  command.footer(
      "FLOPs count a multiplication and an addition as two. Activations are those of one batch.\n\n"
      "Examples:\n"
      "  gpt info runs/names");
  command.callback([arguments, &action] { action = [arguments] { return info(*arguments); }; });
}

}  // namespace gpt
