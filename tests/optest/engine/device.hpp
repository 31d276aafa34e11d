// SPDX-License-Identifier: GPL-3.0-only
// The backend under test: found by name or by file, opened, held for the whole run.
#pragma once

#include "rlx/abi/backend.h"
#include "rlx/loader/loader.hpp"

#include <filesystem>
#include <memory>
#include <string>

namespace optest {

// The backend cannot be had: no plugin, no device, a tier the machine lacks. why is for people.
struct no_device {
    std::string why;
    std::uint32_t code = RLX_UNSUPPORTED;
};

struct device_options {
    std::string backend = "cpu"; // "cpu", "vulkan", "vulkan:1", "./x.so"
    std::string tier;            // empty: the backend's choice
    std::string cpu_tier;        // the same when it turns out to be the cpu backend
    std::filesystem::path plugin_dir;
};

class device {
public:
    // Throws no_device.
    explicit device(const device_options& options);
    device(const device&) = delete;
    device& operator=(const device&) = delete;
    ~device();

    const rlx_backend_v1& api() const { return *api_; }

    void* self() const { return self_; }

    void* handle() const { return handle_; }

    const std::string& name() const { return name_; } // of the backend: "cpu"

    const std::string& description() const { return description_; }

    rlx::plugin_catalog* catalog() const { return catalog_.get(); }

private:
    rlx::plugin& find(const device_options& options, std::uint32_t* index);

    std::unique_ptr<rlx::plugin_catalog> catalog_;
    const rlx_backend_v1* api_ = nullptr;
    void* self_ = nullptr;
    void* handle_ = nullptr;
    std::string name_, description_;
};

} // namespace optest
