// SPDX-License-Identifier: GPL-3.0-only
// libvulkan, opened at run time, and its functions. A machine without it gets a reason, not a
// missing symbol.
#pragma once

#define VK_NO_PROTOTYPES
#include "rlx/sdk/error.hpp"

#include <vulkan/vulkan.h>

namespace rlx::vulkan {

using sdk::fail;
using sdk::result;
using sdk::status;

#define RLX_VK_GLOBAL(X)                                                                           \
    X(EnumerateInstanceVersion)                                                                    \
    X(EnumerateInstanceLayerProperties)                                                            \
    X(CreateInstance)

#define RLX_VK_INSTANCE(X)                                                                         \
    X(DestroyInstance)                                                                             \
    X(EnumeratePhysicalDevices)                                                                    \
    X(GetPhysicalDeviceProperties2)                                                                \
    X(GetPhysicalDeviceFeatures2)                                                                  \
    X(GetPhysicalDeviceMemoryProperties)                                                           \
    X(GetPhysicalDeviceQueueFamilyProperties)                                                      \
    X(CreateDevice)                                                                                \
    X(GetDeviceProcAddr)

#define RLX_VK_DEVICE(X)                                                                           \
    X(DestroyDevice)                                                                               \
    X(GetDeviceQueue)                                                                              \
    X(DeviceWaitIdle)                                                                              \
    X(CreateBuffer)                                                                                \
    X(DestroyBuffer)                                                                               \
    X(GetBufferMemoryRequirements)                                                                 \
    X(AllocateMemory)                                                                              \
    X(FreeMemory)                                                                                  \
    X(BindBufferMemory)                                                                            \
    X(MapMemory)                                                                                   \
    X(InvalidateMappedMemoryRanges)                                                                \
    X(CreateShaderModule)                                                                          \
    X(DestroyShaderModule)                                                                         \
    X(CreatePipelineLayout)                                                                        \
    X(DestroyPipelineLayout)                                                                       \
    X(CreatePipelineCache)                                                                         \
    X(DestroyPipelineCache)                                                                        \
    X(GetPipelineCacheData)                                                                        \
    X(CreateComputePipelines)                                                                      \
    X(DestroyPipeline)                                                                             \
    X(CreateDescriptorSetLayout)                                                                   \
    X(DestroyDescriptorSetLayout)                                                                  \
    X(CreateDescriptorPool)                                                                        \
    X(DestroyDescriptorPool)                                                                       \
    X(ResetDescriptorPool)                                                                         \
    X(AllocateDescriptorSets)                                                                      \
    X(UpdateDescriptorSets)                                                                        \
    X(CmdBindDescriptorSets)                                                                       \
    X(CreateCommandPool)                                                                           \
    X(DestroyCommandPool)                                                                          \
    X(AllocateCommandBuffers)                                                                      \
    X(FreeCommandBuffers)                                                                          \
    X(BeginCommandBuffer)                                                                          \
    X(EndCommandBuffer)                                                                            \
    X(CmdBindPipeline)                                                                             \
    X(CmdPushConstants)                                                                            \
    X(CmdDispatch)                                                                                 \
    X(CmdPipelineBarrier)                                                                          \
    X(CmdCopyBuffer)                                                                               \
    X(CmdFillBuffer)                                                                               \
    X(CmdResetQueryPool)                                                                           \
    X(CmdWriteTimestamp)                                                                           \
    X(CreateQueryPool)                                                                             \
    X(DestroyQueryPool)                                                                            \
    X(GetQueryPoolResults)                                                                         \
    X(CreateFence)                                                                                 \
    X(DestroyFence)                                                                                \
    X(ResetFences)                                                                                 \
    X(WaitForFences)                                                                               \
    X(QueueSubmit)

#define RLX_VK_MEMBER(name) PFN_vk##name name = nullptr;

struct global_api {
    PFN_vkGetInstanceProcAddr GetInstanceProcAddr = nullptr;
    RLX_VK_GLOBAL(RLX_VK_MEMBER)
};

struct instance_api {
    RLX_VK_INSTANCE(RLX_VK_MEMBER)
    PFN_vkCreateDebugUtilsMessengerEXT CreateDebugUtilsMessengerEXT = nullptr; // validation only
    PFN_vkDestroyDebugUtilsMessengerEXT DestroyDebugUtilsMessengerEXT = nullptr;
};

struct device_api {
    RLX_VK_DEVICE(RLX_VK_MEMBER)
};

#undef RLX_VK_MEMBER

// libvulkan of this process, opened on first use and never closed. RLX_NOT_FOUND names the file and
// what the dynamic linker said. [any thread]
result<const global_api*> open_library();

result<instance_api> instance_functions(const global_api& g, VkInstance instance);
result<device_api> device_functions(const instance_api& i, VkDevice device);

// What failed, as an error of rlx: out of memory, device lost, anything else.
status check_vk(VkResult r, std::string_view what);
std::string_view result_name(VkResult r);

} // namespace rlx::vulkan
