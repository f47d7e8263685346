// The model that a command works with: of a run folder, or a GPT-2 in a folder of Hugging Face's libraries.
#pragma once

#include <string>

#include <gradus/models/gpt/gpt2.h>
#include <gradus/models/train/run_folder.h>

namespace gpt {

/// `path`: the folder of a run, or what models::load_gpt2 reads. The run of a GPT-2 names no source (its data.source is
/// empty) and has no settings; what was left out of it is told on stderr. `best`: the run's best model. Throws Error,
/// for a GPT-2 without a tokenizer too.
gradus::models::Run load_model(const std::string& path, bool best = false);

/// models::load_gpt2(), whose warnings are told on stderr. Throws Error for weights that are not finite.
gradus::models::GPT2 load_foreign(const std::string& path);

}  // namespace gpt
