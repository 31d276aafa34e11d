# SPDX-License-Identifier: GPL-3.0-only
# How targets of this project are compiled and where they land. Plugins: rlx_plugin.cmake.
include_guard(GLOBAL)
include(GNUInstallDirs)
include(CheckCXXCompilerFlag)
# Here and not in the folders: imported targets are seen below the directory that found them only.
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(Threads REQUIRED)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")
set(RLX_PLUGIN_SUBDIR "rlx/plugins")
# Relocatable: everything finds its libraries relative to itself.
set(CMAKE_BUILD_WITH_INSTALL_RPATH ON)
set(CMAKE_SKIP_BUILD_RPATH OFF)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# -O2: the hot loops are the backend's kernels, which choose their own level; the rest is smaller and compiles faster.
set(CMAKE_C_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
find_program(RLX_CCACHE ccache)
if(RLX_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER "${RLX_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${RLX_CCACHE}")
endif()

add_library(rlx_flags INTERFACE)
target_compile_options(rlx_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -fno-math-errno)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False positives on std::string concatenation (GCC bug 105651).
  target_compile_options(rlx_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
if(RLX_WERROR)
  target_compile_options(rlx_flags INTERFACE -Werror)
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_options(rlx_flags INTERFACE -march=x86-64-v2 -mtune=generic)
endif()
# Floating-point contraction would make results depend on the tier a function was compiled for.
target_compile_options(rlx_flags INTERFACE -ffp-contract=off)
if(RLX_SANITIZE)
  target_compile_options(rlx_flags INTERFACE -fsanitize=${RLX_SANITIZE} -fno-omit-frame-pointer)
  # What sanitizers insert makes gcc see paths that are not there.
  target_compile_options(rlx_flags INTERFACE -Wno-maybe-uninitialized)
  target_link_options(rlx_flags INTERFACE -fsanitize=${RLX_SANITIZE})
else()
  target_link_options(rlx_flags INTERFACE -Wl,-z,defs)
endif()

# rlx_core_sources(<file>...): adds sources of the calling folder to librlx-core.
function(rlx_core_sources)
  list(TRANSFORM ARGN PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/")
  target_sources(rlx_core_objects PRIVATE ${ARGN})
endfunction()

# rlx_add_test(<name> SOURCES ... [LIBS ...] [LABELS ...] [ARGS ...]): one GoogleTest executable, one ctest entry
# per test case.
function(rlx_add_test name)
  if(NOT RLX_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(A "" "" "SOURCES;LIBS;LABELS;DEFINES" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE rlx_flags ${A_LIBS} GTest::gtest GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE ${A_DEFINES})
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 DISCOVERY_MODE PRE_TEST
    PROPERTIES LABELS "${A_LABELS}" SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
endfunction()

# rlx_add_each(<dir>): every sub-folder of <dir> that has a CMakeLists.txt; a new one is picked up by the next build.
function(rlx_add_each dir)
  file(GLOB lists CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${dir}/*/CMakeLists.txt")
  foreach(list IN LISTS lists)
    get_filename_component(folder "${list}" DIRECTORY)
    add_subdirectory("${folder}")
  endforeach()
endfunction()

include(rlx_plugin)
include(rlx_install)
