// The tokenizer's files in a folder of Hugging Face's libraries.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <gradus/models/text/any_tokenizer.h>

namespace gradus::models::detail {

/// The folder's tokenizer; nothing where it has none. For one that is damaged or of a kind that is not known here a
/// sentence is added to `warnings`.
std::optional<AnyTokenizer> load_tokenizer(const std::filesystem::path& folder, std::vector<std::string>& warnings);

/// Writes the files from which Python's tokenizers make the same tokenizer. Returns sentences about what has no such
/// form.
std::vector<std::string> save_tokenizer(const std::filesystem::path& folder, const AnyTokenizer& tokenizer);

#pragma GCC visibility push(default)  // programs call it
/// Removes the files of a tokenizer from a folder, where it has some. Throws Error that says which cannot be removed.
void remove_tokenizer(const std::filesystem::path& folder);
#pragma GCC visibility pop

}  // namespace gradus::models::detail
