// SPDX-License-Identifier: GPL-3.0-only
// Conv and ConvTranspose as lists of jobs. A job computes the outputs q * out_step + start (one of
// a transposed convolution's phases, or all of a convolution's outputs) from the inputs q * in_step
// + base[tap], for the taps that reach them: it is a product with the weight's columns (channel,
// tap). Everything has three spatial axes; those that x lacks have size 1.
#pragma once

#include "steps/steps.hpp"

#include <array>

namespace rlx::cpu {

using axes3 = std::array<std::int64_t, 3>;

struct conv_job {
    gathered_rows weight;
    std::vector<axes3> base; // by tap
    axes3 start{0, 0, 0};
    const mm_packed* mm = nullptr; // null: packed in each run ...
    mm_packed run_time;            // ... like this, at pack_offset of the pack space
    std::uint64_t pack_offset = 0;
};

struct conv_plan {
    std::int64_t channels = 0, outs = 0, groups = 1;
    axes3 in_step{1, 1, 1}, out_step{1, 1, 1};
    std::vector<conv_job> jobs;
    bool direct = false; // too few outputs per group for a product: multiply-adds on rows

    std::int64_t group_outs() const { return outs / groups; }

    std::int64_t group_channels() const { return channels / groups; }
};

conv_plan plan_conv(const node& n);
// The spatial extents of x or of the output.
axes3 spatial(const tensor& t);

step_ptr make_conv_pack(const node& n, const conv_plan& plan); // weights made at run time
step_ptr make_conv(const node& n, conv_plan plan);
step_ptr make_direct_conv(const node& n, conv_plan plan);

} // namespace rlx::cpu
