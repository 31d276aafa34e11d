// SPDX-License-Identifier: GPL-3.0-only
// A host of any age and mood for one plugin: tables cut or prolonged, services missing, every n-th
// call an error. The work is done by the real host behind it.
#pragma once

#include "rlx/abi/backend.h"
#include "rlx/abi/family.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace conformance {

struct host_config {
    std::uint16_t major = RLX_ABI_MAJOR;
    std::uint16_t minor = RLX_ABI_MINOR;
    std::map<std::string, std::uint32_t> bytes =
        {};                             // size of a table by name; "" is rlx_host itself
    std::set<std::string> missing = {}; // services this host lacks
    std::uint32_t unknown = 0;          // bytes of members of a later date behind every table
    bool one_thread = false;            // rlx.par/1 runs everything on the caller
};

// The table for a plugin with that config. Every table ends at a page that cannot be read, so a
// member beyond its size is a crash, and unknown members are pointers to nowhere. One host per
// process and plugin: the config may change between calls, the addresses stay.
const rlx_host* make_host(const host_config& config);

// What the tables are called and how long today's are.
const std::map<std::string, std::uint32_t>& service_bytes();

// The n-th fallible call from now on fails with RLX_IO "injected"; 0: none.
void fail_host_call(std::uint64_t n);
std::uint64_t host_calls();
bool host_call_failed();
const std::string& last_host_call();

// Errors that were made and neither freed nor handed over.
std::int64_t live_errors();
// What the plugin did with errors and logs that no plugin may; empty when all is well.
const std::string& host_complaint();

// What the next command reads from standard input, and whether its cancel flag is raised.
void set_streams(const std::string& input, bool cancelled);
// Bytes written to standard output since.
std::uint64_t bytes_written();
// Whether it read with the flag raised, which gives RLX_CANCELLED.
bool read_was_cancelled();

// An error the plugin returned: checked, freed. Code 0 when e is null.
struct returned_error {
    std::uint32_t code = 0;
    std::string message;
};

returned_error take(rlx_error* e);

} // namespace conformance
