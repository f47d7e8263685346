// What the runs of a study gave, and what may be said of it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "statistics.h"

namespace gpt::lab {

/// The same in English and Korean.
struct Sentence {
  std::string en, ko;
};

/// One run. Numbers have names, such as "loss", the held-out loss in nats per token. In JSON one that is not finite is
/// null.
struct Result {
  std::string arm;  // which of the study's settings
  Index seed = 0;
  std::map<std::string, double> numbers = {};
  std::map<std::string, std::vector<double>> lists = {};

  std::string to_json() const;
  /// Nothing for text that is no result.
  static std::optional<Result> from_json(std::string_view text);
};

/// The runs of a study. One that diverged counts as the worst that the study has seen, and never as better than
/// guessing all tokens alike; it has no gap. Numbers that are not finite are left out.
class Results {
 public:
  /// `characters`: how many the training part has.
  Results(std::vector<Result> all, double uniform, double unigram, Index characters);

  const std::vector<Result>& all() const { return all_; }
  /// Held-out losses of guessing: all tokens alike, and by how often each comes in the training part.
  double uniform() const { return uniform_; }
  double unigram() const { return unigram_; }
  Index characters() const { return characters_; }
  /// How many runs of an arm diverged.
  Index diverged(const std::string& arm) const;

  /// A number of an arm's runs, by their seeds.
  std::map<Index, double> by_seed(const std::string& arm, const std::string& number) const;
  std::vector<double> values(const std::string& arm, const std::string& number) const;
  Mean mean(const std::string& arm, const std::string& number = "loss") const;
  /// Of a's number less b's, over the seeds that both have.
  Mean difference(const std::string& a, const std::string& b, const std::string& number = "loss") const;
  /// The mean of each of a list's entries over the seeds whose list reaches it; NaN where none has a finite one.
  std::vector<double> mean_list(const std::string& arm, const std::string& list) const;

 private:
  std::vector<Result> all_;
  double uniform_, unigram_;
  Index characters_;
};

enum class Verdict { lower, higher, not_shown, too_few };
/// By the one rule for all studies: a difference is shown if its 95 % interval does not hold 0.
Verdict verdict_on(const Mean& difference);

/// That number(a) is below number(b).
struct Claim {
  Sentence what;
  std::string a, b;
  std::string number = "loss";
};
/// "More heads help: shown: ..", or "..: this run does not show it".
Sentence judge(const Results& results, const Claim& claim);

/// "2.0312 ± 0.0120", "2.0312" of one number, "-" of none.
std::string told(const Mean& mean, int digits = 4);

}  // namespace gpt::lab
