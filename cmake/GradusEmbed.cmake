# gradus_embed(target file symbol): puts a text file (up to about 1 MB) into `target`. Whoever links the target includes
# <gradus_embedded/symbol.h> and reads `gradus::embedded::symbol`, a constant-initialized std::string_view.
set(GRADUS_EMBED_SCRIPT "${CMAKE_CURRENT_LIST_DIR}/embed_file.cmake")

function(gradus_embed target file symbol)
  cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
  set(folder "${PROJECT_BINARY_DIR}/embedded")
  set(source "${folder}/gradus_embedded/${symbol}.cpp")
  file(CONFIGURE OUTPUT "${folder}/gradus_embedded/${symbol}.h" @ONLY CONTENT [[
#pragma once

#include <string_view>

namespace gradus::embedded {
extern const std::string_view @symbol@;
}
]])
  add_custom_command(
    OUTPUT "${source}"
    COMMAND "${CMAKE_COMMAND}" "-DINPUT=${file}" "-DOUTPUT=${source}" -DSYMBOL=${symbol} -P "${GRADUS_EMBED_SCRIPT}"
    DEPENDS "${file}" "${GRADUS_EMBED_SCRIPT}"
    COMMENT "Embedding ${symbol}"
    VERBATIM)
  target_sources(${target} PRIVATE "${source}")
  target_include_directories(${target} PUBLIC "${folder}")
endfunction()
