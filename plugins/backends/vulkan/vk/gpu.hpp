// SPDX-License-Identifier: GPL-3.0-only
// A logical device with one compute queue, its memory, commands and fences. Every Vulkan object has
// an owner here that ends it.
#pragma once

#include "vk/instance.hpp"

#include <cstring>

namespace rlx::vulkan {

// [one thread per device]
class gpu {
public:
    // The index-th device of instance::devices().
    static result<std::unique_ptr<gpu>> open(std::uint32_t index, validation how);

    ~gpu();
    gpu(const gpu&) = delete;
    gpu& operator=(const gpu&) = delete;

    const gpu_facts& facts() const { return facts_; }

    const device_api& api() const { return api_; }

    VkDevice handle() const { return handle_; }

    VkQueue queue() const { return queue_; }

    VkCommandPool pool() const { return pool_; }

    // As if the device bound no more than this at once, for tests; 0 = what it says.
    void limit_bindings(std::uint64_t bytes) {
        if (bytes) facts_.limits.maxStorageBufferRange = static_cast<std::uint32_t>(bytes);
    }

    // An error when the validation layer complained since the last call.
    status complaints() const;

    // A type of memory among `allowed` (bits) with all of `flags`; UINT32_MAX when there is none.
    std::uint32_t memory_type(std::uint32_t allowed, VkMemoryPropertyFlags flags) const;

    const VkPhysicalDeviceMemoryProperties& memory() const { return memory_; }

private:
    gpu() = default;

    std::unique_ptr<instance> instance_;
    gpu_facts facts_;
    VkPhysicalDeviceMemoryProperties memory_{};
    VkDevice handle_ = VK_NULL_HANDLE;
    device_api api_;
    VkQueue queue_ = VK_NULL_HANDLE;
    VkCommandPool pool_ = VK_NULL_HANDLE;
};

enum class placement : std::uint8_t {
    device,  // device-local, not mapped
    upload,  // the host writes it
    readback // the host reads it
};

// A buffer with memory of its own. [one thread per device]
class memory_block {
public:
    // 0 bytes are legal and become some. RLX_OUT_OF_MEMORY when the device has no room.
    static result<std::unique_ptr<memory_block>>
    make(const gpu& g, std::uint64_t bytes, placement where);

    ~memory_block();
    memory_block(const memory_block&) = delete;
    memory_block& operator=(const memory_block&) = delete;

    VkBuffer handle() const { return buffer_; }

    std::uint64_t bytes() const { return bytes_; }

    // Another number for every block of the process, from 1; handles come back, these do not.
    std::uint64_t serial() const { return serial_; }

    // upload and readback: the mapped bytes.
    char* data() const { return data_; }

    // readback: makes what the device wrote visible; call it before reading.
    status fetch() const;

private:
    explicit memory_block(const gpu& g) : gpu_(g) {}

    status allocate(placement where);

    const gpu& gpu_;
    VkBuffer buffer_ = VK_NULL_HANDLE;
    VkDeviceMemory memory_ = VK_NULL_HANDLE;
    std::uint64_t bytes_ = 0;
    std::uint64_t serial_ = 0;
    char* data_ = nullptr;
    bool coherent_ = true;
};

// A command buffer with the fence that tells when it is done. [one thread per device]
class commands {
public:
    static result<std::unique_ptr<commands>> make(const gpu& g);

    ~commands();
    commands(const commands&) = delete;
    commands& operator=(const commands&) = delete;

    VkCommandBuffer handle() const { return buffer_; }

    // Recording: begin, calls on handle(), end. A finished recording may be submitted many times.
    status begin();
    status end();
    status submit();
    // Waits until the last submission is done; at once when there is none.
    status wait();

private:
    explicit commands(const gpu& g) : gpu_(g) {}

    const gpu& gpu_;
    VkCommandBuffer buffer_ = VK_NULL_HANDLE;
    VkFence fence_ = VK_NULL_HANDLE;
    bool pending_ = false;
};

// Waits for everything written before to be seen by everything after, among `stages`.
void full_barrier(const gpu& g, VkCommandBuffer to);

} // namespace rlx::vulkan
