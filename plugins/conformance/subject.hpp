// SPDX-License-Identifier: GPL-3.0-only
// The plugin under test in this process: loaded, entered with some host, called with its exceptions
// caught.
#pragma once

#include "faults.hpp"
#include "host.hpp"
#include "stage.hpp"

#include "rlx/graph/graph.hpp"
#include "rlx/loader/loader.hpp"

#include <exception>
#include <filesystem>
#include <string>
#include <utility>

namespace conformance {

// What all checks know of the file.
struct target {
    std::filesystem::path file; // absolute
    rlx::manifest manifest;
    std::filesystem::path weights; // --weights, or empty
    rlx::custom_op_finder find_op; // ops of the plugins of --with
    std::filesystem::path samples; // folder of generated checkpoints
    double timeout_s = 60;         // of each check
};

// Calls into the plugin; an exception that comes out fails the check by the name of the call.
template <class Fn>
auto call(const std::string& what, Fn&& fn) {
    stage("calling " + what);
    try {
        const plugin_scope plugin;
        return fn();
    } catch (const std::exception& e) {
        const host_scope host;
        throw failed{"an exception came out of " + what + ": " + e.what()};
    } catch (...) {
        const host_scope host;
        throw failed{"an exception came out of " + what};
    }
}

class subject {
public:
    // dlopen; failed when the system's loader refuses it.
    explicit subject(const target& t);

    const target& about() const { return target_; }

    // The entry with this host; the table is kept when it gave no error. Tables larger than today's
    // have canaries behind them.
    returned_error enter(const host_config& config, std::uint32_t table_bytes = sizeof(rlx_plugin));

    // Enters with today's host; failed when it refuses.
    void start(host_config config = {.one_thread = true});

    const rlx_plugin& table() const { return table_; }

    // True when the entry wrote a table at all (a host that cannot make errors gets none).
    bool answered() const { return table_.hdr.major != 0; }

    const void* iface(const std::string& name, std::uint16_t min_minor = 0) const;
    void quiesce() const;

private:
    const target& target_;
    rlx_plugin_entry_fn entry_ = nullptr;
    rlx_plugin table_{};
};

// Throws failed when the host has a complaint.
void check_host();

} // namespace conformance
