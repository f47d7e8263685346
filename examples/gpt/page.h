// The page of `gpt view`: one HTML file that holds its data and needs no network.
#pragma once

#include <string>

namespace gpt {

/// `run_json`: the document of view_document(); `run2_json`: another one to compare with, or empty.
std::string page(const std::string& run_json, const std::string& run2_json);

}  // namespace gpt
