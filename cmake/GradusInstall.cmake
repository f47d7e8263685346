# Installs the libraries, their public headers, and what find_package(gradus) and pkg-config read.
include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/gradus")

# gradus_pkg_config(name description requires libraries private): private is what only a static link has to name.
function(gradus_pkg_config name description requires libraries private)
  cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
    BASE_DIRECTORY "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" OUTPUT_VARIABLE to_prefix)
  foreach(dir libdir includedir)
    string(TOUPPER ${dir} place)
    set(${dir} "\${prefix}/${CMAKE_INSTALL_${place}}")
    if(IS_ABSOLUTE "${CMAKE_INSTALL_${place}}")
      set(${dir} "${CMAKE_INSTALL_${place}}")
    endif()
  endforeach()
  configure_file("${PROJECT_SOURCE_DIR}/cmake/gradus.pc.in" "${PROJECT_BINARY_DIR}/${name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/${name}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endfunction()

list(TRANSFORM CMAKE_DL_LIBS PREPEND -l OUTPUT_VARIABLE dl)
gradus_pkg_config(gradus-core "Tensors and gradients" fmt -lgradus_core "${CMAKE_THREAD_LIBS_INIT} ${dl}")
set(zlib OFF)
set(lz "")
if(TARGET ZLIB::ZLIB)
  set(zlib ON)
  set(lz -lz)
endif()
gradus_pkg_config(gradus-nn "Modules and optimizers for gradus" gradus-core -lgradus_nn "${lz}")
gradus_pkg_config(gradus-models "GPT and its trainer for gradus" gradus-nn -lgradus_models -lutf8proc)
gradus_pkg_config(gradus "${PROJECT_DESCRIPTION}, all components" gradus-models "" "")

# kernels/ and detail/ stay private: the headers of kernels include xsimd.
install(FILES "${PROJECT_SOURCE_DIR}/gradus.h" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/gradus")
foreach(component core nn models)
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/${component}" "${PROJECT_BINARY_DIR}/moved/gradus/${component}"
    DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/gradus"
    FILES_MATCHING PATTERN "*.h" PATTERN kernels EXCLUDE PATTERN detail EXCLUDE PATTERN mpi EXCLUDE)
  install(TARGETS gradus_${component} EXPORT gradus_${component}
    RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}"
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
endforeach()
install(TARGETS gradus EXPORT gradus_models)
foreach(component core nn models)
  install(EXPORT gradus_${component} NAMESPACE gradus:: DESTINATION "${package_dir}")
endforeach()

# Where gdb looks by itself when a program loads the shared library (and gdb has the same prefix), and where a user with
# another gdb, or the static library, finds it.
set(printers "${PROJECT_SOURCE_DIR}/scripts/gradus-gdb.py")
install(FILES "${printers}" DESTINATION "${CMAKE_INSTALL_DATADIR}/gradus")
if(BUILD_SHARED_LIBS)
  install(FILES "${printers}" DESTINATION "${CMAKE_INSTALL_DATADIR}/gdb/auto-load${CMAKE_INSTALL_FULL_LIBDIR}"
    RENAME "$<TARGET_FILE_NAME:gradus_core>-gdb.py")
endif()

get_target_property(type gradus_core TYPE)
configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/gradusConfig.cmake.in" "${PROJECT_BINARY_DIR}/gradusConfig.cmake"
  INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/gradusConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/gradusConfig.cmake"
  "${PROJECT_BINARY_DIR}/gradusConfigVersion.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/Findutf8proc.cmake"
  DESTINATION "${package_dir}")
