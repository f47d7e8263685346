#include <gradus/models/train/data_origin.h>

namespace gradus::models {

std::vector<std::string> RunData::sources() const {
  std::vector<std::string> all{source};
  all.insert(all.end(), more_sources.begin(), more_sources.end());
  return all;
}

}  // namespace gradus::models
