// Counts are compared with the bytes left in the file before memory is allocated.
#include <gradus/nn/files/detail/input_file.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include <gradus/nn/files/file_kind.h>

namespace gradus::nn::detail {

std::string Source::text(std::uint64_t count) {
  require(count <= left(), "it ends after {} of {} bytes; it is cut off", left(), count);
  std::string bytes(count, '\0');
  read(std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

InputFile::InputFile(const char* reader, std::string path) : reader_(reader), path_(std::move(path)) {
  std::error_code error;
  const auto status = std::filesystem::status(path_, error);
  require(std::filesystem::exists(status), "there is no such file; check the path");
  require(std::filesystem::is_regular_file(status), "it is not a file");
  size_ = std::filesystem::file_size(path_, error);
  require(!error, "{}", error.message());
  errno = 0;
  stream_.open(path_, std::ios::binary);
  require(stream_.is_open(), "it cannot be opened: {}", std::generic_category().message(errno));
}

void InputFile::read(std::span<std::byte> bytes) {
  require(bytes.size() <= left(), "it ends after {} of {} bytes; it is cut off", left(), bytes.size());
  stream_.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  require(stream_.gcount() == static_cast<std::streamsize>(bytes.size()),
          "it ended early; was it changed while being read?");
  place_ += bytes.size();
}

void InputFile::seek(std::uint64_t place) {
  require(place <= size_, "it has {} bytes, and should go on at {}; it is cut off or damaged", size_, place);
  stream_.seekg(static_cast<std::streamoff>(place));
  place_ = place;
}

std::string InputFile::kind() {
  const std::uint64_t before = place_;
  seek(0);
  const std::string beginning = text(std::min<std::uint64_t>(size_, file_kind_bytes));
  seek(before);
  return file_kind(beginning);
}

}  // namespace gradus::nn::detail
