// Fields of a JSON object read with errors that name file and field. It is not installed: users of the library need no
// nlohmann_json. Code that instantiates its large templates is in json.cpp.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradus/core/tensor.h>

namespace gradus::models::detail {
#pragma GCC visibility push(default)

using Json = nlohmann::ordered_json;  // fields stay in the order in which they are written

/// A JSON object; throws Error with `name` for anything else.
Json parse_json(std::string_view text, std::string_view name);

/// The keys that lead to an object within others; none lead to the outermost.
using Path = std::vector<std::string>;
/// The fields of an object in the order of the file. What is an object or a list is null here.
using Fields = std::vector<std::pair<std::string, Json>>;

/// The same, but the fields of the object at `path` are put into `fields` and not into the result: Json looks through
/// all fields that an object has when it adds one, which takes minutes with a vocabulary.
Json parse_json(std::string_view text, std::string_view name, const Path& path, Fields& fields);

/// Any JSON value, or std::nullopt if `text` is none, or none that parse_json() takes as a field.
std::optional<Json> try_parse_json(std::string_view text);

/// The text of `json`, in one line or indented by `indent` spaces a level. What is not UTF-8 (a path need not be)
/// becomes U+FFFD.
std::string dump(const Json& json, int indent = -1);

/// Takes fields out one by one; finish() then refuses what is left, so that a misspelled field is not just ignored.
class JsonReader {
 public:
  JsonReader(const Json& object, std::string name);

  const Json& field(const std::string& key);

  /// T is bool, std::int64_t, std::uint64_t, double or std::string.
  template <class T>
  T get(const std::string& key);

  void finish() const;

  const std::string& name() const { return name_; }

 private:
  const Json& object_;
  std::string name_;
  std::set<std::string> seen_;
};

#pragma GCC visibility pop
}  // namespace gradus::models::detail
