// SPDX-License-Identifier: GPL-3.0-only
#include "vk/instance.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>

namespace rlx::vulkan {

struct validation_log {
    std::mutex mutex;
    std::string first;
};

namespace {

constexpr const char* validation_layer = "VK_LAYER_KHRONOS_validation";

VKAPI_ATTR VkBool32 VKAPI_CALL complain(
    VkDebugUtilsMessageSeverityFlagBitsEXT severity,
    VkDebugUtilsMessageTypeFlagsEXT,
    const VkDebugUtilsMessengerCallbackDataEXT* data,
    void* user
) noexcept {
    if (severity < VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT || !data->pMessage)
        return VK_FALSE;
    (void)sdk::guarded([&] {
        auto& log = *static_cast<validation_log*>(user);
        const std::lock_guard lock(log.mutex);
        if (log.first.empty()) log.first = data->pMessage;
    });
    return VK_FALSE;
}

VkDebugUtilsMessengerCreateInfoEXT messenger_info(validation_log& log) {
    VkDebugUtilsMessengerCreateInfoEXT info{};
    info.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT;
    info.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT |
                           VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT;
    info.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT;
    info.pfnUserCallback = complain;
    info.pUserData = &log;
    return info;
}

result<bool> has_layer(const global_api& g) {
    std::uint32_t n = 0;
    RLX_CHECK(check_vk(g.EnumerateInstanceLayerProperties(&n, nullptr), "listing the layers"));
    std::vector<VkLayerProperties> layers(n);
    RLX_CHECK(check_vk(g.EnumerateInstanceLayerProperties(&n, layers.data()), "listing the layers")
    );
    return std::any_of(layers.begin(), layers.begin() + n, [](const VkLayerProperties& l) {
        return std::strcmp(l.layerName, validation_layer) == 0;
    });
}

int rank(const gpu_facts& f) {
    if (!f.missing.empty()) return 9;
    switch (f.type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return 0;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return 1;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return 2;
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return 4;
    default: return 3;
    }
}

// What the shaders need and this device lacks.
std::string missing_features(const instance_api& api, VkPhysicalDevice device, bool* has_f64) {
    VkPhysicalDeviceVulkan12Features v12{};
    v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    VkPhysicalDeviceVulkan11Features v11{};
    v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
    v11.pNext = &v12;
    VkPhysicalDeviceFeatures2 all{};
    all.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    all.pNext = &v11;
    api.GetPhysicalDeviceFeatures2(device, &all);
    *has_f64 = all.features.shaderFloat64 != VK_FALSE;
    std::string out;
    if (!v12.storageBuffer8BitAccess) out += " storageBuffer8BitAccess";
    if (!v11.storageBuffer16BitAccess) out += " storageBuffer16BitAccess";
    return out.empty() ? out : "the driver lacks" + out;
}

void read_memory(const instance_api& api, gpu_facts& f) {
    VkPhysicalDeviceMemoryProperties m{};
    api.GetPhysicalDeviceMemoryProperties(f.handle, &m);
    for (std::uint32_t i = 0; i < m.memoryHeapCount; ++i)
        if (m.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT)
            f.memory = std::max(f.memory, m.memoryHeaps[i].size);
}

bool read_queue(const instance_api& api, gpu_facts& f) {
    std::uint32_t n = 0;
    api.GetPhysicalDeviceQueueFamilyProperties(f.handle, &n, nullptr);
    std::vector<VkQueueFamilyProperties> q(n);
    api.GetPhysicalDeviceQueueFamilyProperties(f.handle, &n, q.data());
    for (std::uint32_t i = 0; i < n; ++i) {
        if (!(q[i].queueFlags & VK_QUEUE_COMPUTE_BIT)) continue;
        f.queue_family = i;
        f.timestamp_bits = q[i].timestampValidBits;
        return true;
    }
    return false;
}

gpu_facts read_facts(const instance_api& api, VkPhysicalDevice handle) {
    gpu_facts f;
    f.handle = handle;
    VkPhysicalDeviceDriverProperties driver{};
    driver.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES;
    VkPhysicalDeviceSubgroupProperties subgroup{};
    subgroup.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES;
    subgroup.pNext = &driver;
    VkPhysicalDeviceMaintenance3Properties maintenance{};
    maintenance.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES;
    maintenance.pNext = &subgroup;
    VkPhysicalDeviceIDProperties id{};
    id.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES;
    id.pNext = &maintenance;
    VkPhysicalDeviceProperties2 p{};
    p.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    p.pNext = &id;
    api.GetPhysicalDeviceProperties2(handle, &p);
    f.name = p.properties.deviceName;
    f.api_version = p.properties.apiVersion;
    f.driver_version = p.properties.driverVersion;
    f.vendor = p.properties.vendorID;
    f.device = p.properties.deviceID;
    f.type = p.properties.deviceType;
    f.limits = p.properties.limits;
    f.driver = std::string(driver.driverName) + " " + driver.driverInfo;
    f.subgroup = std::max<std::uint32_t>(1, subgroup.subgroupSize);
    f.max_allocation = maintenance.maxMemoryAllocationSize;
    std::copy_n(id.driverUUID, VK_UUID_SIZE, f.driver_uuid.begin());
    std::copy_n(id.deviceUUID, VK_UUID_SIZE, f.device_uuid.begin());
    std::copy_n(p.properties.pipelineCacheUUID, VK_UUID_SIZE, f.cache_uuid.begin());
    read_memory(api, f);
    if (f.api_version < VK_API_VERSION_1_2)
        f.missing = sdk::format(
            "its driver has Vulkan {}.{}, 1.2 is needed",
            VK_API_VERSION_MAJOR(f.api_version),
            VK_API_VERSION_MINOR(f.api_version)
        );
    else if (!read_queue(api, f))
        f.missing = "it has no queue for compute";
    else if (!(subgroup.supportedOperations & VK_SUBGROUP_FEATURE_ARITHMETIC_BIT))
        f.missing = "the driver lacks subgroup arithmetic";
    else if (f.limits.maxPerStageDescriptorStorageBuffers < max_bindings || f.limits.maxComputeWorkGroupInvocations < group_size || f.limits.maxComputeWorkGroupSize[0] < group_size)
        f.missing = "it has too few storage buffers or invocations per workgroup";
    else
        f.missing = missing_features(api, handle, &f.has_f64);
    return f;
}

} // namespace

instance::instance() : log_(std::make_unique<validation_log>()) {}

instance::~instance() {
    if (messenger_) api_.DestroyDebugUtilsMessengerEXT(handle_, messenger_, nullptr);
    if (handle_) api_.DestroyInstance(handle_, nullptr);
}

result<std::unique_ptr<instance>> instance::create(validation how) {
    const bool validate = how != validation::none;
    const global_api& g = *RLX_TRY(open_library());
    std::uint32_t version = 0;
    RLX_CHECK(check_vk(g.EnumerateInstanceVersion(&version), "asking for the loader's version"));
    if (version < VK_API_VERSION_1_2)
        return fail(
            RLX_UNSUPPORTED, "vulkan: the loader is older than Vulkan 1.2; update libvulkan1"
        );
    if (validate && !RLX_TRY(has_layer(g)))
        return fail(
            RLX_UNSUPPORTED,
            "vulkan: {} is not installed (package vulkan-validationlayers)",
            std::string_view(validation_layer)
        );
    std::unique_ptr<instance> out(new instance);
    VkDebugUtilsMessengerCreateInfoEXT messages = messenger_info(*out->log_);
    VkApplicationInfo app{};
    app.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    app.pApplicationName = "rlx";
    app.apiVersion = VK_API_VERSION_1_2;
    VkInstanceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
    info.pApplicationInfo = &app;
    // The second is the layer's own.
    const char* extensions[] = {
        VK_EXT_DEBUG_UTILS_EXTENSION_NAME, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME};
    VkValidationFeaturesEXT features{};
    features.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT;
    const VkValidationFeatureEnableEXT order =
        VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
    features.enabledValidationFeatureCount = 1;
    features.pEnabledValidationFeatures = &order;
    if (validate) {
        info.pNext = &messages;
        info.enabledLayerCount = 1;
        info.ppEnabledLayerNames = &validation_layer;
        info.enabledExtensionCount = 1;
        info.ppEnabledExtensionNames = extensions;
    }
    if (how == validation::synchronization) {
        info.enabledExtensionCount = 2;
        messages.pNext = &features;
    }
    RLX_CHECK(check_vk(g.CreateInstance(&info, nullptr, &out->handle_), "creating an instance"));
    messages.pNext = nullptr; // of the instance alone
    out->api_ = RLX_TRY(instance_functions(g, out->handle_));
    if (!validate) return out;
    if (!out->api_.CreateDebugUtilsMessengerEXT || !out->api_.DestroyDebugUtilsMessengerEXT)
        return fail(RLX_UNSUPPORTED, "vulkan: the validation layer reports nothing");
    RLX_CHECK(check_vk(
        out->api_.CreateDebugUtilsMessengerEXT(out->handle_, &messages, nullptr, &out->messenger_),
        "listening to the validation layer"
    ));
    return out;
}

result<std::vector<gpu_facts>> instance::devices() const {
    std::uint32_t n = 0;
    RLX_CHECK(check_vk(api_.EnumeratePhysicalDevices(handle_, &n, nullptr), "listing the devices"));
    std::vector<VkPhysicalDevice> handles(n);
    RLX_CHECK(
        check_vk(api_.EnumeratePhysicalDevices(handle_, &n, handles.data()), "listing the devices")
    );
    handles.resize(n);
    std::vector<gpu_facts> out;
    for (VkPhysicalDevice h : handles)
        out.push_back(read_facts(api_, h));
    std::stable_sort(out.begin(), out.end(), [](const gpu_facts& a, const gpu_facts& b) {
        return rank(a) < rank(b);
    });
    return out;
}

std::string instance::take_complaint() {
    const std::lock_guard lock(log_->mutex);
    return std::exchange(log_->first, {});
}

} // namespace rlx::vulkan
