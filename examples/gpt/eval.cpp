// gpt eval: how well a trained model predicts text that it was not trained on, and how sure that is.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include <gradus/models/train/evaluate.h>

#include "commands.h"
#include "model.h"
#include "numbers.h"
#include "output.h"
#include "run_text.h"
#include "waiting.h"
#include "weights.h"

namespace gpt {
namespace {

namespace models = gradus::models;
using gradus::Index;
using models::Estimate;

struct EvalArguments {
  std::string folder, unknown = "refuse", weights = "f32";
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

int eval(const EvalArguments& arguments) {
  const EndsTold early("\ngpt: stopped before all was evaluated\n");
  models::Run run = load_model(arguments.folder, arguments.best);
  run.model = with_weights(std::move(run.model), arguments.weights);
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
  const auto bits_of = [&](const Estimate& nats) {
    return interval(nats, result.sequences).map([](double x) { return x / std::numbers::ln2; });
  };
  const Interval bits = bits_of(result.loss_per_character), bits_of_byte = bits_of(result.loss_per_byte);
  if (arguments.json) {
    print(
        "{{\"held_out_loss\": {}, \"perplexity\": {}, \"bits_per_character\": {}, \"bits_per_byte\": {}, "
        "\"accuracy\": {}, \"tokens\": {}, \"characters\": {}, \"bytes\": {}, \"sequences\": {}, "
        "\"whole_file\": {}, \"confidence\": 0.95, \"intervals\": {{\"held_out_loss\": {}, \"perplexity\": {}, "
        "\"bits_per_character\": {}, \"bits_per_byte\": {}, \"accuracy\": {}}}}}\n",
        loss.value, json_number(perplexity.value), json_number(bits.value), json_number(bits_of_byte.value),
        accuracy.value, result.tokens, result.characters, result.bytes, result.sequences, !subject.held_out,
        as_json(loss), as_json(perplexity), as_json(bits), as_json(bits_of_byte), as_json(accuracy));
    return 0;
  }
  const Index all = data.dataset->size(models::Part::held_out);
  const bool some_only = result.sequences < all;
  print("evaluated on        {}: {}{}{} in {}{}\n", subject.what, counted(result.characters, "character"),
        run.data.format == models::TextFormat::lines ? " and ends of lines" : "",
        result.tokens != result.characters ? fmt::format(" ({})", counted(result.tokens, "token")) : "",
        some_only ? grouped(result.sequences) + " of " : "", counted(some_only ? all : result.sequences, "sequence"));
  if (subject.trained_on) print("                    the model was trained on this text\n");
  if (data.changed > 0) print("                    {}\n", told_unknown(data));
  if (result.sequences < enough_to_be_sure) {
    print("                    too few sequences to tell how sure this is; {} or more tell\n", enough_to_be_sure);
  }
  print_line("accuracy", accuracy);
  print_line("perplexity", perplexity);
  print_line("bits per character", bits);
  print_line("bits per byte", bits_of_byte);
  print_line(subject.held_out ? "held-out loss" : "loss", loss);
  return 0;
}

}  // namespace

void add_eval(CLI::App& app, const std::string&, Action& action) {
  auto arguments = std::make_shared<EvalArguments>();
  CLI::App& command = *app.add_subcommand("eval", "Judge a trained model on text it has not seen");
  command
      .add_option("DIR", arguments->folder,
                  "The folder that gpt train wrote, or a GPT-2's with config.json and model.safetensors")
      ->required();
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
                  "characters)")
      ->type_name("N")
      ->check(range("--sequences", 0, 1'000'000'000'000));
  command.add_flag("--best", arguments->best, "Judge the model with the lowest held-out loss, not the last one");
  command.add_flag("--json", arguments->json, "Print one JSON object");
  add_weights(command, arguments->weights);
  add_threads(command);
  command.footer(
      "The loss is the mean of -ln(probability given to the token that came), so lower is better; a token is a\n"
      "character, a byte or a piece of a word, as the model's tokenizer has it. Perplexity is e^loss: among how many\n"
      "equally likely tokens the model seems to choose. Accuracy is the part of tokens that the model found "
      "likeliest.\n"
      "Models with different tokenizers compare by bits per character or per byte. An interval tells what other text "
      "of\n"
      "the same kind would give: sequences count as independent, tokens of one sequence do not. Fewer than 10 "
      "sequences\n"
      "give none.\n\n"
      "Examples:\n"
      "  gpt eval runs/names\n"
      "  gpt eval runs/shakespeare --data sonnets.txt --json");
  command.callback([arguments, &action] { action = [arguments] { return eval(*arguments); }; });
}

}  // namespace gpt
