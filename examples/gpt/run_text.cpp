#include "run_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include <gradus/core/check.h>

namespace gpt {

namespace models = gradus::models;

Text read_texts_of_run(const std::vector<std::string>& sources, bool named, const std::string& folder,
                       const models::RunData& info, const std::string& fingerprint, bool quiet, const char* flag) {
  if (named) return read_texts(sources, info, fingerprint, quiet);
  gradus::check(sources.front() != "", "'{}' does not say what it has learned from; name a text with {}", folder, flag);
  gradus::check(std::ranges::find(sources, standard_input) == sources.end(),
                "the run in '{}' read its text from standard input, which cannot be read again; give it once more with "
                "{}: the file, or -",
                folder, flag);
  try {
    return read_texts(sources, info, fingerprint, quiet);
  } catch (const gradus::Error& problem) {
    gradus::fail("{}; the run in '{}' {} it: where it lies elsewhere now, name it with {}", problem.what(), folder,
                 std::string_view(flag) == data_flag ? "learned from" : "was evaluated on", flag);
  }
}

Data read_data_of_run(const std::vector<std::string>& sources, const std::string& folder, models::RunData info,
                      const models::AnyTokenizer& tokenizer) {
  const bool named = !sources.empty();
  info.held_out_sources.clear();
  Text text = read_texts_of_run(named ? sources : info.sources(), named, folder, info, info.fingerprint, false);
  return make_data(std::move(text), {}, info, tokenizer, false);
}

}  // namespace gpt
