# SPDX-License-Identifier: GPL-3.0-only
# `cpack -G DEB` in a build tree: rlx (programs), librlx0 (libraries), rlx-plugins, librlx-dev. What Debian wants
# different from `cmake --install` is done to the staged files by debian/stage.cmake.
include_guard(GLOBAL)

set(RLX_PACKAGE_CONTACT "rlx maintainers <maintainers@rlx.example>" CACHE STRING "Maintainer field of the packages")

# rlx_package(<component> <package> <section> <summary> <text> <dependency>...): the libraries a package needs are
# found by dpkg-shlibdeps.
macro(rlx_package component package section summary text)
  string(TOUPPER "${component}" id)
  set(CPACK_DEBIAN_${id}_PACKAGE_NAME ${package})
  set(CPACK_DEBIAN_${id}_PACKAGE_SECTION ${section})
  set(CPACK_DEBIAN_${id}_DESCRIPTION "${summary}\n${text}")
  string(REPLACE ";" ", " depends "${ARGN}")
  set(CPACK_DEBIAN_${id}_PACKAGE_DEPENDS "${depends}")
endmacro()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME rlx)
set(CPACK_PACKAGE_VERSION "${PROJECT_VERSION}")
set(CPACK_PACKAGE_CONTACT "${RLX_PACKAGE_CONTACT}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL libraries runtime plugins dev)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
# stage.cmake asks dpkg-shlibdeps: CPack would also write maintainer scripts that call ldconfig, where a trigger does.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS OFF)

set(same "(= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})")
set(about "rlx runs models on your own machine from the files they are published as:
safetensors with config.json, and GGUF. Every model family and every backend
is a plugin found through its manifest.
.")
rlx_package(libraries librlx0 libs "local inference with one plugin per model family - library"
  "${about}\nThis package has the library that applications link." "rlx-plugins ${same}")
rlx_package(runtime rlx science "local inference with one plugin per model family - programs"
  "${about}\nThis package has the command line, its manual and a small story model."
  "rlx-plugins ${same}")
rlx_package(plugins rlx-plugins science "local inference with one plugin per model family - plugins"
  "${about}\nThis package has the model families and backends that come with rlx.")
set(CPACK_DEBIAN_PLUGINS_PACKAGE_SUGGESTS "libvulkan1, mesa-vulkan-drivers") # opened at run time by rlx-vulkan
rlx_package(dev librlx-dev libdevel "local inference with one plugin per model family - development"
  "${about}\nThis package has what applications and plugins are built with: headers, CMake
and pkg-config files, and templates of plugins." "librlx0 ${same}")
set(CPACK_DEBIAN_DEV_PACKAGE_RECOMMENDS "rlx ${same}") # has the documents
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS "cmake, pkg-config")

# Read by stage.cmake.
set(CPACK_RLX_LIBDIR "${CMAKE_INSTALL_LIBDIR}")
set(CPACK_RLX_DEBIAN_DIR "${PROJECT_SOURCE_DIR}/core/cmake/debian")
set(CPACK_PRE_BUILD_SCRIPTS "${CPACK_RLX_DEBIAN_DIR}/stage.cmake")
include(CPack)
