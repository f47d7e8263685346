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
  if (train.seconds > 0)
    parts.push_back(fmt::format("{:g} {}", train.seconds, train.seconds == 1 ? "second" : "seconds"));
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
  if (const Index copies = documents.num_copies(); copies > 0 && data.info.held_out_sources.empty()) {
    say("         {} {}{}\n", counted(copies, "document"), copies == 1 ? "repeats another" : "repeat others",
        data.info.distinct ? "; those that are alike are held out or trained on together"
                           : ", and some of what is held out is trained on too, as when this run began");
  }
  if (const Index leaked = documents.num_leaked(); leaked > 0) {
    say(line, counted(leaked, "document"),
        leaked == 1 ? "of those held out is trained on too" : "of those held out are trained on too");
  }
  if (data.trimmed > 0) {
    say(line, counted(data.trimmed, "document"), "lost white space at the ends of the line; --keep-space keeps it");
  }
  if (documents.num_cut() > 0) {
    const bool one = documents.num_cut() == 1;
    say("         {} {} longer than the context and {} cut; --context {} takes the longest whole\n",
        counted(documents.num_cut(), "document"), one ? "is" : "are", one ? "was" : "were", documents.longest());
  }
}

// Without those of a text that is there to evaluate on.
Index own_documents(const models::DocumentDataset& documents, const Data& data) {
  return documents.num_documents() - (data.info.held_out_sources.empty() ? 0 : documents.size(models::Part::held_out));
}

void print_data(const Data& data, Index vocabulary) {
  const models::Dataset& dataset = *data.dataset;
  const auto* documents = data.documents();
  say("data     {}: {}{}\n         {} held out, {}; {} to train on; vocabulary {}\n", name_of(data.info.sources()),
      documents != nullptr ? counted(own_documents(*documents, data), "document") + ", " : "",
      counted(data.characters, "character"), held_out_part(data.info),
      counted(dataset.tokens(models::Part::held_out), "token"), grouped(dataset.tokens(models::Part::train)),
      vocabulary);
  if (const std::string& problem = dataset.stream().problem(); !problem.empty()) {
    say("         its tokens are not kept for later runs: {}\n", problem);
  }
  if (documents != nullptr) print_documents(*documents, data);
  if (data.changed > 0) say("         {}\n", told_unknown(data));
}

// Learned positions beyond the longest document are memory and time for nothing.
void print_context(Index context, const models::DocumentDataset& documents) {
  constexpr Index many = 8;
  if (context / many <= documents.longest()) return;
  say("         the longest document has {} with its end; --context {} does as well and takes less memory\n",
      counted(documents.longest(), unit_of(documents.tokenizer())), documents.longest());
}

void print_recipe(const Preset& plan, const models::Dataset& dataset) {
  const models::TrainOptions& train = plan.train;
  constexpr const char* schedules[] = {"constant", "linear to", "cosine to"};
  const char* const piece = plan.format == models::TextFormat::lines ? "document" : "window";
  say("recipe   batch {}{}, AdamW, rate {:g} {}{}, warm-up {}, betas {:g} {:g}, weight decay {:g}, clip {:g}\n",
      train.accumulation > 1 ? fmt::format("{} x ", train.batch_size) : "",
      counted(train.accumulation > 1 ? train.accumulation : train.batch_size, piece), train.lr,
      schedules[train.schedule], train.schedule == Schedule::constant ? "" : fmt::format(" {:g}", train.min_lr),
      train.warmup, train.beta1, train.beta2, train.weight_decay, train.clip);
  if (train.batch_size > dataset.size(models::Part::train)) {
    const Index all = dataset.size(models::Part::train);
    say("         a batch is more than the {} there {}: a step sees {} more than once\n", counted(all, piece),
        all == 1 ? "is" : "are", all == 1 ? "it" : "them");
  }
}

Index numbers_that_train(const models::GPT& model) {
  Index count = 0;
  for (const gradus::Tensor& parameter : model.parameters()) count += parameter.requires_grad() ? parameter.numel() : 0;
  return count;
}

}  // namespace

void print_header(const Preset& plan, const Data& data, const models::GPT& model, double need, const std::string& out) {
  const models::GPTConfig& config = model.config();
  print_data(data, config.vocab_size);
  say("model    {}, width {}, {}, context {}, dropout {:g}: {} ({})\n", counted(config.n_layer, "layer"), config.n_embd,
      counted(config.n_head, "head"), config.block_size, config.dropout, counted(model.num_parameters(), "parameter"),
      model.dtype());
  const Index trained = numbers_that_train(model);
  if (trained < model.num_parameters()) {
    say("         {} of them trained: {}\n", grouped(trained),
        config.lora_rank > 0 ? fmt::format("additions of rank {} to the matrices of all blocks", config.lora_rank)
                             : "the last blocks, the last norm and a head of its own");
  }
  if (const auto* documents = data.documents()) print_context(config.block_size, *documents);
  say("time     {}, on {} ({}); Ctrl-C ends it sooner and saves\n", budget(plan.train),
      counted(gradus::num_threads(), "thread"), gradus::instruction_set());
  const auto available = static_cast<double>(gradus::platform::available_memory());
  say("memory   about {}{}\n", memory(need), available > 0 ? fmt::format(" of {} free", memory(available)) : "");
  say("folder   {}\n", out);
  print_recipe(plan, *data.dataset);
}

}  // namespace gpt
