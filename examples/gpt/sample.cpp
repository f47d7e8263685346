// gpt sample: text from a trained model.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include <gradus/models/generate/generate.h>
#include <gradus/models/text/text.h>

#include "commands.h"
#include "data.h"
#include "model.h"
#include "output.h"
#include "weights.h"

namespace gpt {
namespace {

namespace models = gradus::models;
using gradus::Index;

struct SampleArguments {
  std::string folder, prompt, prompt_file, unknown = "refuse", weights = "f32";
  Index count = 0, alternatives = 4;
  bool best = false, show_probs = false, no_cache = false;
  models::GenerateOptions generate{.max_tokens = 300, .temperature = 0.8};
};

// A token as a word of its own: 'a', ' ', '\n', '\x1b', or the end of a line.
std::string shown(const models::Tokenizer& tokenizer, std::int32_t token) {
  if (token == tokenizer.end_token()) return "(end)";
  const std::string text = tokenizer.decode(std::span(&token, 1));
  return text == "\n" ? "'\\n'" : text == "\t" ? "'\\t'" : fmt::format("'{}'", visible(text));
}

void print_probabilities(models::Run& run, const SampleArguments& arguments, models::GenerateOptions options,
                         Index count) {
  for (Index i = 0; i < count; ++i) {
    if (i > 0) print("\n");
    options.seed = models::sample_seed(arguments.generate.seed, static_cast<std::uint64_t>(i));
    const auto show = [&](const models::Drawn& drawn) {
      auto likely = drawn.likeliest(static_cast<std::size_t>(arguments.alternatives) + 1);
      const auto chosen = std::ranges::find(likely, drawn.token, &models::Likely::token);
      const double probability = chosen->probability;
      likely.erase(chosen);
      // Where the token is not among them, there is one too many.
      likely.resize(std::min(likely.size(), static_cast<std::size_t>(arguments.alternatives)));
      std::string others;
      for (const models::Likely& other : likely) {
        others += fmt::format("  {} {:.1f} %", shown(run.tokenizer, other.token), 100 * other.probability);
      }
      print("{:6} {:5.1f} %  |{}\n", shown(run.tokenizer, drawn.token), 100 * probability, others);
      return true;
    };
    const auto texts = models::generate(run.model, run.tokenizer, arguments.prompt, 1, options, {}, show);
    print("{}\n", texts.front());
  }
}

// The library checks this too, under its own names; a user knows those of the flags.
void check_options(const models::GenerateOptions& options) {
  require(options.temperature >= 0, "--temperature is {}, it must be at least 0 (0 always takes the likeliest token)",
          options.temperature);
  require(options.top_k >= 0, "--top-k is {}, it must be at least 0 (0: among all)", options.top_k);
  require(options.top_p > 0 && options.top_p <= 1, "--top-p is {}, it must be above 0 and at most 1 (1: among all)",
          options.top_p);
  require(options.min_p >= 0 && options.min_p <= 1, "--min-p is {}, it must be from 0 (leaves none out) to 1",
          options.min_p);
  constexpr double strongest = 100;
  require(options.repetition_penalty >= 1 / strongest && options.repetition_penalty <= strongest,
          "--repetition-penalty is {}, it must be from {} to {} (1 changes nothing)", options.repetition_penalty,
          1 / strongest, strongest);
}

bool is_of_documents(const models::Run& run) {
  return run.data.format == models::TextFormat::lines;
}

// The prompt as a text of the data would be read: what a line cannot begin or end with is dropped. A GPT-2's texts are
// not known, so for it a prompt stays as it is.
std::string normalized_prompt(const SampleArguments& arguments, const models::Run& run) {
  std::string prompt = arguments.prompt;
  const bool from_file = !arguments.prompt_file.empty();
  if (from_file) prompt = read_source(arguments.prompt_file);
  const std::string name = from_file ? name_of({arguments.prompt_file}) : "prompt";
  prompt = run.data.source.empty() ? run.tokenizer.normalize(prompt, name) : models::normalize_text(prompt, name);
  if (from_file && prompt.ends_with('\n')) prompt.pop_back();  // an editor's or echo's
  if (is_of_documents(run)) {
    if (prompt.ends_with('\n')) prompt.pop_back();
    if (!run.data.keep_space) prompt = models::without_leading_space(prompt);
  }
  if (arguments.unknown == "refuse") {
    try {
      run.tokenizer.encode(prompt, "prompt");
    } catch (const gradus::Error& problem) {
      gradus::fail("{}{}", problem.what(), unknown_hint);
    }
    return prompt;
  }
  const auto unknown = arguments.unknown == "skip" ? models::Unknown::skip : models::Unknown::replace;
  return run.tokenizer.fit(prompt, unknown, "prompt").text;
}

int sample(SampleArguments arguments) {
  models::GenerateOptions options = arguments.generate;
  options.use_cache = !arguments.no_cache;
  check_options(options);
  if (!arguments.prompt.empty() && !arguments.prompt_file.empty()) {
    throw UsageError("--prompt and --prompt-file both say what samples begin with; leave one out");
  }
  models::Run run = load_model(arguments.folder, arguments.best);
  run.model = with_weights(std::move(run.model), arguments.weights);
  const bool documents = is_of_documents(run);
  arguments.prompt = normalized_prompt(arguments, run);
  options.stop_text = run.tokenizer.normalize(options.stop_text, "--stop");
  const Index count = arguments.count > 0 ? arguments.count : (documents && options.temperature > 0 ? 20 : 1);
  if (arguments.show_probs) {
    print_probabilities(run, arguments, options, count);
    return 0;
  }
  // One sample is shown as it comes; several are drawn side by side and shown in their order once they are there.
  models::OnText stream;
  if (count == 1) {
    stream = [](std::size_t, std::string_view piece) {
      print("{}", piece);
      std::fflush(stdout);
    };
  }
  const auto texts = models::generate(run.model, run.tokenizer, arguments.prompt, count, options, stream);
  if (count == 1) {
    print("\n");
    return 0;
  }
  for (std::size_t i = 0; i < texts.size(); ++i) print("{}{}\n", !documents && i > 0 ? "\n----\n" : "", texts[i]);
  return 0;
}

}  // namespace

void add_sample(CLI::App& app, const std::string&, Action& action) {
  auto arguments = std::make_shared<SampleArguments>();
  CLI::App& command = *app.add_subcommand("sample", "Invent new text with a trained model");
  command
      .add_option("DIR", arguments->folder,
                  "The folder that gpt train wrote, or a GPT-2's with config.json and model.safetensors")
      ->required();
  const auto option = [&command](const char* name, auto& value, const char* help, const char* type) {
    return command.add_option(name, value, help)->type_name(type);
  };
  option("--prompt", arguments->prompt, "What every sample begins with", "TEXT");
  option("--prompt-file", arguments->prompt_file,
         "The same from a file, without the newline at its end; - for standard input", "FILE");
  option(
      "--unknown", arguments->unknown,
      "Characters of the prompt that the model does not know: refuse it (default), skip them, or replace them by '?'",
      "refuse|skip|replace")
      ->check(one_of({"refuse", "skip", "replace"}));
  option("--count", arguments->count, "How many samples (default: 20 lines; 1 running text, or at temperature 0)", "N")
      ->check(range("--count", 1, 1'000'000));
  models::GenerateOptions& generate = arguments->generate;
  option("--max-tokens", generate.max_tokens, "Length of the longest sample, without the prompt", "N")
      ->check(range("--max-tokens", 1, 1'000'000'000))
      ->capture_default_str();
  option("--temperature", generate.temperature, "Below 1 safer, above 1 wilder; 0 always takes the likeliest token",
         "X")
      ->capture_default_str();
  option("--top-k", generate.top_k, "Choose among the N likeliest tokens only; 0: among all", "N")
      ->capture_default_str();
  option("--top-p", generate.top_p, "Choose among the likeliest tokens that together have probability P", "P")
      ->capture_default_str();
  option("--min-p", generate.min_p, "Leave out tokens less likely than P times the likeliest one", "P")
      ->capture_default_str();
  option("--repetition-penalty", generate.repetition_penalty,
         "Above 1: what is there already, as far back as the model sees, becomes less likely", "X")
      ->capture_default_str();
  option("--stop", generate.stop_text, "End a sample where it would say this", "TEXT");
  option("--seed", generate.seed, "Another seed, other samples", "N")
      ->check(range("--seed", 0, most_seed))
      ->capture_default_str();
  command.add_flag("--best", arguments->best, "Use the model with the lowest held-out loss, not the last one");
  command.add_flag("--show-probs", arguments->show_probs,
                   "Print every token with its probability and the likeliest others; the probabilities are the "
                   "model's own, before temperature and the limits above");
  option("--alternatives", arguments->alternatives, "How many others --show-probs shows", "N")
      ->check(range("--alternatives", 0, 1000))
      ->capture_default_str();
  command.add_flag("--no-cache", arguments->no_cache,
                   "Compute every token from all that came before, to compare: the same text, slower");
  add_weights(command, arguments->weights);
  add_threads(command);
  command.footer(
      "A text longer than the model's context slides: once that is full, its oldest quarter is forgotten. Of a prompt\n"
      "that is longer, the model sees the end.\n\n"
      "Examples:\n"
      "  gpt sample runs/names --count 5 --prompt ma\n"
      "  gpt sample runs/shakespeare --prompt \"ROMEO:\" --max-tokens 500 --temperature 0.7 --stop \"JULIET:\"\n"
      "  gpt sample runs/names --temperature 0 --show-probs   the one likeliest name, and why");
  command.callback([arguments, &action] { action = [arguments] { return sample(*arguments); }; });
}

}  // namespace gpt
