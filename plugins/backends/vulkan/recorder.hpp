// SPDX-License-Identifier: GPL-3.0-only
// Commands of one program at one set of extents. Barriers come from what dispatches read and write.
#pragma once

#include "program.hpp"

#include <initializer_list>

namespace rlx::vulkan {

struct operand {
    slice memory;
    bool written = false;
};

inline operand reads(const slice& s) {
    return {s, false};
}

inline operand writes(const slice& s) {
    return {s, true};
}

struct group_count {
    std::uint64_t x = 1, y = 1, z = 1;
};

class recorder {
public:
    recorder(program& p, double batch_cost) : p_(p), batch_cost_(batch_cost) {}

    program& prog() const { return p_; }

    // Binds operand i to binding i (one that is not given gets the first one's memory) and starts
    // groups.x * y * z workgroups; x beyond the device's limit goes on in y, so a shader with a
    // long x uses no y of its own. cost: multiplications or so, to cut a run into submissions.
    template <class Push>
    status dispatch(
        std::string_view shader,
        std::initializer_list<std::uint32_t> constants,
        std::initializer_list<operand> operands,
        const Push& push,
        group_count groups,
        double cost = 0
    ) {
        static_assert(sizeof(Push) <= push_bytes && sizeof(Push) % 4 == 0);
        return add(
            shader,
            {constants.begin(), constants.size()},
            {operands.begin(), operands.size()},
            &push,
            sizeof push,
            groups,
            cost
        );
    }

    // Where shaders report bad data (flags.glsl), and the number they report for this step.
    result<operand> flags() const;

    std::uint32_t step_number() const { return step_; }

    // -- for run.cpp --
    status begin();
    status
    copy(VkBuffer to, std::uint64_t to_at, VkBuffer from, std::uint64_t from_at, std::uint64_t n);
    void barrier();
    status next_step(std::uint32_t number);
    status finish();

private:
    struct range {
        VkBuffer buffer;
        std::uint64_t lo, hi;
    };

    status
    add(std::string_view shader,
        std::span<const std::uint32_t> constants,
        std::span<const operand> operands,
        const void* push,
        std::uint32_t bytes,
        group_count groups,
        double cost);
    result<VkDescriptorSet> bind(std::span<const operand> operands);
    void order(std::span<const operand> operands);
    status new_batch();
    VkCommandBuffer to() const;

    program& p_;
    double batch_cost_, cost_ = 0;
    std::uint32_t step_ = 0;
    std::vector<range> read_, written_; // since the last barrier
};

} // namespace rlx::vulkan
