// A list of work to time and two ways of timing it. A suite is a file of `const bool added = [] { work::add(..); ..
// }();` and its program, called as it is, is a Google Benchmark with a row for 1 and for 2 threads. Called with --serve
// it answers peers/compare.py, which wants short turns of one piece of work, turn about with somebody else's.
#pragma once

#include <functional>
#include <string>

namespace work {

struct Work {
  std::function<void()> run;
  double flops = 0, bytes = 0;            // of one run, held against the machine's limits; 0: not a matter of that
  double count = 1;                       // one run is that many
  const char* unit = nullptr;             // of these: the time of one is reported, too
  std::function<void()> prepare = [] {};  // before each run, not timed
};

/// `make` is called when the work's turn comes, so that work that is not asked for takes no time and no memory.
void add(std::string name, std::function<Work()> make);

}  // namespace work
