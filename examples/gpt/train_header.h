// The lines with which gpt train opens.
#pragma once

#include <string>

#include <gradus/models/gpt/gpt.h>

#include "data.h"
#include "presets.h"

namespace gpt {

/// First what matters to a person: what is learned, by how large a model, for how long, and where it goes. All settings
/// are in the log. `need` is in bytes.
void print_header(const Preset& plan, const Data& data, const gradus::models::GPT& model, double need,
                  const std::string& out);

}  // namespace gpt
