// summary(): what a network is made of, as a table.
#pragma once

#include <string>

#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// A line for every module below this one (indented as they lie in each other) with its type, the shapes of its own
/// parameters and how many numbers they are, and the sum at the end. A tied weight counts where it comes first; one
/// that wants no gradient counts and is marked as frozen; buffers stand in brackets and do not count.
std::string summary(const Module& module);

#pragma GCC visibility pop
}  // namespace gradus::nn
