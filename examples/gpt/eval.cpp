// gpt eval: how well a trained model predicts text that it was not trained on.
#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include <gradus/models/run_folder.h>
#include <gradus/models/trainer.h>

#include "commands.h"
#include "data.h"
#include "progress.h"

namespace gpt {
namespace {

namespace models = gradus::models;

struct EvalArguments {
  std::string folder, source;
  bool json = false;
};

int eval(const EvalArguments& arguments) {
  models::Run run = models::load_run(arguments.folder);
  const std::string source = arguments.source.empty() ? run.data.source : arguments.source;
  const std::string text = read_source(source);
  const bool trained_on_it = models::fingerprint(text) == run.data.fingerprint;
  gradus::check(trained_on_it || !arguments.source.empty(),
                "'{}' is not the text this model was trained on any more, so its held-out part cannot be found again; "
                "name a text with --data",
                source);
  models::DatasetOptions options{run.model.config().block_size, run.data.held_out, run.data.seed};
  if (!trained_on_it) options.held_out = 1;
  const Data data = make_data(source, text, run.data.documents, options, run.tokenizer);

  const auto [loss, tokens] = models::evaluate(run.model, *data.dataset);
  gradus::check(std::isfinite(loss), "the loss is {}; the weights in '{}' are damaged or the training went wrong", loss,
                arguments.folder);
  const double perplexity = std::exp(loss), bits = loss / std::numbers::ln2;
  const gradus::Index sequences = data.dataset->size(models::Part::held_out);
  if (arguments.json) {
    fmt::print(
        "{{\"held_out_loss\": {}, \"perplexity\": {}, \"bits_per_character\": {}, \"tokens\": {}, "
        "\"sequences\": {}, \"whole_file\": {}}}\n",
        loss, perplexity, bits, tokens, sequences, !trained_on_it);
  } else {
    fmt::print("judged on           {} of {}: {} characters{} in {} sequences\n",
               trained_on_it ? "the held-out part" : "all", source, grouped(tokens),
               run.data.documents ? " and ends of lines" : "", grouped(sequences));
    fmt::print("perplexity          {:.4f}\nbits per character  {:.4f}\nheld-out loss       {:.4f}\n", perplexity, bits,
               loss);
  }
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
  command.add_flag("--json", arguments->json, "Print one JSON object");
  add_threads(command);
  command.footer(
      "The loss is the mean of -ln(probability given to the character that came), so lower is better;\n"
      "perplexity is e^loss: among how many equally likely characters the model seems to choose.\n\n"
      "Examples:\n"
      "  gpt eval runs/names\n"
      "  gpt eval runs/shakespeare --data sonnets.txt --json");
  command.callback([arguments, &run] { run = [arguments] { return eval(*arguments); }; });
}

}  // namespace gpt
