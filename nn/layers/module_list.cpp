// The errors of lists, which need no type of module.
#include <gradus/nn/layers/module_list.h>

#include <fmt/ranges.h>

#include <gradus/core/runtime/platform.h>

namespace gradus::nn::detail {

void check_new_module(const char* owner, const Module* module, std::string_view name) {
  check(module != nullptr, "{}: the module to add as '{}' is null; make one with std::make_shared", owner, name);
  check(!name.empty() && name.find('.') == name.npos,
        "{}: a module is called '{}'; a name needs at least one character and no dot, which separates a module's name "
        "from its member's",
        owner, name);
}

void fail_twice_named(const char* owner, std::string_view name) {
  fail("{}: there is a module '{}' already; give each a name of its own", owner, name);
}

void fail_no_copy(const char* owner, std::string_view name, const Module& module) {
  fail(
      "{}: module '{}', of type {}, cannot be copied: its type has no copy constructor, or it came as a pointer to a "
      "base class; give the module itself or a std::shared_ptr of its own type",
      owner, name, platform::type_name(typeid(module).name()));
}

void fail_no_module(const char* owner, Index i, Index size) {
  check(size > 0, "{}: there is no module {}, for it is empty; add modules first", owner, i);
  fail("{}: there is no module {} among {}; use {} .. {}", owner, i, size, -size, size - 1);
}

void fail_no_module(const char* owner, std::string_view name, const std::vector<std::string>& names) {
  fail("{}: there is no module '{}'; there {} {}", owner, name, names.size() == 1 ? "is" : "are",
       names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
}

}  // namespace gradus::nn::detail
