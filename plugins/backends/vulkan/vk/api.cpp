// SPDX-License-Identifier: GPL-3.0-only
#include "vk/api.hpp"

#include <dlfcn.h>
#include <mutex>

namespace rlx::vulkan {

namespace {

constexpr const char* library_name = "libvulkan.so.1";

result<global_api> load_library() {
    void* lib = ::dlopen(library_name, RTLD_NOW | RTLD_LOCAL);
    if (!lib) {
        const char* why = ::dlerror();
        return fail(
            RLX_NOT_FOUND,
            "vulkan: {} cannot be opened ({}); install libvulkan1 and the driver of your card",
            library_name,
            std::string_view(why ? why : "no reason given")
        );
    }
    global_api g;
    g.GetInstanceProcAddr =
        reinterpret_cast<PFN_vkGetInstanceProcAddr>(::dlsym(lib, "vkGetInstanceProcAddr"));
    if (!g.GetInstanceProcAddr)
        return fail(
            RLX_UNSUPPORTED,
            "vulkan: {} has no vkGetInstanceProcAddr; is it a Vulkan loader?",
            library_name
        );
    const char* missing = nullptr;
#define RLX_VK_LOAD(name)                                                                          \
    g.name = reinterpret_cast<PFN_vk##name>(g.GetInstanceProcAddr(nullptr, "vk" #name));           \
    if (!g.name) missing = "vk" #name;
    RLX_VK_GLOBAL(RLX_VK_LOAD)
#undef RLX_VK_LOAD
    if (missing)
        return fail(
            RLX_UNSUPPORTED,
            "vulkan: {} is too old: it lacks {}",
            library_name,
            std::string_view(missing)
        );
    return g;
}

} // namespace

result<const global_api*> open_library() {
    static std::mutex mutex;
    static global_api loaded;
    const std::lock_guard lock(mutex);
    if (!loaded.CreateInstance) loaded = RLX_TRY(load_library());
    return &loaded;
}

result<instance_api> instance_functions(const global_api& g, VkInstance instance) {
    instance_api i;
    const char* missing = nullptr;
#define RLX_VK_LOAD(name)                                                                          \
    i.name = reinterpret_cast<PFN_vk##name>(g.GetInstanceProcAddr(instance, "vk" #name));          \
    if (!i.name) missing = "vk" #name;
    RLX_VK_INSTANCE(RLX_VK_LOAD)
#undef RLX_VK_LOAD
    if (missing)
        return fail(RLX_UNSUPPORTED, "vulkan: the loader lacks {}", std::string_view(missing));
    i.CreateDebugUtilsMessengerEXT = reinterpret_cast<PFN_vkCreateDebugUtilsMessengerEXT>(
        g.GetInstanceProcAddr(instance, "vkCreateDebugUtilsMessengerEXT")
    );
    i.DestroyDebugUtilsMessengerEXT = reinterpret_cast<PFN_vkDestroyDebugUtilsMessengerEXT>(
        g.GetInstanceProcAddr(instance, "vkDestroyDebugUtilsMessengerEXT")
    );
    return i;
}

result<device_api> device_functions(const instance_api& i, VkDevice device) {
    device_api d;
    const char* missing = nullptr;
#define RLX_VK_LOAD(name)                                                                          \
    d.name = reinterpret_cast<PFN_vk##name>(i.GetDeviceProcAddr(device, "vk" #name));              \
    if (!d.name) missing = "vk" #name;
    RLX_VK_DEVICE(RLX_VK_LOAD)
#undef RLX_VK_LOAD
    if (missing)
        return fail(RLX_UNSUPPORTED, "vulkan: the driver lacks {}", std::string_view(missing));
    return d;
}

std::string_view result_name(VkResult r) {
    switch (r) {
    case VK_SUCCESS: return "VK_SUCCESS";
    case VK_NOT_READY: return "VK_NOT_READY";
    case VK_TIMEOUT: return "VK_TIMEOUT";
    case VK_INCOMPLETE: return "VK_INCOMPLETE";
    case VK_ERROR_OUT_OF_HOST_MEMORY: return "VK_ERROR_OUT_OF_HOST_MEMORY";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return "VK_ERROR_OUT_OF_DEVICE_MEMORY";
    case VK_ERROR_INITIALIZATION_FAILED: return "VK_ERROR_INITIALIZATION_FAILED";
    case VK_ERROR_DEVICE_LOST: return "VK_ERROR_DEVICE_LOST";
    case VK_ERROR_MEMORY_MAP_FAILED: return "VK_ERROR_MEMORY_MAP_FAILED";
    case VK_ERROR_LAYER_NOT_PRESENT: return "VK_ERROR_LAYER_NOT_PRESENT";
    case VK_ERROR_EXTENSION_NOT_PRESENT: return "VK_ERROR_EXTENSION_NOT_PRESENT";
    case VK_ERROR_FEATURE_NOT_PRESENT: return "VK_ERROR_FEATURE_NOT_PRESENT";
    case VK_ERROR_INCOMPATIBLE_DRIVER: return "VK_ERROR_INCOMPATIBLE_DRIVER";
    case VK_ERROR_TOO_MANY_OBJECTS: return "VK_ERROR_TOO_MANY_OBJECTS";
    case VK_ERROR_FRAGMENTED_POOL: return "VK_ERROR_FRAGMENTED_POOL";
    case VK_ERROR_OUT_OF_POOL_MEMORY: return "VK_ERROR_OUT_OF_POOL_MEMORY";
    case VK_ERROR_FRAGMENTATION: return "VK_ERROR_FRAGMENTATION";
    default: return "an unknown VkResult";
    }
}

status check_vk(VkResult r, std::string_view what) {
    if (r >= 0) return {};
    switch (r) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    case VK_ERROR_OUT_OF_POOL_MEMORY:
    case VK_ERROR_FRAGMENTATION:
    case VK_ERROR_FRAGMENTED_POOL:
    case VK_ERROR_TOO_MANY_OBJECTS:
    case VK_ERROR_MEMORY_MAP_FAILED:
        return fail(RLX_OUT_OF_MEMORY, "vulkan: {}: {}", what, result_name(r));
    case VK_ERROR_DEVICE_LOST:
        return fail(
            RLX_DEVICE_LOST,
            "vulkan: {}: the device was lost (reset, removed, or a command ran too long); open it "
            "again",
            what
        );
    case VK_ERROR_INCOMPATIBLE_DRIVER:
        return fail(RLX_UNSUPPORTED, "vulkan: {}: no driver on this machine fits the loader", what);
    default:
        return fail(RLX_INTERNAL, "vulkan: {}: {} ({})", what, result_name(r), static_cast<int>(r));
    }
}

} // namespace rlx::vulkan
