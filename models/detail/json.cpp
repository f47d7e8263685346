#include <gradus/models/detail/json.h>

#include <algorithm>
#include <concepts>
#include <functional>
#include <utility>
#include <vector>

#include <gradus/core/check.h>

namespace gradus::models::detail {
namespace {

// dump() recurses into nested values, so an error that shows 100,000 nested brackets would overflow the stack. No file
// of ours is nested deeper than three.
constexpr int deepest = 16;

// What parse_json() watches while the file is read: fields that are there twice, and those that are to lie apart.
class Watcher {
 public:
  Watcher(std::string_view name, const Path* path, Fields* apart) : name_(name), path_(path), apart_(apart) {}

  // Whether `value` is to be part of the result.
  bool operator()(int depth, Json::parse_event_t event, const Json& value) {
    check(depth <= deepest, "{}: the file is nested deeper than {} levels; it is damaged or something else", name_,
          deepest);
    // The parser does not tell of the ends of what lies apart.
    inside_.resize(static_cast<std::size_t>(depth));
    keys_.resize(static_cast<std::size_t>(depth));
    switch (event) {
      case Json::parse_event_t::object_start:
        check(++objects_ <= most_objects, "{}: the file has more than {} objects; it is damaged or something else",
              name_, most_objects);
        [[fallthrough]];
      case Json::parse_event_t::array_start:
        inside_.emplace_back();
        keys_.emplace_back();
        return true;
      case Json::parse_event_t::key:
        return add_key(value.get_ref<const std::string&>());
      case Json::parse_event_t::value:
        if (is_apart()) apart_->back().second = value;
        return true;
      default:
        return true;
    }
  }

 private:
  bool add_key(const std::string& key) {
    check(keys_.back().insert(key).second, "{}: there is a second field \"{}\"; remove one of them", name_, key);
    inside_.back() = key;
    if (is_apart()) {
      apart_->emplace_back(key, Json());
      return false;
    }
    check(is_left_out() || keys_.back().size() <= most_fields,
          "{}: an object has more than {} fields; it is damaged or something else", name_, most_fields);
    return true;
  }
  // Whether this is about a field of the object at `path`.
  bool is_apart() const { return path_ != nullptr && inside_.size() == path_->size() + 1 && is_behind_path(); }
  // Whether this is about what is within such a field, which the parser does not keep.
  bool is_left_out() const { return path_ != nullptr && inside_.size() > path_->size() + 1 && is_behind_path(); }
  bool is_behind_path() const {
    return !keys_[path_->size()].empty() && std::equal(path_->begin(), path_->end(), inside_.begin());
  }

  // When an object ends, the parser looks through all that its parent has, and through all fields for each one more.
  static constexpr int most_objects = 20'000, most_fields = 20'000;

  std::string_view name_;
  const Path* path_;
  Fields* apart_;
  Path inside_;                              // the key at which each open object or list is
  std::vector<std::set<std::string>> keys_;  // of the open objects
  int objects_ = 0;
};

Json parse_value(std::string_view text, std::string_view name, Watcher watcher) {
  try {
    return Json::parse(text, std::ref(watcher));
  } catch (const Json::parse_error& error) {
    const std::string_view before = text.substr(0, error.byte > 0 ? error.byte - 1 : 0);
    fail("{}: it is not valid JSON at line {}, byte {}; mend it there, or restore the file if it was cut short", name,
         1 + std::ranges::count(before, '\n'), before.size() - (before.rfind('\n') + 1) + 1);
  } catch (const Json::exception&) {
    fail("{}: it holds a number that is too large; mend or restore the file", name);
  }
}

Json parse(std::string_view text, std::string_view name, const Watcher& watcher) {
  Json json = parse_value(text, name, watcher);
  check(json.is_object(), "{}: the file holds a JSON {}, an object is needed", name, json.type_name());
  return json;
}

}  // namespace

Json parse_json(std::string_view text, std::string_view name) {
  return parse(text, name, Watcher(name, nullptr, nullptr));
}

Json parse_json(std::string_view text, std::string_view name, const Path& path, Fields& fields) {
  return parse(text, name, Watcher(name, &path, &fields));
}

std::optional<Json> try_parse_json(std::string_view text) {
  try {
    return parse_value(text, "text", Watcher("text", nullptr, nullptr));
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

JsonReader::JsonReader(const Json& object, std::string name) : object_(object), name_(std::move(name)) {
  check(object_.is_object(), "{}: there is a JSON {}, an object is needed", name_, object_.type_name());
}

const Json& JsonReader::field(const std::string& key) {
  seen_.insert(key);
  const auto found = object_.find(key);
  check(found != object_.end(), "{}: the field \"{}\" is missing; add it, or write the file anew", name_, key);
  return *found;
}

template <class T>
T JsonReader::get(const std::string& key) {
  const Json& value = field(key);
  if constexpr (std::same_as<T, bool>) {
    check(value.is_boolean(), "{}: \"{}\" is {}, true or false is needed", name_, key, dump(value));
  } else if constexpr (std::integral<T>) {
    const bool fits = value.is_number_unsigned()
                          ? std::in_range<T>(value.template get<std::uint64_t>())
                          : value.is_number_integer() && std::in_range<T>(value.template get<std::int64_t>());
    check(fits, "{}: \"{}\" is {}, a whole number{} is needed", name_, key, dump(value),
          std::unsigned_integral<T> ? " of at least 0" : "");
  } else if constexpr (std::floating_point<T>) {
    check(value.is_number(), "{}: \"{}\" is {}, a number is needed", name_, key, dump(value));
  } else {
    check(value.is_string(), "{}: \"{}\" is {}, a text is needed", name_, key, dump(value));
  }
  return value.template get<T>();
}

template bool JsonReader::get(const std::string&);
template std::int64_t JsonReader::get(const std::string&);
template std::uint64_t JsonReader::get(const std::string&);
template double JsonReader::get(const std::string&);
template std::string JsonReader::get(const std::string&);

void JsonReader::finish() const {
  for (const auto& [key, value] : object_.items()) {
    check(seen_.contains(key), "{}: unknown field \"{}\"; remove it, or check its spelling", name_, key);
  }
}

}  // namespace gradus::models::detail
