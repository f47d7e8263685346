// gpt export: a model as Python's transformers reads it.
#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <utility>

#include <gradus/models/gpt/detail/gpt2_tokenizer.h>
#include <gradus/models/gpt/gpt2.h>

#include "commands.h"
#include "hints.h"
#include "model.h"
#include "numbers.h"
#include "output.h"

namespace gpt {
namespace {

namespace models = gradus::models;
namespace fs = std::filesystem;

struct ExportArguments {
  std::string folder, out, numbers;
  bool best = false, overwrite = false;
};

void check_may_be_written(const ExportArguments& arguments) {
  require(!arguments.out.empty(), "gpt export needs --to OUT, the folder to write, e.g. gpt export {} --to my-gpt2",
          shell_word(arguments.folder));
  std::error_code error;
  const bool is_file = fs::is_regular_file(arguments.folder, error);
  const fs::path folder = is_file ? fs::absolute(arguments.folder).parent_path() : fs::path(arguments.folder);
  const bool same = fs::equivalent(folder, arguments.out, error);
  require(!same, "--to is the folder of the model itself; name another");
  const models::FolderContents found = models::look_into(arguments.out);
  gradus::check(!found.run, "'{}' holds a run, which stays as it is; choose another folder", arguments.out);
  gradus::check(found.other.empty() || arguments.overwrite,
                "'{}' holds '{}'; choose a new or empty folder, or replace what a model needs: --overwrite",
                arguments.out, found.other);
}

// A GPT-2 may come without a tokenizer.
std::pair<models::GPT, std::optional<models::AnyTokenizer>> load(const ExportArguments& arguments) {
  if (!arguments.best && models::is_gpt2(arguments.folder)) {
    models::GPT2 loaded = load_foreign(arguments.folder);
    return {std::move(loaded.model), std::move(loaded.tokenizer)};
  }
  models::Run run = load_model(arguments.folder, arguments.best);
  return {std::move(run.model), std::move(run.tokenizer)};
}

int export_model(const ExportArguments& arguments) {
  check_may_be_written(arguments);
  auto [model, tokenizer] = load(arguments);
  if (arguments.numbers == "f32" || arguments.numbers == "f64") {
    model.to(arguments.numbers == "f32" ? gradus::DType::f32 : gradus::DType::f64);
  }
  gradus::nn::SaveOptions options;
  if (arguments.numbers == "f16") options.storage = gradus::nn::Storage::f16;
  if (arguments.numbers == "bf16") options.storage = gradus::nn::Storage::bf16;
  std::vector<std::string> warnings = models::save_gpt2(arguments.out, model, tokenizer, options);
  if (!tokenizer) {
    warnings.push_back(fmt::format("'{}' has no tokenizer that can be read, so none was written", arguments.folder));
    models::detail::remove_tokenizer(arguments.out);  // of an earlier export
  }
  print("exported to {}: {}, vocabulary {}\n", arguments.out, counted(model.num_parameters(), "parameter"),
        grouped(model.config().vocab_size));
  for (const std::string& warning : warnings) print("{}\n", warning);
  print("in Python: transformers.AutoModelForCausalLM.from_pretrained(\"{}\")\n", arguments.out);
  return 0;
}

}  // namespace

void add_export(CLI::App& app, const std::string&, Action& action) {
  auto arguments = std::make_shared<ExportArguments>();
  CLI::App& command = *app.add_subcommand("export", "Write a model as Python's transformers reads it");
  command.add_option("DIR", arguments->folder, "The folder that gpt train wrote, or a GPT-2's")->required();
  command.add_option("--to", arguments->out, "Folder for config.json, model.safetensors and the tokenizer's files")
      ->type_name("OUT");
  command
      .add_option("--numbers", arguments->numbers,
                  "Type of the numbers (default: the model's own); 16 bits round to the nearest")
      ->type_name("f32|f64|f16|bf16")
      ->check(one_of({"f32", "f64", "f16", "bf16"}));
  command.add_flag("--best", arguments->best, "Export the model with the lowest held-out loss, not the last one");
  command.add_flag("--overwrite", arguments->overwrite, "Replace the files of an earlier export");
  add_threads(command);
  command.footer(
      "The model must be of GPT-2's form: LayerNorm, and a norm before the head. Biases that it does not have are\n"
      "written as zeros.\n\n"
      "Examples:\n"
      "  gpt export runs/names --to names-hf\n"
      "  gpt export runs/tuned --to tuned-hf --numbers bf16");
  command.callback([arguments, &action] { action = [arguments] { return export_model(*arguments); }; });
}

}  // namespace gpt
