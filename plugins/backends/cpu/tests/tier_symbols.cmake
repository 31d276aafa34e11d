# SPDX-License-Identifier: GPL-3.0-only
# Fails when a unit compiled for a tier defines a weak symbol: the linker could pick that copy, full of wide
# instructions, for code that runs on every processor. OBJECTS: the units' object files.
foreach(object IN LISTS OBJECTS)
  if(NOT object MATCHES "(avx|amx)[^/]*$")
    continue()
  endif()
  math(EXPR seen "${seen} + 1")
  execute_process(COMMAND "${NM}" -C --defined-only "${object}" OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[0-9a-f]+ [WVu] [^\n]*" weak "${symbols}")
  if(weak)
    message(SEND_ERROR "${object} shares code with other tiers: ${weak}")
  endif()
endforeach()
if(NOT seen GREATER 1)
  message(SEND_ERROR "no tier units among ${OBJECTS}")
endif()
