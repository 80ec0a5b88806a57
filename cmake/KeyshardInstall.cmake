# Installs the libraries, their headers, the program, and what find_package(keyshard) reads.
include(CMakePackageConfigHelpers)

set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/keyshard)
install(TARGETS keyshard_flags keyshard_runtime keyshard_collectives keyshard_embedding keyshard_io keyshard_training keyshard_launch keyshard_cuda
        EXPORT keyshard-targets)
install(TARGETS keyshard)
install(EXPORT keyshard-targets NAMESPACE keyshard:: DESTINATION ${config_folder})
install(DIRECTORY runtime collectives embedding io launch DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/keyshard
        FILES_MATCHING PATTERN "*.hpp" PATTERN "*.cuh" PATTERN "examples" EXCLUDE)
install(CODE "cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_PREFIX OUTPUT_VARIABLE prefix)
set(include_folder \"${CMAKE_INSTALL_INCLUDEDIR}\")
cmake_path(ABSOLUTE_PATH include_folder BASE_DIRECTORY \"\${prefix}\")
set(include_folder \"\$ENV{DESTDIR}\${include_folder}\")")
install(SCRIPT cmake/KeyshardInstalledHeaders.cmake)
configure_package_config_file(cmake/keyshard-config.cmake.in ${PROJECT_BINARY_DIR}/keyshard-config.cmake
                              INSTALL_DESTINATION ${config_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/keyshard-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/keyshard-config.cmake ${PROJECT_BINARY_DIR}/keyshard-config-version.cmake
              cmake/FindKeyshardLibraries.cmake
        DESTINATION ${config_folder})
