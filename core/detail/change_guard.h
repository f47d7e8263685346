// Detects values that were written in place between an op and its backward: reading them is an Error.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <gradus/core/tensor.h>

namespace gradus::detail {

/// While one lives, the backward of `op`, which this thread runs, gets an Error if it reads values that were written
/// after the op recorded them. Values that it does not read may change. An op's third and later inputs share one
/// version counter: if one of them changed after the op, all of them that were ever written count as changed. If a
/// backward runs another one, as checkpoint's does, only the inner guard checks until that one ends.
class ChangeGuard {
 public:
  explicit ChangeGuard(const Node& op);
  ~ChangeGuard();
  ChangeGuard(const ChangeGuard&) = delete;
  ChangeGuard& operator=(const ChangeGuard&) = delete;

  void check(const Node& values) const;

 private:
  void protect(const Node& values, const std::string& what, bool counted);

  const Node& op_;
  std::vector<std::pair<const Node*, std::string>> errors_;
  const ChangeGuard* outer_ = nullptr;
};

}  // namespace gradus::detail
