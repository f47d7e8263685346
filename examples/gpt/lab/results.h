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

/// One run. Numbers have names, such as "loss", the held-out loss in nats per token.
struct Result {
  std::string arm;  // which of the study's settings
  Index seed = 0;
  std::map<std::string, double> numbers = {};
  std::map<std::string, std::vector<double>> lists = {};

  std::string to_json() const;
  /// Nothing for text that is no result.
  static std::optional<Result> from_json(std::string_view text);
};

class Results {
 public:
  Results(std::vector<Result> all, double uniform, double unigram)
      : all_(std::move(all)), uniform_(uniform), unigram_(unigram) {}

  const std::vector<Result>& all() const { return all_; }
  /// Held-out losses of guessing: all tokens alike, and by how often each comes in the training part.
  double uniform() const { return uniform_; }
  double unigram() const { return unigram_; }

  std::vector<double> values(const std::string& arm, const std::string& number) const;
  Mean mean(const std::string& arm, const std::string& number = "loss") const;
  /// Of a's number less b's, over the seeds that both have.
  Mean difference(const std::string& a, const std::string& b, const std::string& number = "loss") const;
  /// The mean of a list's entries over the seeds.
  std::vector<double> mean_list(const std::string& arm, const std::string& list) const;

 private:
  std::vector<Result> all_;
  double uniform_, unigram_;
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
