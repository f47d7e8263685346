// gpt eval: how well a trained model predicts text that it was not trained on, and how sure that is.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include <gradus/models/evaluate.h>
#include <gradus/models/run_folder.h>

#include "commands.h"
#include "numbers.h"
#include "output.h"
#include "run_text.h"

namespace gpt {
namespace {

namespace models = gradus::models;
using models::Estimate;

struct EvalArguments {
  std::string folder, source;
  bool json = false, best = false;
};

// A value and where it lies with 95 % confidence; the ends are NaN when too little was judged to tell.
struct Interval {
  double value, low, high;

  template <class F>
  Interval map(const F& increasing) const {
    return {increasing(value), increasing(low), increasing(high)};
  }
};

Interval interval(const Estimate& x) {
  return {x.value, x.value - x.margin, x.value + x.margin};
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

int eval(const EvalArguments& arguments) {
  models::Run run = models::load_run(arguments.folder, arguments.best ? models::best_file : models::model_file);
  const std::string source = arguments.source.empty() ? run.data.source : arguments.source;
  const std::string text = read_text_of_run(source, !arguments.source.empty(), arguments.folder);
  const bool trained_on_it = models::fingerprint(text) == run.data.fingerprint;
  gradus::check(trained_on_it || !arguments.source.empty(),
                "'{}' is not the text this model was trained on any more, so its held-out part cannot be found again; "
                "name a text with --data",
                source);
  models::DatasetOptions options{run.data.block_size, run.data.held_out, run.data.seed};
  if (!trained_on_it) options.held_out = 1;
  const Data data = make_known_data(source, text, run.data.documents, options, run.tokenizer);

  const models::Judgement result = models::judge(run.model, *data.dataset);
  const Interval loss = interval(result.loss);
  gradus::check(std::isfinite(loss.value), "the loss is {}; the weights in '{}' are damaged or the training went wrong",
                loss.value, arguments.folder);
  const Interval accuracy =
      interval(result.accuracy).map([](double x) { return std::isnan(x) ? x : std::clamp(x, 0.0, 1.0); });
  const Interval perplexity = loss.map([](double x) { return std::exp(x); });
  const Interval bits = loss.map([](double x) { return x / std::numbers::ln2; });
  if (arguments.json) {
    print(
        "{{\"held_out_loss\": {}, \"perplexity\": {}, \"bits_per_character\": {}, \"accuracy\": {}, \"tokens\": {}, "
        "\"sequences\": {}, \"whole_file\": {}, \"confidence\": 0.95, \"intervals\": {{\"held_out_loss\": {}, "
        "\"perplexity\": {}, \"bits_per_character\": {}, \"accuracy\": {}}}}}\n",
        loss.value, json_number(perplexity.value), bits.value, accuracy.value, result.tokens, result.sequences,
        !trained_on_it, as_json(loss), as_json(perplexity), as_json(bits), as_json(accuracy));
    return 0;
  }
  print("judged on           {} of {}: {} characters{} in {} sequences\n", trained_on_it ? "the held-out part" : "all",
        source, grouped(result.tokens), run.data.documents ? " and ends of lines" : "", grouped(result.sequences));
  print_line("accuracy", accuracy);
  print_line("perplexity", perplexity);
  print_line("bits per character", bits);
  print_line(trained_on_it ? "held-out loss" : "loss", loss);
  return 0;
}

}  // namespace

void add_eval(CLI::App& app, const std::string&, Run& run) {
  auto arguments = std::make_shared<EvalArguments>();
  CLI::App& command = *app.add_subcommand("eval", "Judge a trained model on text it has not seen");
  command.add_option("DIR", arguments->folder, "The folder that gpt train wrote")->required();
  command
      .add_option(
          "--data", arguments->source,
          "The text to judge on. The one that the model was trained on (the default) counts by its held-out part, "
          "any other one whole")
      ->type_name("FILE");
  command.add_flag("--best", arguments->best, "Judge the model with the lowest held-out loss, not the last one");
  command.add_flag("--json", arguments->json, "Print one JSON object");
  add_threads(command);
  command.footer(
      "The loss is the mean of -ln(probability given to the character that came), so lower is better;\n"
      "perplexity is e^loss: among how many equally likely characters the model seems to choose. Accuracy is the part\n"
      "of characters that the model found likeliest. An interval tells what other text of the same kind would give:\n"
      "sequences count as independent, characters of one sequence do not.\n\n"
      "Examples:\n"
      "  gpt eval runs/names\n"
      "  gpt eval runs/shakespeare --data sonnets.txt --json");
  command.callback([arguments, &run] { run = [arguments] { return eval(*arguments); }; });
}

}  // namespace gpt
