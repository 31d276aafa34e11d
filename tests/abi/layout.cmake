# SPDX-License-Identifier: GPL-3.0-only
# rlx_write_layout(<file.c> <header>...): a program that prints sizeof and offsetof of every struct, and every constant,
# that the headers declare. Read from the headers, so a new member cannot be forgotten.

# Comments away, one line; ';' would split CMake lists and becomes '@'.
function(rlx_header_text out header)
  file(READ "${header}" text)
  string(REGEX REPLACE "//[^\n]*" "" text "${text}")
  string(REGEX REPLACE "/\\*[^*]*\\*/" "" text "${text}")
  string(REGEX REPLACE "#[^\n]*" "" text "${text}")
  string(REPLACE ";" "@" text "${text}")
  string(REGEX REPLACE "[ \t\n]+" " " text "${text}")
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

# Name of the member a declaration declares: "x", "(*x)(...)" or "x[n]".
function(rlx_member_name out declaration)
  if(declaration MATCHES "\\(\\* ?([a-z0-9_]+)\\)")
  elseif(declaration MATCHES "([A-Za-z0-9_]+) ?\\[")
  elseif(NOT declaration MATCHES "([A-Za-z0-9_]+) *$")
    message(FATAL_ERROR "no member name in '${declaration}'")
  endif()
  set(${out} "${CMAKE_MATCH_1}" PARENT_SCOPE)
endfunction()

function(rlx_layout_of_header out header)
  rlx_header_text(text "${header}")
  set(code "")
  string(REGEX MATCHALL "typedef struct [a-z0-9_]+ {[^}]*}" structs "${text}")
  foreach(struct IN LISTS structs)
    string(REGEX MATCH "typedef struct ([a-z0-9_]+) {([^}]*)}" ignored "${struct}")
    set(name "${CMAKE_MATCH_1}")
    string(REPLACE "@" ";" members "${CMAKE_MATCH_2}")
    string(APPEND code "    STRUCT(${name})\n")
    foreach(member IN LISTS members)
      string(STRIP "${member}" member)
      if(NOT member STREQUAL "")
        rlx_member_name(member "${member}")
        string(APPEND code "    MEMBER(${name}, ${member})\n")
      endif()
    endforeach()
  endforeach()
  string(REGEX MATCHALL "enum {[^}]*}" enums "${text}")
  foreach(enum IN LISTS enums)
    string(REGEX MATCHALL "RLX_[A-Za-z0-9_]+ =" constants "${enum}")
    foreach(constant IN LISTS constants)
      string(REPLACE " =" "" constant "${constant}")
      string(APPEND code "    CONSTANT(${constant})\n")
    endforeach()
  endforeach()
  set(${out} "${code}" PARENT_SCOPE)
endfunction()

function(rlx_write_layout file)
  set(includes "")
  set(prints "")
  foreach(header IN LISTS ARGN)
    get_filename_component(name "${header}" NAME)
    string(APPEND includes "#include \"rlx/abi/${name}\"\n")
    rlx_layout_of_header(code "${header}")
    string(APPEND prints "    puts(\"# ${name}\");\n${code}")
  endforeach()
  file(CONFIGURE OUTPUT "${file}" @ONLY CONTENT [=[
@includes@
#include <stdio.h>
#define STRUCT(s) printf("%s %zu\n", #s, sizeof(s));
#define MEMBER(s, m) printf("  %s %zu %zu\n", #m, offsetof(s, m), sizeof(((s*)0)->m));
#define CONSTANT(c) printf("%s = %lld\n", #c, (long long)(c));

int main(void) {
    CONSTANT(RLX_ABI_MAJOR)
    CONSTANT(RLX_NOTE_TYPE)
    CONSTANT(RLX_MAX_RANK)
@prints@
    puts("# ops.def");
#define RLX_OP(id, name, version, min_in, max_in, n_out, kind, rule) \
    printf("%s = %d v%d %d..%d -> %d\n", #name, id, version, min_in, max_in, n_out);
#define RLX_OP_ATTR(op, attr, kind, required) printf("  %s %s %s\n", #attr, #kind, #required);
#include "rlx/abi/ops.def"
    return 0;
}
]=])
endfunction()
