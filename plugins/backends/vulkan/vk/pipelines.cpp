// SPDX-License-Identifier: GPL-3.0-only
#include "vk/pipelines.hpp"

#include "vk/files.hpp"

namespace rlx::vulkan {

std::uint64_t shader_hash(std::span<const shader_code> shaders) {
    std::uint64_t hash = checksum("");
    for (const shader_code& s : shaders)
        hash = checksum(
            {reinterpret_cast<const char*>(s.words), s.count * sizeof *s.words},
            checksum(s.name, hash)
        );
    return hash;
}

result<std::unique_ptr<pipelines>> pipelines::make(const gpu& g, std::string cache_dir) {
    std::unique_ptr<pipelines> out(new pipelines(g));
    VkDescriptorSetLayoutBinding buffers[max_bindings] = {};
    for (std::uint32_t i = 0; i < max_bindings; ++i) {
        buffers[i].binding = i;
        buffers[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
        buffers[i].descriptorCount = 1;
        buffers[i].stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
    }
    VkDescriptorSetLayoutCreateInfo sets{};
    sets.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
    sets.bindingCount = max_bindings;
    sets.pBindings = buffers;
    RLX_CHECK(check_vk(
        g.api().CreateDescriptorSetLayout(g.handle(), &sets, nullptr, &out->sets_),
        "creating a descriptor layout"
    ));
    VkPushConstantRange range{};
    range.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
    range.size = push_bytes;
    VkPipelineLayoutCreateInfo layout{};
    layout.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
    layout.setLayoutCount = 1;
    layout.pSetLayouts = &out->sets_;
    layout.pushConstantRangeCount = 1;
    layout.pPushConstantRanges = &range;
    RLX_CHECK(check_vk(
        g.api().CreatePipelineLayout(g.handle(), &layout, nullptr, &out->layout_),
        "creating a pipeline layout"
    ));
    std::string file;
    if (!cache_dir.empty()) {
        out->file_ = cache_dir + "/pipelines-" + hex(g.facts().cache_uuid) + ".bin";
        file = read_own_file(out->file_);
    }
    const std::string_view old = unseal(file); // drivers need not check what they are given
    VkPipelineCacheCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
    info.initialDataSize = old.size();
    info.pInitialData = old.empty() ? nullptr : old.data();
    VkResult r = g.api().CreatePipelineCache(g.handle(), &info, nullptr, &out->cache_);
    if (r != VK_SUCCESS && info.initialDataSize > 0) { // what the disk had is no use
        info.initialDataSize = 0;
        r = g.api().CreatePipelineCache(g.handle(), &info, nullptr, &out->cache_);
    }
    RLX_CHECK(check_vk(r, "creating a pipeline cache"));
    return out;
}

pipelines::~pipelines() {
    save();
    for (auto& [name, p] : made_)
        gpu_.api().DestroyPipeline(gpu_.handle(), p, nullptr);
    if (cache_) gpu_.api().DestroyPipelineCache(gpu_.handle(), cache_, nullptr);
    if (sets_) gpu_.api().DestroyDescriptorSetLayout(gpu_.handle(), sets_, nullptr);
    if (layout_) gpu_.api().DestroyPipelineLayout(gpu_.handle(), layout_, nullptr);
}

result<VkPipeline>
pipelines::get(std::string_view shader, std::span<const std::uint32_t> constants) {
    std::string key(shader);
    for (const std::uint32_t c : constants)
        key += sdk::format(" {}", c);
    const auto it = made_.find(key);
    if (it != made_.end()) return it->second;
    const VkPipeline p = RLX_TRY(create(shader, constants));
    made_.emplace(std::move(key), p);
    return p;
}

result<VkPipeline>
pipelines::create(std::string_view shader, std::span<const std::uint32_t> constants) {
    const shader_code* code = nullptr;
    for (const shader_code& s : all_shaders())
        if (shader == s.name) code = &s;
    if (!code) return fail(RLX_INTERNAL, "vulkan: no shader '{}'", shader);
    VkShaderModuleCreateInfo module{};
    module.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
    module.codeSize = code->count * 4;
    module.pCode = code->words;
    VkShaderModule m = VK_NULL_HANDLE;
    RLX_CHECK(check_vk(
        gpu_.api().CreateShaderModule(gpu_.handle(), &module, nullptr, &m), "loading a shader"
    ));
    std::vector<VkSpecializationMapEntry> entries;
    for (std::uint32_t i = 0; i < constants.size(); ++i)
        entries.push_back({i, i * 4, 4});
    VkSpecializationInfo values{};
    values.mapEntryCount = static_cast<std::uint32_t>(entries.size());
    values.pMapEntries = entries.data();
    values.dataSize = constants.size_bytes();
    values.pData = constants.data();
    VkComputePipelineCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
    info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
    info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
    info.stage.module = m;
    info.stage.pName = "main";
    info.stage.pSpecializationInfo = &values;
    info.layout = layout_;
    VkPipeline p = VK_NULL_HANDLE;
    const VkResult r =
        gpu_.api().CreateComputePipelines(gpu_.handle(), cache_, 1, &info, nullptr, &p);
    gpu_.api().DestroyShaderModule(gpu_.handle(), m, nullptr);
    if (status s = check_vk(r, "compiling a shader"); !s.ok())
        return std::move(s.error()).within(shader);
    return p;
}

void pipelines::save() {
    if (file_.empty() || !cache_ || saved_ == made_.size()) return;
    saved_ = made_.size();
    std::size_t n = 0;
    if (gpu_.api().GetPipelineCacheData(gpu_.handle(), cache_, &n, nullptr) != VK_SUCCESS) return;
    std::string data(n, '\0');
    if (gpu_.api().GetPipelineCacheData(gpu_.handle(), cache_, &n, data.data()) != VK_SUCCESS)
        return;
    data.resize(n);
    write_own_file(file_, seal(data));
}

} // namespace rlx::vulkan
