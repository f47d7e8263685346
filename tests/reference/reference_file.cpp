#include "reference_file.h"

#include <gradus/nn/files/safetensors.h>

namespace gradus::testing {

const std::map<std::string, Recorded>& reference_file(const std::string& file) {
  static std::map<std::string, std::map<std::string, Recorded>> files;
  const auto [place, is_new] = files.try_emplace(file);
  if (is_new) {
    for (const auto& [key, tensor] :
         nn::read_tensors(GRADUS_SOURCE_DIR "/tests/reference/" + file + ".safetensors").tensors) {
      const std::size_t slash = key.find('/');
      place->second[key.substr(0, slash)].emplace(key.substr(slash + 1), tensor);
    }
  }
  return place->second;
}

std::map<std::string, Tensor> below(const Recorded& recorded, const std::string& prefix) {
  std::map<std::string, Tensor> found;
  for (const auto& [key, tensor] : recorded) {
    if (key.starts_with(prefix)) found.emplace(key.substr(prefix.size()), tensor);
  }
  return found;
}

}  // namespace gradus::testing
