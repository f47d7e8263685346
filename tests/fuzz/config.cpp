// Any bytes as a model's configuration and as the config.json of a run folder: taken or an Error; a configuration comes
// back from its JSON, a run from its folder.
#include <gradus/models/gpt/gpt.h>
#include <gradus/models/train/run_folder.h>
#include <gradus/nn/files/safetensors.h>

#include "fuzz.h"

using namespace gradus;
using namespace gradus::fuzz;
using models::GPTConfig;

namespace {

// A run of the smallest model, whose model file carries no copy of config.json, so that the one in the folder counts.
std::filesystem::path make_run() {
  std::filesystem::path run = folder() / "run";
  const models::GPT model(GPTConfig{.vocab_size = 3, .block_size = 2, .n_layer = 1, .n_head = 1, .n_embd = 2});
  models::prepare_run_folder(run);
  models::save_run(run, model, models::CharTokenizer(U"ab", true), {});
  nn::save_safetensors((run / "model.safetensors").string(), model);
  return run;
}

void check_run(const models::Run& run) {
  const std::filesystem::path copy = folder() / "copy";
  models::prepare_run_folder(copy);
  models::save_run(copy, run.model, run.tokenizer, run.data);
  const models::Run again = models::load_run(copy);
  expect(again.model.config() == run.model.config(), "a run's configuration comes back");
  expect(again.data == run.data, "what a run says of its data comes back");
  expect(again.tokenizer == run.tokenizer, "a run's tokenizer comes back");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = text_of(data, size);
  if (const auto config = result_of([&] { return GPTConfig::from_json(text); })) {
    config->validate();
    expect(config->num_parameters() > 0, "a valid configuration has parameters");
    expect(GPTConfig::from_json(config->to_json()) == *config, "a configuration comes back from its JSON");
  }
  static const std::filesystem::path run_folder = make_run();
  write_file(run_folder / "config.json", text);
  if (const auto run = result_of([&] { return models::load_run(run_folder); })) check_run(*run);
  return 0;
}
