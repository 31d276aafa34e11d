# SPDX-License-Identifier: GPL-3.0-only
# Packs the build as Debian packages, unpacks them and uses what they hold; lintian.cmake and purge.cmake go on from there.
# tests/package/in_chroot.sh does the same in a real Debian.
# cmake -DBUILD=.. -DSOURCE=.. -DWORK=.. -DLIBDIR=lib -DVERSION=.. -DCC=.. -DCXX=.. -P package_test.cmake
cmake_minimum_required(VERSION 3.25)
foreach(tool dpkg-deb dpkg-shlibdeps readelf gzip)
  string(MAKE_C_IDENTIFIER "TOOL_${tool}" variable)
  find_program(${variable} ${tool} PATHS /usr/sbin /sbin)
  if(NOT ${variable})
    message("SKIPPED: ${tool} is not installed")
    return()
  endif()
endforeach()
file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
set(ENV{XDG_CACHE_HOME} "${WORK}/cache")
set(ENV{XDG_DATA_HOME} "${WORK}/data")
set(ENV{RLX_PLUGIN_PATH} "")

function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${what} failed (${status}):\n${out}\n${err}")
  endif()
  set(output "${out}" PARENT_SCOPE)
endfunction()

get_filename_component(bin "${CMAKE_COMMAND}" DIRECTORY)
run("cpack" "${bin}/cpack" -G DEB --config "${BUILD}/CPackConfig.cmake" -B "${WORK}/deb")
file(REMOVE_RECURSE "${WORK}/deb/_CPack_Packages")
file(GLOB debs "${WORK}/deb/*.deb")
foreach(name librlx-dev librlx0 rlx-plugins rlx)
  if(NOT debs MATCHES "/${name}_${VERSION}-1_[a-z0-9]+\\.deb")
    message(FATAL_ERROR "no package ${name} in ${debs}")
  endif()
endforeach()

# What each package may hold beside its files: no maintainer script, no conffile. No file is in two packages.
set(root "${WORK}/root")
set(seen "")
foreach(deb IN LISTS debs)
  run("control files of ${deb}" "${TOOL_dpkg_deb}" -e "${deb}" "${WORK}/control")
  file(GLOB control RELATIVE "${WORK}/control" "${WORK}/control/*")
  foreach(file IN LISTS control)
    if(NOT file MATCHES "^(control|md5sums|shlibs|triggers)$")
      message(FATAL_ERROR "${deb} has a control file ${file}")
    endif()
  endforeach()
  file(REMOVE_RECURSE "${WORK}/control")
  run("listing" "${TOOL_dpkg_deb}" -c "${deb}")
  string(REGEX MATCHALL "[^\n]+" lines "${output}")
  foreach(line IN LISTS lines)
    if(NOT line MATCHES "^([^ ]+) root/root +[0-9]+ [^ ]+ [^ ]+ (\\./[^ ]*)")
      message(FATAL_ERROR "${deb}: not owned by root: ${line}")
    endif()
    set(mode "${CMAKE_MATCH_1}")
    set(file "${CMAKE_MATCH_2}")
    if(NOT mode MATCHES "^(-rw-r--r--|-rwxr-xr-x|drwxr-xr-x|lrwxrwxrwx)$")
      message(FATAL_ERROR "${deb}: ${file} has mode ${mode}")
    elseif(mode MATCHES "^d")
      continue()
    elseif(file IN_LIST seen)
      message(FATAL_ERROR "${file} is in two packages")
    endif()
    list(APPEND seen "${file}")
  endforeach()
  run("unpacking ${deb}" "${TOOL_dpkg_deb}" -x "${deb}" "${root}")
endforeach()

