// ModuleList and ModuleDict: modules by number and by name. As in Sequential, the modules are values and may have
// different types with one base.
#pragma once

#include <concepts>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <typeinfo>
#include <unordered_map>
#include <utility>
#include <vector>

#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// A module with its name, as Sequential and ModuleDict take it: {"fc1", nn::Linear(2, 3)}.
template <std::derived_from<Module> Base>
struct NamedModule {
  template <std::derived_from<Base> M>
  NamedModule(std::string its_name, M its_module)
      : NamedModule(std::move(its_name), std::make_shared<M>(std::move(its_module))) {}
  /// The module itself, not a copy.
  template <std::derived_from<Base> M>
  NamedModule(std::string its_name, std::shared_ptr<M> its_module)
      : name(std::move(its_name)), module(std::move(its_module)), copy(copy_of<M>) {}

  std::string name;
  std::shared_ptr<Base> module;
  std::shared_ptr<Base> (*copy)(const Base& module);  // returns null if it is of another type or cannot be copied

 private:
  template <class M>
  static std::shared_ptr<Base> copy_of([[maybe_unused]] const Base& module) {
    if constexpr (std::copy_constructible<M>) {
      if (typeid(module) == typeid(M)) return std::make_shared<M>(static_cast<const M&>(module));
    }
    return nullptr;
  }
};

namespace detail {

// The names of a list and of one of its parts in errors.
struct ListName {
  const char* list;
  const char* part;
};
void check_new_module(ListName list, const Module* module, std::string_view name);
[[noreturn]] void fail_twice_named(ListName list, std::string_view name);
[[noreturn]] void fail_no_copy(ListName list, std::string_view name, const Module& module);
[[noreturn]] void fail_no_module(ListName list, Index i, Index size);
[[noreturn]] void fail_no_module(ListName list, std::string_view name, const std::vector<std::string>& names);

/// Modules in order, each with a name. A copy has copies of them; a module that was added twice stays one in the copy.
template <class Base>
class HeldModules {
 public:
  explicit HeldModules(ListName called) : called_(called) {}
  HeldModules(const HeldModules& other) : called_(other.called_) {
    std::unordered_map<const Base*, std::shared_ptr<Base>> copies;
    for (const NamedModule<Base>& held : other.all_) {
      std::shared_ptr<Base>& copy = copies[held.module.get()];
      if (copy == nullptr) copy = held.copy(*held.module);
      if (copy == nullptr) fail_no_copy(called_, held.name, *held.module);
      all_.push_back(held);
      all_.back().module = copy;
    }
  }
  HeldModules(HeldModules&&) = default;
  HeldModules& operator=(const HeldModules& other) { return *this = HeldModules(other); }
  HeldModules& operator=(HeldModules&&) = default;
  ~HeldModules() = default;

  void add(NamedModule<Base> added) {
    check_new_module(called_, added.module.get(), added.name);
    if (find(added.name) != nullptr) fail_twice_named(called_, added.name);
    all_.push_back(std::move(added));
  }
  template <class M>
  void add(M module) {
    add(NamedModule<Base>(std::to_string(size()), std::move(module)));
  }
  /// Replaces the module of this name, if there is one.
  void set(NamedModule<Base> added) {
    check_new_module(called_, added.module.get(), added.name);
    for (NamedModule<Base>& held : all_) {
      if (held.name == added.name) {
        held = std::move(added);
        return;
      }
    }
    all_.push_back(std::move(added));
  }

  Index size() const { return static_cast<Index>(all_.size()); }
  const std::vector<NamedModule<Base>>& all() const { return all_; }
  Base& at(Index i) const {
    if (i < -size() || i >= size()) fail_no_module(called_, i, size());
    return *all_[static_cast<std::size_t>(i < 0 ? i + size() : i)].module;
  }
  Base* find(std::string_view name) const {
    for (const NamedModule<Base>& held : all_) {
      if (held.name == name) return held.module.get();
    }
    return nullptr;
  }
  Base& at(std::string_view name) const {
    Base* const found = find(name);
    if (found == nullptr) fail_no_module(called_, name, names());
    return *found;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const NamedModule<Base>& held : all_) found.push_back(held.name);
    return found;
  }
  void members(Visitor& visit) const {
    for (const NamedModule<Base>& held : all_) visit(held.name, *held.module);
  }

 private:
  ListName called_;
  std::vector<NamedModule<Base>> all_;
};

}  // namespace detail

/// Modules by number: parameters are called "0.weight", "1.weight", .. below the list's own name. ModuleList holds
/// layers of any types, ModuleList<Block> modules of type Block and of types derived from it. Copies are as
/// Sequential's.
template <std::derived_from<Module> Base = Layer>
class ModuleList : public Module {
 public:
  /// Use braces, not parentheses, as for Sequential.
  template <std::derived_from<Base>... Modules>
  explicit ModuleList(Modules... modules) {
    (append(std::move(modules)), ...);
  }

  template <std::derived_from<Base> M>
  void append(M module) {
    modules_.add(std::move(module));
  }
  /// The module itself, not a copy.
  template <std::derived_from<Base> M>
  void append(std::shared_ptr<M> module) {
    modules_.add(std::move(module));
  }
  Index size() const { return modules_.size(); }
  /// Module i; negative counts from the end.
  Base& operator[](Index i) const { return modules_.at(i); }

  class Iterator {
   public:
    Iterator(const ModuleList* list, Index i) : list_(list), i_(i) {}
    Base& operator*() const { return (*list_)[i_]; }
    Iterator& operator++() {
      ++i_;
      return *this;
    }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    const ModuleList* list_;
    Index i_;
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, size()}; }
  void members(Visitor& visit) const override { modules_.members(visit); }

 private:
  detail::HeldModules<Base> modules_{{"ModuleList", "module"}};
};

/// Modules by name, in the order in which they were added: parameters are called "key.weight" below the dictionary's
/// own name. ModuleDict net{{"fc", Linear(2, 3)}, {"act", ReLU()}}. Types and copies as ModuleList's.
template <std::derived_from<Module> Base = Layer>
class ModuleDict : public Module {
 public:
  ModuleDict() = default;
  /// Throws Error if two have one name.
  ModuleDict(std::initializer_list<NamedModule<Base>> modules) {
    for (const NamedModule<Base>& module : modules) modules_.add(module);
  }

  /// Adds the module, or replaces the one of this name: PyTorch's dict[key] = module.
  template <class M>
  void set(std::string key, M module) {
    modules_.set({std::move(key), std::move(module)});
  }
  bool contains(std::string_view key) const { return modules_.find(key) != nullptr; }
  Base& operator[](std::string_view key) const { return modules_.at(key); }
  Index size() const { return modules_.size(); }
  std::vector<std::string> keys() const { return modules_.names(); }
  /// Each module with its key, as NamedModule: for (const auto& [key, module, copy] : dict) module->..
  auto begin() const { return modules_.all().begin(); }
  auto end() const { return modules_.all().end(); }
  void members(Visitor& visit) const override { modules_.members(visit); }

 private:
  detail::HeldModules<Base> modules_{{"ModuleDict", "module"}};
};

#pragma GCC visibility pop
}  // namespace gradus::nn
