// SPDX-License-Identifier: GPL-3.0-only
#include "vk/gpu.hpp"

#include <algorithm>
#include <atomic>

namespace rlx::vulkan {

result<std::unique_ptr<gpu>> gpu::open(std::uint32_t index, validation how) {
    std::unique_ptr<gpu> out(new gpu);
    out->instance_ = RLX_TRY(instance::create(how));
    const auto devices = RLX_TRY(out->instance_->devices());
    if (devices.empty())
        return fail(
            RLX_NOT_FOUND, "vulkan: libvulkan finds no device; is the card's driver installed?"
        );
    if (index >= devices.size())
        return fail(RLX_NOT_FOUND, "vulkan: device {} of {}", index, devices.size());
    out->facts_ = devices[index];
    if (!out->facts_.missing.empty())
        return fail(
            RLX_UNSUPPORTED,
            "vulkan: '{}' cannot be used: {}",
            out->facts_.name,
            out->facts_.missing
        );
    const float priority = 1;
    VkDeviceQueueCreateInfo queue{};
    queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
    queue.queueFamilyIndex = out->facts_.queue_family;
    queue.queueCount = 1;
    queue.pQueuePriorities = &priority;
    VkPhysicalDeviceVulkan12Features v12{};
    v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    v12.storageBuffer8BitAccess = VK_TRUE;
    VkPhysicalDeviceVulkan11Features v11{};
    v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
    v11.pNext = &v12;
    v11.storageBuffer16BitAccess = VK_TRUE;
    VkPhysicalDeviceFeatures wanted{};
    wanted.shaderFloat64 = out->facts_.has_f64 ? VK_TRUE : VK_FALSE;
    VkDeviceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
    info.pNext = &v11;
    info.queueCreateInfoCount = 1;
    info.pQueueCreateInfos = &queue;
    info.pEnabledFeatures = &wanted;
    const instance_api& api = out->instance_->api();
    RLX_CHECK(check_vk(
        api.CreateDevice(out->facts_.handle, &info, nullptr, &out->handle_), "opening the device"
    ));
    out->api_ = RLX_TRY(device_functions(api, out->handle_));
    api.GetPhysicalDeviceMemoryProperties(out->facts_.handle, &out->memory_);
    out->api_.GetDeviceQueue(out->handle_, out->facts_.queue_family, 0, &out->queue_);
    VkCommandPoolCreateInfo pool{};
    pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
    pool.queueFamilyIndex = out->facts_.queue_family;
    RLX_CHECK(check_vk(
        out->api_.CreateCommandPool(out->handle_, &pool, nullptr, &out->pool_),
        "creating a command pool"
    ));
    return out;
}

gpu::~gpu() {
    if (!handle_ || !api_.DestroyDevice) return;
    (void)api_.DeviceWaitIdle(handle_);
    if (pool_) api_.DestroyCommandPool(handle_, pool_, nullptr);
    api_.DestroyDevice(handle_, nullptr);
}

status gpu::complaints() const {
    if (!instance_->validates()) return {};
    const std::string text = instance_->take_complaint();
    if (text.empty()) return {};
    return fail(RLX_INTERNAL, "vulkan: the validation layer says: {}", text);
}

std::uint32_t gpu::memory_type(std::uint32_t allowed, VkMemoryPropertyFlags flags) const {
    for (std::uint32_t i = 0; i < memory_.memoryTypeCount; ++i) {
        const VkMemoryPropertyFlags have = memory_.memoryTypes[i].propertyFlags;
        if ((allowed >> i & 1) && (have & flags) == flags) return i;
    }
    return UINT32_MAX;
}

result<std::unique_ptr<memory_block>>
memory_block::make(const gpu& g, std::uint64_t bytes, placement where) {
    std::unique_ptr<memory_block> out(new memory_block(g));
    static std::atomic<std::uint64_t> made{0};
    out->serial_ = ++made;
    out->bytes_ = bytes;
    if (status s = out->allocate(where); !s.ok())
        return std::move(s.error()).within(sdk::format("a buffer of {} bytes", bytes));
    return out;
}

status memory_block::allocate(placement where) {
    const device_api& api = gpu_.api();
    if (bytes_ > gpu_.facts().max_allocation)
        return fail(
            RLX_OUT_OF_MEMORY,
            "vulkan: {} allocates at most {} bytes at once",
            gpu_.facts().name,
            gpu_.facts().max_allocation
        );
    VkBufferCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
    info.size = std::max<std::uint64_t>(16, (bytes_ + 15) & ~std::uint64_t{15});
    info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                 VK_BUFFER_USAGE_TRANSFER_DST_BIT;
    RLX_CHECK(
        check_vk(api.CreateBuffer(gpu_.handle(), &info, nullptr, &buffer_), "creating a buffer")
    );
    VkMemoryRequirements need{};
    api.GetBufferMemoryRequirements(gpu_.handle(), buffer_, &need);
    constexpr VkMemoryPropertyFlags host = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
    std::uint32_t type = UINT32_MAX;
    if (where == placement::device)
        type = gpu_.memory_type(need.memoryTypeBits, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
    if (where == placement::readback)
        type = gpu_.memory_type(need.memoryTypeBits, host | VK_MEMORY_PROPERTY_HOST_CACHED_BIT);
    if (type == UINT32_MAX)
        type = gpu_.memory_type(
            need.memoryTypeBits,
            where == placement::device ? 0 : host | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT
        );
    if (type == UINT32_MAX)
        return fail(RLX_UNSUPPORTED, "vulkan: the device has no memory that the host can map");
    VkMemoryAllocateInfo allocate{};
    allocate.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
    allocate.allocationSize = need.size;
    allocate.memoryTypeIndex = type;
    RLX_CHECK(check_vk(
        api.AllocateMemory(gpu_.handle(), &allocate, nullptr, &memory_), "allocating device memory"
    ));
    RLX_CHECK(
        check_vk(api.BindBufferMemory(gpu_.handle(), buffer_, memory_, 0), "binding device memory")
    );
    if (where == placement::device) return {};
    coherent_ =
        gpu_.memory().memoryTypes[type].propertyFlags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    void* p = nullptr;
    RLX_CHECK(check_vk(
        api.MapMemory(gpu_.handle(), memory_, 0, VK_WHOLE_SIZE, 0, &p), "mapping device memory"
    ));
    data_ = static_cast<char*>(p);
    return {};
}

memory_block::~memory_block() {
    if (buffer_) gpu_.api().DestroyBuffer(gpu_.handle(), buffer_, nullptr);
    if (memory_) gpu_.api().FreeMemory(gpu_.handle(), memory_, nullptr);
}

status memory_block::fetch() const {
    if (coherent_) return {};
    VkMappedMemoryRange all{};
    all.sType = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE;
    all.memory = memory_;
    all.size = VK_WHOLE_SIZE;
    return check_vk(
        gpu_.api().InvalidateMappedMemoryRanges(gpu_.handle(), 1, &all), "reading device memory"
    );
}

result<std::unique_ptr<commands>> commands::make(const gpu& g) {
    std::unique_ptr<commands> out(new commands(g));
    VkCommandBufferAllocateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    info.commandPool = g.pool();
    info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    info.commandBufferCount = 1;
    RLX_CHECK(check_vk(
        g.api().AllocateCommandBuffers(g.handle(), &info, &out->buffer_), "making a command buffer"
    ));
    VkFenceCreateInfo fence{};
    fence.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO;
    RLX_CHECK(
        check_vk(g.api().CreateFence(g.handle(), &fence, nullptr, &out->fence_), "making a fence")
    );
    return out;
}

commands::~commands() {
    (void)wait();
    if (fence_) gpu_.api().DestroyFence(gpu_.handle(), fence_, nullptr);
    if (buffer_) gpu_.api().FreeCommandBuffers(gpu_.handle(), gpu_.pool(), 1, &buffer_);
}

status commands::begin() {
    RLX_CHECK(wait());
    VkCommandBufferBeginInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    return check_vk(gpu_.api().BeginCommandBuffer(buffer_, &info), "recording commands");
}

status commands::end() {
    return check_vk(gpu_.api().EndCommandBuffer(buffer_), "recording commands");
}

status commands::submit() {
    RLX_CHECK(wait());
    VkSubmitInfo info{};
    info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    info.commandBufferCount = 1;
    info.pCommandBuffers = &buffer_;
    RLX_CHECK(
        check_vk(gpu_.api().QueueSubmit(gpu_.queue(), 1, &info, fence_), "submitting commands")
    );
    pending_ = true;
    return {};
}

status commands::wait() {
    if (!pending_) return {};
    pending_ = false;
    RLX_CHECK(check_vk(
        gpu_.api().WaitForFences(gpu_.handle(), 1, &fence_, VK_TRUE, UINT64_MAX),
        "waiting for the device"
    ));
    return check_vk(gpu_.api().ResetFences(gpu_.handle(), 1, &fence_), "waiting for the device");
}

void full_barrier(const gpu& g, VkCommandBuffer to) {
    VkMemoryBarrier b{};
    b.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
    b.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
    b.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                      VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT |
                      VK_ACCESS_HOST_READ_BIT;
    constexpr VkPipelineStageFlags work =
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    g.api().CmdPipelineBarrier(
        to, work, work | VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &b, 0, nullptr, 0, nullptr
    );
}

} // namespace rlx::vulkan
