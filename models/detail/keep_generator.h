// KeepGenerator: for code that makes a model only to fill it from a file.
#pragma once

#include <gradus/core/runtime/random.h>

namespace gradus::models::detail {

/// At its end the default generator is as it was at its beginning: reading a file changes no number that is drawn
/// later.
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
