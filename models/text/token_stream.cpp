// The file: a header of 64 bytes, then the tokens as 32-bit numbers of this machine's byte order.
#include <gradus/models/text/token_stream.h>

#include <algorithm>
#include <array>
#include <cstring>

#include <gradus/core/check.h>
#include <gradus/models/text/identity.h>
#include <gradus/models/text/text.h>
#include <gradus/nn/files/atomic_file.h>

namespace gradus::models {
namespace {

// The last character changes with the format. In another byte order the count fits no file.
constexpr std::array<char, 8> magic{'g', 'r', 'a', 'd', 't', 'o', 'k', '1'};

struct Header {
  std::array<char, 8> format;
  std::array<char, 16> source, checksum;  // fingerprints
  std::uint64_t count, second;
  std::array<char, 8> unused;
};
static_assert(sizeof(Header) == 64);

std::array<char, 16> hash_of(std::string_view bytes) {
  std::array<char, 16> text{};
  std::ranges::copy(fingerprint(bytes), text.begin());
  return text;
}

std::string_view bytes_of(std::span<const std::int32_t> tokens) {
  return {reinterpret_cast<const char*>(tokens.data()), tokens.size_bytes()};
}

void write(const std::filesystem::path& path, std::string_view source, const TokenStream::Tokens& tokens) {
  make_folder(path.parent_path());
  const Header header{magic, hash_of(source), hash_of(bytes_of(tokens.all)), tokens.all.size(), tokens.second, {}};
  AtomicFile file(path.string());
  file.write(&header, sizeof header);
  file.write(bytes_of(tokens.all));
  file.commit();
}

}  // namespace

TokenStream::TokenStream(const std::filesystem::path& file, std::string_view source,
                         const std::function<Tokens()>& tokenize) {
  was_kept_ = map(file, source);
  if (was_kept_) return;
  Tokens tokens = tokenize();
  second_ = tokens.second;
  try {
    write(file, source, tokens);
  } catch (const Error& error) {
    problem_ = error.what();
  }
  if (!problem_.empty() || !map(file, source)) own_ = std::move(tokens.all);
}

bool TokenStream::map(const std::filesystem::path& file, std::string_view source) {
  platform::MappedFile all;
  if (all.open(file) || all.size() < sizeof(Header)) return false;
  Header header;
  std::memcpy(&header, all.data(), sizeof header);
  const std::size_t bytes = all.size() - sizeof header;
  const std::string_view body(static_cast<const char*>(all.data()) + sizeof header, bytes);
  if (header.format != magic || header.source != hash_of(source) || bytes % sizeof(std::int32_t) != 0 ||
      header.count != bytes / sizeof(std::int32_t) || header.second > header.count ||
      header.checksum != hash_of(body)) {
    return false;
  }
  mapped_ = std::move(all);
  second_ = header.second;
  return true;
}

std::span<const std::int32_t> TokenStream::mapped() const {
  const auto* const first = static_cast<const char*>(mapped_.data()) + sizeof(Header);
  return {reinterpret_cast<const std::int32_t*>(first), (mapped_.size() - sizeof(Header)) / sizeof(std::int32_t)};
}

}  // namespace gradus::models
