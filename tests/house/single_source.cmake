# Checks the rules of one source for two devices (ARCHITECTURE.md, decision 2).
#   cmake -DROOT=<source tree> -P single_source.cmake
# (1) A functor, which is a struct with a KEYSHARD_HD member, holds no std::vector.
# (2) Data of the size of keys, rows or gradients is no std::vector in a lookup, because it is sent or read by functors.
# (3) A template is specialised for a backend only where a primitive of that backend lives, and the specialisation is declared in a
#     header.
cmake_minimum_required(VERSION 3.25)

set(folders runtime collectives embedding launch/training)
set(primitives "^(runtime/(memory_pool|stream|event|copy|for_each|primitives|sort_pairs)[._]|"
               "embedding/rows/(dedup|key_index|row_store)[._]|launch/training/models/gemm[._])")
string(CONCAT primitives ${primitives})
set(problems "")

function(problem text)
  set(problems "${problems}\n  ${text}" PARENT_SCOPE)
endfunction()

# check_functors(<file> <its text>): cuts the file into structs that begin and end in column 0.
function(check_functors file text)
  string(REGEX MATCHALL "\n(struct|class) [A-Za-z_0-9]+[^@{]*{\n([^\n}][^\n]*\n|\n)*}@" structs "${text}")
  foreach(body IN LISTS structs)
    if(body MATCHES "KEYSHARD_HD" AND body MATCHES "std::vector")
      string(REGEX MATCH "(struct|class) [A-Za-z_0-9]+" name "${body}")
      problem("${file}: a functor holds no std::vector: ${name}")
    endif()
  endforeach()
  set(problems "${problems}" PARENT_SCOPE)
endfunction()

set(count 0)
foreach(folder IN LISTS folders)
  file(GLOB_RECURSE files RELATIVE ${ROOT} ${ROOT}/${folder}/*.[ch]pp ${ROOT}/${folder}/*.cuh)
  foreach(file IN LISTS files)
    math(EXPR count "${count} + 1")
    file(READ ${ROOT}/${file} text)
    string(REPLACE ";" "@" text "${text}")
    string(REPLACE "[" "(" text "${text}")
    string(REPLACE "]" ")" text "${text}")
    check_functors(${file} "${text}")
    if(file MATCHES "^embedding/lookup/" AND text MATCHES "std::vector<(Key|RowId|float|double|std::byte|std::uint32_t)>")
      problem("${file}: what has the size of keys is a Buffer: found ${CMAKE_MATCH_0}")
    endif()
    if(text MATCHES "\ntemplate <>\n([^\n]*)" AND NOT file MATCHES "${primitives}")
      problem("${file}: only a primitive is specialised for a backend: found ${CMAKE_MATCH_1}")
    elseif(text MATCHES "\ntemplate <>" AND file MATCHES "^(.*)_cpu\\.cpp$")
      file(READ ${ROOT}/${CMAKE_MATCH_1}.hpp header)
      if(NOT header MATCHES "template <>")
        problem("${file}: expected its specialisations to be declared in ${CMAKE_MATCH_1}.hpp")
      endif()
    endif()
  endforeach()
endforeach()
if(count EQUAL 0)
  message(FATAL_ERROR "expected sources below ${ROOT}: found none")
endif()
if(problems)
  message(FATAL_ERROR "single source:${problems}")
endif()
message("single source: ${count} files")
