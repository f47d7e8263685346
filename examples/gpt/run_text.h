// The text that a run learned from, looked for again by those who go on from the run or judge it.
#pragma once

#include <optional>
#include <string>

#include "data.h"

namespace gpt {

/// The text of `source`, which `folder`'s run remembers, or which --data named (`named`). Throws Error; where the run's
/// own text is not there any more, it tells how to name its new place.
std::string read_text_of_run(const std::string& source, bool named, const std::string& folder);

/// make_data with errors that name file and line of a character that the tokenizer, which is another text's, has not.
Data make_known_data(const std::string& source, const std::string& text, bool documents,
                     const gradus::models::DatasetOptions& options,
                     const std::optional<gradus::models::CharTokenizer>& tokenizer);

}  // namespace gpt
