// Values that are written in place between an op and its backward: an error when the op reads them.
#pragma once

#include <string>

#include <gradus/core/anomaly.h>

namespace gradus::detail {

/// While one lives, `op`, whose backward runs, gets an Error when it reads values that were written since it recorded
/// them. Values that it does not read may change.
class ChangeGuard {
 public:
  ChangeGuard(const Node& op, const AnomalyMode* anomaly);
  ~ChangeGuard();
  ChangeGuard(const ChangeGuard&) = delete;
  ChangeGuard& operator=(const ChangeGuard&) = delete;

 private:
  void protect(const Node& values, const std::string& what, bool counted, const AnomalyMode* anomaly);

  const Node& op_;
};

}  // namespace gradus::detail
