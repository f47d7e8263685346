#include <gradus/models/text/identity.h>

#include <fmt/format.h>

namespace gradus::models {
namespace {

constexpr std::string_view identity_prefix = "text-";
constexpr std::uint64_t first_hash = 0xcbf29ce484222325;

std::uint64_t add_to_hash(std::uint64_t hash, std::string_view text) {
  for (const char c : text)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;  // FNV-1a (Fowler, Noll & Vo)
  return hash;
}

}  // namespace

std::string fingerprint(std::string_view text) {
  return fmt::format("{:016x}", add_to_hash(first_hash, text));
}

void TextIdentity::add(std::string_view text) {
  constexpr std::string_view end{"\0", 1};  // so that "ab", "c" is not "a", "bc"
  hash_ = add_to_hash(add_to_hash(hash_, text), end);
}

std::string TextIdentity::text() const {
  return fmt::format("{}{:016x}", identity_prefix, hash_);
}

bool TextIdentity::made(std::string_view text) {
  return text.starts_with(identity_prefix);
}

}  // namespace gradus::models
