// Fields of a JSON object read with errors that name file and field. In a folder of its own because it is not
// installed: users of the library need no nlohmann_json.
#pragma once

#include <algorithm>
#include <concepts>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <gradus/core/check.h>

namespace gradus::models::detail {

using Json = nlohmann::ordered_json;  // fields stay in the order in which they are written

// What errors show of a value is written by a function that calls itself for what lies within: 100,000 brackets, and
// the stack would overflow. No file here is deeper than three.
inline constexpr int deepest = 16;

inline Json parse_json(std::string_view text, std::string_view name) {
  const auto watch = [name](int depth, Json::parse_event_t, const Json&) {
    check(depth <= deepest, "{}: the file is nested deeper than {} levels; it is damaged or something else", name,
          deepest);
    return true;
  };
  Json json;
  try {
    json = Json::parse(text, watch);
  } catch (const Json::parse_error& error) {
    const std::string_view before = text.substr(0, error.byte > 0 ? error.byte - 1 : 0);
    fail("{}: this is not JSON from line {}, byte {} on; mend it there, or restore the file if it was cut short", name,
         1 + std::ranges::count(before, '\n'), before.size() - (before.rfind('\n') + 1) + 1);
  } catch (const Json::exception&) {
    fail("{}: it holds a number that is too large; mend or restore the file", name);
  }
  check(json.is_object(), "{}: the file holds a JSON {}, an object is needed", name, json.type_name());
  return json;
}

/// Takes fields out one by one; finish() then refuses what is left, so that a misspelled field is not just ignored.
class JsonReader {
 public:
  JsonReader(const Json& object, std::string name) : object_(object), name_(std::move(name)) {
    check(object_.is_object(), "{}: there is a JSON {}, an object is needed", name_, object_.type_name());
  }

  const Json& field(const std::string& key) {
    seen_.insert(key);
    const auto found = object_.find(key);
    check(found != object_.end(), "{}: the field \"{}\" is missing; add it, or write the file anew", name_, key);
    return *found;
  }

  template <class T>
  T get(const std::string& key) {
    const Json& value = field(key);
    if constexpr (std::same_as<T, bool>) {
      check(value.is_boolean(), "{}: \"{}\" is {}, true or false is needed", name_, key, value.dump());
    } else if constexpr (std::integral<T>) {
      const bool fits = value.is_number_unsigned()
                            ? std::in_range<T>(value.template get<std::uint64_t>())
                            : value.is_number_integer() && std::in_range<T>(value.template get<std::int64_t>());
      check(fits, "{}: \"{}\" is {}, a whole number{} is needed", name_, key, value.dump(),
            std::unsigned_integral<T> ? " of at least 0" : "");
    } else if constexpr (std::floating_point<T>) {
      check(value.is_number(), "{}: \"{}\" is {}, a number is needed", name_, key, value.dump());
    } else {
      check(value.is_string(), "{}: \"{}\" is {}, a text is needed", name_, key, value.dump());
    }
    return value.template get<T>();
  }

  void finish() const {
    for (const auto& [key, value] : object_.items()) {
      check(seen_.contains(key), "{}: there is no field \"{}\"; remove it, or check its spelling", name_, key);
    }
  }

  const std::string& name() const { return name_; }

 private:
  const Json& object_;
  std::string name_;
  std::set<std::string> seen_;
};

}  // namespace gradus::models::detail
