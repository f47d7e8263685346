// The version, in the one place that programs, CMake and the package take it from. Until 1.0 a new minor version may
// change the API and the ABI; a new patch version changes neither. Shared libraries carry what has to match, major and
// minor, in their name (libgradus_core.so.0.1), and find_package(gradus 0.1) accepts 0.1.x. The ABI is also that of the
// standard library, of fmt and of C++20: build the program with the compiler family that built the library.
#pragma once

#define GRADUS_VERSION_MAJOR 0
#define GRADUS_VERSION_MINOR 1
#define GRADUS_VERSION_PATCH 0
