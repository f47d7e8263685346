// gpt lab: its statistics against known values, what it says of a claim, its runs with a moment's time. What each study
// says is in conclusions_test.cpp.
#include <array>
#include <cmath>
#include <vector>

#include "../../../examples/gpt/lab/polynomial.h"
#include "../../../examples/gpt/lab/results.h"
#include "../../../examples/gpt/lab/statistics.h"
#include "../command.h"

namespace gradus::models {
namespace {

using namespace gpt::lab;
using testing::Command;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::read;
using testing::write;

TEST(LabStatistics, StudentsQuantiles) {
  // Tables of the t distribution, and closed forms: tan for one degree of freedom, the normal one for many.
  EXPECT_NEAR(t_quantile(1), 12.706204736, 1e-8);
  EXPECT_NEAR(t_quantile(2), 4.302652730, 1e-8);
  EXPECT_NEAR(t_quantile(4), 2.776445105, 1e-8);
  EXPECT_NEAR(t_quantile(30), 2.042272456, 1e-8);
  EXPECT_NEAR(t_quantile(1e7), 1.959964, 1e-5);
  EXPECT_NEAR(t_quantile(9, 0.995), 3.249835542, 1e-8);
  EXPECT_NEAR(t_quantile(5, 0.5), 0, 1e-12);
  EXPECT_THAT(error_of([] { t_quantile(0); }), HasSubstr("0 degrees of freedom"));
}

TEST(LabStatistics, MeansAndPairs) {
  const Mean mean = mean_of(std::array{1.0, 2.0, 3.0, 4.0});
  EXPECT_EQ(mean.value, 2.5);
  EXPECT_NEAR(mean.margin, 3.182446305 * std::sqrt(5.0 / 3 / 4), 1e-8);
  EXPECT_TRUE(std::isnan(mean_of(std::array{1.0}).margin));
  EXPECT_EQ(mean_of({}).count, 0);
  const Mean same = difference_of(std::array{1.1, 7.1, 3.1}, std::array{1.0, 7.0, 3.0});
  EXPECT_NEAR(same.value, 0.1, 1e-12);
  EXPECT_NEAR(same.margin, 0, 1e-12);  // though the numbers themselves vary
}

TEST(LabStatistics, APowerLawIsFound) {
  std::vector<double> x, y;
  for (int i = 1; i <= 6; ++i) x.push_back(10.0 * i), y.push_back(5 * std::pow(x.back(), -0.3));
  const PowerLaw law = fit_power_law(x, y);
  EXPECT_NEAR(law.factor, 5, 1e-10);
  EXPECT_NEAR(law.exponent, -0.3, 1e-12);
  EXPECT_NEAR(law.curvature, 0, 1e-10);
  for (std::size_t i = 0; i < x.size(); ++i) y[i] *= std::exp(0.07 * std::log(x[i]) * std::log(x[i]));
  EXPECT_NEAR(fit_power_law(x, y).curvature, 0.07, 1e-10);
  EXPECT_TRUE(std::isnan(fit_power_law(std::array{1.0, 2.0}, std::array{1.0, 2.0}).curvature));
  EXPECT_TRUE(std::isnan(fit_power_law(std::array{1.0, 2.0, 2.0}, std::array{1.0, 2.0, 3.0}).curvature));
  EXPECT_TRUE(std::isnan(fit_power_law(std::array{1.0, 1.0}, std::array{1.0, 2.0}).exponent));
  EXPECT_THAT(error_of([] { fit_power_law(std::array{0.0}, std::array{1.0}); }), HasSubstr("above 0"));
}

TEST(LabStatistics, PolynomialsNearGelu) {
  // The even part of gelu is x erf(x / sqrt 2) / 2 and its odd part x / 2, which every degree from 1 on has.
  double before = 1;
  for (const int degree : {2, 4, 6, 8}) {
    const GeluPolynomial fitted = fit_gelu(degree, 4);
    ASSERT_EQ(fitted.coefficients.size(), static_cast<std::size_t>(degree) + 1);
    EXPECT_NEAR(fitted.coefficients[1], 0.5, 1e-10);
    EXPECT_LT(fitted.largest_error, before / 2);
    before = fitted.largest_error;
    double residual = 0;  // least squares: what is left is orthogonal to x^2
    for (int i = 0; i <= 2000; ++i) {
      const double x = 4 * (i / 1000.0 - 1), gelu = x * 0.5 * (1 + std::erf(x / std::sqrt(2.0)));
      double value = 0;
      for (std::size_t k = fitted.coefficients.size(); k-- > 0;) value = value * x + fitted.coefficients[k];
      residual += (value - gelu) * x * x;
    }
    EXPECT_NEAR(residual, 0, 1e-7);
  }
}

Results made(std::vector<double> a, std::vector<double> b) {
  std::vector<Result> all;
  for (std::size_t i = 0; i < a.size(); ++i) all.push_back({"a", static_cast<Index>(i), {{"loss", a[i]}}, {}});
  for (std::size_t i = 0; i < b.size(); ++i) all.push_back({"b", static_cast<Index>(i), {{"loss", b[i]}}, {}});
  return {all, 3.3, 2.8, 10'000};
}

TEST(LabConclusions, FollowTheNumbers) {
  const Claim claim{{"A is better", "A"}, "a", "b"};
  const Sentence shown = judge(made({2.0, 2.1, 2.2}, {2.5, 2.61, 2.69}), claim);
  EXPECT_THAT(shown.en, ::testing::AllOf(HasSubstr("A is better: this run shows it"), HasSubstr("-0.5000 ± 0.0"),
                                         HasSubstr("3 seeds")));
  EXPECT_THAT(shown.ko, HasSubstr("드러납니다"));
  EXPECT_THAT(judge(made({2.5, 2.61, 2.69}, {2.0, 2.1, 2.2}), claim).en, HasSubstr("shows the opposite"));
  EXPECT_THAT(judge(made({2.0, 2.6, 2.2}, {2.5, 2.1, 2.3}), claim).en,
              HasSubstr("this run does not show it; the difference is within its noise"));
  EXPECT_THAT(judge(made({2.0}, {2.5}), claim).en,
              HasSubstr("at least two seeds are needed to know the noise (loss, \"a\" less \"b\": -0.5000, 1 seed)"));
  EXPECT_THAT(judge(made({}, {2.5}), claim).en, HasSubstr("does not show it"));
  // Only seeds that both have are pairs.
  EXPECT_EQ(made({1, 2, 3}, {1, 2}).difference("a", "b").count, 2);
}

TEST(LabConclusions, ResultsComeBackFromJson) {
  const Result result{"x, y", 3, {{"loss", 2.25}}, {{"gradient", {1, 2.5}}}};
  const auto again = Result::from_json(result.to_json());
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->arm, "x, y");
  EXPECT_EQ(again->numbers, result.numbers);
  EXPECT_EQ(again->lists, result.lists);
  for (const char* const wrong : {"", "{}", "[]", "{\"arm\":1,\"seed\":2,\"numbers\":{},\"lists\":{}}"}) {
    EXPECT_FALSE(Result::from_json(wrong).has_value()) << wrong;
  }
}

// What is not finite is null in JSON: it must come back as missing, or the study could never end.
TEST(LabConclusions, NumbersThatAreNotFiniteAreLeftOut) {
  const double none = std::nan("");
  const auto again = Result::from_json(Result{"a", 1, {{"loss", none}, {"train", 2}}, {{"l", {1, none}}}}.to_json());
  ASSERT_TRUE(again.has_value());
  const Results results({*again, {"a", 2, {{"loss", 2.5}}, {{"l", {3, 4}}}}}, 3.3, 2.8, 0);
  EXPECT_EQ(results.values("a", "loss"), std::vector{2.5});
  EXPECT_EQ(results.mean_list("a", "l"), (std::vector{2.0, 4.0}));
  EXPECT_EQ(results.mean("a", "train").count, 1);
}

TEST(LabConclusions, AListIsAveragedOverTheSeedsThatReachItsEntries) {
  const Results results({{"a", 1, {}, {{"l", {1, 2, 3}}}}, {"a", 2, {}, {{"l", {3}}}}, {"a", 3, {}, {{"l", {5, 4}}}}},
                        3, 2, 0);
  EXPECT_EQ(results.mean_list("a", "l"), (std::vector{3.0, 3.0, 3.0}));
}

TEST(LabConclusions, ARunThatDivergedIsNotBetterThanAnyOther) {
  const auto run = [](const char* arm, Index seed, double loss, double diverged) {
    return Result{arm, seed, {{"loss", loss}, {"train", loss}, {"gap", 0}, {"diverged", diverged}}, {}};
  };
  // Guessing costs 3.3; "b" learned worse than that.
  const Results results({run("a", 1, 3.3, 1), run("a", 2, 3.3, 1), run("b", 1, 3.51, 0), run("b", 2, 3.52, 0)}, 3.3,
                        2.8, 0);
  EXPECT_EQ(results.values("a", "loss"), (std::vector{3.52, 3.52}));
  EXPECT_EQ(results.values("a", "train"), (std::vector{3.52, 3.52}));
  EXPECT_EQ(results.mean("a", "gap").count, 0);
  EXPECT_EQ(results.diverged("a"), 2);
  EXPECT_EQ(results.diverged("b"), 0);
  const Sentence said = judge(results, {{"A is better", "A"}, "a", "b"});
  EXPECT_THAT(said.en, ::testing::AllOf(HasSubstr("does not show it"), HasSubstr("; \"a\": 2 diverged)")));
  // Nor does a finite loss below that of guessing help it.
  EXPECT_EQ(Results({run("a", 1, 1.0, 1), run("b", 1, 2.5, 0)}, 3.3, 2.8, 0).values("a", "loss"), std::vector{3.3});
}

struct Lab : Command {};

TEST_F(Lab, EachQuestionIsAnsweredInAMoment) {
  for (const char* const question : {"heads", "warmup", "decay", "gelu", "init", "residual", "norm", "lr", "scaling"}) {
    SCOPED_TRACE(question);
    const testing::Result result = gpt({"lab", question, "--minutes", "0.01", "--seeds", "1"});
    ASSERT_EQ(result.status, 0) << result.err;
    const std::string report = read(folder / "lab" / question / "report.md");
    EXPECT_THAT(report, ::testing::AllOf(HasSubstr("# "), HasSubstr("|---|"), HasSubstr("does not show"),
                                         HasSubstr("guessing costs 3.29")));
    EXPECT_THAT(result.out, HasSubstr(report));
    const std::string page = read(folder / "lab" / question / "report.html");
    EXPECT_THAT(page, ::testing::AllOf(HasSubstr("id=\"lab\""), HasSubstr("\"question\":\"" + std::string(question)),
                                       HasSubstr("이 실행으로는 알 수 없습니다"), HasSubstr("\"charts\":[{")));
  }
}

TEST_F(Lab, OneSeedDoesNotSayWhereLearningStops) {
  ASSERT_EQ(gpt({"lab", "residual", "--minutes", "0.01", "--seeds", "1"}).status, 0);
  EXPECT_THAT(read(folder / "lab/residual/report.md"),
              ::testing::AllOf(HasSubstr("Without residual: this run does not show which depths learn"),
                               Not(HasSubstr("it stops learning at")), Not(HasSubstr("--minutes"))));
}

TEST_F(Lab, GoesOnWhereItWasStopped) {
  ASSERT_EQ(gpt({"lab", "warmup", "--minutes", "0.01", "--seeds", "2"}).status, 0);
  const std::filesystem::path path = folder / "lab/warmup/results.jsonl";
  const std::string whole = read(path);
  std::vector<std::string> lines;
  std::istringstream text(whole);
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  ASSERT_GE(lines.size(), 5U);
  write(path, lines[0] + "\n" + lines[1] + "\n");
  const testing::Result again = gpt({"lab", "warmup", "--minutes", "1", "--seeds", "2"});
  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("1 of 8 runs were done before"));
  const std::string now = read(path);
  EXPECT_THAT(now, ::testing::StartsWith(lines[0] + "\n" + lines[1] + "\n"));
  EXPECT_EQ(std::ranges::count(now, '\n'), 9);
}

// How long a run takes is known from those that are done: none begins that would not end in time.
TEST_F(Lab, ALittleTimeWritesTheReportOfWhatThereIs) {
  ASSERT_EQ(gpt({"lab", "warmup", "--minutes", "0.01", "--seeds", "2"}).status, 0);
  const std::filesystem::path path = folder / "lab/warmup/results.jsonl";
  std::istringstream lines(read(path));
  std::string text;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("\"seed\":2") == std::string::npos) text += line + "\n";
  }
  const std::string name = "\"seconds\":";
  text.insert(text.find(name) + name.size(), "100");
  write(path, text);
  ASSERT_EQ(gpt({"lab", "warmup", "--minutes", "0.01", "--seeds", "2"}).status, 0);
  EXPECT_EQ(read(path), text);
  EXPECT_THAT(read(folder / "lab/warmup/report.md"), HasSubstr("4 of 8 runs were left out"));
}

