// SPDX-License-Identifier: GPL-3.0-only
// The list of checks.
#pragma once

#include "subject.hpp"

#include <span>
#include <string>

namespace conformance {

struct check {
    const char* name;
    const char* summary;
    // Runs in a process of its own; returns a remark, throws failed or skipped.
    std::string (*run)(const target& t);
    bool silent = false; // what it prints is a failure
    bool loads = true;   // runs code of the plugin
};

std::span<const check> all_checks();

// Throws failed for what hosts overlook; returns what this one does not read.
std::string lint_manifest(const std::string& text);
// Of the file, nothing is loaded.
std::string check_manifest(const target& t);
std::string check_exports(const target& t);
std::string check_imports(const target& t);
std::string check_environment(const target& t);
std::string check_printing(const target& t);
std::string check_libraries(const target& t);
bool opens_libraries(const target& t); // at run time, as its manifest says
// The entry and hosts of other ages.
std::string check_entry(const target& t);
std::string check_stamp(const target& t);
std::string check_interfaces(const target& t);
std::string check_life(const target& t);
std::string check_older_host(const target& t);
std::string check_missing_services(const target& t);
std::string check_newer_host(const target& t);
std::string check_foreign_major(const target& t);
std::string check_short_table(const target& t);
// Bad arguments and bad luck.
std::string check_null_arguments(const target& t);
std::string check_short_structs(const target& t);
std::string check_cancel(const target& t);
std::string check_host_errors(const target& t);
std::string check_out_of_memory(const target& t);
std::string check_exceptions(const target& t);
// What it leaves behind.
std::string check_memory(const target& t);
std::string check_errors(const target& t);
std::string check_threads(const target& t);
std::string check_descriptors(const target& t);
std::string check_output(const target& t);
std::string check_process_state(const target& t);

} // namespace conformance
