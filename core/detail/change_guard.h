// Values that are written in place between an op and its backward: an error when the op reads them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <gradus/core/tensor.h>

namespace gradus::detail {

/// While one lives, `op`, whose backward this thread runs, gets an Error when it reads values that were written since
/// it recorded them. Values that it does not read may change. Of an op's third input and those after it the versions
/// are counted together: when one of them was written, all of them that ever were are refused.
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
};

}  // namespace gradus::detail
