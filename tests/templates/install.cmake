# SPDX-License-Identifier: GPL-3.0-only
# cmake -DBUILD=.. -DPREFIX=.. -P install.cmake
file(REMOVE_RECURSE "${PREFIX}")
execute_process(COMMAND "${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${PREFIX}"
  RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE out)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "install failed (${status}):\n${out}")
endif()
