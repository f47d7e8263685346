// KeepGenerator: for code whose draws must not change what is drawn later.
#pragma once

#include <gradus/core/runtime/random.h>

namespace gradus::models::detail {

/// At its end the default generator is as it was at its beginning.
class KeepGenerator {
 public:
  KeepGenerator() : before_(default_generator()) {}
  ~KeepGenerator() { default_generator() = before_; }
  KeepGenerator(const KeepGenerator&) = delete;
  KeepGenerator& operator=(const KeepGenerator&) = delete;

 private:
  Generator before_;
};

}  // namespace gradus::models::detail
