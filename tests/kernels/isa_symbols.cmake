# Owns: the check that an instruction set's objects offer their table as data and nothing else. A weak definition (an inline
# function or template that was not inlined) could be the copy that the linker keeps for the whole program, and trap on
# a processor without the instructions; so could a function that runs before the processor was asked, such as an
# initialiser. Weak data (V, such as type names for sanitizers) holds no instructions, and templates over a type that
# names the architecture are not shared. xsimd wraps single Arm intrinsics in functions (kernel::wrap) that every
# 64-bit Arm processor runs.
string(REPLACE "|" ";" objects "${OBJECTS}")
list(FILTER objects INCLUDE REGEX "cpu/isa/(scalar|avx2|avx_vnni|avx512|neon)/")
if(NOT objects)
  message(FATAL_ERROR "no instruction set's object among: ${OBJECTS}")
endif()
set(bad "")
foreach(object ${objects})
  execute_process(COMMAND ${NM} ${object} OUTPUT_VARIABLE symbols RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${NM} cannot read ${object}")
  endif()
  string(REGEX MATCHALL "[^\n]+" lines "${symbols}")
  set(tables 0)
  foreach(line ${lines})
    if(line MATCHES " _GLOBAL__(sub_)?I_")
      string(APPEND bad "\n  ${object}: initialiser: ${line}")
    endif()
    if(NOT line MATCHES "^[0-9a-fA-F]+ ([A-UW-Zu]) (.*)$")  # undefined, local, or weak data
      continue()
    endif()
    set(kind ${CMAKE_MATCH_1})
    set(name ${CMAKE_MATCH_2})
    if(kind MATCHES "[DR]" AND name MATCHES "^_?_ZN6strata7kernels[0-9]+(scalar|avx2|avx_vnni|avx512|neon)_(table|formats|peaks)E$")
      math(EXPR tables "${tables} + 1")
    elseif(NOT name MATCHES "^DW\\.ref\\." AND NOT name MATCHES "xsimd.*(avx2|avx512|neon)"
       AND NOT name MATCHES "^_ZN5xsimd6kernel4wrap[0-9]+v[a-z0-9_]+E[0-9]+__")
      string(APPEND bad "\n  ${object}: ${kind} ${name}")
    endif()
  endforeach()
  if(NOT tables EQUAL 1)
    string(APPEND bad "\n  ${object}: ${tables} tables, expected 1")
  endif()
endforeach()
if(bad)
  message(FATAL_ERROR "symbols that leave an instruction set's object:${bad}")
endif()
