// --weights: a trained model computes with its matrices in fewer bits.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include <gradus/models/gpt/gpt.h>

namespace gpt {

void add_weights(CLI::App& command, std::string& weights);

/// The model as --weights wants it.
gradus::models::GPT with_weights(gradus::models::GPT model, const std::string& weights);

}  // namespace gpt
