# Checks that prefetches of the source are in the object code: compilers remove calls of functions that do
# nothing but prefetch. Reads the disassembly of ${LIBRARY} by ${OBJDUMP}; each of
# the files ${FILES} must hold prefetch instructions.
execute_process(COMMAND ${OBJDUMP} --disassemble --no-show-raw-insn ${LIBRARY} OUTPUT_VARIABLE code
  RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "expected ${OBJDUMP} to disassemble ${LIBRARY}: found status ${failed}")
endif()
foreach(file IN LISTS FILES)
  string(FIND "${code}" "${file}.cpp.o:" start)
  if(start EQUAL -1)
    message(FATAL_ERROR "expected object code of ${file}.cpp in ${LIBRARY}: found none")
  endif()
  string(SUBSTRING "${code}" ${start} -1 rest)
  string(FIND "${rest}" "prefetch" fetch)
  string(FIND "${rest}" ".cpp.o:" own)
  math(EXPR after "${own} + 7")
  string(SUBSTRING "${rest}" ${after} -1 others)
  string(FIND "${others}" ".cpp.o:" next)
  if(fetch EQUAL -1 OR (next GREATER -1 AND fetch GREATER_EQUAL next))
    message(FATAL_ERROR "expected prefetch instructions in the object code of ${file}.cpp: found none in ${LIBRARY}")
  endif()
endforeach()
message(STATUS "prefetch instructions in ${FILES}")
