# SPDX-License-Identifier: GPL-3.0-only
# Run by cmake --install: the documents as a system that has no source tree needs them. What is between tree:begin and
# tree:end is left out, links into the tree become text, and commands name installed files.
# Set before: SOURCE, DOC (the folder, with DESTDIR), PREFIX, LIBDIR, DATADIR, DOCDIR (below the prefix).
set(begin "<!-- tree:begin -->\n")
set(end "<!-- tree:end -->\n")
set(models "${PREFIX}/${DATADIR}/rlx/models")

function(install_document file)
  file(READ "${SOURCE}/${file}" text)
  string(FIND "${text}" "${begin}" from)
  while(NOT from EQUAL -1)
    string(FIND "${text}" "${end}" to)
    string(LENGTH "${end}" length)
    math(EXPR to "${to} + ${length}")
    string(SUBSTRING "${text}" 0 ${from} before)
    string(SUBSTRING "${text}" ${to} -1 after)
    string(CONCAT text "${before}" "${after}")
    string(FIND "${text}" "${begin}" from)
  endwhile()
  string(REPLACE "](../facade/examples" "](../examples" text "${text}")
  string(REGEX REPLACE "\\[([^][\n]*)\\]\\((\\.\\./)?(benchmarks|cli|core|families|plugins|tests)/[^)\n]*\\)" "\\1" text
    "${text}")
  string(REPLACE "export PATH=\"$PWD/build/release/bin:$PATH\"\n" "" text "${text}")
  string(REPLACE "cmake --install build/release --prefix \"$work/rlx\" > /dev/null\n" "" text "${text}")
  string(REPLACE "\$work/rlx/lib/pkgconfig" "${PREFIX}/${LIBDIR}/pkgconfig" text "${text}")
  string(REPLACE "\$work/rlx" "${PREFIX}" text "${text}")
  string(REPLACE "cp -r facade/examples/" "cp -r \"${PREFIX}/${DOCDIR}/examples\"/" text "${text}")
  string(REPLACE "=families/qwen3/stories/" "=${models}/" text "${text}")
  string(REPLACE " families/qwen3/stories/rlx" " ${models}/rlx" text "${text}")
  string(REGEX REPLACE "([ =])tests/goldens/(embedders|images)/" "\\1${models}/tiny/" text "${text}")
  file(WRITE "${DOC}/${file}" "${text}")
  set(CMAKE_INSTALL_MANIFEST_FILES ${CMAKE_INSTALL_MANIFEST_FILES} "${DOC}/${file}" PARENT_SCOPE)
endfunction()

file(GLOB documents RELATIVE "${SOURCE}" "${SOURCE}/README.md" "${SOURCE}/docs/*.md")
foreach(file IN LISTS documents)
  install_document("${file}")
endforeach()
