// The page that `gpt view` and `gpt lab` write: one HTML file with everything in it, which opens from disk.
#pragma once

#include <string>

namespace gpt {

// The whole page for a run's document, and for a second one beside it unless `run2_json` is empty. docs/see-it-learn.md
// describes the views.
std::string page(const std::string& run_json, const std::string& run2_json);

// The whole page for the result of a study: {"question", "title": {"en", "ko"}, "sentences": [{"en", "ko"}],
// "tables": [{"caption", "columns", "rows"}], "charts": [{"title", "x", "y", "log_x", "log_y",
// "series": [{"name", "x", "y", "low", "high"}]}]}. A text may be a string or {"en", "ko"}; low and high may be absent.
std::string lab_page(const std::string& json);

}  // namespace gpt
