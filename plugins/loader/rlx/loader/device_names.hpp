// SPDX-License-Identifier: GPL-3.0-only
// Names of devices that people type because another runtime has them, and why there may be none.
#pragma once

#include <string_view>

namespace rlx {

struct known_device {
    std::string_view name, reason;
};

inline constexpr known_device known_device_names[] = {
    {"cpu", "its plugin (rlx-cpu) was not found"},
    {"vulkan", "no plugin provides it"},
    {"gpu", "not a backend of its own: name the one meant, e.g. 'vulkan'"},
    {"wgpu", "there is no WebGPU plugin; 'vulkan' drives the same cards"},
    {"cuda", "there is no CUDA plugin"},
    {"rocm", "there is no ROCm plugin"},
    {"hip", "there is no HIP plugin"},
    {"metal", "Metal is Apple's; this is Linux"},
    {"mps", "Metal is Apple's; this is Linux"},
    {"mlx", "MLX is Apple's; this is Linux"},
    {"tpu", "there is no TPU plugin"}};

} // namespace rlx
