// What a model file says beside configuration and weights: the data that trained it, and the step it was saved at.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <gradus/models/text/identity.h>
#include <gradus/models/text/tokenizer.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// Which data a run saw, precise enough to make the same split again.
struct RunData {
  std::string source = {};                // a file's path, or the name of a bundled text
  TextFormat format = TextFormat::lines;  // documents, one a line, or running text
  double held_out = 0.1;
  std::uint64_t seed = 42;
  std::string fingerprint = {};                    // of the text, to notice that it changed
  Index block_size = 0;                            // how long its sequences were at most; 0: as the model allows
  std::vector<std::string> more_sources = {};      // texts that came behind the first
  std::vector<std::string> held_out_sources = {};  // texts that were held out, instead of a fraction
  std::string held_out_fingerprint = {};           // of those
  bool distinct = true;                            // as DatasetOptions::distinct; older folders do not say: false
  bool keep_space = false;                         // as SplitOptions::keep_space
  Unknown unknown = Unknown::refuse;               // what became of characters without a token

  /// The source and those behind it.
  std::vector<std::string> sources() const;
  friend bool operator==(const RunData&, const RunData&) = default;
};

/// The step at which a model was saved and its held-out loss, if known.
struct Moment {
  std::optional<Index> step = {};
  std::optional<double> held_out_loss = {};

  friend bool operator==(const Moment&, const Moment&) = default;
};

#pragma GCC visibility pop
}  // namespace gradus::models
