# SPDX-License-Identifier: GPL-3.0-only
# Run by cpack between staging and packing: makes of the staged components what Debian expects. The libraries become a
# package of their own; manual pages are compressed, the run path goes, copyright, changelog and dependencies come.
set(top "${CPACK_TEMPORARY_DIRECTORY}")
set(usr "${CPACK_PACKAGING_INSTALL_PREFIX}")
set(lib "${usr}/${CPACK_RLX_LIBDIR}")
set(work "${top}/.work")
set(version "${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}")
find_program(GZIP gzip REQUIRED)
find_program(SHLIBDEPS dpkg-shlibdeps REQUIRED)

# gzip -n: no name and no time, so the same files give the same package.
function(compress)
  if(ARGN)
    execute_process(COMMAND "${GZIP}" -9nf ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
  endif()
endfunction()

# Leaves the folder as the packages' root has it: documents, manual pages, zsh's folder, licence.
function(stage_documents root package)
  file(GLOB_RECURSE pages "${root}/share/man/*.[1-9]")
  compress(${pages})
  if(IS_DIRECTORY "${root}/share/zsh/site-functions")
    file(RENAME "${root}/share/zsh/site-functions" "${root}/share/zsh/vendor-completions")
  endif()
  file(REMOVE "${root}/share/doc/rlx/LICENSE") # the same text is in /usr/share/common-licenses
  set(doc "${root}/share/doc/${package}")
  file(COPY "${CPACK_RLX_DEBIAN_DIR}/copyright" DESTINATION "${doc}")
  configure_file("${CPACK_RLX_DEBIAN_DIR}/changelog.in" "${doc}/changelog.Debian" @ONLY)
  compress("${doc}/changelog.Debian")
  set(overrides "${CPACK_RLX_DEBIAN_DIR}/${package}.lintian-overrides")
  if(EXISTS "${overrides}")
    configure_file("${overrides}" "${root}/share/lintian/overrides/${package}" COPYONLY)
  endif()
endfunction()

# <out> = the packages that hold the libraries these files need, as for Depends:.
function(library_dependencies out)
  execute_process(COMMAND "${SHLIBDEPS}" -O -Lshlibs --ignore-missing-info "-l${top}/libraries${lib}" ${ARGN}
    WORKING_DIRECTORY "${work}" OUTPUT_VARIABLE text ERROR_VARIABLE notes RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "dpkg-shlibdeps: ${notes}")
  endif()
  string(REGEX REPLACE ".*shlibs:Depends=([^\n]*).*" "\\1" text "${text}")
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

# The libraries of the programs' component, with the links beside them.
file(GLOB libraries "${top}/runtime${lib}/*.so*")
file(MAKE_DIRECTORY "${top}/libraries${lib}")
foreach(file IN LISTS libraries)
  get_filename_component(name "${file}" NAME)
  file(RENAME "${file}" "${top}/libraries${lib}/${name}")
endforeach()
file(MAKE_DIRECTORY "${top}/libraries${lib}/rlx")
file(RENAME "${top}/runtime${lib}/rlx/rlx-probe" "${top}/libraries${lib}/rlx/rlx-probe")
file(REMOVE_RECURSE "${top}/runtime${lib}")

# What dependents of the libraries declare, and what dpkg-shlibdeps reads for those in this build.
file(GLOB libraries "${top}/libraries${lib}/*.so.0")
set(shlibs "")
foreach(file IN LISTS libraries)
  get_filename_component(name "${file}" NAME_WE)
  string(APPEND shlibs "${name} 0 librlx0 (= ${version})\n")
endforeach()
file(MAKE_DIRECTORY "${work}/debian")
file(WRITE "${work}/debian/control" "Source: rlx\n\nPackage: rlx\nArchitecture: any\n") # it wants to see one
file(WRITE "${work}/shlibs" "${shlibs}")
file(WRITE "${work}/triggers" "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_LIBRARIES_PACKAGE_CONTROL_EXTRA "${work}/shlibs" "${work}/triggers")

foreach(component IN LISTS CPACK_COMPONENTS_ALL)
  string(TOUPPER "${component}" id)
  stage_documents("${top}/${component}${usr}" "${CPACK_DEBIAN_${id}_PACKAGE_NAME}")
  file(GLOB binaries "${top}/${component}${usr}/bin/*" "${top}/${component}${lib}/*.so.*.*"
    "${top}/${component}${lib}/rlx/plugins/*.so" "${top}/${component}${lib}/rlx/rlx-probe")
  if(NOT binaries)
    continue()
  endif()
  foreach(file IN LISTS binaries)
    file(RPATH_REMOVE FILE "${file}") # the system's loader finds the libraries
  endforeach()
  library_dependencies(needed -x${CPACK_DEBIAN_${id}_PACKAGE_NAME} ${binaries}) # not on itself
  list(PREPEND CPACK_DEBIAN_${id}_PACKAGE_DEPENDS ${needed})
  list(REMOVE_ITEM CPACK_DEBIAN_${id}_PACKAGE_DEPENDS "")
  string(REPLACE ";" ", " CPACK_DEBIAN_${id}_PACKAGE_DEPENDS "${CPACK_DEBIAN_${id}_PACKAGE_DEPENDS}")
endforeach()
