// Runs an example as a user would run it, and reads what it says.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "../support.h"

namespace gradus::testing {

/// `program` with its arguments, in a folder for the pictures that it leaves.
inline ProgramResult run_in(const TempFolder& folder, const std::string& program) {
  return run("cd " + folder.path().string() + " && " GRADUS_BIN_DIR "/" + program + " 2>&1");
}

/// The number behind the last `words` of the output.
inline double last_number(const std::string& output, const std::string& words) {
  const std::size_t at = output.rfind(words);
  EXPECT_NE(at, std::string::npos) << "'" << words << "' is not in: " << output;
  return at == std::string::npos ? NAN : std::stod(output.substr(at + words.size()));
}

}  // namespace gradus::testing
