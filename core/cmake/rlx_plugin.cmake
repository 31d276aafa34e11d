# SPDX-License-Identifier: GPL-3.0-only
# How a plugin is built, in this tree and from an installed package (find_package(rlx)).
#
#   rlx_add_plugin(<target> MANIFEST plugin.json SOURCES <file>... [LIBS <target>...] [DEFINES <def>...])
#       One dlopen-able library <target>.so that exports rlx_plugin_entry_v1 and nothing else, with its manifest as
#       an ELF note and as the sidecar <target>.so.rlx.json. The sources compile once, into <target>-objects, which
#       unit tests link too: there the entry is called rlx_plugin_entry_v1_<target>, so several plugins fit into
#       one test. RLX_PLUGIN_ID and RLX_PLUGIN_VERSION are defined from the manifest. Two variables change where it
#       goes: RLX_PLUGIN_OUTPUT_DIRECTORY (default <build>/lib/rlx/plugins), RLX_PLUGIN_NO_INSTALL.
#
#   rlx_add_family(<name> SOURCES <file>... [MANIFEST plugin.json] [LIBS ...] [TESTS <file>...] [TEST_LIBS ...])
#       Plugin rlx-<name>, launcher bin/rlx-<name>, and test <name>_test (label <name>) of the family's objects.
#       TEST_LIBS default to rlx_core_static; tests see RLX_FAMILY_DIR (the family's source folder).
include_guard(GLOBAL)

set(RLX_PLUGIN_CMAKE_DIR "${CMAKE_CURRENT_LIST_DIR}")

