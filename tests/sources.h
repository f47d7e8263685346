// What tests find in the project's own sources: which ops, modules and options there are, so that none goes untested.
#pragma once

#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <utility>

#include "support.h"

namespace gradus::testing {

/// The words that follow `start`, spaces between aside; only those in quotes if `quoted`. (std::regex would do, but its
/// own code draws warnings from GCC 12 under sanitizers.)
inline std::set<std::string> words_after(const std::string& text, const std::string& start, bool quoted = false) {
  std::set<std::string> words;
  for (std::size_t at = text.find(start); at != std::string::npos; at = text.find(start, at + 1)) {
    std::size_t first = at + start.size();
    while (first < text.size() && std::isspace(static_cast<unsigned char>(text[first])) != 0) ++first;
    if (quoted && (first == text.size() || text[first++] != '"')) continue;
    std::size_t last = first;
    while (last < text.size() && (std::isalnum(static_cast<unsigned char>(text[last])) != 0 || text[last] == '_'))
      ++last;
    if (last > first) words.insert(text.substr(first, last - first));
  }
  return words;
}

/// The ops that ops.h declares.
inline std::set<std::string> declared_names() {
  const std::string header = read(std::filesystem::path(GRADUS_SOURCE_DIR) / "core" / "ops.h");
  std::set<std::string> names = words_after(header, "\nTensor ");
  names.merge(words_after(header, "\nSorted "));
  return names;
}

/// The ops that ops.h declares whose result is several tensors.
inline std::set<std::string> declared_lists() {
  const std::string header = read(std::filesystem::path(GRADUS_SOURCE_DIR) / "core" / "ops.h");
  return words_after(header, "\nstd::vector<Tensor> ");
}

/// The words X of "struct X : Base" or "class X : public Base" in the headers below the folder.
inline std::set<std::string> derived(const std::string& folder, const std::set<std::string>& bases) {
  std::set<std::string> names;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(std::filesystem::path(GRADUS_SOURCE_DIR) / folder)) {
    if (entry.path().extension() != ".h" || entry.path().filename() == "op_layers.h") continue;
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string kind, name, colon, base;
      words >> kind >> name >> colon >> base;
      if (base == "public") words >> base;
      if ((kind == "struct" || kind == "class") && colon == ":" && bases.contains(base)) names.insert(name);
    }
  }
  return names;
}

/// The modules that nn/ declares, but for the ops as layers of op_layers.h, which are drawn as ops.
inline std::set<std::string> declared_modules() {
  const std::set<std::string> bases{"Layer",        "ActivationLayer", "Module",       "BatchNorm",
                                    "InstanceNorm", "Recurrent",       "RecurrentCell"};
  std::set<std::string> modules = derived("nn", bases);
  for (const std::string& base : bases) modules.erase(base);
  return modules;
}

/// The optimizers that nn/ declares.
inline std::set<std::string> declared_optimizers() {
  return derived("nn", {"Optimizer", "Adam"});
}

/// The enumerators of "enum .. { a, b }", whose line begins so, in a header.
inline std::set<std::string> enumerators(const std::string& header, const std::string& start) {
  const std::string text = read(std::filesystem::path(GRADUS_SOURCE_DIR) / header);
  const std::size_t at = text.find(start), end = text.find('}', at);
  std::set<std::string> names;
  std::string name;
  for (const char c : at == std::string::npos ? "" : text.substr(at + start.size(), end - at - start.size() + 1)) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_') {
      name += c;
    } else if (!name.empty()) {
      names.insert(std::exchange(name, {}));
    }
  }
  return names;
}

}  // namespace gradus::testing
