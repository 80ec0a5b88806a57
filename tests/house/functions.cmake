# Measures functions: each has fewer than 40 lines, from the line of its name to its last brace.
#   cmake -DROOT=<source tree> -P functions.cmake
# clang-format lays code out so that the head of a block is the last line with the indentation of the closing brace before that
# brace. Every block is measured: also blocks inside functions, but not namespaces, nor types and lists, which end in "};".
cmake_minimum_required(VERSION 3.25)

set(limit 40)
set(problems "")
set(functions 0)

# measure(<file>): adds to `problems` and `functions`.
function(measure file)
  file(READ ${ROOT}/${file} text)
  # Characters that have a meaning in lists of CMake.
  string(REGEX REPLACE "[][;\\]" "." text "${text}")
  string(REPLACE "\n" ";" lines "${text}")
  set(number 0)
  set(raw NO)  # inside a raw text
  foreach(line IN LISTS lines)
    math(EXPR number "${number} + 1")
    if(raw)
      if(line MATCHES "\\)[a-z]*\"")
        set(raw NO)
      endif()
      continue()
    elseif(line MATCHES "R\"[a-z]*\\(" AND NOT line MATCHES "R\"[a-z]*\\(.*\\)[a-z]*\"")
      set(raw YES)
    endif()
    if(line MATCHES "^( *)}$")
      string(LENGTH "${CMAKE_MATCH_1}" indent)
      math(EXPR lines_of "${number} - ${begin_${indent}} + 1")
      if(NOT head_${indent} MATCHES "^ *(inline )?namespace")
        math(EXPR functions "${functions} + 1")
        if(lines_of GREATER_EQUAL limit)
          string(STRIP "${head_${indent}}" head)
          string(APPEND problems
            "\n  ${file}:${begin_${indent}}: expected fewer than ${limit} lines of a function: found ${lines_of}: ${head}")
        endif()
      endif()
    elseif(line MATCHES "^( *)[^ #]")
      string(LENGTH "${CMAKE_MATCH_1}" indent)
      set(begin_${indent} ${number})
      set(head_${indent} "${line}")
    endif()
  endforeach()
  set(problems "${problems}" PARENT_SCOPE)
  set(functions ${functions} PARENT_SCOPE)
endfunction()

foreach(folder runtime collectives embedding io launch tests)
  file(GLOB_RECURSE files RELATIVE ${ROOT} ${ROOT}/${folder}/*.[ch]pp ${ROOT}/${folder}/*.cu ${ROOT}/${folder}/*.cuh)
  foreach(file IN LISTS files)
    measure(${file})
  endforeach()
endforeach()

if(problems)
  message(FATAL_ERROR "functions:${problems}")
endif()
message("functions: ${functions} blocks")
