// SPDX-License-Identifier: GPL-3.0-only
// A Vulkan instance and the facts about the devices it sees.
#pragma once

#include "vk/api.hpp"

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace rlx::vulkan {

// What every shader of this backend may count on; a device with less cannot be used.
constexpr std::uint32_t max_bindings = 8; // storage buffers of a shader
constexpr std::uint32_t group_size = 256; // invocations of a workgroup
constexpr std::uint32_t push_bytes = 128; // every Vulkan device has that much

// A physical device: what it can do, and why it is no use when it is not.
struct gpu_facts {
    VkPhysicalDevice handle = VK_NULL_HANDLE; // of the instance that was asked
    std::string name;
    std::string driver; // name and version for people
    std::array<std::uint8_t, VK_UUID_SIZE> driver_uuid{};
    std::array<std::uint8_t, VK_UUID_SIZE> device_uuid{};
    std::array<std::uint8_t, VK_UUID_SIZE> cache_uuid{}; // of pipeline caches
    std::uint32_t api_version = 0;
    std::uint32_t driver_version = 0;
    std::uint32_t vendor = 0, device = 0;
    VkPhysicalDeviceType type = VK_PHYSICAL_DEVICE_TYPE_OTHER;
    VkPhysicalDeviceLimits limits{};
    std::uint64_t max_allocation = 0; // bytes of one buffer in one allocation
    std::uint64_t memory = 0;         // bytes of the largest device-local heap
    std::uint32_t subgroup = 1;
    std::uint32_t queue_family = 0;
    std::uint32_t timestamp_bits = 0;
    bool has_f64 = false; // shaderFloat64
    std::string missing;  // empty: this backend can use it

    // Invocations of a workgroup that shares sums: `wide`, but one subgroup on a processor, where a
    // barrier between several costs more than the work they share.
    std::uint32_t narrow_group(std::uint32_t wide) const {
        return is_cpu() && subgroup < wide ? subgroup : wide;
    }

    bool is_cpu() const { return type == VK_PHYSICAL_DEVICE_TYPE_CPU; }
};

struct validation_log;

enum class validation {
    none,
    usage,          // the Khronos layer: wrong use of the API
    synchronization // and accesses that no barrier orders
};

// Move-only by way of unique_ptr; ends the instance. [one thread per object]
class instance {
public:
    // With a validation layer its complaints are kept; RLX_UNSUPPORTED when the layer is not
    // installed.
    static result<std::unique_ptr<instance>> create(validation how);

    ~instance();
    instance(const instance&) = delete;
    instance& operator=(const instance&) = delete;

    // All devices, real cards first, those that cannot be used last.
    result<std::vector<gpu_facts>> devices() const;

    const instance_api& api() const { return api_; }

    // The validation layer's first complaint since the last call; empty when there is none.
    std::string take_complaint();

    bool validates() const { return messenger_ != VK_NULL_HANDLE; }

private:
    instance();

    VkInstance handle_ = VK_NULL_HANDLE;
    instance_api api_;
    VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
    std::unique_ptr<validation_log> log_;
};

} // namespace rlx::vulkan
