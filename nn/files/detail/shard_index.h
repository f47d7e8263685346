// model.safetensors.index.json, with which Hugging Face's libraries split large models: which file has which tensor.
#pragma once

#include <map>
#include <set>
#include <string>

namespace gradus::nn::detail {

/// Whether `path` has the name of such an index.
bool is_shard_index(const std::string& path);

/// The names of the tensors that each file should have. Throws Error for anything that is not such an index, and for a
/// file name that leads out of the index's folder.
std::map<std::string, std::set<std::string>> read_shard_index(const std::string& path);

}  // namespace gradus::nn::detail
