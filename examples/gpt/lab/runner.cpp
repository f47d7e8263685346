#include "runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <deque>

#include <gradus/core/check.h>

#include "../signals.h"
#include "../waiting.h"
#include "children.h"

namespace gpt::lab {
namespace {

volatile std::sig_atomic_t asked_to_end = 0;

extern "C" void note_end(int number) {
  asked_to_end = number;
}

// While it lives, signals that ask to end are noted.
struct Listening {
  Listening() {
    asked_to_end = 0;
    for (const int number : ending_signals) handle_signal(number, note_end);
  }
  ~Listening() {
    for (const int number : ending_signals) handle_signal(number, SIG_DFL);
  }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;
};

struct Run {
  const Arm* arm;
  Index seed;
};

std::deque<Run> missing(const std::vector<Arm>& arms, const Plan& plan, const ResultsFile& file) {
  std::deque<Run> runs;
  for (Index seed = 1; seed <= plan.seeds; ++seed) {
    for (const Arm& arm : arms) {
      if (!file.has(arm.name, seed)) runs.push_back({&arm, seed});
    }
  }
  return runs;
}

}  // namespace

std::vector<Cost> measure(const std::vector<Arm>& arms, const Material& material, Index eval_tokens) {
  constexpr Index steps = 6;
  const auto always = [] { return true; };
  std::vector<Cost> costs;
  for (const Arm& arm : arms) {
    Arm whole = arm;
    whole.share = 1;
    const Result result =
        run_trial(whole, material, {.steps = steps, .seeds = 1, .eval_tokens = eval_tokens}, 1, always);
    const double seconds = result.numbers.at("seconds");
    const auto speed = result.numbers.find("steps_per_second");
    const double step = speed == result.numbers.end() ? seconds / steps : 1 / speed->second;
    costs.push_back({step, std::max(seconds - steps * step, 0.0)});
  }
  return costs;
}

Plan plan_for(const std::vector<Cost>& costs, const std::vector<Arm>& arms, double seconds, int processes, Index asked,
              Index good_steps, Index eval_tokens) {
  constexpr double planned = 0.7;
  constexpr Index usual_seeds = 5, fewest_seeds = 3, least = 10, most = 20'000;
  double step = 0, rest = 0;
  for (std::size_t i = 0; i < arms.size(); ++i) step += costs[i].step * arms[i].share, rest += costs[i].rest;
  const auto steps_with = [&](Index seeds) {
    const double each = planned * seconds * processes / static_cast<double>(seeds);
    return std::clamp(static_cast<Index>(std::clamp((each - rest) / step, 0.0, 1e9)), least, most);
  };
  Index seeds = asked > 0 ? asked : usual_seeds;
  while (asked == 0 && seeds > fewest_seeds && steps_with(seeds) < good_steps) --seeds;
  return {steps_with(seeds), seeds, eval_tokens};
}

Outcome run_all(const std::vector<Arm>& arms, const Material& material, const Plan& plan, double seconds, int processes,
                ResultsFile& file) {
  const Listening listening;
  const auto begin = std::chrono::steady_clock::now();
  const auto spent = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); };
  std::deque<Run> runs = missing(arms, plan, file);
  const double all = static_cast<double>(arms.size()) * static_cast<double>(plan.seeds);
  Waiting waiting(fmt::format("{:.0f} runs of {} steps", all, plan.steps), false);
  Children children;
  constexpr double between_looks = 0.1;
  double longest = 0;  // of a run so far
  for (const Result& result : file.results()) {
    const auto found = result.numbers.find("seconds");
    if (found != result.numbers.end()) longest = std::max(longest, found->second);
  }
  while (asked_to_end == 0) {
    while (!runs.empty() && std::cmp_less(children.running(), processes) &&
           (runs.front().seed == 1 || spent() + longest < seconds)) {
      const Run run = runs.front();
      runs.pop_front();
      children.start([&] { return run_trial(*run.arm, material, plan, run.seed, parent_lives).to_json(); });
    }
    if (children.running() == 0) break;
    if (const auto said = children.wait(between_looks)) {
      const auto result = Result::from_json(*said);
      gradus::check(result.has_value(), "lab: a run sent '{}', which is no result", *said);
      longest = std::max(longest, result->numbers.at("seconds"));
      file.add(*result);
    }
    waiting.show(static_cast<double>(file.results().size()) / all);
  }
  return {asked_to_end, static_cast<Index>(runs.size())};
}

}  // namespace gpt::lab
