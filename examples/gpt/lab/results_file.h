// DIR/results.jsonl: a line with the study and its plan, then one for each run. A study that was stopped goes on from
// it.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "trial.h"

namespace gpt::lab {

/// What makes the results of two calls comparable.
struct Header {
  std::string question, data;  // and a fingerprint of the text
  Index asked_seeds = 0;       // of --seeds; 0: it was not said
  Plan plan = {};
  std::map<std::string, std::string> arms = {};  // fingerprints by their names
};

class ResultsFile {
 public:
  explicit ResultsFile(std::filesystem::path path) : path_(std::move(path)) {}

  /// The plan that the file has; nothing if it is not there. Results of arms that `wanted` does not have are passed
  /// over and stay in the file. Throws Error if it is of other settings, has another fingerprint of an arm, or is
  /// damaged.
  std::optional<Plan> read(const Header& wanted);
  /// Begins the file anew.
  void begin(const Header& header);
  /// Throws Error, and leaves the file as it was, where it cannot be written.
  void add(const Result& result);

  const std::vector<Result>& results() const { return results_; }
  bool has(const std::string& arm, Index seed) const;

 private:
  std::filesystem::path path_;
  std::string text_;
  std::vector<Result> results_;
};

}  // namespace gpt::lab
