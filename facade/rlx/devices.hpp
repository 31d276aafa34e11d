// SPDX-License-Identifier: GPL-3.0-only
// Names of compute devices and the plugins behind them.
#pragma once

#include "rlx/abi/backend.h"
#include "rlx/base/api.hpp"
#include "rlx/loader/loader.hpp"
#include "rlx/loader/probe.hpp"
#include "rlx/runtime/parts.hpp"

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rlx {

struct device_state {
    std::string name; // "cpu", "vulkan", "cuda", ...
    bool available = false;
    std::string reason; // why not
};

// Every name the field knows: those a plugin of the catalog provides, then the others with the
// reason. Loads nothing.
RLX_API std::vector<device_state> known_devices(const plugin_catalog& catalog);

// Something that is not as it was asked for, or less than it could be: nothing is silent.
struct fallback {
    std::string what, reason;
};

struct device_options {
    std::string name = "cpu";  // "name", "name:index" or "auto"
    std::string tier;          // kernel tier to force; empty = the best the machine has
    probe_options probe;       // how "auto" tries a backend
    std::string cpu_tier = {}; // of the CPU alone, where `tier` is empty: RLX_CPU
    bool time_ops = false;     // device_facts::times; slows a run down
};

// An opened device of a backend plugin; closed by the destructor.
class RLX_API device {
public:
    // RLX_INVALID_ARGUMENT for an unknown name, RLX_UNSUPPORTED for a known one that is not
    // available: both list what there is and why the others are not. "auto" is the backend of
    // highest priority that sees a device, opens it and passes its self-test; one that fails,
    // crashes or hangs is passed over, and so is one whose device the processor plays ("software"),
    // unless there is nothing else. A backend that is named is loaded as it is, without being tried
    // first.
    static result<std::unique_ptr<device>>
    open(plugin_catalog& catalog, const device_options& options);
    ~device();
    device(const device&) = delete;
    device& operator=(const device&) = delete;

    const rlx_backend_v1* backend() const { return backend_; }

    void* self() const { return self_; }

    void* handle() const { return handle_; }

    std::uint32_t index() const { return index_; }

    const manifest& provider() const { return *plugin_; }

    const std::string& name() const { return name_; } // "cpu"

    // "cpu", "vulkan:0": as results and messages call it.
    std::string label() const;

    const std::string& description() const { return description_; } // "AMD EPYC 7763"

    // Backends that "auto" passed over because they failed.
    std::span<const fallback> passed_over() const { return passed_over_; }

private:
    device() = default;

    enum class choice { by_name, of_the_best, of_the_rest };

    // of_the_best: unopened, without backend(), when the processor plays the device.
    static result<std::unique_ptr<device>> open_from(
        plugin_catalog& catalog,
        const plugin_catalog::match& m,
        const device_options& options,
        std::uint32_t index,
        choice by
    );
    static result<std::unique_ptr<device>>
    open_auto(plugin_catalog& catalog, const device_options& options, std::uint32_t index);

    const rlx_backend_v1* backend_ = nullptr;
    void* self_ = nullptr;
    void* handle_ = nullptr;
    std::uint32_t index_ = 0;
    const manifest* plugin_ = nullptr;
    std::string name_, description_;
    std::vector<fallback> passed_over_;
};

// What a model computes on: the device that was asked for and, unless that is the CPU, the CPU for
// the nodes it refuses.
struct device_set {
    std::unique_ptr<device> wanted, second;

    // Errors of device::open() for the wanted one. Without a CPU plugin there is no second one, and
    // a node that the device refuses is an error.
    RLX_API static result<device_set> open(plugin_catalog& catalog, const device_options& options);
    // Everything in model_parts that is about devices.
    RLX_API void describe(model_parts& parts, fallback_policy policy) const;
};

// An entry "vulkan:0" that says what does not run there and why; none when everything does.
RLX_API void
add_fallbacks(const partition_report& report, std::string_view wanted, std::vector<fallback>& out);

// One device of a backend, or a backend that cannot be used.
struct device_listing {
    std::string name;        // "vulkan:0"; of what is not available "vulkan"
    std::string backend;     // "vulkan"
    std::uint32_t index = 0; // among the devices of its backend
    bool available = false;
    std::string reason; // why not
    // What the backend says; empty or 0 where it does not.
    std::string description, driver, tier;
    std::string self_test;    // "passed", or what it found
    std::uint64_t memory = 0; // bytes
    bool own_memory = false;  // of its own, not the machine's
    std::string plugin, version;
};

// Every device of every backend, then the names the field knows that have none, with the reason.
// Backends are tried in a process of their own first (rlx/loader/probe.hpp): one that crashes or
// hangs is an entry like others. RLX_CANCELLED when probe.cancel was raised.
RLX_API result<std::vector<device_listing>>
list_devices(plugin_catalog& catalog, const probe_options& probe = {});

} // namespace rlx
