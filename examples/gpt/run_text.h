// The texts that a run learned from, looked for again to resume the run, evaluate it or check it.
#pragma once

#include <string>
#include <vector>

#include "data.h"

namespace gpt {

inline constexpr const char *data_flag = "--data", *held_out_flag = "--held-out";

/// read_texts() of `sources`, which `folder`'s run remembers, or which a flag named (`named`). Throws Error; where the
/// run's own text is not there any more, it tells how to name its new place with `flag`.
Text read_texts_of_run(const std::vector<std::string>& sources, bool named, const std::string& folder,
                       const gradus::models::RunData& info, const std::string& fingerprint, bool quiet,
                       const char* flag = data_flag);

/// What the run learned from, in the same split, whether or not its text has changed since; or `sources`, unless there
/// are none.
Data read_data_of_run(const std::vector<std::string>& sources, const std::string& folder, gradus::models::RunData info,
                      const gradus::models::AnyTokenizer& tokenizer);

}  // namespace gpt