# rlx_manifest_error(<out> <json>): <out> = why this manifest is refused, or "".
function(rlx_manifest_error out json)
  set(${out} "" PARENT_SCOPE)
  string(JSON format ERROR_VARIABLE error GET "${json}" rlx_manifest)
  if(error)
    set(${out} "not a manifest: ${error}" PARENT_SCOPE)
    return()
  elseif(NOT format STREQUAL "1")
    set(${out} "rlx_manifest is ${format}, expected 1" PARENT_SCOPE)
    return()
  endif()
  foreach(key id version)
    string(JSON type ERROR_VARIABLE error TYPE "${json}" ${key})
    string(JSON value ERROR_VARIABLE ignored GET "${json}" ${key})
    if(error OR NOT type STREQUAL "STRING" OR NOT value MATCHES "^[A-Za-z0-9._+-]+$")
      set(${out} "\"${key}\" must be a string of letters, digits and . _ + -" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  string(JSON major ERROR_VARIABLE error GET "${json}" abi major)
  string(JSON minor ERROR_VARIABLE error2 GET "${json}" abi min_minor)
  if(error OR error2 OR NOT major STREQUAL "1" OR NOT minor MATCHES "^[0-9]+$")
    set(${out} "\"abi\" must be {\"major\": 1, \"min_minor\": <number>}" PARENT_SCOPE)
    return()
  endif()
  string(JSON count ERROR_VARIABLE error LENGTH "${json}" provides)
  if(error OR count LESS 1)
    set(${out} "\"provides\" must be an array with at least one entry" PARENT_SCOPE)
    return()
  endif()
  math(EXPR last "${count} - 1")
  foreach(i RANGE ${last})
    rlx_manifest_entry_error(why "${json}" ${i})
    if(why)
      set(${out} "provides[${i}]: ${why}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
endfunction()

function(rlx_manifest_entry_error out json i)
  set(${out} "" PARENT_SCOPE)
  foreach(key kind name)
    string(JSON value ERROR_VARIABLE error GET "${json}" provides ${i} ${key})
    if(error OR value STREQUAL "")
      set(${out} "no \"${key}\"" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  string(JSON kind GET "${json}" provides ${i} kind)
  string(JSON name GET "${json}" provides ${i} name)
  string(JSON interface ERROR_VARIABLE no_interface GET "${json}" provides ${i} interface)
  foreach(key arches extensions magic)
    string(JSON n_${key} ERROR_VARIABLE error LENGTH "${json}" provides ${i} ${key})
    if(error)
      set(n_${key} 0)
    endif()
  endforeach()
  if(kind STREQUAL "op" AND NOT name MATCHES "\\.")
    set(${out} "an op needs a name like \"org.example.swirl\"" PARENT_SCOPE)
  elseif(kind STREQUAL "command" AND NOT no_interface AND NOT interface STREQUAL "rlx.cli/1")
    set(${out} "a command's \"interface\" is \"rlx.cli/1\" or absent" PARENT_SCOPE)
  elseif(kind STREQUAL "tensor_names" AND n_arches EQUAL 0)
    set(${out} "tensor_names need \"arches\"" PARENT_SCOPE)
  elseif(kind STREQUAL "weight_format" AND n_extensions EQUAL 0 AND n_magic EQUAL 0)
    set(${out} "a weight_format needs \"extensions\" or \"magic\"" PARENT_SCOPE)
  elseif(kind STREQUAL "family")
    string(JSON task ERROR_VARIABLE error GET "${json}" provides ${i} task)
    string(JSON n_gguf ERROR_VARIABLE error_gguf LENGTH "${json}" provides ${i} gguf_arches)
    string(JSON n_hf ERROR_VARIABLE error_hf LENGTH "${json}" provides ${i} hf_model_types)
    if(error)
      set(${out} "a family needs \"task\"" PARENT_SCOPE)
    elseif(NOT n_gguf GREATER 0 AND NOT n_hf GREATER 0)
      set(${out} "a family needs \"gguf_arches\" or \"hf_model_types\"" PARENT_SCOPE)
    endif()
  endif()
endfunction()

function(rlx_add_plugin target)
  cmake_parse_arguments(A "NO_ENTRY" "MANIFEST" "SOURCES;LIBS;DEFINES" ${ARGN})
  if(A_UNPARSED_ARGUMENTS OR NOT A_MANIFEST OR NOT A_SOURCES)
    message(FATAL_ERROR "rlx_add_plugin(${target} MANIFEST plugin.json SOURCES ...): wrong arguments ${A_UNPARSED_ARGUMENTS}")
  endif()
  get_filename_component(manifest "${A_MANIFEST}" ABSOLUTE)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${manifest}")
  file(READ "${manifest}" json)
  rlx_manifest_error(why "${json}")
  if(why)
    message(FATAL_ERROR "${manifest}: ${why}")
  endif()
  string(JSON id GET "${json}" id)
  string(JSON version GET "${json}" version)
  string(MAKE_C_IDENTIFIER "rlx_plugin_entry_v1_${target}" entry)

  if(TARGET rlx_sdk)
    set(base rlx_sdk rlx_flags)
  else()
    set(base rlx::sdk)
  endif()
  add_library(${target}-objects OBJECT ${A_SOURCES})
  set_target_properties(${target}-objects PROPERTIES POSITION_INDEPENDENT_CODE ON
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_link_libraries(${target}-objects PUBLIC ${base} PRIVATE ${A_LIBS})
  target_compile_definitions(${target}-objects PRIVATE ${A_DEFINES} "RLX_PLUGIN_ID=\"${id}\""
    "RLX_PLUGIN_VERSION=\"${version}\"" rlx_plugin_entry_v1=${entry})
  if(NOT "cxx_std_20" IN_LIST CMAKE_CXX_COMPILE_FEATURES)
    message(FATAL_ERROR "rlx plugins need a C++20 compiler")
  endif()
  target_compile_features(${target}-objects PRIVATE cxx_std_20)

  # The one exported symbol, the note and the version script.
  set(gen "${CMAKE_CURRENT_BINARY_DIR}/${target}.gen")
  set(forward "")
  if(NOT A_NO_ENTRY)
    set(forward "rlx_error* ${entry}(const rlx_host* host, rlx_plugin* out);\n
__attribute__((visibility(\"default\"))) rlx_error* rlx_plugin_entry_v1(const rlx_host* host, rlx_plugin* out);
rlx_error* rlx_plugin_entry_v1(const rlx_host* host, rlx_plugin* out) { return ${entry}(host, out); }\n")
  endif()
  file(CONFIGURE OUTPUT "${gen}/entry.c" @ONLY CONTENT [=[
#include "rlx/abi/abi.h"
#include "rlx/abi/note.h"

@forward@
RLX_EMBED_MANIFEST("@manifest@");
]=])
  file(CONFIGURE OUTPUT "${gen}/exports.map" CONTENT "{ global: rlx_plugin_entry_v1; local: *; };\n")
  set_source_files_properties("${gen}/entry.c" PROPERTIES OBJECT_DEPENDS "${manifest}")
  # Both files belong to the library, not to the objects: tests link the objects of several plugins.
  set(guard "${RLX_PLUGIN_CMAKE_DIR}/rlx_guard.cpp")
  set_source_files_properties("${guard}" PROPERTIES COMPILE_OPTIONS -fexceptions)
  add_library(${target} MODULE "${gen}/entry.c" "${guard}")
  target_link_libraries(${target} PRIVATE ${target}-objects ${base} ${A_LIBS})
  target_link_options(${target} PRIVATE "LINKER:--version-script=${gen}/exports.map" LINKER:-z,nodelete
    LINKER:-z,relro,-z,now)
  if(NOT RLX_SANITIZE)
    target_link_options(${target} PRIVATE LINKER:-z,defs)
  endif()
  if(NOT RLX_PLUGIN_OUTPUT_DIRECTORY)
    set(RLX_PLUGIN_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib/rlx/plugins")
  endif()
  set_target_properties(${target} PROPERTIES PREFIX "" OUTPUT_NAME "${target}" SUFFIX ".so" LINKER_LANGUAGE CXX
    LINK_DEPENDS "${gen}/exports.map" INSTALL_RPATH "" C_VISIBILITY_PRESET hidden
    LIBRARY_OUTPUT_DIRECTORY "${RLX_PLUGIN_OUTPUT_DIRECTORY}")
  configure_file("${manifest}" "${RLX_PLUGIN_OUTPUT_DIRECTORY}/${target}.so.rlx.json" COPYONLY)

  if(RLX_PLUGIN_NO_INSTALL)
    return()
  endif()
  set_property(GLOBAL APPEND PROPERTY RLX_PLUGIN_TARGETS ${target})
  if(TARGET rlx_runtime)
    add_dependencies(rlx_runtime ${target})
  endif()
  include(GNUInstallDirs)
  set(destination "${CMAKE_INSTALL_LIBDIR}/rlx/plugins")
  install(TARGETS ${target} LIBRARY DESTINATION "${destination}" COMPONENT plugins)
  install(FILES "${RLX_PLUGIN_OUTPUT_DIRECTORY}/${target}.so.rlx.json" DESTINATION "${destination}" COMPONENT plugins)
endfunction()

# A launcher is the command line with its first word fixed; rlx_cli exports the C function it calls. TASK is that of a
# family (the manifest's) and selects the command that is run with the family pinned; without it `name` is a command.
function(rlx_add_launcher name)
  cmake_parse_arguments(A "" "TASK" "" ${ARGN})
  if(NOT TARGET rlx_cli)
    return()
  endif()
  set(command "${name}")
  if(A_TASK)
    string(APPEND command ":${A_TASK}")
  endif()
  file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/rlx-${name}.gen/main.c" @ONLY CONTENT [=[
int rlx_cli_main_as(const char* command, int argc, char** argv);
int main(int argc, char** argv) { return rlx_cli_main_as("@command@", argc, argv); }
]=])
  add_executable(rlx-${name}-launcher "${CMAKE_CURRENT_BINARY_DIR}/rlx-${name}.gen/main.c")
  target_link_libraries(rlx-${name}-launcher PRIVATE rlx_cli rlx_flags)
  target_link_options(rlx-${name}-launcher PRIVATE LINKER:-z,relro,-z,now,-z,noseparate-code)
  set_target_properties(rlx-${name}-launcher PROPERTIES OUTPUT_NAME "rlx-${name}" LINKER_LANGUAGE CXX
    INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR};$ORIGIN/../lib")
  if(TARGET rlx_runtime)
    add_dependencies(rlx_runtime rlx-${name}-launcher)
  endif()
  set_property(GLOBAL APPEND PROPERTY RLX_LAUNCHERS ${command})
  install(TARGETS rlx-${name}-launcher RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT runtime)
endfunction()

function(rlx_add_family name)
  cmake_parse_arguments(A "" "MANIFEST" "SOURCES;LIBS;DEFINES;TESTS;TEST_LIBS" ${ARGN})
  if(NOT A_MANIFEST)
    set(A_MANIFEST plugin.json)
  endif()
  rlx_add_plugin(rlx-${name} MANIFEST "${A_MANIFEST}" SOURCES ${A_SOURCES} LIBS ${A_LIBS} DEFINES ${A_DEFINES})
  # Its program is the command for the first task of the manifest.
  file(READ "${CMAKE_CURRENT_SOURCE_DIR}/${A_MANIFEST}" manifest)
  string(JSON task ERROR_VARIABLE none GET "${manifest}" provides 0 task)
  if(none)
    set(task lm)
  endif()
  rlx_add_launcher(${name} TASK "${task}")
  if(A_TESTS AND RLX_BUILD_TESTS)
    if(NOT A_TEST_LIBS)
      set(A_TEST_LIBS rlx_core_static)
    endif()
    rlx_add_test(${name}_test SOURCES ${A_TESTS} LIBS rlx-${name}-objects ${A_TEST_LIBS} LABELS ${name}
      DEFINES "RLX_FAMILY_DIR=\"${CMAKE_CURRENT_SOURCE_DIR}\"")
    target_include_directories(${name}_test PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
  endif()
endfunction()
