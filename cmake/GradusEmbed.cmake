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

# gradus_embed_page(target symbol folder script...): joins folder/index.html, folder/style.css and the scripts, in this
# order, into one page and embeds it as gradus_embed() does.
set(GRADUS_EMBED_PAGE_SCRIPT "${CMAKE_CURRENT_LIST_DIR}/embed_files.cmake")

function(gradus_embed_page target symbol folder)
  cmake_path(ABSOLUTE_PATH folder BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
  set(page "${PROJECT_BINARY_DIR}/embedded/${symbol}.html")
  string(REPLACE ";" "|" scripts "${ARGN}")
  add_custom_command(
    OUTPUT "${page}"
    COMMAND "${CMAKE_COMMAND}" "-DTEMPLATE=${folder}/index.html" "-DSTYLE=${folder}/style.css" "-DSCRIPTS=${scripts}"
      "-DOUTPUT=${page}" -P "${GRADUS_EMBED_PAGE_SCRIPT}"
    DEPENDS "${folder}/index.html" "${folder}/style.css" ${ARGN} "${GRADUS_EMBED_PAGE_SCRIPT}"
    COMMENT "Joining ${symbol}"
    VERBATIM)
  gradus_embed(${target} "${page}" ${symbol})
endfunction()
