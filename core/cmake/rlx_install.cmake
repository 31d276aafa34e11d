# SPDX-License-Identifier: GPL-3.0-only
# What `cmake --install` puts where: bin, lib, lib/rlx/plugins (each target installs itself), and from here the
# shared libraries, include/rlx, the CMake package, rlx.pc, manual pages, completion, documents, templates
# and the bundled model. Components: runtime, plugins, dev. Relocatable.
include_guard(GLOBAL)
include(CMakePackageConfigHelpers)

set(RLX_INSTALL_CMAKEDIR "${CMAKE_INSTALL_LIBDIR}/cmake/rlx")

# Paths of this source tree and the warning flags must not reach consumers.
function(rlx_clean_interface target)
  set(directories "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  get_target_property(old ${target} INTERFACE_INCLUDE_DIRECTORIES)
  foreach(directory IN LISTS old)
    if(directory AND NOT directory MATCHES "^\\$<INSTALL_INTERFACE")
      if(NOT directory MATCHES "^\\$<BUILD_INTERFACE")
        set(directory "$<BUILD_INTERFACE:${directory}>")
      endif()
      list(APPEND directories "${directory}")
    endif()
  endforeach()
  set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${directories}")
  get_target_property(links ${target} INTERFACE_LINK_LIBRARIES)
  if(links)
    list(TRANSFORM links REPLACE "^rlx_flags$" "$<BUILD_INTERFACE:rlx_flags>")
    set_target_properties(${target} PROPERTIES INTERFACE_LINK_LIBRARIES "${links}")
  endif()
endfunction()

# Lets only names of ours out of a shared library (see exports.map); the lint test checks it. Once loaded it stays: plugins
# are never unloaded and point into it, and its threads run in it.
function(rlx_limit_exports target)
  set(map "${PROJECT_SOURCE_DIR}/core/cmake/exports.map")
  target_link_options(${target} PRIVATE "LINKER:--version-script=${map}" LINKER:-z,relro,-z,now,-z,nodelete)
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS "${map}")
endfunction()