set(usr "${root}/usr")
foreach(file bin/rlx-run bin/rlx-qwen3 ${LIBDIR}/librlx.so.0 ${LIBDIR}/librlx.so ${LIBDIR}/librlx-text.so.0
    ${LIBDIR}/rlx/plugins/rlx-cpu.so ${LIBDIR}/rlx/plugins/rlx-cpu.so.rlx.json include/rlx/abi/abi.h
    ${LIBDIR}/cmake/rlx/rlx-config.cmake ${LIBDIR}/pkgconfig/rlx.pc share/man/man1/rlx-run.1.gz
    share/man/man1/rlx-run-chat.1.gz share/man/man1/rlx-qwen3.1.gz share/bash-completion/completions/rlx-run
    share/zsh/vendor-completions/_rlx-run share/fish/vendor_completions.d/rlx-run.fish
    share/doc/rlx/copyright share/doc/rlx/changelog.Debian.gz share/doc/librlx0/copyright
    share/rlx/models/rlx-stories.gguf share/rlx/templates)
  if(NOT EXISTS "${usr}/${file}")
    message(FATAL_ERROR "no package holds /usr/${file}")
  endif()
endforeach()

# Headers that are compiled in ask for their notice in every copy.
foreach(package rlx librlx0 rlx-plugins librlx-dev)
  file(READ "${usr}/share/doc/${package}/copyright" text)
  foreach(part "Niels Lohmann" "Mark Gillard" "Jarryd Beck" "The above copyright notice and this permission notice" "share/rlx/models")
    if(NOT text MATCHES "${part}")
      message(FATAL_ERROR "the copyright file of ${package} lacks '${part}'")
    endif()
  endforeach()
endforeach()

# Stripped, with the tables of the dynamic linker closed after loading, and found by the system's loader without a path
# of ours.
file(GLOB binaries "${usr}/bin/*" "${usr}/${LIBDIR}/*.so.*" "${usr}/${LIBDIR}/rlx/plugins/*.so")
foreach(file IN LISTS binaries)
  run("readelf" "${TOOL_readelf}" -dS "${file}")
  if(output MATCHES "RPATH|RUNPATH|\\.symtab|\\.debug_info")
    message(FATAL_ERROR "${file} has ${CMAKE_MATCH_0}")
  elseif(NOT output MATCHES "BIND_NOW")
    message(FATAL_ERROR "${file} was not linked with -z now")
  endif()
endforeach()

# It runs. Only here the loader must be told where the libraries are.
set(ENV{LD_LIBRARY_PATH} "${usr}/${LIBDIR}")
run("rlx-run --version" "${usr}/bin/rlx-run" --version)
if(NOT output MATCHES "^rlx ${VERSION}")
  message(FATAL_ERROR "version: ${output}")
endif()
run("rlx-run plugins" "${usr}/bin/rlx-run" plugins --json)
string(REGEX MATCHALL "\"file\": \"[^\"]*" files "${output}")
string(REGEX MATCHALL "\"file\": \"${root}/[^\"]*" ours "${output}")
list(LENGTH ours count)
if(NOT files STREQUAL ours OR count LESS 3)
  message(FATAL_ERROR "not the unpacked plugins:\n${output}")
endif()
run("generating" "${usr}/bin/rlx-qwen3" --weights "${usr}/share/rlx/models/rlx-stories.gguf" --quiet --max-tokens 8
  --prompt "Once upon a time,")
if(NOT output MATCHES "[a-z]")
  message(FATAL_ERROR "no text: ${output}")
endif()

# The development package builds a plugin and a program.
run("configuring the consumer" "${CMAKE_COMMAND}" -S "${SOURCE}/tests/install/consumer" -B "${WORK}/consumer" -G Ninja
  "-DCMAKE_PREFIX_PATH=${usr}" "-DCMAKE_C_COMPILER=${CC}" "-DCMAKE_CXX_COMPILER=${CXX}" -DCMAKE_BUILD_TYPE=Release)
run("building the consumer" "${CMAKE_COMMAND}" --build "${WORK}/consumer")
run("running the consumer" "${WORK}/consumer/consumer" "${WORK}/consumer/lib/rlx/plugins")
if(NOT output MATCHES "loaded com.example.consumer")
  message(FATAL_ERROR "the consumer's plugin was not loaded:\n${output}")
endif()
unset(ENV{LD_LIBRARY_PATH})

file(REMOVE_RECURSE "${root}" "${WORK}/consumer" "${WORK}/cache") # the packages stay, for the next tests
