# SPDX-License-Identifier: GPL-3.0-only
# Installs the build, moves the installation, and uses it from outside: CMake package, pkg-config, programs.
# cmake -DBUILD=.. -DSOURCE=.. -DWORK=.. -DLIBDIR=lib -DCC=.. -DCXX=.. -P install_test.cmake
file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
set(ENV{RLX_PLUGIN_PATH} "")
set(ENV{XDG_CACHE_HOME} "${WORK}/cache")
set(ENV{XDG_DATA_HOME} "${WORK}/data")

function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${what} failed (${status}):\n${out}\n${err}")
  endif()
  set(output "${out}" PARENT_SCOPE)
endfunction()

run("install" "${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${WORK}/stage")
file(RENAME "${WORK}/stage" "${WORK}/moved")
set(prefix "${WORK}/moved")

foreach(file include/rlx/abi/abi.h include/rlx/sdk/plugin.hpp ${LIBDIR}/librlx.so ${LIBDIR}/librlx-core.so
    ${LIBDIR}/cmake/rlx/rlx-config.cmake ${LIBDIR}/pkgconfig/rlx.pc bin/rlx-run)
  if(NOT EXISTS "${prefix}/${file}")
    message(FATAL_ERROR "${file} is not installed")
  endif()
endforeach()

# The components share no file and leave none out.
file(GLOB_RECURSE all RELATIVE "${prefix}" LIST_DIRECTORIES false "${prefix}/*")
set(parts "")
foreach(component runtime plugins dev)
  run("installing ${component}" "${CMAKE_COMMAND}" --install "${BUILD}" --component ${component}
    --prefix "${WORK}/part-${component}")
  file(GLOB_RECURSE files RELATIVE "${WORK}/part-${component}" LIST_DIRECTORIES false "${WORK}/part-${component}/*")
  list(APPEND parts ${files})
endforeach()
list(SORT all)
list(SORT parts)
if(NOT "${all}" STREQUAL "${parts}")
  message(FATAL_ERROR "the components together are not the installation:\n${parts}\nis not\n${all}")
endif()
foreach(wanted "part-runtime/bin/rlx-run" "part-runtime/${LIBDIR}/librlx.so.0" "part-dev/include/rlx/abi/abi.h"
    "part-plugins/${LIBDIR}/rlx/plugins/rlx-qwen3.so" "part-runtime/share/rlx/models/rlx-stories.gguf"
    "part-runtime/share/doc/rlx/docs/abi.md" "part-runtime/share/doc/rlx/LICENSE"
    "part-runtime/share/doc/rlx/copyright" "part-runtime/share/rlx/models/tiny/embedder/config.json")
  if(NOT EXISTS "${WORK}/${wanted}")
    message(FATAL_ERROR "${wanted} is missing")
  endif()
endforeach()
run("rlx-run of the runtime component" "${WORK}/part-runtime/bin/rlx-run" --version)

# Every program has its page and its completions, and a launcher is small.
find_program(STRIP strip)
file(GLOB programs RELATIVE "${prefix}/bin" "${prefix}/bin/*")
foreach(name IN LISTS programs)
  foreach(file man/man1/${name}.1 bash-completion/completions/${name} zsh/site-functions/_${name}
      fish/vendor_completions.d/${name}.fish)
    if(NOT EXISTS "${prefix}/share/${file}")
      message(FATAL_ERROR "${name} is installed without share/${file}")
    endif()
  endforeach()
  if(STRIP AND NOT FLAGS)
    run("strip" "${STRIP}" -o "${WORK}/stripped" "${prefix}/bin/${name}")
    file(SIZE "${WORK}/stripped" bytes)
    message(STATUS "${name}: ${bytes} bytes stripped")
    if(bytes GREATER 8192 AND NOT name MATCHES "^rlx-(plugin-check|optest)$")
      message(FATAL_ERROR "${name} has ${bytes} bytes stripped; a launcher is one call into librlx-cli")
    endif()
  endif()
endforeach()

# Nothing installed may know where it was built.
file(GLOB_RECURSE texts "${prefix}/*.cmake" "${prefix}/*.pc" "${prefix}/*.h" "${prefix}/*.hpp" "${prefix}/*.json")
foreach(file IN LISTS texts)
  file(READ "${file}" text)
  foreach(path "${BUILD}" "${SOURCE}/core" "${WORK}/stage")
    string(FIND "${text}" "${path}" at)
    if(NOT at EQUAL -1)
      message(FATAL_ERROR "${file} mentions ${path}")
    endif()
  endforeach()
endforeach()

# The documents are those of a system without the source tree.
if(NOT FLAGS)
  run("the installed documents" bash "${SOURCE}/tests/install/documents.sh" "${prefix}" "${WORK}/stage")
