// The files that generate.py wrote, as cases of named tensors.
#pragma once

#include <map>
#include <string>

#include <gradus/core/tensor.h>

namespace gradus::testing {

/// in/KEY, weight, f64/out, f64/grad/KEY, f32/out, f32/grad/KEY
using Recorded = std::map<std::string, Tensor>;

/// All cases of tests/reference/<file>.safetensors by name; read once.
const std::map<std::string, Recorded>& reference_file(const std::string& file);

/// The entries below `prefix`, by the rest of their names.
std::map<std::string, Tensor> below(const Recorded& recorded, const std::string& prefix);

}  // namespace gradus::testing
