// Drawing tokens from hand-made logits, and text from small models.
#include <gradus/models/generate.h>

#include <cmath>
#include <limits>
#include <set>

#include <gradus/core/ops.h>

#include "helpers.h"

namespace gradus::models {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::small_config;

constexpr float infinity = std::numeric_limits<float>::infinity();

std::vector<double> frequencies(const std::vector<float>& logits, const GenerateOptions& options, int draws = 40'000) {
  Generator generator(7);
  std::vector<double> result(logits.size());
  for (int i = 0; i < draws; ++i) result[static_cast<std::size_t>(sample_token(logits, options, generator))] += 1;
  for (double& count : result) count /= draws;
  return result;
}

TEST(SampleToken, FollowsTheProbabilities) {
  const std::vector<double> wanted{0.1, 0.2, 0.3, 0.4};
  std::vector<float> logits;
  for (const double p : wanted) logits.push_back(static_cast<float>(std::log(p) + 5));
  const auto found = frequencies(logits, {});
  for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 0.01);

  const auto squared = frequencies(logits, {.temperature = 0.5});  // p^2, normalized
  for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(squared[i], wanted[i] * wanted[i] / 0.3, 0.01);
}

TEST(SampleToken, TemperatureZeroIsGreedy) {
  Generator generator(1);
  const std::vector<float> logits{0.5F, 2, -1, 2};
  for (int i = 0; i < 100; ++i) EXPECT_EQ(sample_token(logits, {.temperature = 0}, generator), 1);
  EXPECT_EQ(generator.state(), Generator(1).state());
  const std::vector<double> wide{1, 1 + 1e-12};
  EXPECT_EQ(sample_token(wide, {.temperature = 0}, generator), 1);
}

TEST(SampleToken, TopKKeepsExactlyTheLikeliest) {
  const std::vector<float> logits{0, 1, 0.5F, 1, 0.2F};
  const auto two = frequencies(logits, {.top_k = 2});
  EXPECT_NEAR(two[1], 0.5, 0.01);
  EXPECT_NEAR(two[3], 0.5, 0.01);
  EXPECT_EQ(frequencies(logits, {.top_k = 1})[1], 1);  // of equals the lower token
  EXPECT_EQ(frequencies(logits, {.top_k = 99}), frequencies(logits, {}));
}

TEST(SampleToken, TopPKeepsTheSmallestSetThatReachesIt) {
  std::vector<float> logits;
  for (const double p : {0.1, 0.5, 0.15, 0.25}) logits.push_back(static_cast<float>(std::log(p)));
  EXPECT_EQ(frequencies(logits, {.top_p = 0.45})[1], 1);
  const auto two = frequencies(logits, {.top_p = 0.7});
  EXPECT_NEAR(two[1], 2.0 / 3, 0.01);
  EXPECT_NEAR(two[3], 1.0 / 3, 0.01);
  EXPECT_EQ(two[0] + two[2], 0);
  EXPECT_EQ(frequencies(logits, {.top_p = 1e-9})[1], 1);
  const auto three = frequencies(logits, {.top_p = 0.85});
  EXPECT_EQ(three[0], 0);
  EXPECT_GT(three[2], 0);
  // Top-p looks at what top-k left: 0.5 of 0.75 reaches 0.6.
  EXPECT_EQ(frequencies(logits, {.top_k = 2, .top_p = 0.6})[1], 1);
}

TEST(SampleToken, ImpossibleTokensAreNeverDrawn) {
  const auto found = frequencies({-infinity, 1, -infinity, 1, -infinity}, {});
  EXPECT_EQ(found[0] + found[2] + found[4], 0);
  const auto far = frequencies({-1e30F, 0, 3e38F}, {.temperature = 0.01});
  EXPECT_EQ(far[2], 1);
}

TEST(SampleToken, Mistakes) {
  Generator generator(1);
  const auto error = [&](const std::vector<float>& logits, const GenerateOptions& options = {}) {
    return error_of([&] { sample_token(logits, options, generator); });
  };
  EXPECT_THAT(error({0, NAN}), HasSubstr("nan"));
  EXPECT_THAT(error({0, infinity}), HasSubstr("inf"));
  EXPECT_THAT(error({-infinity, -infinity}), HasSubstr("every logit"));
  EXPECT_THAT(error({}), HasSubstr("no logits"));
  EXPECT_THAT(error({0}, {.temperature = -1}), HasSubstr("temperature"));
  EXPECT_THAT(error({0}, {.temperature = NAN}), HasSubstr("temperature"));
  EXPECT_THAT(error({0}, {.top_k = -1}), HasSubstr("top_k"));
  EXPECT_THAT(error({0}, {.top_p = 0}), HasSubstr("top_p"));
  EXPECT_THAT(error({0}, {.top_p = 1.5}), HasSubstr("top_p"));
  EXPECT_THAT(error({0}, {.max_tokens = -1}), HasSubstr("max_tokens"));
}