endif()

# A CMake project, built by this project's compilers and by clang without exceptions.
function(use_from_cmake name cc cxx flags)
  set(build "${WORK}/${name}")
  run("configuring the consumer with ${cxx}" "${CMAKE_COMMAND}" -S "${SOURCE}/tests/install/consumer" -B "${build}"
    -G Ninja "-DCMAKE_PREFIX_PATH=${prefix}" "-DCMAKE_C_COMPILER=${cc}" "-DCMAKE_CXX_COMPILER=${cxx}"
    -DCMAKE_BUILD_TYPE=Release "-DCMAKE_C_FLAGS=${FLAGS}"
    "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Wpedantic -Werror ${flags} ${FLAGS}")
  run("building the consumer with ${cxx}" "${CMAKE_COMMAND}" --build "${build}")
  run("running the consumer built with ${cxx}" "${build}/consumer" "${build}/lib/rlx/plugins")
  if(NOT output MATCHES "loaded com.example.consumer 3.1.4")
    message(FATAL_ERROR "the consumer's plugin was not loaded:\n${output}")
  endif()
  if(NOT output MATCHES "found org.rlx.cpu")
    message(FATAL_ERROR "the installed plugins were not found beside librlx:\n${output}")
  endif()
  execute_process(COMMAND "${build}/commands" count a b c RESULT_VARIABLE status OUTPUT_VARIABLE counted)
  if(NOT status EQUAL 3 OR NOT counted STREQUAL "3 arguments\n")
    message(FATAL_ERROR "a registered command was not run (${status}): ${counted}")
  endif()
  run("dispatching a built-in command" "${build}/commands" env)
endfunction()
use_from_cmake(consumer "${CC}" "${CXX}" "")
find_program(CLANG clang)
find_program(CLANGXX clang++)
if(CLANG AND CLANGXX AND NOT FLAGS)
  use_from_cmake(consumer_clang "${CLANG}" "${CLANGXX}" -fno-exceptions)
endif()

# Versions and components, asked for as a project does.
function(find_package_says arguments status_wanted says)
  file(WRITE "${WORK}/find/CMakeLists.txt" "cmake_minimum_required(VERSION 3.25)\nproject(x CXX)\nfind_package(rlx ${arguments})\n")
  execute_process(COMMAND "${CMAKE_COMMAND}" -S "${WORK}/find" -B "${WORK}/find/build" -G Ninja "-DCMAKE_PREFIX_PATH=${prefix}"
    "-DCMAKE_CXX_COMPILER=${CXX}" RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE err)
  file(REMOVE_RECURSE "${WORK}/find")
  if(NOT status EQUAL ${status_wanted} OR NOT err MATCHES "${says}")
    message(FATAL_ERROR "find_package(rlx ${arguments}) gave ${status}: ${err}")
  endif()
endfunction()
find_package_says("0.1 REQUIRED COMPONENTS rlx sdk cli" 0 "")
find_package_says("99 REQUIRED" 1 "requested version .99")
find_package_says("REQUIRED COMPONENTS rlx wheels" 1 "no component 'wheels'; it has rlx, sdk and cli")

# pkg-config and a compiler, no CMake.
find_program(PKG_CONFIG pkg-config)
if(PKG_CONFIG)
  set(ENV{PKG_CONFIG_PATH} "${prefix}/${LIBDIR}/pkgconfig")
  run("pkg-config" "${PKG_CONFIG}" --cflags --libs rlx)
  separate_arguments(flags UNIX_COMMAND "${output} ${FLAGS}")
  run("compiling with pkg-config's flags" "${CXX}" -std=c++20 "${SOURCE}/tests/install/consumer/program.cpp"
    -o "${WORK}/plain" ${flags} "-Wl,-rpath,${prefix}/${LIBDIR}")
  run("the program built with pkg-config" "${WORK}/plain" "${WORK}/consumer/lib/rlx/plugins")
endif()

# The installed programs see the installed plugins and, when told, the consumer's.
run("rlx-run plugins" "${prefix}/bin/rlx-run" plugins --json --plugin-dir "${WORK}/consumer/lib/rlx/plugins")
foreach(id org.rlx.cpu com.example.consumer)
  if(NOT output MATCHES "${id}")
    message(FATAL_ERROR "rlx-run plugins does not list ${id}:\n${output}")
  endif()
endforeach()
run("generating with the installed model" "${prefix}/bin/rlx-qwen3" --quiet --max-tokens 8
  --weights "${prefix}/share/rlx/models/rlx-stories.gguf" --prompt "Once upon a time,")
if(NOT output MATCHES "[a-z]")
  message(FATAL_ERROR "no text: ${output}")
endif()
file(REMOVE_RECURSE "${WORK}")