# Manual pages and completion of every program, written by rlx-run from its flag table; documents, model, templates.
function(rlx_install_share)
  set(share "${PROJECT_BINARY_DIR}/package/share")
  if(TARGET rlx-run AND (NOT CMAKE_CROSSCOMPILING OR CMAKE_CROSSCOMPILING_EMULATOR))
    get_property(names GLOBAL PROPERTY RLX_LAUNCHERS)
    foreach(tool plugin-check optest) # of the package for developers
      if(TARGET rlx-${tool})
        list(APPEND names ${tool})
      endif()
    endforeach()
    list(TRANSFORM names PREPEND "--launcher=" OUTPUT_VARIABLE launchers)
    add_custom_command(OUTPUT "${share}.stamp"
      COMMAND ${CMAKE_COMMAND} -E rm -rf "${share}"
      COMMAND rlx-run help --write "${share}" ${launchers}
      COMMAND ${CMAKE_COMMAND} -E touch "${share}.stamp"
      DEPENDS rlx-run rlx_cli VERBATIM COMMENT "Writing manual pages and shell completion")
    add_custom_target(rlx_manual ALL DEPENDS "${share}.stamp")
    add_dependencies(rlx_runtime rlx_manual)
    install(DIRECTORY "${share}/" DESTINATION "${CMAKE_INSTALL_DATAROOTDIR}" COMPONENT runtime
      PATTERN "*rlx-plugin-check*" EXCLUDE
      PATTERN "*rlx-optest*" EXCLUDE)
    install(DIRECTORY "${share}/" DESTINATION "${CMAKE_INSTALL_DATAROOTDIR}" COMPONENT dev
      FILES_MATCHING PATTERN "*rlx-plugin-check*" PATTERN "*rlx-optest*")
  endif()
  install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" "${PROJECT_SOURCE_DIR}/core/cmake/debian/copyright"
    DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT runtime)
  install(CODE "
    set(SOURCE \"${PROJECT_SOURCE_DIR}\")
    set(PREFIX \"\${CMAKE_INSTALL_PREFIX}\")
    set(DOC \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DOCDIR}\")
    set(LIBDIR \"${CMAKE_INSTALL_LIBDIR}\")
    set(DATADIR \"${CMAKE_INSTALL_DATAROOTDIR}\")
    set(DOCDIR \"${CMAKE_INSTALL_DOCDIR}\")
    include(\"${PROJECT_SOURCE_DIR}/core/cmake/installed_docs.cmake\")" COMPONENT runtime)
  # What the documents' commands use: the story model, and tiny ones of the other kinds with random weights.
  set(models "${CMAKE_INSTALL_DATAROOTDIR}/rlx/models")
  install(FILES "${PROJECT_SOURCE_DIR}/families/qwen3/stories/rlx-stories.gguf" DESTINATION "${models}" COMPONENT runtime)
  foreach(tiny embedders/embedder embedders/reranker images/dinov2 images/dinov2-giant images/vision)
    install(DIRECTORY "${PROJECT_SOURCE_DIR}/tests/goldens/${tiny}" DESTINATION "${models}/tiny" COMPONENT runtime
      PATTERN expected.safetensors EXCLUDE)
  endforeach()
  # Whole projects to copy. A build folder in one of them stays behind.
  file(GLOB templates CONFIGURE_DEPENDS LIST_DIRECTORIES true "${PROJECT_SOURCE_DIR}/plugins/template-*")
  if(templates)
    install(DIRECTORY ${templates} DESTINATION "${CMAKE_INSTALL_DATAROOTDIR}/rlx/templates" COMPONENT dev
      PATTERN build EXCLUDE)
  endif()
  if(IS_DIRECTORY "${PROJECT_SOURCE_DIR}/facade/examples")
    install(DIRECTORY "${PROJECT_SOURCE_DIR}/facade/examples" DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT dev
      PATTERN build EXCLUDE)
  endif()
endfunction()

function(rlx_install_export)
  foreach(target rlx_core rlx rlx_cli)
    if(TARGET ${target})
      rlx_limit_exports(${target})
    endif()
  endforeach()
  set_target_properties(rlx_sdk PROPERTIES EXPORT_NAME sdk)
  target_compile_features(rlx_sdk INTERFACE cxx_std_20)
  rlx_clean_interface(rlx_sdk)
  install(TARGETS rlx_sdk EXPORT rlx COMPONENT dev)
  foreach(target rlx_core rlx rlx_cli)
    if(TARGET ${target})
      rlx_clean_interface(${target})
      string(REGEX REPLACE "^rlx_" "" name "${target}")
      set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
      install(TARGETS ${target} EXPORT rlx LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT runtime
        NAMELINK_COMPONENT dev)
    endif()
  endforeach()
  if(TARGET rlx-plugin-check)
    target_link_options(rlx-plugin-check PRIVATE LINKER:-z,relro,-z,now)
  endif()
  # Opened on demand by librlx, linked by nobody.
  foreach(target rlx_text rlx_media)
    if(TARGET ${target})
      add_dependencies(rlx_runtime ${target})
      target_link_options(${target} PRIVATE LINKER:-z,relro,-z,now)
      install(TARGETS ${target} LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT runtime NAMELINK_SKIP)
    endif()
  endforeach()

  foreach(folder core/abi core/sdk core/base core/formats core/graph core/runtime core/text core/media plugins/loader facade cli)
    if(IS_DIRECTORY "${PROJECT_SOURCE_DIR}/${folder}/rlx")
      install(DIRECTORY "${PROJECT_SOURCE_DIR}/${folder}/rlx" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT dev
        FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp" PATTERN "*.def")
    endif()
  endforeach()

  install(EXPORT rlx NAMESPACE rlx:: DESTINATION "${RLX_INSTALL_CMAKEDIR}" FILE rlx-targets.cmake COMPONENT dev)
  set(gen "${PROJECT_BINARY_DIR}/package")
  configure_package_config_file("${PROJECT_SOURCE_DIR}/core/cmake/rlx-config.cmake.in" "${gen}/rlx-config.cmake"
    INSTALL_DESTINATION "${RLX_INSTALL_CMAKEDIR}" PATH_VARS CMAKE_INSTALL_LIBDIR)
  write_basic_package_version_file("${gen}/rlx-config-version.cmake" COMPATIBILITY SameMinorVersion)
  # From <libdir>/pkgconfig back to the prefix.
  file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
  string(REGEX REPLACE "/$" "" up "${up}")
  configure_file("${PROJECT_SOURCE_DIR}/core/cmake/rlx.pc.in" "${gen}/rlx.pc" @ONLY)
  install(FILES "${gen}/rlx-config.cmake" "${gen}/rlx-config-version.cmake"
    "${PROJECT_SOURCE_DIR}/core/cmake/rlx_plugin.cmake" "${PROJECT_SOURCE_DIR}/core/cmake/rlx_guard.cpp"
    DESTINATION "${RLX_INSTALL_CMAKEDIR}" COMPONENT dev)
  install(FILES "${gen}/rlx.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT dev)
  install(FILES "${PROJECT_SOURCE_DIR}/core/cmake/plugin.map" DESTINATION "${CMAKE_INSTALL_DATAROOTDIR}/rlx" COMPONENT dev)
endfunction()
