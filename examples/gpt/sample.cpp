// gpt sample: text from a trained model.
#include <fmt/format.h>

#include <gradus/models/generate.h>
#include <gradus/models/run_folder.h>

#include "commands.h"

namespace gpt {
namespace {

namespace models = gradus::models;

struct SampleArguments {
  std::string folder, prompt;
  gradus::Index count = 0;
  models::GenerateOptions generate{.max_tokens = 300, .temperature = 0.8};
};

int sample(const SampleArguments& arguments) {
  arguments.generate.validate();
  models::Run run = models::load_run(arguments.folder);
  const bool documents = run.tokenizer.has_boundary();
  const gradus::Index count =
      arguments.count > 0 ? arguments.count : (documents && arguments.generate.temperature > 0 ? 20 : 1);
  bool first = true;
  for (const std::string& text :
       models::generate(run.model, run.tokenizer, arguments.prompt, count, arguments.generate)) {
    if (!documents && !first) fmt::print("\n----\n");
    first = false;
    fmt::print("{}\n", text);
  }
  return 0;
}

}  // namespace

void add_sample(CLI::App& app, const std::string&, Run& run) {
  auto arguments = std::make_shared<SampleArguments>();
  CLI::App& command = *app.add_subcommand("sample", "Invent new text with a trained model");
  command.add_option("DIR", arguments->folder, "The folder that gpt train wrote")->required();
  command.add_option("--prompt", arguments->prompt, "What every sample begins with")->type_name("TEXT");
  command
      .add_option("--count", arguments->count,
                  "How many samples (default: 20 lines; 1 running text, or at temperature 0)")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("N");
  models::GenerateOptions& generate = arguments->generate;
  command.add_option("--max-tokens", generate.max_tokens, "Length of the longest sample, without the prompt")
      ->check(CLI::Range(1, 1'000'000'000))
      ->capture_default_str()
      ->type_name("N");
  command
      .add_option("--temperature", generate.temperature,
                  "Below 1 safer, above 1 wilder; 0 always takes the likeliest character")
      ->capture_default_str()
      ->type_name("X");
  command.add_option("--top-k", generate.top_k, "Choose among the N likeliest characters only; 0: among all")
      ->capture_default_str()
      ->type_name("N");
  command
      .add_option("--top-p", generate.top_p, "Choose among the likeliest characters that together have probability P")
      ->capture_default_str()
      ->type_name("P");
  command.add_option("--seed", generate.seed, "Another seed, other samples")
      ->check(whole_number())
      ->capture_default_str()
      ->type_name("N");
  add_threads(command);
  command.footer(
      "Examples:\n"
      "  gpt sample runs/names --count 5 --prompt ma\n"
      "  gpt sample runs/shakespeare --prompt \"ROMEO:\" --max-tokens 500 --temperature 0.7\n"
      "  gpt sample runs/names --temperature 0        the one likeliest name");
  command.callback([arguments, &run] { run = [arguments] { return sample(*arguments); }; });
}

}  // namespace gpt
