// What gpt train says before the first step.
#include "train_header.h"

#include <fmt/format.h>

#include <gradus/core/runtime/cpu.h>
#include <gradus/core/runtime/parallel.h>
#include <gradus/core/runtime/platform.h>

#include "numbers.h"
#include "output.h"

namespace gpt {
namespace {

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

// "a tenth at random", "all of judge.txt".
std::string held_out_part(const models::RunData& info) {
  if (!info.held_out_sources.empty()) return "all of " + name_of(info.held_out_sources);
  constexpr double percent = 100;
  const bool tenth = info.held_out == 0.1;
  const std::string share = tenth ? "tenth" : fmt::format("{:g} %", percent * info.held_out);
  return info.format == models::TextFormat::lines ? fmt::format("{}{} at random", tenth ? "a " : "", share)
                                                  : fmt::format("the last {}", share);
}

void print_documents(const models::DocumentDataset& documents, const Data& data) {
  constexpr const char* line = "         {} {}\n";
  if (documents.num_copies() > 0 && data.info.held_out_sources.empty()) {
    say(line, counted(documents.num_copies(), "document"),
        data.info.distinct ? "repeat others; those that are alike are held out or trained on together"
                           : "repeat others, and some of what is held out is trained on too, as when this run began");
  }
  if (documents.num_leaked() > 0) {
    say(line, counted(documents.num_leaked(), "document"), "of those held out are trained on too");
  }
  if (data.trimmed > 0) {
    say(line, counted(data.trimmed, "document"), "lost white space at the ends of the line; --keep-space keeps it");
  }
  if (documents.num_cut() > 0) {
    say("         {} documents are longer than the context and were cut; --context {} takes the longest whole\n",
        grouped(documents.num_cut()), documents.longest());
  }
}

// Without those of a text that is there to judge by.
Index own_documents(const models::DocumentDataset& documents, const Data& data) {
  return documents.num_documents() - (data.info.held_out_sources.empty() ? 0 : documents.size(models::Part::held_out));
}

void print_data(const Data& data, Index vocabulary) {
  const models::Dataset& dataset = *data.dataset;
  const auto* documents = data.documents();
  say("data     {}: {}{} characters\n         {} held out, {} tokens; {} to train on; vocabulary {}\n",
      name_of(data.info.sources()),
      documents != nullptr ? counted(own_documents(*documents, data), "document") + ", " : "", grouped(data.characters),
      held_out_part(data.info), grouped(dataset.tokens(models::Part::held_out)),
      grouped(dataset.tokens(models::Part::train)), vocabulary);
  if (documents != nullptr) print_documents(*documents, data);
  if (data.changed > 0) say("         {}\n", told_unknown(data));
}

// Learned positions beyond the longest document are memory and time for nothing.
void print_context(Index context, const models::DocumentDataset& documents) {
  constexpr Index many = 8;
  if (context / many <= documents.longest()) return;
  say("         the longest document has {} characters with its end; --context {} does as well and takes less memory\n",
      grouped(documents.longest()), documents.longest());
}

void print_recipe(const Preset& plan, const models::Dataset& dataset) {
  const models::TrainOptions& train = plan.train;
  constexpr const char* schedules[] = {"constant", "linear to", "cosine to"};
  const char* const pieces = plan.format == models::TextFormat::lines ? "documents" : "windows";
  say("recipe   batch {}{} {}, AdamW, rate {:g} {}{}, warm-up {}, betas {:g} {:g}, weight decay {:g}, clip {:g}\n",
      train.batch_size, train.accumulation > 1 ? fmt::format(" x {}", train.accumulation) : "", pieces, train.lr,
      schedules[train.schedule], train.schedule == Schedule::constant ? "" : fmt::format(" {:g}", train.min_lr),
      train.warmup, train.beta1, train.beta2, train.weight_decay, train.clip);
  if (train.batch_size > dataset.size(models::Part::train)) {
    say("         a batch is more than the {} {} there are: a step sees them more than once\n",
        grouped(dataset.size(models::Part::train)), pieces);
  }
}

}  // namespace

void print_header(const Preset& plan, const Data& data, const models::GPT& model, double need, const std::string& out) {
  const models::GPTConfig& config = model.config();
  print_data(data, config.vocab_size);
  say("model    {}, width {}, {}, context {}, dropout {:g}: {} parameters ({})\n", counted(config.n_layer, "layer"),
      config.n_embd, counted(config.n_head, "head"), config.block_size, config.dropout, grouped(model.num_parameters()),
      model.dtype());
  if (const auto* documents = data.documents()) print_context(config.block_size, *documents);
  say("time     {}, on {} ({}); Ctrl-C ends it sooner and saves\n", budget(plan.train),
      counted(gradus::num_threads(), "thread"), gradus::instruction_set());
  const auto available = static_cast<double>(gradus::platform::available_memory());
  say("memory   about {}{}\n", memory(need), available > 0 ? fmt::format(" of {} free", memory(available)) : "");
  say("folder   {}\n", out);
  print_recipe(plan, *data.dataset);
}

}  // namespace gpt