struct Generate : ::testing::Test {
  Generate() {
    manual_seed(1);
    GPTConfig config = small_config();
    config.init_std = 0.5;
    model.emplace(config);
  }
  std::optional<GPT> model;
};

TEST_F(Generate, OneSampleDoesNotDependOnTheOthers) {
  const std::vector<std::vector<std::int32_t>> prompts{{1, 2}, {3}, {4, 5, 6, 7, 8, 9, 10, 0, 1, 2, 3}};
  const GenerateOptions options{.max_tokens = 30, .seed = 11};
  const auto together = generate(*model, prompts, options);
  ASSERT_EQ(together.size(), 3U);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    GenerateOptions alone = options;
    alone.seed += i;
    EXPECT_EQ(together[i], generate(*model, std::span(prompts[i]), alone));
    EXPECT_EQ(together[i].size(), 30U);
  }
  EXPECT_EQ(together, generate(*model, prompts, options));
}

TEST_F(Generate, TheContextSlides) {
  const std::vector<std::int32_t> prompt{9, 9, 9, 1, 2, 3, 4, 5, 6, 7, 8};
  const std::vector<std::int32_t> seen(prompt.end() - 8, prompt.end());
  const GenerateOptions options{.max_tokens = 20};
  EXPECT_EQ(generate(*model, std::span(prompt), options), generate(*model, std::span(seen), options));
  // A greedy step is the likeliest token of the plain forward pass over the last block_size tokens.
  const auto next = generate(*model, std::span(prompt), {.max_tokens = 1, .temperature = 0});
  model->eval();
  EXPECT_EQ(next.front(), argmax((*model)(seen, 1, 8)).back());
}

TEST_F(Generate, StopEndsASampleAndIsNotShown) {
  const std::vector<std::int32_t> prompt{1};
  GenerateOptions options{.max_tokens = 200};
  const auto free = generate(*model, std::span(prompt), options);
  options.stop = free[5];
  const auto stopped = generate(*model, std::span(prompt), options);
  const auto first = std::ranges::find(free, free[5]);
  EXPECT_EQ(stopped, std::vector<std::int32_t>(free.begin(), first));
  EXPECT_TRUE(generate(*model, std::span(prompt), {.max_tokens = 0}).empty());
}

TEST_F(Generate, LeavesTheModelInItsMode) {
  const std::vector<std::int32_t> prompt{1}, outside{99};
  generate(*model, std::span(prompt), {.max_tokens = 2});
  EXPECT_TRUE(model->training());
  EXPECT_NE(error_of([&] { generate(*model, std::span(outside), {.max_tokens = 2}); }), "");
  EXPECT_TRUE(model->training());
  EXPECT_THAT(error_of([&] { generate(*model, std::span<const std::int32_t>{}, {}); }), HasSubstr("empty"));
}

TEST_F(Generate, Texts) {
  const CharTokenizer lines(U"abcdefghij", true), text(U"\nabcdefghij", false);
  const auto samples = generate(*model, lines, "cab", 5, {.max_tokens = 12});
  EXPECT_EQ(samples.size(), 5U);
  EXPECT_THAT(samples, Each(::testing::StartsWith("cab")));
  EXPECT_THAT(samples, Each(::testing::Not(HasSubstr("\n"))));
  EXPECT_GT(std::set(samples.begin(), samples.end()).size(), 1U);
  EXPECT_EQ(generate(*model, lines, "cab", 2, {.max_tokens = 12})[1], samples[1]);

  const std::vector<std::int32_t> line_break{0};
  const auto from_line_break = generate(*model, std::span(line_break), {.max_tokens = 12});
  EXPECT_THAT(generate(*model, text, "", 1, {.max_tokens = 12}), ElementsAre(text.decode(from_line_break)));
  EXPECT_THAT(error_of([&] { generate(*model, lines, "cab!", 1); }), HasSubstr("'!' (U+0021)"));
  EXPECT_THAT(error_of([&] { generate(*model, lines, "", 0); }), HasSubstr("at least 1"));
  EXPECT_THAT(error_of([&] { generate(*model, CharTokenizer(U"ab", true), "", 1); }), HasSubstr("3 tokens"));
}

}  // namespace
}  // namespace gradus::models
