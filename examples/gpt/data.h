// Where texts come from, a file or the program itself, and the dataset made of one.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <gradus/models/dataset.h>
#include <gradus/models/run_folder.h>

namespace gpt {

struct Data {
  std::unique_ptr<gradus::models::Dataset> dataset;
  gradus::models::RunData info;
  gradus::Index characters;

  /// Null for running text.
  const gradus::models::DocumentDataset* documents() const {
    return dynamic_cast<const gradus::models::DocumentDataset*>(dataset.get());
  }
};

/// `source`: a file, or "bundled:names", "bundled:korean_names". Without a tokenizer it makes the text's own.
std::string read_source(const std::string& source);
Data make_data(const std::string& source, const std::string& text, bool documents,
               const gradus::models::DatasetOptions& options,
               std::optional<gradus::models::CharTokenizer> tokenizer = {});

}  // namespace gpt
