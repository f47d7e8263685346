# gradus_library(component source...): the library gradus_<component>, which programs link as gradus::<component>.
function(gradus_library component)
  set(library gradus_${component})
  add_library(${library} ${ARGN})
  add_library(gradus::${component} ALIAS ${library})
  gradus_compile_options(${library})
  # Products and sums are contracted where the kernels say so and nowhere else: the same bits on every processor.
  target_compile_options(${library} PRIVATE -ffp-contract=off)
  target_compile_options(${library} PRIVATE $<$<CONFIG:>:-O2>)  # a project around it may name no build type
  target_compile_features(${library} PUBLIC cxx_std_20)
  target_include_directories(${library} PUBLIC
    "$<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>"
    "$<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/moved>"
    "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  gradus_precompile_headers(${library} gradus_core)
  set_target_properties(${library} PROPERTIES
    EXPORT_NAME ${component}
    INSTALL_RPATH "$ORIGIN"  # the components lie side by side
    DEFINE_SYMBOL ""  # the same command for static and shared, so that ccache compiles once
    LINKER_LANGUAGE CXX
    VERSION "${PROJECT_VERSION}"
    SOVERSION "${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}")  # core/version.h says what that promises
endfunction()

# Headers that lay elsewhere in 0.1: programs that include the old path get a header that includes the new ones. They go
# away with the next minor version. A line of moved_headers.txt is "old new...".
file(STRINGS "${PROJECT_SOURCE_DIR}/cmake/moved_headers.txt" moved_headers)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/cmake/moved_headers.txt")
foreach(line ${moved_headers})
  string(REPLACE " " ";" headers "${line}")
  list(POP_FRONT headers old)
  list(TRANSFORM headers REPLACE "(.+)" "#include <gradus/\\1>")
  list(JOIN headers "\n" includes)
  file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/moved/gradus/${old}"
    CONTENT "// Moved: include what this includes.\n#pragma once\n\n${includes}\n" @ONLY)
endforeach()
