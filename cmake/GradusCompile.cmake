# What every gradus target is compiled with. No fast-math flag of any kind: it breaks -inf masks and NaN checks.

function(gradus_compile_options target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # GCC 12 reports "literal" + std::string as overlapping memory (GCC bug 105651).
    target_compile_options(${target} PRIVATE -Wno-restrict)
  endif()
  if(GRADUS_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(GRADUS_SANITIZE)
    set(sanitize "-fsanitize=${GRADUS_SANITIZE}" -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_compile_options(${target} PRIVATE ${sanitize})
    target_link_options(${target} PUBLIC "$<BUILD_INTERFACE:-fsanitize=${GRADUS_SANITIZE}>")
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      # Under a sanitizer GCC no longer sees that <regex> initializes its states (GCC bug 105562), nor that a copy
      # between strings fits (GCC bug 105329).
      target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow)
    endif()
  endif()
endfunction()

# For programs whose time goes by in the library: their own code at -O1 compiles in half the time (train_arguments.cpp:
# 20 s at -O3, 10 s at -O1).
function(gradus_compile_quickly target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

# The same for sources of a library (safetensors.cpp, most of which is nlohmann-json: 16 s and 10 s).
function(gradus_compile_sources_quickly)
  set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS $<$<CONFIG:Release>:-O1>)
endfunction()

# gradus_precompile_headers(target owner [header...]): what nearly every source includes, and the headers given,
# compiled once, for the target `owner`, and read by all others of the same flags. A clean build of the library:
# 173 -> 124 s. Sources include what they use all the same: the presets debug and asan, and builds inside another
# project, do without.
function(gradus_precompile_headers target owner)
  if(NOT PROJECT_IS_TOP_LEVEL)
    return()  # a compiler cache there may not be set up for it
  endif()
  # With the time in it, Clang refuses after a fresh checkout what ccache kept.
  target_compile_options(${target} PRIVATE "$<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>")
  if(target STREQUAL owner)
    target_precompile_headers(${target} PRIVATE
      <algorithm> <cmath> <functional> <memory> <optional> <string> <string_view> <vector> <fmt/format.h> ${ARGN})
  else()
    target_precompile_headers(${target} REUSE_FROM ${owner})
  endif()
endfunction()

# A program in <build>/bin.
function(gradus_program target)
  gradus_compile_options(${target})
  target_link_libraries(${target} PRIVATE gradus::gradus)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
endfunction()
