# Finds the libraries of the distribution that have no CMake package, or whose CMake package is not enough:
# serial HDF5 (also beside a parallel HDF5), oneDNN, xxHash, toml++ and CLI11. Defines keyshard_external_*.

function(keyshard_external NAME HEADER LIBRARIES)
  cmake_parse_arguments(ARG "" "" "INCLUDE_HINTS;LIBRARY_HINTS" ${ARGN})
  find_path(KEYSHARD_${NAME}_INCLUDE ${HEADER} HINTS ${ARG_INCLUDE_HINTS})
  add_library(keyshard_external_${NAME} INTERFACE IMPORTED GLOBAL)
  if(NOT KEYSHARD_${NAME}_INCLUDE)
    message(FATAL_ERROR "${NAME}: header ${HEADER} not found; run launch/install-dependencies.sh")
  endif()
  target_include_directories(keyshard_external_${NAME} SYSTEM INTERFACE ${KEYSHARD_${NAME}_INCLUDE})
  if(LIBRARIES)
    find_library(KEYSHARD_${NAME}_LIBRARY NAMES ${LIBRARIES} HINTS ${ARG_LIBRARY_HINTS})
    if(NOT KEYSHARD_${NAME}_LIBRARY)
      message(FATAL_ERROR "${NAME}: library ${LIBRARIES} not found; run launch/install-dependencies.sh")
    endif()
    target_link_libraries(keyshard_external_${NAME} INTERFACE ${KEYSHARD_${NAME}_LIBRARY})
  endif()
endfunction()

set(multiarch ${CMAKE_LIBRARY_ARCHITECTURE})
keyshard_external(hdf5 hdf5.h "hdf5_serial;hdf5" INCLUDE_HINTS /usr/include/hdf5/serial
  LIBRARY_HINTS /usr/lib/${multiarch}/hdf5/serial)
keyshard_external(dnnl dnnl.h "dnnl")
keyshard_external(xxhash xxhash.h "xxhash")
keyshard_external(tomlplusplus toml++/toml.h "tomlplusplus")
target_compile_definitions(keyshard_external_tomlplusplus INTERFACE TOML_HEADER_ONLY=0 TOML_SHARED_LIB=1)
keyshard_external(cli11 CLI/CLI.hpp "")
set(KeyshardLibraries_FOUND TRUE)
