// SPDX-License-Identifier: GPL-3.0-only
#include "checks.hpp"

namespace conformance {
namespace {

constexpr check list[] = {
    {"manifest",
     "the manifest is well-formed, fits this machine, equals its copy",
     check_manifest,
     false,
     false},
    {"exports", "one symbol is exported, the entry", check_exports, false, false},
    {"imports",
     "nothing that ends or changes the process, or loads code",
     check_imports,
     false,
     false},
    {"environment", "no access to environment variables", check_environment, false, false},
    {"printing", "no access to stdout and stderr", check_printing, false, false},
    {"libraries",
     "no rlx library linked, no search path but $ORIGIN",
     check_libraries,
     false,
     false},
    {"entry", "the entry fills its table, twice alike", check_entry},
    {"stamp", "id and version in the code are the manifest's", check_stamp},
    {"interfaces", "every claimed interface is answered, no other name is", check_interfaces},
    {"life", "every interface works from open to close", check_life},
    {"older-host", "ABI 1.0 and hosts with shorter tables", check_older_host},
    {"missing-services", "hosts that lack services", check_missing_services},
    {"newer-host", "hosts with longer tables and higher minors", check_newer_host},
    {"foreign-major", "another major is refused", check_foreign_major},
    {"short-table", "an rlx_plugin of any length is filled no further", check_short_table},
    {"null-arguments", "NULL, zero and nonsense are errors", check_null_arguments},
    {"short-structs", "argument structs of size 0, 4, 8", check_short_structs},
    {"cancel", "a raised cancel flag ends calls with RLX_CANCELLED", check_cancel},
    {"host-errors", "each host call failing once", check_host_errors},
    {"out-of-memory", "each allocation failing once, and all after it", check_out_of_memory},
    {"exceptions", "none leaves the plugin", check_exceptions},
    {"memory", "nothing stays allocated after a life, good or bad", check_memory},
    {"errors", "every error is freed or returned", check_errors},
    {"threads", "no thread of its own after quiesce", check_threads},
    {"descriptors", "no descriptor stays open", check_descriptors},
    {"output", "nothing is written to stdout or stderr", check_output, true},
    {"process-state",
     "signals, directory, locale, umask, rounding, environment stay",
     check_process_state},
};

} // namespace

std::span<const check> all_checks() {
    return list;
}

} // namespace conformance
