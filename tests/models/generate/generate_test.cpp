// Drawing tokens from hand-made logits, and text from small models.
#include <gradus/models/generate/generate.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <set>

#include <gradus/core/autograd.h>
#include <gradus/core/ops.h>
#include <gradus/models/generate/text_stream.h>
#include <gradus/models/text/text.h>

#include "../command.h"

namespace gradus::models {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using testing::error_of;
using testing::figure;
using ::testing::HasSubstr;
using testing::small_config;

constexpr float infinity = std::numeric_limits<float>::infinity();

std::string error_of_decoding(const std::string& text) {
  return testing::error_if_any([&] { decode_utf8(text); });
}

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

TEST(SampleToken, MinPLeavesOutWhatIsFarFromTheLikeliest) {
  std::vector<float> logits;
  for (const double p : {0.1, 0.5, 0.15, 0.25}) logits.push_back(static_cast<float>(std::log(p)));
  const auto found = frequencies(logits, {.min_p = 0.45});
  EXPECT_NEAR(found[1], 2.0 / 3, 0.01);
  EXPECT_NEAR(found[3], 1.0 / 3, 0.01);
  EXPECT_EQ(frequencies(logits, {.min_p = 1})[1], 1);
  EXPECT_EQ(frequencies(logits, {.temperature = 100, .min_p = 0.45})[0] > 0, true);  // looks at what temperature made
  EXPECT_EQ(frequencies(logits, {.top_p = 0.45, .min_p = 0.1})[1], 1);
}

TEST(SampleToken, RepetitionPenalty) {
  Generator generator(1);
  const std::vector<float> logits{2, 3, -1, -2};
  const std::vector<std::int32_t> seen{1, 1, 2};
  const auto greedy = [&](double penalty) {
    return sample_token(logits, {.temperature = 0, .repetition_penalty = penalty}, generator, seen);
  };
  EXPECT_EQ(greedy(1), 1);
  EXPECT_EQ(greedy(1.4), 1);  // 3 / 1.4 > 2; counted once however often it was seen
  EXPECT_EQ(greedy(1.6), 0);
  // A text's end is not likelier or less likely for having stood before it.
  EXPECT_EQ(sample_token(logits, {.temperature = 0, .repetition_penalty = 1.6, .stop = 1}, generator, seen), 1);
  const std::vector<float> negative{-1, -1.5F};
  EXPECT_EQ(
      sample_token(negative, {.temperature = 0, .repetition_penalty = 2}, generator, std::vector<std::int32_t>{0}), 1);
  EXPECT_THAT(
      error_of([&] { sample_token(negative, {.repetition_penalty = 2}, generator, std::vector<std::int32_t>{2}); }),
      HasSubstr("token 2"));
}

TEST(SampleToken, ManyTokens) {
  std::vector<double> logits(5000);
  for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = std::sin(static_cast<double>(i));
  std::vector<double> sorted = logits;
  std::ranges::sort(sorted, std::ranges::greater{});
  double all = 0;
  for (const double x : logits) all += std::exp(x);
  for (const double p : {0.01, 0.3, 0.9}) {
    double reached = 0;
    std::size_t count = 0;
    while (reached < p * all) reached += std::exp(sorted[count++]);
    Generator generator(3);
    double least = 1;
    for (int i = 0; i < 300; ++i) {
      const auto token = static_cast<std::size_t>(sample_token(logits, {.top_p = p}, generator));
      least = std::min(least, logits[token]);
    }
    EXPECT_GE(least, sorted[count - 1]) << p;
    EXPECT_LT(least, sorted[count / 2]) << p;
  }
}

TEST(LikeliestTokens, AreSortedAndHoldTheOneAskedFor) {
  std::vector<double> logits;
  for (const double p : {0.1, 0.5, 0.15, 0.25}) logits.push_back(std::log(p) - 7);
  const auto two = likeliest_tokens(logits, 2, 0);
  ASSERT_EQ(two.size(), 3U);
  EXPECT_EQ(two[0].token, 1);
  EXPECT_EQ(two[1].token, 3);
  EXPECT_EQ(two[2].token, 0);
  EXPECT_NEAR(two[0].probability, 0.5, 1e-12);
  EXPECT_NEAR(two[2].probability, 0.1, 1e-12);
  EXPECT_EQ(likeliest_tokens(logits, 2, 3).size(), 2U);
  EXPECT_EQ(likeliest_tokens(logits, 99, 3).size(), 4U);
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
  EXPECT_THAT(error({0}, {.min_p = -0.1}), HasSubstr("min_p"));
  for (const double penalty : {0.0, 1e-300, 0.009, 101.0, 1e300, -1.0, static_cast<double>(NAN)}) {
    EXPECT_THAT(error({0}, {.repetition_penalty = penalty}), HasSubstr("must be from 0.01 to 100"));
  }
}

TEST(SampleSeed, AnotherSeedGivesOtherSamples) {
  std::set<std::uint32_t> seen;
  constexpr std::uint64_t seeds = 100, samples = 100;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    EXPECT_EQ(sample_seed(seed, 0), seed);
    // What a Generator reads of it.
    for (std::uint64_t i = 0; i < samples; ++i) seen.insert(static_cast<std::uint32_t>(sample_seed(seed, i)));
  }
  EXPECT_EQ(seen.size(), seeds * samples);
  std::set<std::uint32_t> many;
  for (std::uint64_t i = 0; i < 100'000; ++i) many.insert(static_cast<std::uint32_t>(sample_seed(7, i)));
  EXPECT_EQ(many.size(), 100'000U);
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
    alone.seed = sample_seed(options.seed, i);
    EXPECT_EQ(together[i], generate(*model, std::span(prompts[i]), alone));
    EXPECT_EQ(together[i].size(), 30U);
  }
  EXPECT_EQ(together, generate(*model, prompts, options));
}

// What generate() promises with and without the cache: logits that differ by less than this part of the largest one.
double logit_bound(DType dtype) {
  return dtype == DType::f32 ? 1e-4 : 1e-12;
}

double largest_of(const std::vector<double>& values) {
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

// That no token has a logit above this one's in the last row, but for what a pass without the cache may be off.
void expect_likeliest(const Tensor& logits, std::int32_t token) {
  const std::vector<double> all = logits.to_vector();
  const std::vector<double> last(all.end() - logits.size(-1), all.end());
  EXPECT_GE(last[static_cast<std::size_t>(token)],
            *std::ranges::max_element(last) - 2 * logit_bound(logits.dtype()) * largest_of(last));
}

TEST_F(Generate, TheContextSlides) {
  const std::vector<std::int32_t> prompt{9, 9, 9, 1, 2, 3, 4, 5, 6, 7, 8};
  const std::vector<std::int32_t> seen(prompt.end() - 8, prompt.end());
  const GenerateOptions options{.max_tokens = 20};
  EXPECT_EQ(generate(*model, std::span(prompt), options), generate(*model, std::span(seen), options));
  // A greedy step is the likeliest token of the plain forward pass over the last block_size tokens.
  const auto next = generate(*model, std::span(prompt), {.max_tokens = 1, .temperature = 0});
  model->eval();
  expect_likeliest((*model)(seen, 1, 8), next.front());
}

// The rule that generate.h states, by hand: whole passes over what is in sight.
TEST_F(Generate, AFullContextForgetsItsOldestQuarter) {
  std::vector<std::int32_t> tokens{3, 1, 4, 1, 5};
  const auto drawn = generate(*model, std::span(tokens), {.max_tokens = 30, .temperature = 0});
  model->eval();
  std::size_t begin = 0;
  for (const std::int32_t token : drawn) {
    const std::vector<std::int32_t> seen(tokens.begin() + static_cast<std::ptrdiff_t>(begin), tokens.end());
    expect_likeliest((*model)(seen, 1, static_cast<Index>(seen.size())), token);
    tokens.push_back(token);
    if (tokens.size() - begin > 8) begin += 2;
  }
}

struct Drawing {
  std::vector<std::vector<std::int32_t>> tokens;
  std::vector<std::vector<std::vector<double>>> logits;  // of each sample, what each token was drawn from
};

Drawing draw(GPT& model, const std::vector<std::vector<std::int32_t>>& prompts, const GenerateOptions& options) {
  Drawing drawing;
  drawing.logits.resize(prompts.size());
  drawing.tokens = generate(model, prompts, options, [&](const Drawn& token) {
    drawing.logits[token.sample].push_back(slice(token.logits, 0, token.row, token.row + 1).to_vector());
    return true;
  });
  return drawing;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

// How far the n-th draw from these logits is from giving another token: from the nearest edge between two tokens'
// shares of [0, 1), or, where tokens go by how likely they are, from two that trade places.
double distance_to_another_token(const std::vector<double>& logits, const GenerateOptions& options, std::uint64_t seed,
                                 std::size_t n) {
  std::vector<Likely> likely = likeliest_tokens(logits, logits.size(), 0);
  if (options.temperature == 0) return likely[0].probability - likely[1].probability;
  double nearest = 1;
  if (options.top_k > 0) {
    const auto kept = static_cast<std::size_t>(options.top_k);
    for (std::size_t i = 0; i < kept; ++i) {
      nearest = std::min(nearest, likely[i].probability - likely[i + 1].probability);
    }
    likely.resize(kept);
  } else {
    std::ranges::sort(likely, {}, &Likely::token);
  }
  Generator generator(seed);
  double place = 0, edge = 0, total = 0;
  for (std::size_t i = 0; i <= n; ++i) place = generator.uniform<double>();
  for (const Likely& one : likely) total += one.probability;
  for (const Likely& one : likely) {
    edge += one.probability / total;
    nearest = std::min(nearest, std::abs(edge - place));
  }
  return nearest;
}

// Holds both drawings to that promise, sample by sample up to the first token that differs; returns how many differ.
int expect_same_tokens(const Drawing& cached, const Drawing& whole, const GenerateOptions& options, DType dtype) {
  int different = 0;
  for (std::size_t sample = 0; sample < whole.tokens.size(); ++sample) {
    for (std::size_t n = 0; n < whole.tokens[sample].size(); ++n) {
      const std::vector<double>& logits = whole.logits[sample][n];
      const double bound = logit_bound(dtype) * largest_of(logits);
      EXPECT_LE(largest_difference(cached.logits[sample][n], logits), bound)
          << "token " << n << " of sample " << sample;
      if (cached.tokens[sample][n] == whole.tokens[sample][n]) continue;
      // Logits that are off by at most `bound` change no probability by more than a factor of e^(2 bound).
      EXPECT_LE(distance_to_another_token(logits, options, sample_seed(options.seed, sample), n), std::expm1(2 * bound))
          << "token " << n << " of sample " << sample << " differs though its draw is not near another token";
      ++different;
      break;  // what follows other tokens is another text
    }
  }
  return different;
}

// GRADUS_SOAK=1: a thousand prompts. Logits differ by rounding alone: the same tokens come, unless a draw falls within
// that of another token.
TEST_F(Generate, CachedAndUncachedDrawTheSameTokens) {
  Generator random(5);
  const int count = testing::times(60, 1000);
  Index tokens = 0;
  int samples = 0, different = 0;
  for (int i = 0; i < count; ++i) {
    GPTConfig config = i % 2 == 0 ? small_config(40, 16) : GPTConfig::microgpt(40);
    config.init_std = 0.3;
    manual_seed(static_cast<std::uint64_t>(i));
    GPT some(config);
    if (i % 4 < 2) some.to(DType::f64);
    std::vector<std::vector<std::int32_t>> prompts(static_cast<std::size_t>(1 + random.below(3)));
    for (auto& prompt : prompts) {
      for (Index n = 1 + random.below(20); n > 0; --n) prompt.push_back(static_cast<std::int32_t>(random.below(40)));
    }
    GenerateOptions options{.max_tokens = 40,
                            .temperature = i % 3 == 0 ? 0.0 : 1.0,
                            .top_k = i % 5 == 0 ? 10 : 0,
                            .seed = static_cast<std::uint64_t>(i)};
    const Drawing cached = draw(some, prompts, options);
    options.use_cache = false;
    SCOPED_TRACE(fmt::format("model {}", i));
    different += expect_same_tokens(cached, draw(some, prompts, options), options, some.dtype());
    samples += static_cast<int>(prompts.size());
    for (const auto& sample : cached.tokens) tokens += static_cast<Index>(sample.size());
  }
  EXPECT_LE(different, samples / 20) << "too many draws fall near another token";
  figure("cache", fmt::format("{} prompts, {} tokens: with and without the cache {} of {} texts are the same", samples,
                              tokens, samples - different, samples));
}

// GRADUS_SOAK=1: at context 1024, so that what the cache is worth can be told.
TEST(GenerateSpeed, CachedAndUncachedAtALongContext) {
  const Index context = testing::times(48, 1024), drawn = 16;
  manual_seed(1);
  GPTConfig config = GPTConfig::shakespeare_char_cpu(65);
  config.block_size = context;
  config.init_std = 0.3;
  GPT model(config);
  std::vector<std::vector<std::int32_t>> prompt(1);
  Generator random(2);
  for (Index i = drawn; i < context; ++i) prompt[0].push_back(static_cast<std::int32_t>(random.below(65)));
  std::vector<double> milliseconds;  // of the fastest token: others may have waited for other programs
  for (const bool use_cache : {true, false}) {
    std::vector<std::chrono::steady_clock::time_point> times;  // the first one once the prompt was read
    generate(model, prompt, {.max_tokens = drawn, .use_cache = use_cache}, [&](const Drawn& token) {
      times.push_back(std::chrono::steady_clock::now());
      return token.sample == 0;
    });
    std::chrono::duration<double, std::milli> fastest = times.back() - times.front();
    for (std::size_t i = 1; i < times.size(); ++i)
      fastest = std::min<decltype(fastest)>(fastest, times[i] - times[i - 1]);
    milliseconds.push_back(fastest.count());
  }
  GenerateOptions options{.max_tokens = drawn};
  const Drawing cached = draw(model, prompt, options);
  EXPECT_EQ(cached.tokens[0].size(), static_cast<std::size_t>(drawn));
  options.use_cache = false;
  expect_same_tokens(cached, draw(model, prompt, options), options, model.dtype());
  figure("cache's speed", fmt::format("at context {}, 4 layers of width 128: {:.3g} ms a token with the cache, {:.3g} "
                                      "without, {:.0f} times as long",
                                      context, milliseconds[0], milliseconds[1], milliseconds[1] / milliseconds[0]));
}

// What generate.h says of logits: the largest difference as a part of the largest logit.
TEST(GenerateLogits, CachedOnesDifferFromWholePassesByRoundingAlone) {
  const NoGrad no_grad;
  double worst[2] = {};
  for (int i = 0; i < testing::times(24, 400); ++i) {
    GPTConfig config = std::array{small_config(40, 64), GPTConfig::microgpt(40),
                                  GPTConfig::shakespeare_char_cpu(40)}[static_cast<std::size_t>(i) % 3];
    config.block_size = 64;
    config.init_std = i % 2 == 0 ? 0.02 : 0.3;
    manual_seed(static_cast<std::uint64_t>(i));
    GPT model(config);
    const bool wide = i % 4 < 2;
    if (wide) model.to(DType::f64);
    model.eval();
    Generator random(static_cast<std::uint64_t>(i));
    std::vector<std::int32_t> tokens(64);
    for (std::int32_t& token : tokens) token = static_cast<std::int32_t>(random.below(40));
    const std::vector<double> whole = model.head(model.features(tokens, std::array<Index, 1>{64})).to_vector();
    Cache cache;
    Cache* const caches[] = {&cache};
    std::vector<Tensor> parts;
    for (std::size_t begin = 0; begin < tokens.size();) {
      const std::size_t length = begin == 0 ? static_cast<std::size_t>(1 + random.below(32)) : 1;
      parts.push_back(model.head(
          model.features(std::span(tokens).subspan(begin, length), std::array{static_cast<Index>(length)}, caches)));
      begin += length;
    }
    const std::vector<double> cached = concat(parts).to_vector();
    ASSERT_EQ(cached.size(), whole.size());
    double largest = 0, difference = 0;
    for (std::size_t k = 0; k < whole.size(); ++k) {
      largest = std::max(largest, std::abs(whole[k]));
      difference = std::max(difference, std::abs(cached[k] - whole[k]));
    }
    worst[wide ? 1 : 0] = std::max(worst[wide ? 1 : 0], difference / largest);
  }
  EXPECT_LE(worst[0], logit_bound(DType::f32));
  EXPECT_LE(worst[1], logit_bound(DType::f64));
  figure("cached logits",
         fmt::format("differ by at most {:.1e} (f32) and {:.1e} (f64) of the largest logit", worst[0], worst[1]));
}

TEST_F(Generate, CachedLogitsEqualWholePasses) {
  model->to(DType::f64);
  model->eval();
  const NoGrad no_grad;
  const std::vector<std::int32_t> tokens{3, 1, 4, 1, 5, 9, 2, 6};
  const Tensor whole = model->head(model->features(tokens, std::array<Index, 1>{8}));
  Cache cache;
  Cache* const caches[] = {&cache};
  std::vector<Tensor> rows;
  for (const std::int32_t token : tokens) {
    rows.push_back(model->head(model->features(std::array{token}, std::array<Index, 1>{1}, caches)));
  }
  testing::expect_close(concat(rows), whole);
  EXPECT_THAT(error_of([&] { model->features(std::array{1}, std::array<Index, 1>{1}, caches); }),
              HasSubstr("a sequence of 9 tokens"));
  Cache other(1);
  Cache* const others[] = {&other};
  EXPECT_THAT(error_of([&] { model->features(std::array{1}, std::array<Index, 1>{1}, others); }),
              HasSubstr("1 layers"));
}

TEST_F(Generate, OnTokenSeesEveryTokenAndCanEndASample) {
  const std::vector<std::vector<std::int32_t>> prompts{{1}, {2, 3}};
  std::vector<std::vector<std::int32_t>> told(2);
  const auto drawn = generate(*model, prompts, {.max_tokens = 9}, [&](const Drawn& token) {
    told[token.sample].push_back(token.token);
    EXPECT_EQ(token.likeliest(11).size(), 11U);
    return token.sample == 0 || told[1].size() < 4;
  });
  EXPECT_EQ(drawn, told);
  EXPECT_EQ(told[0].size(), 9U);
  EXPECT_EQ(told[1].size(), 4U);
}

TEST_F(Generate, StopTextAndPieces) {
  const CharTokenizer text(U"\nabcdefghij", false);
  const GenerateOptions options{.max_tokens = 60};
  const std::string whole = generate(*model, text, "cab", 1, options).front();
  GenerateOptions stopping = options;
  stopping.stop_text = whole.substr(10, 3);
  const std::size_t first = whole.find(stopping.stop_text, 3);
  std::string pieces;
  const auto stopped = generate(*model, text, "cab", 2, stopping, [&](std::size_t sample, std::string_view piece) {
    if (sample == 0) pieces += piece;
  });
  EXPECT_EQ(stopped.front(), whole.substr(0, first));
  EXPECT_EQ(pieces, stopped.front());
  EXPECT_THAT(error_of([&] { generate(*model, std::vector<std::vector<std::int32_t>>{{1}}, stopping); }),
              HasSubstr("tokenizer"));
}

// "a" and a combining accent are one character of the vocabulary; a stop text may be typed either way.
TEST_F(Generate, AStopTextIsComposedAsTextsAre) {
  const CharTokenizer text(U"\n\u00E1\uD55C\U0001F600efghijk", false);
  const GenerateOptions options{.max_tokens = 60};
  const std::string whole = generate(*model, text, "\xED\x95\x9C", 1, options).front();
  for (const auto& [typed, composed] :
       std::vector<std::pair<std::string, std::string>>{{"a\xCC\x81", "\xC3\xA1"},
                                                        {"\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB", "\xED\x95\x9C"},
                                                        {"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"}}) {
    const std::size_t first = whole.find(composed, 3);
    ASSERT_NE(first, std::string::npos) << composed;
    GenerateOptions stopping = options;
    stopping.stop_text = typed;
    std::string pieces;
    const auto stopped = generate(*model, text, "\xED\x95\x9C", 1, stopping,
                                  [&](std::size_t, std::string_view piece) { pieces += piece; });
    EXPECT_EQ(stopped.front(), whole.substr(0, first));
    EXPECT_EQ(pieces, stopped.front());
  }
  GenerateOptions bad = options;
  bad.stop_text = "\xFF";
  EXPECT_THAT(error_of([&] { generate(*model, text, "", 1, bad); }), HasSubstr("stop text: byte 0xff"));
}

TEST(TextStream, NeverSplitsACharacterAndHoldsBackTheStopText) {
  const std::string text = "a\xC3\xA9\xED\x95\x9C\xF0\x9F\x98\x80 stop here";
  TextStream plain;
  std::string all;
  for (const char byte : text) {
    const std::string piece = plain.push(std::string_view(&byte, 1));
    EXPECT_EQ(error_of_decoding(piece), "");
    all += piece;
  }
  EXPECT_EQ(all + plain.finish(), text);

  TextStream stream(" stop");
  std::string shown;
  for (const char byte : text) shown += stream.push(std::string_view(&byte, 1));
  EXPECT_TRUE(stream.stopped());
  EXPECT_EQ(shown + stream.finish(), text.substr(0, text.find(" stop")));

  TextStream nearly("abc");
  EXPECT_EQ(nearly.push("xab"), "x");
  EXPECT_EQ(nearly.push("d"), "abd");
  EXPECT_EQ(nearly.push("ab"), "");
  EXPECT_FALSE(nearly.stopped());
  EXPECT_EQ(nearly.finish(), "ab");

  TextStream cut;
  EXPECT_EQ(cut.push("a\xED\x95"), "a");
  EXPECT_EQ(cut.finish(), "\xEF\xBF\xBD");

  TextStream bytes("b\xFF");
  EXPECT_EQ(bytes.push("\xED\x95"), "");
  EXPECT_EQ(bytes.push("a"),
            "\xEF\xBF\xBD\xEF\xBF\xBD"
            "a");
  EXPECT_EQ(bytes.push("\xFF\xFF"
                       "b"),
            "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(bytes.push("\xFF"), "");
  EXPECT_TRUE(bytes.stopped());
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
  // More samples than are drawn side by side go on as if they were, and the next seed gives others.
  const auto many = generate(*model, lines, "", 70, {.max_tokens = 12}),
             next = generate(*model, lines, "", 70, {.max_tokens = 12, .seed = 43});
  EXPECT_EQ(many[69], generate(*model, lines, "", 1, {.max_tokens = 12, .seed = sample_seed(42, 69)}).front());
  EXPECT_NE(many[1], next[0]);
  EXPECT_NE(many[2], next[1]);

  const std::vector<std::int32_t> line_break{0};
  const auto from_line_break = generate(*model, std::span(line_break), {.max_tokens = 12});
  EXPECT_THAT(generate(*model, text, "", 1, {.max_tokens = 12}), ElementsAre(text.decode(from_line_break)));
  EXPECT_THAT(error_of([&] { generate(*model, lines, "cab!", 1); }), HasSubstr("'!' (U+0021)"));
  EXPECT_THAT(error_of([&] { generate(*model, lines, "", 0); }), HasSubstr("at least 1"));
  EXPECT_THAT(error_of([&] { generate(*model, CharTokenizer(U"ab", true), "", 1); }), HasSubstr("3 tokens"));
}

}  // namespace
}  // namespace gradus::models
