# SPDX-License-Identifier: GPL-3.0-only
# rlx/sdk.hpp includes every header of rlx/sdk. cmake -DROOT=core/sdk -P umbrella.cmake
file(READ "${ROOT}/rlx/sdk.hpp" umbrella)
file(GLOB headers RELATIVE "${ROOT}" "${ROOT}/rlx/sdk/*.hpp")
foreach(header IN LISTS headers)
  string(FIND "${umbrella}" "#include \"${header}\"\n" at)
  if(at EQUAL -1)
    message(SEND_ERROR "rlx/sdk.hpp does not include ${header}")
  endif()
endforeach()
