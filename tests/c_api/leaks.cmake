# SPDX-License-Identifier: GPL-3.0-only
# Runs a program with the compiler's leak checker preloaded: what any part of the process leaves behind fails it.
# cmake -DPROGRAM=.. -DCOMPILER=.. -P leaks.cmake
execute_process(COMMAND "${COMPILER}" -print-file-name=liblsan.so OUTPUT_VARIABLE checker OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT IS_ABSOLUTE "${checker}")
  message("SKIPPED: ${COMPILER} has no liblsan.so")
  return()
endif()
execute_process(COMMAND "${CMAKE_COMMAND}" -E env "LD_PRELOAD=${checker}" "${PROGRAM}" RESULT_VARIABLE status
  OUTPUT_VARIABLE out ERROR_VARIABLE out)
if(out MATCHES "LeakSanitizer has encountered a fatal error")
  message("SKIPPED: this system does not let LeakSanitizer look at a process")
elseif(NOT status EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} ended with ${status}:\n${out}")
endif()
