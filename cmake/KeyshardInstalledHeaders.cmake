# Run by an installation: installed headers include each other as "keyshard/FOLDER/NAME.hpp", so a program that includes
# <keyshard/...> needs no second folder of headers, and its own io/ or runtime/ is never mistaken for one of keyshard.
file(GLOB_RECURSE headers "${include_folder}/keyshard/*.hpp" "${include_folder}/keyshard/*.cuh")
if(NOT headers)
  message(FATAL_ERROR "expected installed headers in ${include_folder}/keyshard: found none")
endif()
foreach(header IN LISTS headers)
  file(READ "${header}" text)
  string(REGEX REPLACE "#include \"(runtime|collectives|embedding|io|launch)/" "#include \"keyshard/\\1/" text "${text}")
  file(WRITE "${header}" "${text}")
endforeach()
