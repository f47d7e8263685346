// Snapshot: how a model stood after one step of its training - its weights in 16 bits, how its numbers are spread, what
// its layers do with a fixed batch, samples - as a file. snapshots/step-N.safetensors holds the weights as tensors and
// the rest in the metadata entry "snapshot", one JSON object.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <gradus/models/gpt/gpt.h>
#include <gradus/models/text/dataset.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// The borders of the bins that numbers are counted in, ascending: four to a factor of ten from 1e-9 to 100, for
/// negative numbers and for positive ones, and one bin around 0. They are the same for all runs.
const std::vector<double>& histogram_edges();
/// How many numbers of x lie in each bin. What lies beyond the last edge is counted in the last bin, and NaN in none.
/// A number on an edge lies in the bin that is farther from 0.
std::vector<Index> histogram(const Tensor& x);

/// What layers do with a batch, an entry per layer: "h.0.attn", "h.0.mlp", "h.1.attn" ..
struct Activations {
  std::vector<std::string> layers;
  std::vector<double> mean, std;  // of what the layer adds to the residual stream
  // Of an MLP's hidden layer, NaN for attention: the part of all values at which the activation's slope is below 0.03,
  // so that hardly any gradient passes, and the part of the units at which this is so for every token of the batch.
  std::vector<double> saturated, never_fire;
};
Activations activations_of(const GPT& model, const Batch& batch);

struct Snapshot {
  Index step = 0;
  nn::NamedTensors weights = {};                      // none if the model was too large to keep
  std::vector<std::string> matrices = {};             // what the next two have an entry for
  std::vector<std::vector<Index>> of_weights = {};    // see histogram()
  std::vector<std::vector<Index>> of_gradients = {};  // of the step that led here, before clipping; none at step 0
  Activations activations = {};
  std::vector<std::string> samples = {};
};

/// Writes the whole file or nothing. Weights become F16, or BF16 if one is too large for that. Throws Error where the
/// disk does not allow it.
void save_snapshot(const std::filesystem::path& path, const Snapshot& snapshot);
/// Throws Error, with the path, for a file that is no snapshot, and for one whose lists are not as long as they must
/// be.
Snapshot load_snapshot(const std::filesystem::path& path);

/// "step-20.safetensors"
std::string snapshot_name(Index step);
/// The steps of the snapshots in a folder, ascending; none where there is no folder.
std::vector<Index> snapshots_in(const std::filesystem::path& folder);

#pragma GCC visibility pop
}  // namespace gradus::models
