// gpt eval: how well a trained model predicts text that it was not trained on, and how sure that is.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include <gradus/models/train/evaluate.h>
#include <gradus/models/train/run_folder.h>

#include "commands.h"
#include "numbers.h"
#include "output.h"
#include "run_text.h"
#include "waiting.h"

namespace gpt {
namespace {

namespace models = gradus::models;
using gradus::Index;
using models::Estimate;

struct EvalArguments {
  std::string folder, unknown = "refuse";
  std::vector<std::string> sources;
  gradus::Index sequences = -1;  // not said
  bool json = false, best = false;
};

// A value and where it lies with 95 % confidence; the ends are NaN when too few sequences were evaluated to tell.
struct Interval {
  double value, low, high;

  template <class F>
  Interval map(const F& increasing) const {
    return {increasing(value), increasing(low), increasing(high)};
  }
};

Interval interval(const Estimate& x, Index sequences) {
  const double margin = sequences < enough_to_be_sure ? std::numeric_limits<double>::quiet_NaN() : x.margin;
  return {x.value, x.value - margin, x.value + margin};
}

// JSON has no infinity and no NaN.
std::string json_number(double x) {
  return std::isfinite(x) ? fmt::format("{}", x) : "null";
}

std::string as_json(const Interval& x) {
  return fmt::format("{{\"value\": {}, \"low\": {}, \"high\": {}}}", json_number(x.value), json_number(x.low),
                     json_number(x.high));
}

void print_line(const char* name, const Interval& x) {
  print("{:<20}{:.4f}", name, gradus::shown(x.value));
  if (!std::isnan(x.low)) print("   95 % sure: {:.4f} to {:.4f}", x.low, x.high);
  print("\n");
}

// What is evaluated on: the held-out part of what the model was trained on, or another text as a whole.
struct Subject {
  Data data;
  std::string what;
  bool held_out, trained_on = false;
};

Subject subject_of(const EvalArguments& arguments, const models::Run& run) {
  const models::RunData& learned = run.data;
  const bool own_held_out = !learned.held_out_sources.empty(), named = !arguments.sources.empty();
  const std::vector<std::string> own = own_held_out ? learned.held_out_sources : learned.sources();
  const std::vector<std::string>& sources = named ? arguments.sources : own;
  const std::string& expected = own_held_out ? learned.held_out_fingerprint : learned.fingerprint;
  Text text = read_texts_of_run(sources, named, arguments.folder, learned, expected, arguments.json);
  gradus::check(text.known || named,
                "'{}' is not the text this model was trained on any more, so its held-out part cannot be found again; "
                "name a text with --data",
                name_of(sources));
  models::RunData info = learned;
  info.held_out_sources.clear();
  if (own_held_out || !text.known) info.held_out = 1;
  if (info.unknown == models::Unknown::refuse && !text.known) {
    if (arguments.unknown == "skip") info.unknown = models::Unknown::skip;
    if (arguments.unknown == "replace") info.unknown = models::Unknown::replace;
  }
  const bool held_out = text.known, trained_on = own_held_out && text.identity == learned.fingerprint;
  std::string what =
      fmt::format("{} {}", held_out && !own_held_out ? "the held-out part of" : "all of", name_of(sources));
  try {
    return {make_data(std::move(text), {}, info, run.tokenizer, arguments.json), std::move(what), held_out, trained_on};
  } catch (const UnknownCharacter& problem) {
    gradus::fail("{}{}", problem.what(), unknown_hint);
  }
}

// What the held-out tokens stand for; the end of a line counts as one character.
struct Length {
  double tokens = 0, characters = 0, bytes = 0;
};

Length held_out_length(const models::Dataset& dataset) {
  constexpr Index together = 1 << 16;
  Length length;
  models::Batch batch;
  for (Index i = 0; i < dataset.size(models::Part::held_out);) {
    i = dataset.read(models::Part::held_out, i, together, batch);
    const std::string text = dataset.tokenizer().decode(batch.targets);
    length.tokens += static_cast<double>(batch.targets.size());
    length.characters += static_cast<double>(characters_in(text));
    length.bytes += static_cast<double>(text.size());
  }
  return length;
}

int eval(const EvalArguments& arguments) {
  const EndsTold early("\ngpt: stopped before all was evaluated\n");
  models::Run run = models::load_run(arguments.folder, arguments.best ? models::best_file : models::model_file);
  const Subject subject = subject_of(arguments, run);
  const Data& data = subject.data;
  constexpr Index most_tokens = 1'000'000;
  const Index some = arguments.sequences >= 0
                         ? arguments.sequences
                         : models::sequences_of(*data.dataset, models::Part::held_out, most_tokens);
  models::Judgement result;
  {
    Waiting waiting("judging", arguments.json);
    result = models::judge(run.model, *data.dataset, models::Part::held_out,
                           {.sequences = some, .progress = waiting.progress()});
  }
  const Interval loss = interval(result.loss, result.sequences);
  gradus::check(std::isfinite(loss.value), "the loss is {}; the weights in '{}' are damaged or the training went wrong",
                loss.value, arguments.folder);
  const Interval accuracy = interval(result.accuracy, result.sequences).map([](double x) {
    return std::isnan(x) ? x : std::clamp(x, 0.0, 1.0);
  });
  const Interval perplexity = loss.map([](double x) { return std::exp(x); });
  const Length length = held_out_length(*data.dataset);
  const auto bits_per = [&](double units) {
    return loss.map([&](double x) { return x / std::numbers::ln2 * length.tokens / units; });
  };
  const Interval bits = bits_per(length.characters), byte_bits = bits_per(length.bytes);
  if (arguments.json) {
    print(
        "{{\"held_out_loss\": {}, \"perplexity\": {}, \"bits_per_character\": {}, \"bits_per_byte\": {}, \"accuracy\": "
        "{}, "
        "\"tokens\": {}, \"sequences\": {}, \"whole_file\": {}, \"confidence\": 0.95, \"intervals\": "
        "{{\"held_out_loss\": {}, "
        "\"perplexity\": {}, \"bits_per_character\": {}, \"bits_per_byte\": {}, \"accuracy\": {}}}}}\n",
        loss.value, json_number(perplexity.value), bits.value, byte_bits.value, accuracy.value, result.tokens,
        result.sequences, !subject.held_out, as_json(loss), as_json(perplexity), as_json(bits), as_json(byte_bits),
        as_json(accuracy));
    return 0;
  }
  const Index all = data.dataset->size(models::Part::held_out);
  const bool some_only = result.sequences < all;
  print("evaluated on        {}: {}{} in {}{}\n", subject.what, counted(result.tokens, unit_of(run.tokenizer)),
        run.data.format == models::TextFormat::lines ? " and ends of lines" : "",
        some_only ? grouped(result.sequences) + " of " : "", counted(some_only ? all : result.sequences, "sequence"));
  if (subject.trained_on) print("                    the model was trained on this text\n");
  if (data.changed > 0) print("                    {}\n", told_unknown(data));
  if (result.sequences < enough_to_be_sure) {
    print("                    too few sequences to tell how sure this is; {} or more tell\n", enough_to_be_sure);
  }
  print_line("accuracy", accuracy);
  print_line("perplexity", perplexity);
  print_line("bits per character", bits);
  print_line("bits per byte", byte_bits);
  print_line(subject.held_out ? "held-out loss" : "loss", loss);
  return 0;
}

}  // namespace

void add_eval(CLI::App& app, const std::string&, Action& action) {
  auto arguments = std::make_shared<EvalArguments>();
  CLI::App& command = *app.add_subcommand("eval", "Judge a trained model on text it has not seen");
  command.add_option("DIR", arguments->folder, "The folder that gpt train wrote")->required();
  command
      .add_option(
          "--data", arguments->sources,
          "The text to evaluate on: a file, a folder, - for standard input; given more than once, the texts follow "
          "one another. The one that the model was trained on (the default) counts by its held-out part, any "
          "other one whole")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      .add_option(
          "--unknown", arguments->unknown,
          "Characters that the model does not know: refuse the text (default), skip them, or replace them by '?'")
      ->type_name("refuse|skip|replace")
      ->check(one_of({"refuse", "skip", "replace"}));
  command
      .add_option("--sequences", arguments->sequences,
                  "Judge on N sequences spread over the text; 0: on all of it (default: all of it up to 1,000,000 "
                  "tokens)")
      ->type_name("N")
      ->check(range("--sequences", 0, 1'000'000'000'000));
  command.add_flag("--best", arguments->best, "Judge the model with the lowest held-out loss, not the last one");
  command.add_flag("--json", arguments->json, "Print one JSON object");
  add_threads(command);
  command.footer(
      "The loss is the mean of -ln(probability given to the token that came), so lower is better; a token is a "
      "character\n"
      "unless the model was trained with --tokenizer. Bits per character and per byte compare models with different\n"
      "tokens. Perplexity is e^loss: among how many equally likely tokens the model seems to choose. Accuracy is the "
      "part\n"
      "of tokens that the model found likeliest. An interval tells what other text of the same kind would give:\n"
      "sequences count as independent, tokens of one sequence do not. Fewer than 10 sequences give none.\n\n"
      "Examples:\n"
      "  gpt eval runs/names\n"
      "  gpt eval runs/shakespeare --data sonnets.txt --json");
  command.callback([arguments, &action] { action = [arguments] { return eval(*arguments); }; });
}

}  // namespace gpt
