// SPDX-License-Identifier: GPL-3.0-only
// A host of ABI 1.0: what the frozen headers know is offered, nothing else. Its work is done by
// today's core behind it; tables cross as void*, because the two sides are compiled with different
// headers.
#pragma once

#include <cstdint>
#include <string>

namespace frozen_host {

struct plugin {
    void* self = nullptr;
    std::string id, version;
    std::uint32_t table_bytes = 0; // what it wrote of rlx_plugin
    int major = 0, minor = 0;      // negotiated
    const void* table = nullptr;   // the rlx_plugin itself
};

// Opens the library and calls its entry. "" or the error. One host per process: real_host stays the
// first one given.
std::string load(const char* library, const void* real_host, plugin& out);

// The plugin's table cut to the frozen size, or null. Argument structs on their way to a backend
// are cut as well. One backend per process.
const void* family(const plugin& p);
const void* backend(const plugin& p);

// Of the frozen headers.
struct sizes {
    std::uint32_t host, plugin, weights, graph, options, par, family, backend, compile_args,
        run_args;
};

sizes frozen_sizes();
const void* host(const void* real_host); // the rlx_host plugins get
std::uint64_t ops_refused();             // nodes with an op or attribute of later date

} // namespace frozen_host
