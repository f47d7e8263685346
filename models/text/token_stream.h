// TokenStream: the tokens of a text, computed once. Those of a long text may be kept in a file, which later runs map
// into memory instead of tokenizing again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gradus/core/runtime/platform.h>

namespace gradus::models {
#pragma GCC visibility push(default)

/// Read-only. In memory, or mapped: then the system reads pages as they are used, and gives their memory to others when
/// it is short.
class TokenStream {
 public:
  struct Tokens {
    std::vector<std::int32_t> all;
    std::uint64_t second = 0;  // where a second text begins, if the caller has one
  };

  TokenStream() = default;
  explicit TokenStream(Tokens tokens) : own_(std::move(tokens.all)), second_(tokens.second) {}
  /// Maps `file` if it holds the tokens of `source`, a name for everything that they depend on: text and tokenizer. A
  /// file that is absent, damaged or of another source is written anew with the tokens that `tokenize` returns. If it
  /// cannot be written the tokens stay in memory, and problem() says why.
  TokenStream(const std::filesystem::path& file, std::string_view source, const std::function<Tokens()>& tokenize);

  std::span<const std::int32_t> tokens() const { return mapped_.data() == nullptr ? std::span(own_) : mapped(); }
  std::size_t size() const { return tokens().size(); }
  std::uint64_t second() const { return second_; }
  /// Whether they came from a file that was there.
  bool was_kept() const { return was_kept_; }
  const std::string& problem() const { return problem_; }

 private:
  bool map(const std::filesystem::path& file, std::string_view source);
  std::span<const std::int32_t> mapped() const;

  std::vector<std::int32_t> own_;
  std::uint64_t second_ = 0;
  platform::MappedFile mapped_;
  bool was_kept_ = false;
  std::string problem_;
};

#pragma GCC visibility pop
}  // namespace gradus::models
