// Has the runs of a study done within its time, and keeps what is done.
#pragma once

#include <vector>

#include "results_file.h"

namespace gpt::lab {

/// What an arm takes on one thread of this machine, in seconds.
struct Cost {
  double step = 0, rest = 0;  // for each step; for the data, the first weights and measuring
};

/// Each arm, measured for a moment.
std::vector<Cost> measure(const std::vector<Arm>& arms, const Material& material, Index eval_tokens);

/// How many seeds and steps fit into `seconds` on `processes` cores. Seven tenths of the time are planned for: runs
/// side by side slow each other down. Five seeds, unless `asked` says how many; fewer, down to three, where an arm
/// would have less than `good_steps` steps. Then as many steps as fit, from 10 to 20,000.
Plan plan_for(const std::vector<Cost>& costs, const std::vector<Arm>& arms, double seconds, int processes, Index asked,
              Index good_steps, Index eval_tokens);

struct Outcome {
  int signal = 0;      // that ended it; 0: none
  Index left_out = 0;  // runs that there was no time for
};

/// Does the runs that `file` has not, seed by seed, so that all arms have the same seeds whenever it ends. After
/// `seconds` none begins, but for those of the first seed.
Outcome run_all(const std::vector<Arm>& arms, const Material& material, const Plan& plan, double seconds, int processes,
                ResultsFile& file);

}  // namespace gpt::lab
