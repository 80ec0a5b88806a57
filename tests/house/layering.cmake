# Checks the arrows of ARCHITECTURE.md: which folder includes which, the one home of each foreign header, that only
# runtime/launch_cuda.hpp launches kernels, and that no file has more than 400 lines.
#   cmake -DROOT=<source tree> -P layering.cmake
cmake_minimum_required(VERSION 3.25)

set(of_runtime runtime)
set(of_collectives runtime collectives)
set(of_embedding runtime collectives embedding)
set(of_io runtime collectives io)
set(of_launch runtime collectives embedding io launch)
set(of_tests runtime collectives embedding io launch tests)

# Rooms inside a folder, from the innermost: a room includes itself and those before it.
set(rooms_of_embedding rules stores rows lookup layers)
# Rooms that include nothing else of their folder.
set(closed_rooms launch/training)

# A foreign header, and the files that may include it.
set(foreign
  "mpi\\.h" "collectives/mpi_|tests/collectives/mpi_"
  "nccl\\.h" "collectives/nccl_|tests/sim/"
  "hdf5[_a-z]*\\.h" "io/hdf5"
  "rocksdb/.*" "embedding/stores/rocksdb_"
  "hiredis/.*" "embedding/stores/redis_"
  "archive(_entry)?\\.h" "io/archive"
  "(oneapi/dnnl/)?dnnl[_a-z]*\\.hp*" "launch/training/models/gemm"
  "toml\\+\\+/.*" "launch/toml_file\\.cpp"
  "CLI/.*" "launch/command_line\\.cpp"
  "nlohmann/.*" "runtime/json\\.cpp"
  "xxh[_a-z0-9]*\\.h" "runtime/digest\\.cpp"
  "farmhash\\.h" "runtime/text_keys\\.cpp"
  "spdlog/.*" "runtime/log"
  "cub/.*" "runtime/cub_cuda\\.cpp"
  "cuda/atomic" "runtime/atomic_word\\.hpp"
  "cuda_runtime_api\\.h" "runtime/cuda_call\\.hpp|tests/(sim|gpu)/"
  "cooperative_groups.*" "runtime/launch_cuda\\.hpp")

set(problems "")

function(problem file text)
  set(problems "${problems}\n  ${file}: ${text}" PARENT_SCOPE)
endfunction()

function(check_rooms file folder header)
  if(file MATCHES "^${folder}/([^/]*)/" AND DEFINED rooms_of_${folder})
    list(FIND rooms_of_${folder} "${CMAKE_MATCH_1}" mine)
    if(header MATCHES "^${folder}/([^/]*)/")
      list(FIND rooms_of_${folder} "${CMAKE_MATCH_1}" theirs)
      if(theirs GREATER mine OR theirs LESS 0)
        problem(${file} "rooms of ${folder} are ${rooms_of_${folder}}, and none includes a later one: found \"${header}\"")
      endif()
    endif()
  endif()
  foreach(room IN LISTS closed_rooms)
    if(file MATCHES "^${room}/" AND header MATCHES "^${folder}/" AND NOT header MATCHES "^${room}/")
      problem(${file} "${room} includes nothing else of ${folder}: found \"${header}\"")
    endif()
  endforeach()
  set(problems "${problems}" PARENT_SCOPE)
endfunction()

function(check_own file folder header)
  string(REGEX MATCH "^[^/]*" from "${header}")
  if(NOT header MATCHES "/" OR NOT from IN_LIST of_tests)
    problem(${file} "expected a path from the root of the tree: found \"${header}\"")
  elseif(NOT from IN_LIST of_${folder})
    problem(${file} "${folder} may not include ${from}: found \"${header}\"")
  endif()
  check_rooms(${file} ${folder} "${header}")
  set(problems "${problems}" PARENT_SCOPE)
endfunction()

function(check_foreign file header)
  list(LENGTH foreign size)
  math(EXPR last "${size} - 2")
  foreach(i RANGE 0 ${last} 2)
    math(EXPR j "${i} + 1")
    list(GET foreign ${i} name)
    list(GET foreign ${j} home)
    if(header MATCHES "^${name}$" AND NOT file MATCHES "^(${home})")
      problem(${file} "<${header}> may be included by ${home} alone")
    endif()
  endforeach()
  set(problems "${problems}" PARENT_SCOPE)
endfunction()

function(check_file file)
  string(REGEX MATCH "^[^/]*" folder ${file})
  file(STRINGS ${ROOT}/${file} includes REGEX "^[ \t]*#[ \t]*include")
  foreach(line IN LISTS includes)
    if(line MATCHES "include[ \t]*\"([^\"]*)\"")
      check_own(${file} ${folder} "${CMAKE_MATCH_1}")
    elseif(line MATCHES "include[ \t]*<([^>]*)>")
      check_foreign(${file} "${CMAKE_MATCH_1}")
    endif()
  endforeach()
  file(STRINGS ${ROOT}/${file} launches REGEX "<<<")
  if(launches AND NOT file MATCHES "^runtime/launch_cuda\\.hpp$")
    problem(${file} "kernels are launched by runtime/launch_cuda.hpp alone")
  endif()
  file(READ ${ROOT}/${file} text)
  string(REGEX REPLACE "[^\n]" "" newlines "${text}")
  string(LENGTH "${newlines}" lines)
  if(lines GREATER 400)
    problem(${file} "expected at most 400 lines: found ${lines}")
  endif()
  set(problems "${problems}" PARENT_SCOPE)
endfunction()

set(count 0)
foreach(folder IN LISTS of_tests)
  file(GLOB_RECURSE files RELATIVE ${ROOT} ${ROOT}/${folder}/*.[ch]pp ${ROOT}/${folder}/*.h ${ROOT}/${folder}/*.cu
    ${ROOT}/${folder}/*.cuh)
  foreach(file IN LISTS files)
    check_file(${file})
    math(EXPR count "${count} + 1")
  endforeach()
endforeach()
if(count EQUAL 0)
  message(FATAL_ERROR "expected sources below ${ROOT}: found none")
endif()
if(problems)
  message(FATAL_ERROR "layering:${problems}")
endif()
message("layering: ${count} files")
