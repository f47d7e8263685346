// What each study of gpt lab says of made results: a claim that holds, its opposite, noise, one seed, runs that
// diverged.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "../../../examples/gpt/lab/results_file.h"
#include "../../../examples/gpt/lab/study.h"
#include "../../../examples/gpt/lab/trial.h"
#include "../command.h"

namespace gpt::lab {
namespace {

using gradus::models::testing::error_of;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr double uniform = 3.3, unigram = 2.8, usual = 2.5;
constexpr Index seeds = 5, vocabulary = 27;

const Study& study_of(const std::string& name) {
  return *std::ranges::find_if(studies(), [&](const Study& study) { return study.name == name; });
}

// A little noise that differs from arm to arm, so that no interval has the width 0.
double noise(const std::string& arm, Index seed) {
  return 1e-3 * std::sin(static_cast<double>(std::hash<std::string>()(arm) % 100) + 2.0 * static_cast<double>(seed));
}

using Change = std::function<void(Result&)>;

// All runs of a study, each with a loss of 2.5 but for a little noise, and `change` made to it.
Results runs(const Study& study, const Change& change, Index count = seeds, Index characters = 100'000) {
  std::vector<Result> all;
  for (Index seed = 1; seed <= count; ++seed) {
    for (const Arm& arm : study.arms(vocabulary)) {
      const double loss = usual + noise(arm.name, seed);
      Result result{arm.name, seed, {{"loss", loss}, {"train", loss}, {"gap", noise(arm.name, seed)}}, {}};
      result.numbers["diverged"] = 0, result.numbers["steps_per_second"] = 100;
      result.numbers["tokens"] = 1000 * arm.share;
      result.lists["gradient"] = {1, 2};
      change(result);
      all.push_back(result);
    }
  }
  return {all, uniform, unigram, characters};
}

Report report_of(const std::string& name, const Change& change, Index count = seeds, Index characters = 100'000) {
  const Study& study = study_of(name);
  return study.conclude(runs(study, change, count, characters), study.arms(vocabulary));
}

// The sentence with these words, of all that it says.
std::string sentence(const Report& report, const std::string& words) {
  for (const Sentence& one : report.sentences) {
    if (one.en.find(words) != std::string::npos) return one.en;
  }
  return "no sentence has: " + words;
}

struct Compared {
  const char *study, *words, *a, *b, *number = "loss";
};

constexpr Compared all_compared[] = {
    {"heads", "4 heads are better than 1", "4 heads of 16", "1 head of 64"},
    {"heads", "4 heads of 16 are better than 16 heads of 4", "4 heads of 16", "16 heads of 4"},
    {"heads", "64 heads of width 1 are worse than 4", "4 heads of 16", "64 heads of 1"},
    {"heads", "At a fixed head size, 16 heads", "16 heads of 16", "4 heads of 16"},
    {"warmup", "At a usual rate", "rate 0.004, warm-up", "rate 0.004, none"},
    {"warmup", "At ten times that rate", "rate 0.04, warm-up", "rate 0.04, none"},
    {"decay", "A weight decay of 1 lowers the held-out loss", "decay 1", "decay 0"},
    {"decay", "A weight decay of 1 raises the training loss", "decay 0", "decay 1", "train"},
    {"decay", "A weight decay of 1 narrows the gap", "decay 1", "decay 0", "gap"},
    {"decay", "A weight decay of 10 is too much", "decay 1", "decay 10"},
    {"gelu", "better than its form with tanh", "exact GELU", "tanh GELU"},
    {"gelu", "better than ReLU", "exact GELU", "ReLU"},
    {"gelu", "better than a parabola", "exact GELU", "degree 2"},
    {"gelu", "better than its polynomial of degree 8", "exact GELU", "degree 8"},
    {"init", "better than Xavier's", "GPT-2's", "Xavier"},
    {"init", "better than He's", "GPT-2's", "He"},
    {"init", "better than N(0, 0.6)", "GPT-2's", "too large"},
    {"init", "better than N(0, 0.0002)", "GPT-2's", "too small"},
    {"residual", "At 1 layer it is better with residual", "1 layer, with residual", "1 layer, without residual"},
    {"residual", "At 4 layers it is better", "4 layers, with residual", "4 layers, without residual"},
    {"residual", "At 12 layers it is better", "12 layers, with residual", "12 layers, without residual"},
    {"norm", "At 1 layer it is better with norm", "1 layer, with norm", "1 layer, without norm"},
    {"norm", "At 4 layers it is better", "4 layers, with norm", "4 layers, without norm"},
    {"norm", "At 12 layers it is better", "12 layers, with norm", "12 layers, without norm"},
    {"lr", "A peak rate of 0.003 trains better than 0.0001", "rate 0.003", "rate 0.0001"},
    {"lr", "A peak rate of 0.003 trains better than 0.1", "rate 0.003", "rate 0.1"},
    {"lr", "The peak rate 0.001, the trained one nearest to a tenth", "rate 0.001", "rate 0.01"},
    {"scaling", "Width 96 is better than width 32", "width 96, 1 of the tokens", "width 32, 1 of the tokens"},
};

// Where the range test of `lr` is lowest, for its claim about a tenth.
void add_range_test(Result& result) {
  if (result.arm != "range test") return;
  result.numbers = {{"log10_lowest", -2 + noise(result.arm, result.seed)}, {"log10_steepest", -3}, {"diverged", 0}};
}

std::string said(const Compared& one, const Change& change, Index count = seeds) {
  const auto both = [&](Result& result) { add_range_test(result), change(result); };
  return sentence(report_of(one.study, both, count), one.words);
}

TEST(LabStudies, EveryClaimFollowsItsNumbers) {
  for (const Compared& one : all_compared) {
    SCOPED_TRACE(one.words);
    const auto moved = [&](double by) {
      return [&one, by](Result& result) {
        if (result.arm == one.a) result.numbers[one.number] += by;
      };
    };
    const std::string shown = said(one, moved(-0.2));
    EXPECT_THAT(shown, AllOf(HasSubstr(": this run shows it ("), HasSubstr(std::string(one.a) + "\" less \"" + one.b),
                             HasSubstr(": -0."), HasSubstr("5 seeds).")));
    EXPECT_THAT(said(one, moved(0.2)), HasSubstr(": this run shows the opposite ("));
    const auto shaken = [&](Result& result) {
      if (result.arm == one.a) result.numbers[one.number] += result.seed % 2 == 0 ? 0.4 : -0.3;
    };
    EXPECT_THAT(said(one, shaken), HasSubstr(": this run does not show it; the difference is within its noise ("));
    EXPECT_THAT(said(one, moved(-0.2), 1),
                AllOf(HasSubstr(": this run does not show it; at least two seeds"), HasSubstr("1 seed).")));
  }
}

// ln V, as which a run that diverged is noted, is below the loss of a run that learned something wrong.
TEST(LabStudies, NoClaimIsShownByADivergence) {
  for (const Compared& one : all_compared) {
    SCOPED_TRACE(one.words);
    const std::string said_of = said(one, [&](Result& result) {
      if (result.arm == one.a) {
        result.numbers["loss"] = result.numbers["train"] = uniform;
        result.numbers["gap"] = 0, result.numbers["diverged"] = 1;
      } else if (result.arm == one.b) {
        result.numbers["loss"] += 1.5, result.numbers["train"] += 1.5, result.numbers["gap"] += 1.5;
      }
    });
    EXPECT_THAT(said_of, AllOf(Not(HasSubstr("this run shows it")),
                               HasSubstr("; \"" + std::string(one.a) + "\": 5 diverged).")));
  }
}

TEST(LabStudies, NoArmsAreTheSame) {
  for (const Study& study : studies()) {
    std::set<std::string> names, prints;
    for (const Arm& arm : study.arms(vocabulary)) names.insert(arm.name), prints.insert(fingerprint_of(arm));
    EXPECT_EQ(names.size(), study.arms(vocabulary).size()) << study.name;
    EXPECT_EQ(prints.size(), study.arms(vocabulary).size()) << study.name;
  }
  // An odd degree of GELU's polynomial is the even one below it.
  for (const Arm& arm : study_of("gelu").arms(vocabulary)) {
    const bool is_polynomial = arm.name.starts_with("degree");
    EXPECT_TRUE(!is_polynomial || (arm.name.back() - '0') % 2 == 0) << arm.name;
  }
}

TEST(LabStudies, HeadsComparesEqualParametersAndDoesNotJudgeTheReason) {
  Index four = 0, sixteen = 0;
  for (const Arm& arm : study_of("heads").arms(vocabulary)) {
    if (arm.name == "4 heads of 16") four = arm.model.num_parameters();
    if (arm.name == "16 heads of 4") sixteen = arm.model.num_parameters();
  }
  EXPECT_EQ(four, sixteen);
  const Report report = report_of("heads", [](Result&) {});
  EXPECT_THAT(sentence(report, "of rank at most d"), HasSubstr("not tested here"));
}

TEST(LabStudies, GeluSaysNothingThatIsNotMeasured) {
  const Report report = report_of("gelu", [](Result&) {});
  EXPECT_THAT(sentence(report, "Outside of [-4, 4]"),
              AllOf(HasSubstr("how many values lie there is not measured"), HasSubstr("degree 3 is that of degree 2")));
}

TEST(LabStudies, DecayTellsHowMuchItLearnedFrom) {
  EXPECT_EQ(report_of("decay", [](Result&) {}).charts[0].title.en,
            "Loss against weight decay, learning from 6,000 characters");
  EXPECT_EQ(report_of(
                "decay", [](Result&) {}, seeds, 4500)
                .charts[0]
                .title.en,
            "Loss against weight decay, learning from 4,500 characters");
}

TEST(LabStudies, FirstCharactersAreNotBytes) {
  EXPECT_EQ(first_characters("가나다", 2), "가나");
  EXPECT_EQ(first_characters("a가b", 2), "a가");
  EXPECT_EQ(first_characters("가나다", 3), "가나다");
  EXPECT_EQ(first_characters("가나다", 9), "가나다");
  EXPECT_EQ(first_characters("", 3), "");
}

TEST(LabStudies, WarmupTellsWhatItsStepsHoldAndHowMany) {
  const Report report = report_of("warmup", [](Result& result) {
    result.numbers["first_update"] = 0.99, result.numbers["early_update"] = 0.5;
    result.lists["updates"].assign(result.seed == 1 ? 12 : 10, 0.5);
  });
  EXPECT_THAT(sentence(report, "Adam's steps"),
              AllOf(HasSubstr("by 0.99 of the rate"), HasSubstr("the first 12 by 0.50"),
                    HasSubstr("but for eps and weight decay")));
  EXPECT_THAT(report.tables[1].caption.en, AllOf(HasSubstr("with a weight decay of 0.1"), HasSubstr("decay alone")));
  for (const double y : report.charts[0].series[0].y) EXPECT_DOUBLE_EQ(y, 0.5);  // though not all seeds come so far
  EXPECT_THAT(sentence(report_of("warmup", [](Result&) {}), "Adam's steps"), HasSubstr("no sentence"));
}

TEST(LabStudies, InitLeavesOutWhatIsNotFinite) {
  const Report report =
      report_of("init", [](Result& result) { result.lists["gradient"] = {1, 2, std::nan(""), 4, 5, 0}; });
  EXPECT_EQ(report.tables[1].rows[0], (std::vector<std::string>{"GPT-2's", "1", "2", "-", "4", "5", "0", "-"}));
}

// Losses of one layer more than guessing by counts for the depths that shall not learn.
Report depths(const std::vector<Index>& bad, Index count = seeds) {
  return report_of(
      "norm",
      [&](Result& result) {
        const Index depth = std::stol(result.arm);
        const bool is_without = result.arm.find("without") != std::string::npos;
        if (is_without && std::ranges::find(bad, depth) != bad.end()) result.numbers["loss"] = unigram + 0.1;
      },
      count);
}

TEST(LabStudies, ADepthIsWhereItStopsOnlyIfNoDeeperOneLearns) {
  EXPECT_THAT(sentence(depths({}), "Without norm"), HasSubstr("every tested depth, 1 to 12 layers, learns"));
  EXPECT_THAT(sentence(depths({8, 12}), "Without norm"), HasSubstr("it stops learning at 8 layers"));
  const std::string holes = sentence(depths({4}), "Without norm");
  EXPECT_THAT(holes, AllOf(Not(HasSubstr("it stops learning at")), HasSubstr("no depth is where it stops"),
                           HasSubstr("1, 2, 8, 12 layers learn"), HasSubstr("and 4 are not sure to")));
  EXPECT_THAT(sentence(depths({1}), "Without norm"), HasSubstr("no depth is where it stops"));
  EXPECT_THAT(sentence(depths({1, 2, 4, 8, 12}), "Without norm"), HasSubstr("not even 1 layer is sure to learn"));
  EXPECT_THAT(sentence(depths({8, 12}), "With norm"), HasSubstr("every tested depth"));
  EXPECT_THAT(sentence(depths({8, 12}, 1), "Without norm"),
              AllOf(HasSubstr("at least two seeds"), Not(HasSubstr("minutes"))));
}

Report range_test(double log, Index count = seeds) {
  return report_of(
      "lr",
      [&](Result& result) {
        if (result.arm != "range test") return;
        result.numbers = {{"log10_lowest", log}, {"log10_steepest", log - 1}};
        const std::size_t reached = result.seed == 1 ? 4 : 2;
        result.lists["rates"] = {1e-5, 1e-4, 1e-3, 1e-2}, result.lists["losses"] = {3, 2.5, 2, 4};
        result.lists["rates"].resize(reached), result.lists["losses"].resize(reached);
      },
      count);
}

TEST(LabStudies, TheRangeTestNamesTheRatesThatItCompares) {
  EXPECT_THAT(
      sentence(range_test(std::log10(0.025)), "a tenth"),
      AllOf(HasSubstr("The peak rate 0.003, the trained one nearest to a tenth of that (0.0025), is better than "
                      "0.03, the one nearest to it (0.025): "),
            HasSubstr("\"rate 0.003\" less \"rate 0.03\"")));
  for (const double log : {std::log10(0.6), std::log10(0.0003)}) {  // one of both is outside of 0.0001 to 0.1
    EXPECT_THAT(sentence(range_test(log), "a tenth"),
                AllOf(HasSubstr("is not said: the trained rates go from 0.0001 to 0.1"), Not(HasSubstr("shows"))));
  }
  EXPECT_THAT(sentence(range_test(-2), "In the range test"), HasSubstr("(95 % intervals)"));
  EXPECT_THAT(sentence(range_test(-2, 1), "In the range test"),
              AllOf(HasSubstr("at a rate of 0.001 and is lowest at 0.01 (one seed)")));
  // Seeds break off at different rates: the tail is that of those that came there.
  const Series curve = range_test(-2).charts[0].series[0];
  EXPECT_THAT(curve.x, ::testing::ElementsAre(1e-5, 1e-4, 1e-3, 1e-2));
  EXPECT_THAT(curve.y, ::testing::ElementsAre(3, 2.5, 2, 4));
  EXPECT_THAT(sentence(report_of("lr", [](Result&) {}), "In the range test"), HasSubstr("no sentence"));
}

// Losses over the width w as f(12 w^2 2), and over the share of the tokens as f(1000 share).
Report law(const std::function<double(double)>& f, const Change& change = {}, Index count = seeds) {
  return report_of(
      "scaling",
      [&](Result& result) {
        const double width = std::stod(result.arm.substr(6));
        const bool is_whole = result.arm.ends_with(", 1 of the tokens");
        const double x = is_whole ? 24 * width * width : result.numbers["tokens"];
        result.numbers["loss"] = f(x) * (1 + noise(result.arm, result.seed));
        if (change) change(result);
      },
      count);
}

constexpr const char* by_size = "Loss against parameters of the blocks";

TEST(LabStudies, ScalingSaysWhatItsSeedsShow) {
  const Report power = law([](double x) { return 4 * std::pow(x, -0.05); });
  EXPECT_THAT(sentence(power, by_size),
              AllOf(HasSubstr("exponent -0.05"), HasSubstr("mean of 5 seeds"),
                    HasSubstr("this run shows that the loss falls. Its curvature"), HasSubstr("a power is possible")));
  EXPECT_NEAR(power.charts[0].series[1].y[0] / (4 * std::pow(24 * 64, -0.05)), 1, 1e-2);
  const Report bent = law([](double x) { return 1.5 + 4 * std::pow(x, -0.3); });
  EXPECT_THAT(sentence(bent, by_size), AllOf(HasSubstr("this run shows that the loss falls. It bends upward"),
                                             HasSubstr("it is no power of them"), Not(HasSubstr("possible"))));
  EXPECT_THAT(sentence(law([](double x) { return std::pow(x, 0.05); }), by_size),
              HasSubstr("this run shows the opposite, that the loss rises"));
  const auto shake = [](Result& result) {
    const double width = std::stod(result.arm.substr(6));
    result.numbers["loss"] *= std::pow(width, result.seed % 2 == 0 ? 0.2 : -0.15);
  };
  EXPECT_THAT(sentence(law([](double) { return 2.5; }, shake), by_size),
              HasSubstr("this run does not show a fall; the exponent is within its noise"));
  EXPECT_THAT(sentence(law([](double x) { return 4 * std::pow(x, -0.05); }, {}, 1), by_size),
              AllOf(HasSubstr("at least two seeds"), HasSubstr("mean of 1 seed:"), Not(HasSubstr("curvature"))));
}

// 25 points of 5 seeds are not 25 independent ones: what a seed shifts as a whole, and how its slope differs, is seen
// 5 times only.
TEST(LabStudies, ScalingTakesTheSeedAsTheUnit) {
  const auto own_slope = [](Result& result) {
    const double width = std::stod(result.arm.substr(6));
    result.numbers["loss"] *= std::pow(width, 0.02 * static_cast<double>(result.seed - 3));
  };
  // Slopes of -0.032 - 0.01, .. + 0.01 in parameters: the interval of 5 such holds -0.012 to -0.05.
  EXPECT_THAT(sentence(law([](double x) { return 4 * std::pow(x, -0.032); }, own_slope), by_size),
              HasSubstr("± 0.0196"));
}

TEST(LabStudies, ScalingLeavesOutSeedsWithADivergence) {
  const Report report = law([](double x) { return 4 * std::pow(x, -0.05); },
                            [](Result& result) {
                              if (result.seed == 2 && result.arm == "width 96, 1 of the tokens") {
                                result.numbers["diverged"] = 1, result.numbers["tokens"] = 3;
                              }
                            });
  EXPECT_THAT(sentence(report, by_size), AllOf(HasSubstr("mean of 4 seeds without 1 that have not all runs"),
                                               HasSubstr("this run shows that the loss falls")));
  EXPECT_THAT(sentence(report, "Loss against tokens"), HasSubstr("mean of 5 seeds:"));
}

struct LabFile : gradus::models::testing::Command {};

TEST_F(LabFile, AnOlderFileIsReadAndArmsThatAreGoneArePassedOver) {
  const std::filesystem::path path = folder / "results.jsonl";
  const std::string header = R"({"question":"gelu","data":"text","seeds":0,"plan":{"steps":7,"seeds":2,"tokens":9}})";
  const std::string gone = Result{"degree 3", 1, {{"loss", 1}}, {}}.to_json();
  gradus::models::testing::write(
      path, header + "\n" + gone + "\n" + Result{"degree 2", 1, {{"loss", 2}}, {}}.to_json() + "\n");
  const Header wanted{.question = "gelu", .data = "text", .asked_seeds = 0, .plan = {}, .arms = {{"degree 2", "x"}}};
  ResultsFile file(path);
  const auto plan = file.read(wanted);
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->steps, 7);
  ASSERT_EQ(file.results().size(), 1U);
  EXPECT_EQ(file.results()[0].arm, "degree 2");
  file.add({"degree 2", 2, {{"loss", 3}}, {}});
  EXPECT_THAT(gradus::models::testing::read(path), AllOf(HasSubstr(header + "\n"), HasSubstr(gone)));
}

TEST_F(LabFile, AnArmThatWasTrainedOtherwiseIsRefused) {
  const std::filesystem::path path = folder / "results.jsonl";
  Header header{.question = "gelu", .data = "text", .asked_seeds = 0, .plan = {7, 2, 9}, .arms = {{"a", "1"}}};
  ResultsFile(path).begin(header);
  header.arms["b"] = "2";
  ResultsFile more(path);
  ASSERT_TRUE(more.read(header).has_value());  // an arm that is new
  more.add({"b", 1, {{"loss", 3}}, {}});
  header.arms["b"] = "3";
  EXPECT_THAT(error_of([&] { ResultsFile(path).read(header); }), HasSubstr("its setting \"b\" otherwise"));
}

}  // namespace
}  // namespace gpt::lab
