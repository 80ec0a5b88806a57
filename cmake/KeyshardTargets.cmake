# Functions that define the libraries and tests of keyshard. Every target gets the same flags from one interface target.

add_library(keyshard_flags INTERFACE)
target_compile_features(keyshard_flags INTERFACE cxx_std_20)
# Contraction would make the bits of a sum depend on the compiler (ARCHITECTURE.md, decision 4).
# Without errno and floating-point traps compilers can vectorize square roots and other operations; no bit changes.
# nvcc hands options to the compiler of the host by -Xcompiler.
set(numeric_options -ffp-contract=off -fno-math-errno -fno-trapping-math)
list(JOIN numeric_options "," joined)
target_compile_options(keyshard_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${numeric_options}>"
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=${joined}>)

add_library(keyshard_private_flags INTERFACE)
target_compile_options(keyshard_private_flags INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wconversion;-Wshadow;-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=>"
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${KEYSHARD_WERROR}>>:-Werror>
  # g++ collects its garbage from here on: a large unit takes 0.8 GB instead of 0.6 GB, and a twelfth less time.
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:--param=ggc-min-heapsize=524288>)
if(KEYSHARD_ARCH AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_options(keyshard_private_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-march=${KEYSHARD_ARCH}>
    $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-march=${KEYSHARD_ARCH}>)
endif()
if(KEYSHARD_SANITIZE)
  target_compile_options(keyshard_private_flags INTERFACE
    -fsanitize=${KEYSHARD_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g
    # g++ 12 warns wrongly in instrumented code of the standard library.
    -Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-restrict)
  target_link_options(keyshard_private_flags INTERFACE -fsanitize=${KEYSHARD_SANITIZE})
endif()

# The external headers that most sources include, parsed once for all libraries. Headers of keyshard are not among them: a change
# of one would recompile everything. Each source must still include what it uses: clang-tidy reads it without precompiled headers.
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/precompiled.cpp CONTENT "")
add_library(keyshard_precompiled OBJECT ${PROJECT_BINARY_DIR}/precompiled.cpp)
set_target_properties(keyshard_precompiled PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_link_libraries(keyshard_precompiled PRIVATE keyshard_flags keyshard_private_flags fmt::fmt)
# For sources that run once for a job, a file or a command: a release compiles them in three quarters of the time. At -Og g++ 12 warns
# wrongly about the bounds of standard strings and the alternatives of variants.
set(cold_options
  "$<$<CONFIG:Release>:-Og;-Wno-array-bounds;-Wno-maybe-uninitialized;-Wno-stringop-overflow>")
set(often_included <algorithm> <chrono> <cmath> <cstdint> <cstring> <filesystem> <functional> <map> <memory> <mutex> <numeric> <optional>
  <string> <string_view> <utility> <variant> <vector> <fmt/format.h>)
target_precompile_headers(keyshard_precompiled PRIVATE ${often_included})
if(KEYSHARD_BUILD_TESTS)
  # The same for programs of tests, whose own code a release compiles as sources that are COLD.
  find_package(GTest REQUIRED)
  add_library(keyshard_precompiled_tests OBJECT ${PROJECT_BINARY_DIR}/precompiled.cpp)
  target_compile_options(keyshard_precompiled_tests PRIVATE ${cold_options})
  target_link_libraries(keyshard_precompiled_tests PRIVATE keyshard_flags keyshard_private_flags fmt::fmt GTest::gtest)
  target_precompile_headers(keyshard_precompiled_tests PRIVATE ${often_included} <fstream> <random> <set> <sstream> <thread> <gtest/gtest.h>)
endif()

# keyshard_library(NAME SOURCES ... COLD ... LINKS ... PRIVATE_LINKS ...): the library keyshard::NAME of the folder NAME. COLD are
# sources that run once for a job, a file or a command, never for a sample or a row (cold_options). A source that instantiates functors
# is none of them: the linker keeps one copy of a function, which may be the slow one. They are an object library of their own, because
# all sources of a unit in a unity build have the same options.
function(keyshard_library NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;COLD;LINKS;PRIVATE_LINKS" ${ARGN})
  set(cold keyshard_${NAME}_cold)
  add_library(${cold} OBJECT ${ARG_COLD})
  target_compile_options(${cold} PRIVATE ${cold_options})
  target_link_libraries(${cold} PRIVATE keyshard_flags keyshard_private_flags ${ARG_LINKS} ${ARG_PRIVATE_LINKS})
  target_include_directories(${cold} PRIVATE ${PROJECT_SOURCE_DIR})

  add_library(keyshard_${NAME} STATIC ${ARG_SOURCES} $<TARGET_OBJECTS:${cold}>)
  add_library(keyshard::${NAME} ALIAS keyshard_${NAME})
  set_target_properties(keyshard_${NAME} PROPERTIES EXPORT_NAME ${NAME} LINKER_LANGUAGE CXX)
  target_include_directories(keyshard_${NAME} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(keyshard_${NAME}
    PUBLIC keyshard_flags ${ARG_LINKS}
    PRIVATE $<BUILD_INTERFACE:keyshard_private_flags> ${ARG_PRIVATE_LINKS})

  foreach(target ${cold} keyshard_${NAME})
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON UNITY_BUILD ${KEYSHARD_UNITY}
                          UNITY_BUILD_BATCH_SIZE 40)
    target_precompile_headers(${target} REUSE_FROM keyshard_precompiled)
  endforeach()
endfunction()

# keyshard_test(FILE LINKS ... [LABELS ...] [RANKS 1 2 ...] [TIMEOUT s]): one executable of <FILE>.cpp, and a test that
# runs it; with RANKS instead one test under mpirun for each number of ranks. A test counts as skipped where its output begins with
# SKIPPED, or ends with GoogleTest's list of skipped tests after "0 tests" passed: then nothing ran and nothing failed.
function(keyshard_test FILE)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINKS;LABELS;RANKS" ${ARGN})
  string(REPLACE "/" "_" target ${FILE})
  file(RELATIVE_PATH folder ${PROJECT_SOURCE_DIR}/tests ${CMAKE_CURRENT_SOURCE_DIR})
  if(folder)
    string(REPLACE "/" "_" folder ${folder})
    set(target ${folder}_${target})
  endif()
  add_executable(${target} ${FILE}.cpp ${ARG_SOURCES})
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(${target} PRIVATE ${ARG_LINKS} keyshard_test_support keyshard_private_flags)
  target_compile_options(${target} PRIVATE ${cold_options})
  target_precompile_headers(${target} REUSE_FROM keyshard_precompiled_tests)
  if(KEYSHARD_SANITIZE AND NOT "small" IN_LIST ARG_LABELS)
    # Sanitizers run the tests labelled small; the others need not be built.
    set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL ON)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set(skipped "^SKIPPED" "\\[  PASSED  \\] 0 tests\\.\n(\\[  SKIPPED \\][^\n]*\n)+$")
  if(NOT ARG_RANKS)
    add_test(NAME ${target} COMMAND ${target})
    set_tests_properties(${target} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}" SKIP_REGULAR_EXPRESSION "${skipped}"
      ENVIRONMENT LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/support/lsan.supp)
  endif()
  foreach(ranks ${ARG_RANKS})
    set(name ${target}_mpi${ranks})
    add_test(NAME ${name} COMMAND ${PROJECT_SOURCE_DIR}/launch/mpirun.sh -n ${ranks} $<TARGET_FILE:${target}>)
    set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS};mpi" PROCESSORS ${ranks}
      SKIP_REGULAR_EXPRESSION "${skipped}")
    # Ranks of mpirun take their output for a terminal, hence no colors. The other variables configure sanitizers, because MPI is
    # not instrumented; a build without sanitizers ignores them.
    set_property(TEST ${name} PROPERTY ENVIRONMENT GTEST_COLOR=no ASAN_OPTIONS=fast_unwind_on_malloc=0
      LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/support/lsan.supp TSAN_OPTIONS=ignore_noninstrumented_modules=1)
  endforeach()
endfunction()
