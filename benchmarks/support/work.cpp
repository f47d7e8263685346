// --serve reads lines `name threads seconds`, runs that work for about so long, and answers each with a line of JSON.
#include "work.h"

#include <benchmark/benchmark.h>
#include <gradus/core/runtime/parallel.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <iostream>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "machine_limits.h"

namespace work {
namespace {

using Make = std::function<Work()>;

std::vector<std::pair<std::string, Make>>& all() {
  static std::vector<std::pair<std::string, Make>> list;
  return list;
}

double peak_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return 1024 * static_cast<double>(usage.ru_maxrss);
}

double seconds(const Work& work) {
  work.prepare();
  const auto start = std::chrono::steady_clock::now();
  work.run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void benchmark_one(benchmark::State& state, const Make& make) {
  using benchmark::Counter;
  const int threads = static_cast<int>(state.range(0));
  gradus::set_num_threads(threads);
  const Work work = make();
  seconds(work);
  for (auto _ : state) state.SetIterationTime(seconds(work));
  const auto report = [&](const char* unit, double amount, double limit) {
    state.counters[unit] = Counter(amount, Counter::kIsIterationInvariantRate);
    state.counters["of limit"] = Counter(amount / limit, Counter::kIsIterationInvariantRate);
  };
  if (work.flops > 0) report("FLOP/s", work.flops, limits::flops(threads));
  if (work.bytes > 0) report("bytes/s", work.bytes, limits::read_bytes(threads));
  if (work.unit != nullptr) {
    state.counters[std::string("s/") + work.unit] =
        Counter(work.count, Counter::kIsIterationInvariantRate | Counter::kInvert);
  }
  state.counters["peak bytes"] = Counter(peak_bytes(), Counter::kDefaults, Counter::kIs1024);
}

void serve() {
  std::string line, made;
  Work work;
  while (std::getline(std::cin, line)) {
    std::string name;
    int threads = 0;
    double patience = 0;
    std::istringstream(line) >> name >> threads >> patience;
    const auto found = std::ranges::find(all(), name, [](const auto& item) { return item.first; });
    if (found == all().end()) {
      fmt::print("{{\"error\": \"there is no work '{}' here; --benchmark_list_tests shows what there is\"}}\n", name);
      std::fflush(stdout);
      continue;
    }
    gradus::set_num_threads(threads);
    if (made != name) {
      work = {};  // first, lest both be in memory
      work = found->second();
      made = name;
      seconds(work);
    }
    // The other side has had the caches in between. What takes longer than they take to fill warms itself.
    std::vector<double> times{seconds(work)};
    if (times[0] < 0.1) times.clear();
    for (double total = times.empty() ? 0 : times[0]; times.empty() || total < patience; total += times.back()) {
      times.push_back(seconds(work));
    }
    const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
    std::ranges::nth_element(times, middle);
    fmt::print("{{\"seconds\": {}, \"peak\": {}, \"flops\": {}, \"bytes\": {}, \"count\": {}}}\n", *middle,
               peak_bytes(), work.flops, work.bytes, work.count);
    std::fflush(stdout);
  }
}

}  // namespace

void add(std::string name, std::function<Work()> make) {
  all().emplace_back(std::move(name), std::move(make));
}

}  // namespace work

int main(int argc, char** argv) try {
  if (argc > 1 && std::string_view(argv[1]) == "--serve") {
    work::serve();
    return 0;
  }
  for (const auto& entry : work::all()) {
    const auto run = [&make = entry.second](benchmark::State& state) { work::benchmark_one(state, make); };
    benchmark::RegisterBenchmark(entry.first.c_str(), run)
        ->Arg(1)
        ->Arg(2)
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 1;
}
