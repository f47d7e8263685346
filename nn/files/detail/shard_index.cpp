// The index is not trusted: a file that it names must lie beside it.
#include <gradus/nn/files/detail/shard_index.h>

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include <gradus/nn/files/detail/input_file.h>

namespace gradus::nn::detail {
namespace {

using nlohmann::json;

constexpr const char* map_key = "weight_map";

json parse(const InputFile& file, const std::string& text) {
  constexpr int deepest = 16;
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto watch = [&](int depth, json::parse_event_t event, json& value) {
    file.require(depth <= deepest, "it is nested too deeply; it is damaged");
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key) {
      const auto& key = value.get_ref<const std::string&>();
      file.require(keys.back().insert(key).second, "it names '{}' twice; it is damaged", key);
    }
    return true;
  };
  try {
    return json::parse(text, watch);
  } catch (const json::exception& error) {
    file.refuse(fmt::format("it is not proper JSON: {}", error.what()));
  }
}

// A name in the index's own folder, which is no other way to write the folder itself or the one above.
bool is_beside(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find_first_of(std::string("/\\\0", 3)) == name.npos;
}

}  // namespace

bool is_shard_index(const std::string& path) {
  return path.ends_with(".index.json");
}

std::map<std::string, std::set<std::string>> read_shard_index(const std::string& path) {
  InputFile file("read", path);
  constexpr std::uint64_t most = 100'000'000;
  file.require(file.size() <= most, "it has {} bytes; an index has at most {}", file.size(), most);
  const json index = parse(file, file.text(file.size()));
  const auto map = index.is_object() ? index.find(map_key) : index.end();
  file.require(map != index.end() && map->is_object() && !map->empty(),
               "it has no \"{}\" that says which file has which tensor; it is no index of weights", map_key);
  std::map<std::string, std::set<std::string>> shards;
  for (const auto& [name, shard] : map->items()) {
    file.require(shard.is_string(), "the file of '{}' is not a text; it is damaged", name);
    const auto& beside = shard.get_ref<const std::string&>();
    file.require(is_beside(beside),
                 "all files must lie beside the index, so a name alone can be given; '{}' is to be in '{}'", name,
                 beside);
    shards[beside].insert(name);
  }
  return shards;
}

}  // namespace gradus::nn::detail
