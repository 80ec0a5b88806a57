# launch/quickstart.sh and tests/run.sh use the same build folder. Checks that both configure it so that each source (or unit of sources) of the libraries
# and of the program has the same compile command, so that the second script does not compile them again.
#   cmake -DROOT=<source tree> -DWORK=<scratch folder> -DCOMPILER=<C++ compiler> -P same_commands_test.cmake
cmake_minimum_required(VERSION 3.25)
file(REMOVE_RECURSE ${WORK})

# Configures WORK as `script` does, and sets `result` to the compile commands.
function(commands_of script result)
  file(STRINGS ${ROOT}/${script} lines REGEX "^cmake --preset ")
  list(LENGTH lines size)
  if(NOT size EQUAL 1)
    message(FATAL_ERROR "${script}: expected one line that begins with \"cmake --preset\": found ${size}")
  endif()
  string(REGEX REPLACE " *>.*" "" line "${lines}")
  separate_arguments(line UNIX_COMMAND "${line}")
  execute_process(COMMAND ${line} -B ${WORK} -DCMAKE_CXX_COMPILER=${COMPILER} WORKING_DIRECTORY ${ROOT}
                  RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "expected success of ${line}: found ${code}\n${out}")
  endif()
  file(STRINGS ${WORK}/compile_commands.json commands REGEX "\"command\":")
  set(${result} "${commands}" PARENT_SCOPE)
endfunction()

commands_of(launch/quickstart.sh first)
commands_of(tests/run.sh second)
list(LENGTH first size)
list(LENGTH second size_of_second)
if(size LESS 20 OR NOT size_of_second GREATER size)
  message(FATAL_ERROR "expected 20 compilations or more in launch/quickstart.sh, and in tests/run.sh those and tests: "
                      "found ${size} and ${size_of_second}")
endif()
foreach(command IN LISTS first)
  if(NOT command IN_LIST second)
    message(FATAL_ERROR "expected in tests/run.sh the command of launch/quickstart.sh: found another one than\n${command}")
  endif()
endforeach()
message("same commands: ${size} compilations")
