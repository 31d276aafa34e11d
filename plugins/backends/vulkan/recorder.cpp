// SPDX-License-Identifier: GPL-3.0-only
#include "recorder.hpp"

#include <algorithm>

namespace rlx::vulkan {

namespace {

constexpr std::uint32_t sets_per_pool = 16384;

} // namespace

VkCommandBuffer recorder::to() const {
    return p_.batches_[p_.n_batches_ - 1]->handle();
}

status recorder::new_batch() {
    if (p_.n_batches_ == p_.batches_.size()) p_.batches_.push_back(RLX_TRY(commands::make(p_.g)));
    RLX_CHECK(p_.batches_[p_.n_batches_]->begin());
    ++p_.n_batches_;
    cost_ = 0;
    return {};
}

status recorder::begin() {
    p_.n_batches_ = 0;
    p_.barriers = p_.dispatches = 0;
    p_.query_names_.clear();
    p_.untimed_ = 0;
    const device_api& api = p_.g.api();
    if (p_.pools_.empty()) RLX_CHECK(p_.add_pool(sets_per_pool));
    for (VkDescriptorPool pool : p_.pools_)
        (void)api.ResetDescriptorPool(p_.g.handle(), pool, 0);
    p_.sets_used_ = 0;
    RLX_CHECK(new_batch());
    api.CmdFillBuffer(to(), p_.io_->handle(), 0, 16, 0);
    if (p_.profile && p_.queries_)
        api.CmdResetQueryPool(to(), p_.queries_, 0, p_.queries_capacity_);
    barrier();
    return {};
}

status recorder::copy(
    VkBuffer dst, std::uint64_t to_at, VkBuffer from, std::uint64_t from_at, std::uint64_t n
) {
    const VkBufferCopy region{from_at, to_at, n};
    p_.g.api().CmdCopyBuffer(to(), from, dst, 1, &region);
    return {};
}

void recorder::barrier() {
    full_barrier(p_.g, to());
    read_.clear();
    written_.clear();
    ++p_.barriers;
}

status recorder::next_step(std::uint32_t number) {
    step_ = number;
    if (cost_ < batch_cost_) return {};
    barrier();
    RLX_CHECK(p_.batches_[p_.n_batches_ - 1]->end());
    return new_batch();
}

status recorder::finish() {
    return p_.batches_[p_.n_batches_ - 1]->end();
}

result<operand> recorder::flags() const {
    return writes(RLX_TRY(p_.at(p_.io_->handle(), 0, 16, 4)));
}

void recorder::order(std::span<const operand> operands) {
    const auto hits = [](const std::vector<range>& list, const slice& s) {
        return std::any_of(list.begin(), list.end(), [&](const range& r) {
            return r.buffer == s.buffer && r.lo < s.at + s.bytes && s.at < r.hi;
        });
    };
    bool wait = false;
    for (const operand& o : operands) {
        if (o.memory.bytes == 0) continue;
        wait = wait || hits(written_, o.memory) || (o.written && hits(read_, o.memory));
    }
    if (wait) barrier();
    for (const operand& o : operands) {
        if (o.memory.bytes == 0) continue;
        (o.written ? written_ : read_)
            .push_back({o.memory.buffer, o.memory.at, o.memory.at + o.memory.bytes});
    }
}

result<VkDescriptorSet> recorder::bind(std::span<const operand> operands) {
    const device_api& api = p_.g.api();
    const std::uint32_t pool = p_.sets_used_++ / sets_per_pool;
    if (pool == p_.pools_.size()) RLX_CHECK(p_.add_pool(sets_per_pool));
    const VkDescriptorSetLayout layout = p_.code.sets();
    VkDescriptorSetAllocateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
    info.descriptorPool = p_.pools_[pool];
    info.descriptorSetCount = 1;
    info.pSetLayouts = &layout;
    VkDescriptorSet set = VK_NULL_HANDLE;
    RLX_CHECK(
        check_vk(api.AllocateDescriptorSets(p_.g.handle(), &info, &set), "making a descriptor set")
    );
    VkDescriptorBufferInfo buffers[max_bindings];
    VkWriteDescriptorSet updates[max_bindings] = {};
    const slice* given = nullptr;
    for (const operand& o : operands)
        if (!given && o.memory.bytes) given = &o.memory;
    for (std::uint32_t i = 0; i < max_bindings; ++i) {
        const slice& s =
            i < operands.size() && operands[i].memory.bytes ? operands[i].memory : *given;
        buffers[i] = {s.buffer, s.at, s.bytes};
        updates[i].sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
        updates[i].dstSet = set;
        updates[i].dstBinding = i;
        updates[i].descriptorCount = 1;
        updates[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
        updates[i].pBufferInfo = &buffers[i];
    }
    api.UpdateDescriptorSets(p_.g.handle(), max_bindings, updates, 0, nullptr);
    return set;
}

status recorder::add(
    std::string_view shader,
    std::span<const std::uint32_t> constants,
    std::span<const operand> operands,
    const void* push,
    std::uint32_t bytes,
    group_count groups,
    double cost
) {
    if (groups.x == 0 || groups.y == 0 || groups.z == 0) return {};
    if (std::all_of(operands.begin(), operands.end(), [](const operand& o) {
            return o.memory.bytes == 0;
        }))
        return {}; // nothing to read or write
    const auto& most = p_.g.facts().limits.maxComputeWorkGroupCount;
    if (groups.x > most[0] && groups.y == 1) {
        groups.y = (groups.x + most[0] - 1) / most[0];
        groups.x = most[0];
    }
    if (groups.x > most[0] || groups.y > most[1] || groups.z > most[2])
        return fail(
            RLX_UNSUPPORTED,
            "vulkan: {} needs {} x {} x {} workgroups, the device takes {} x {} x {}",
            shader,
            groups.x,
            groups.y,
            groups.z,
            most[0],
            most[1],
            most[2]
        );
    const VkPipeline pipeline = RLX_TRY(p_.code.get(shader, constants));
    const VkDescriptorSet set = RLX_TRY(bind(operands));
    order(operands);
    const device_api& api = p_.g.api();
    // A stamp waits for everything before it, so the first is not early and the second is not,
    // either.
    const auto stamp = [&](std::uint32_t which) {
        api.CmdWriteTimestamp(
            to(),
            VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT,
            p_.queries_,
            static_cast<std::uint32_t>(p_.query_names_.size() * 2) + which
        );
    };
    const bool timed =
        p_.profile && p_.queries_ && p_.query_names_.size() * 2 + 2 <= p_.queries_capacity_;
    if (p_.profile && !timed) ++p_.untimed_;
    if (timed) barrier(); // one at a time, or the times say nothing
    if (timed) stamp(0);
    api.CmdBindPipeline(to(), VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    api.CmdBindDescriptorSets(
        to(), VK_PIPELINE_BIND_POINT_COMPUTE, p_.code.layout(), 0, 1, &set, 0, nullptr
    );
    api.CmdPushConstants(to(), p_.code.layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0, bytes, push);
    api.CmdDispatch(
        to(),
        static_cast<std::uint32_t>(groups.x),
        static_cast<std::uint32_t>(groups.y),
        static_cast<std::uint32_t>(groups.z)
    );
    if (timed) {
        stamp(1);
        p_.query_names_.emplace_back(shader);
    }
    ++p_.dispatches;
    cost_ += cost + 1e4;
    return {};
}

} // namespace rlx::vulkan
