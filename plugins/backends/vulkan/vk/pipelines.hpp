// SPDX-License-Identifier: GPL-3.0-only
// Compute pipelines, made when first needed from the embedded SPIR-V, and the driver's pipeline
// cache on disk.
#pragma once

#include "vk/gpu.hpp"

#include <map>
#include <span>

namespace rlx::vulkan {

// A shader of the build: name of the .comp file and variant, SPIR-V words. shaders.cpp is
// generated.
struct shader_code {
    const char* name;
    const std::uint32_t* words;
    std::size_t count;
};

std::span<const shader_code> all_shaders();

// Of the names and words of these shaders: another one when any of them changes.
std::uint64_t shader_hash(std::span<const shader_code> shaders);

// [one thread per device]
class pipelines {
public:
    // cache_dir: empty = no cache on disk. A cache that cannot be read or written is no error.
    static result<std::unique_ptr<pipelines>> make(const gpu& g, std::string cache_dir);

    ~pipelines();
    pipelines(const pipelines&) = delete;
    pipelines& operator=(const pipelines&) = delete;

    VkPipelineLayout layout() const { return layout_; }

    // max_bindings storage buffers; a shader uses the first few.
    VkDescriptorSetLayout sets() const { return sets_; }

    // The pipeline of a shader with these specialization constants (ids 0, 1, ...).
    result<VkPipeline> get(std::string_view shader, std::span<const std::uint32_t> constants);

    // Writes the driver's cache when pipelines were made since.
    void save();

    std::size_t made() const { return made_.size(); }

private:
    explicit pipelines(const gpu& g) : gpu_(g) {}

    result<VkPipeline> create(std::string_view shader, std::span<const std::uint32_t> constants);

    const gpu& gpu_;
    std::string file_;
    VkDescriptorSetLayout sets_ = VK_NULL_HANDLE;
    VkPipelineLayout layout_ = VK_NULL_HANDLE;
    VkPipelineCache cache_ = VK_NULL_HANDLE;
    std::map<std::string, VkPipeline, std::less<>> made_;
    std::size_t saved_ = 0;
};

} // namespace rlx::vulkan
