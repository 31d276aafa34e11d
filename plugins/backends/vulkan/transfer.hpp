// SPDX-License-Identifier: GPL-3.0-only
// Bytes between the host and device memory, through mapped memory of a fixed size.
#pragma once

#include "vk/gpu.hpp"

namespace rlx::vulkan {

// Two halves in turn: one is filled while the device copies the other. [one thread per device]
class upload_ring {
public:
    // half: the most bytes one reserve() can give.
    static result<std::unique_ptr<upload_ring>> make(const gpu& g, std::uint64_t half);

    // Room for n bytes that will go to `to` at `at`; valid until the next call.
    result<char*> reserve(VkBuffer to, std::uint64_t at, std::uint64_t n);
    // Copies n bytes of any size.
    status write(VkBuffer to, std::uint64_t at, const void* from, std::uint64_t n);
    // Waits until everything is on the device.
    status finish();

private:
    explicit upload_ring(const gpu& g) : gpu_(g) {}

    status flush();

    struct half {
        std::unique_ptr<memory_block> memory;
        std::unique_ptr<commands> copies;
    };

    const gpu& gpu_;
    half halves_[2];
    std::uint32_t now_ = 0;
    std::uint64_t used_ = 0;
    bool open_ = false;
};

// Bytes between the host and a device's buffers, with staging memory and commands that are made
// once, when they are first needed. Every call returns when the bytes are there. [one thread per
// device]
class transfers {
public:
    explicit transfers(const gpu& g) : gpu_(g) {}

    status upload(VkBuffer to, std::uint64_t at, const void* from, std::uint64_t n);
    status download(VkBuffer from, std::uint64_t at, void* to, std::uint64_t n);
    status
    copy(VkBuffer to, std::uint64_t to_at, VkBuffer from, std::uint64_t from_at, std::uint64_t n);

private:
    const gpu& gpu_;
    std::unique_ptr<upload_ring> up_;
    std::unique_ptr<memory_block> down_;
    std::unique_ptr<commands> copies_;
};

} // namespace rlx::vulkan
