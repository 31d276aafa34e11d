# SPDX-License-Identifier: GPL-3.0-only
# cmake -DWORK=.. -P lintian.cmake: neither an error nor a warning in the packages that the test package.deb left.
file(GLOB debs "${WORK}/deb/*.deb")
find_program(LINTIAN lintian)
if(NOT LINTIAN OR NOT debs)
  message("SKIPPED: lintian is not installed, or there are no packages")
  return()
endif()
execute_process(COMMAND "${LINTIAN}" --allow-root --fail-on error,warning ${debs}
  RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE err)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "lintian:\n${out}\n${err}")
endif()