TEST_F(Lab, AStopKeepsWhatIsDone) {
  const pid_t pid = start({"lab", "norm", "--minutes", "5"});
  const std::filesystem::path path = folder / "lab/norm/results.jsonl";
  while (running(pid) && !std::filesystem::exists(path)) ::usleep(20'000);
  ::usleep(300'000);
  ::kill(pid, SIGINT);
  const testing::Result result = finish(pid);
  EXPECT_EQ(result.status, 128 + SIGINT) << result.err;
  EXPECT_THAT(result.out, HasSubstr("The same command goes on"));
  EXPECT_FALSE(std::filesystem::exists(folder / "lab/norm/report.md"));
}

// What the studies change are flags of gpt train too; weights bring theirs along.
TEST_F(Lab, TheirOptionsAreFlags) {
  const std::vector<std::string> flags{
      "--head-size", "5", "--norm", "none", "--residual", "off", "--activation-coefficients", "0,0.5,-0.25"};
  ASSERT_EQ(train(flags).status, 0);
  const std::string config = read(folder / "runs/names/config.json");
  for (const char* const text : {"\"head_size\": 5", "\"norm\": \"none\"", "\"residual\": false",
                                 "\"activation\": \"polynomial\"", "\"activation-coefficients\": \"0,0.5,-0.25\""}) {
    EXPECT_THAT(config, HasSubstr(text));
  }
  EXPECT_EQ(gpt({"train", "--resume", "runs/names", "--steps", "4"}).status, 0);
  const std::string weights = "runs/names/model.safetensors";
  EXPECT_EQ(gpt({"train", "--init-from", weights, "--steps", "1", "--out", "again"}).status, 0);
  EXPECT_THAT(read(folder / "again/config.json"), HasSubstr("\"head_size\": 5"));
  expect_error(gpt({"train", "--init-from", weights, "--residual", "on"}), 1, "--residual is on");
  expect_error(gpt({"train", "--resume", "runs/names", "--norm", "rms"}), 1, "--norm cannot change");
  expect_error(train({"--activation", "polynomial"}), 2, "give its coefficients");
  expect_error(train({"--activation-coefficients", "0,,1"}), 2, "numbers with commas");
  expect_error(train({"--activation", "relu", "--activation-coefficients", "0,1"}), 2, "leave one out");
  expect_error(train({"--activation", "rel"}), 2, "did you mean relu?");
  expect_error(train({"--head-size", "-1"}), 2, "--head-size is -1");
}

TEST_F(Lab, MistakesAreExplained) {
  expect_error(gpt({"lab"}), 2, "gpt lab needs QUESTION");
  expect_error(gpt({"lab", "head"}), 2, "did you mean heads?");
  expect_error(gpt({"lab", "heads", "--minutes", "0"}), 2, "--minutes is 0, it must be from 0.01 to 10000");
  expect_error(gpt({"lab", "heads", "--seeds", "0"}), 2, "--seeds");
  expect_error(gpt({"lab", "heads", "--data", "none.txt"}), 1, "none.txt");
  write(folder / "short.txt", "too short");
  expect_error(gpt({"lab", "heads", "--data", "short.txt"}), 1, "at least 5,000");
  ASSERT_EQ(gpt({"lab", "warmup", "--minutes", "0.01", "--seeds", "1", "--out", "x"}).status, 0);
  expect_error(gpt({"lab", "decay", "--out", "x"}), 1, "its question is \"warmup\", not \"decay\"");
  expect_error(gpt({"lab", "warmup", "--seeds", "2", "--out", "x"}), 1, "its seeds is 1, not 2");
  write(folder / "x/results.jsonl", read(folder / "x/results.jsonl") + "{}\n");
  expect_error(gpt({"lab", "warmup", "--seeds", "1", "--out", "x"}), 1, "is no result; remove that line");
  write(folder / "x/results.jsonl", "nonsense\n");
  expect_error(gpt({"lab", "warmup", "--out", "x"}), 1, "remove it to begin anew");
  ASSERT_EQ(gpt({"lab", "warmup", "--minutes", "0.01", "--seeds", "1", "--out", "z"}).status, 0);
  std::string other = read(folder / "z/results.jsonl");
  const std::size_t print = other.find("\"rate 0.04, none\":\"") + 20;
  other[print] = other[print] == '0' ? '1' : '0';
  write(folder / "z/results.jsonl", other);
  expect_error(gpt({"lab", "warmup", "--seeds", "1", "--out", "z"}), 1, "its setting \"rate 0.04, none\" otherwise");
  file_size = 1000;  // enough for what it prints, and not for the results
  expect_error(gpt({"lab", "warmup", "--minutes", "0.01", "--out", "y"}), 1, "results.jsonl");
}

}  // namespace
}  // namespace gradus::models
