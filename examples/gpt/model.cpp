#include "model.h"

#include <fmt/format.h>

#include <gradus/models/gpt/change_vocabulary.h>

#include "hints.h"
#include "numbers.h"
#include "output.h"

namespace gpt {
namespace {

namespace models = gradus::models;
using gradus::Index;

void note(const std::string& text) {
  print_error("note: " + text);
}

models::Run foreign_run(const std::string& path) {
  models::GPT2 loaded = load_foreign(path);
  gradus::check(loaded.tokenizer.has_value(),
                "'{}' has no tokenizer that can be read; it needs tokenizer.json, or vocab.json and merges.txt", path);
  const Index known = loaded.tokenizer->vocab_size(), all = loaded.model.config().vocab_size;
  if (known < all) {
    note(fmt::format("the model has {}, its tokenizer {}; those that no text has were left out", counted(all, "token"),
                     grouped(known)));
    loaded.model = models::cut_vocabulary(loaded.model, known);
  }
  models::RunData data;
  data.format = loaded.tokenizer->has_boundary() ? models::TextFormat::lines : models::TextFormat::text;
  data.block_size = loaded.model.config().block_size;
  return {std::move(loaded.model), *std::move(loaded.tokenizer), std::move(data), "{}", {}};
}

}  // namespace

models::GPT2 load_foreign(const std::string& path) {
  models::GPT2 loaded = models::load_gpt2(path);
  for (const std::string& warning : loaded.warnings) note(warning);
  models::check_loaded(loaded.model, path);
  return loaded;
}

models::Run load_model(const std::string& path, bool best) {
  if (!models::is_gpt2(path)) return models::load_run(path, best ? models::best_file : models::model_file);
  gradus::check(!best, "'{}' is no run, so it has no best model; leave --best out", path);
  return foreign_run(path);
}

}  // namespace gpt
