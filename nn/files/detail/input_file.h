// InputFile: a file that is not trusted. Errors begin with the reader's name and the path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <span>
#include <string>
#include <utility>

#include <gradus/core/check.h>

namespace gradus::nn::detail {

/// Bytes that come one after another: a file, or what is packed in one.
class Source {
 public:
  virtual ~Source() = default;
  /// Fills `bytes` with those that come next. Throws Error if there are fewer.
  virtual void read(std::span<std::byte> bytes) = 0;
  /// How many have not been read yet.
  virtual std::uint64_t left() const = 0;
  /// What is being read, for errors: "load_npy: 'path'".
  virtual std::string name() const = 0;

  template <class... Args>
  void require(bool condition, fmt::format_string<Args...> format, Args&&... args) const {
    if (!condition) refuse(fmt::format(fmt::runtime(format), shown(args)...));
  }
  [[noreturn]] void refuse(const std::string& text) const { fail("{}: {}", name(), text); }
  /// `count` bytes as text. Throws Error if there are fewer.
  std::string text(std::uint64_t count);
};

class InputFile : public Source {
 public:
  /// Throws Error for what is no regular file or cannot be opened. `reader` is who reads, for errors: "load_npy".
  InputFile(const char* reader, std::string path);

  void read(std::span<std::byte> bytes) override;
  std::uint64_t left() const override { return size_ - place_; }
  std::string name() const override { return fmt::format("{}: '{}'", reader_, path_); }

  std::uint64_t size() const { return size_; }
  /// Goes on at byte `place`, which must be within the file.
  void seek(std::uint64_t place);
  /// file_kind() of the file's beginning: says which other format it has; empty if none is known.
  std::string kind();

 private:
  const char* reader_;
  std::string path_;
  std::ifstream stream_;
  std::uint64_t size_ = 0, place_ = 0;
};

}  // namespace gradus::nn::detail
