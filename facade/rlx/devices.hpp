// SPDX-License-Identifier: GPL-3.0-only
// Names of compute devices and the plugins behind them.
#pragma once

#include "rlx/abi/backend.h"
#include "rlx/base/api.hpp"
#include "rlx/loader/loader.hpp"

#include <memory>
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

struct device_options {
    std::string name = "cpu"; // "name", "name:index" or "auto" (the provider of highest priority
                              // that has a device)
    std::string tier;         // kernel tier to force; empty = the best the machine has
};

// An opened device of a backend plugin; closed by the destructor.
class RLX_API device {
public:
    // RLX_INVALID_ARGUMENT for an unknown name, RLX_UNSUPPORTED for a known one that is not
    // available: both list what there is and why the others are not.
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

    const std::string& description() const { return description_; } // "AMD EPYC 7763"

private:
    device() = default;

    const rlx_backend_v1* backend_ = nullptr;
    void* self_ = nullptr;
    void* handle_ = nullptr;
    std::uint32_t index_ = 0;
    const manifest* plugin_ = nullptr;
    std::string name_, description_;
};

} // namespace rlx
