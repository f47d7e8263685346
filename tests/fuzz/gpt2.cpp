// Any bytes as the files of a GPT-2's folder: its config.json, its tokenizer.json, and the index of its weights. They
// are taken or an Error; what was taken can be written, and comes back.
#include <gradus/models/gpt/gpt2.h>

#include "fuzz.h"

using namespace gradus;
using namespace gradus::fuzz;
using models::GPTConfig;

namespace {

namespace fs = std::filesystem;

// The smallest model with a tokenizer, and the same weights in two files.
struct Folders {
  fs::path config = folder() / "config", tokenizer = folder() / "tokenizer", parts = folder() / "parts";

  Folders() {
    const models::GPT model(GPTConfig{.vocab_size = 3, .block_size = 2, .n_layer = 1, .n_head = 1, .n_embd = 2});
    for (const fs::path& place : {config, tokenizer, parts}) {
      models::save_gpt2(place, model, models::CharTokenizer(U"ab", true));
    }
    const nn::NamedTensors all = nn::read_tensors((parts / "model.safetensors").string()).tensors;
    fs::remove(parts / "model.safetensors");
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
    nn::save_tensors((parts / "a").string(), {all.begin(), middle});
    nn::save_tensors((parts / "b").string(), {middle, all.end()});
  }
};

void check_round_trip(const models::GPT2& loaded) {
  const fs::path copy = folder() / "copy";
  fs::remove_all(copy);
  models::save_gpt2(copy, loaded.model, loaded.tokenizer);
  const models::GPT2 again = models::load_gpt2(copy);
  expect(again.model.config() == loaded.model.config(), "a configuration comes back");
  expect(again.tokenizer == loaded.tokenizer, "a tokenizer comes back");
  expect(again.warnings.empty(), "what was written has nothing that is unknown");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Folders folders;
  const std::string_view text = text_of(data, size);
  for (const auto& [place, name] : {std::pair{folders.config, "config.json"},
                                    {folders.tokenizer, "tokenizer.json"},
                                    {folders.parts, "model.safetensors.index.json"}}) {
    write_file(place / name, text);
    models::is_gpt2(place);
    if (const auto loaded = result_of([&, &at = place] { return models::load_gpt2(at); })) check_round_trip(*loaded);
  }
  return 0;
}
