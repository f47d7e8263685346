// The errors of lists: the part that does not depend on the type of the modules.
#include <gradus/nn/layers/module_list.h>

#include <fmt/ranges.h>

#include <gradus/core/runtime/platform.h>

namespace gradus::nn::detail {

void check_new_module(ListName list, const Module* module, std::string_view name) {
  check(module != nullptr, "{}: the {} to add as '{}' is null; make one with std::make_shared", list.list, list.part,
        name);
  check(!name.empty() && name.find('.') == name.npos,
        "{}: a {} is called '{}'; a name needs at least one character and no dot, which separates a module's name "
        "from its member's",
        list.list, list.part, name);
}

void fail_twice_named(ListName list, std::string_view name) {
  fail("{}: there is a {} '{}' already; give each a name of its own", list.list, list.part, name);
}

void fail_no_copy(ListName list, std::string_view name, const Module& module) {
  fail(
      "{}: {} '{}', of type {}, cannot be copied: its type has no copy constructor, or it came as a pointer to a "
      "base class; give the {} itself or a std::shared_ptr of its own type",
      list.list, list.part, name, platform::type_name(typeid(module).name()), list.part);
}

void fail_no_module(ListName list, Index i, Index size) {
  check(size > 0, "{}: there is no {} {}, for it is empty; add one first", list.list, list.part, i);
  fail("{}: there is no {} {} among {}; use {} .. {}", list.list, list.part, i, size, -size, size - 1);
}

void fail_no_module(ListName list, std::string_view name, const std::vector<std::string>& names) {
  fail("{}: there is no {} '{}'; there {} {}", list.list, list.part, name, names.size() == 1 ? "is" : "are",
       names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
}

}  // namespace gradus::nn::detail
