// summary(): a module as a table.
#pragma once

#include <string>

#include <gradus/nn/module.h>

namespace gradus::nn {
#pragma GCC visibility push(default)

/// A table with a line for every module inside this one, indented by depth: its type, the shapes of its own parameters
/// and their number of elements; the last line is the sum. A tied weight counts where it comes first. A parameter that
/// wants no gradient counts and is marked as frozen; buffers are in brackets and do not count.
std::string summary(const Module& module);

#pragma GCC visibility pop
}  // namespace gradus::nn
