// SPDX-License-Identifier: GPL-3.0-only
// Bytes and warnings of a graph that has no state: what text and image encoders plan alike.
#pragma once

#include "program.hpp"

#include "rlx/runtime/encoder.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rlx {

// How a user makes a plan smaller.
struct encoder_advice {
    std::string step;       // "512 tokens": what scratch memory is for
    std::string_view lower; // "max_tokens"
};

// results: bytes of the rows in host memory; nullopt when they overflow.
result<encoder_plan> plan_encoder(
    const program_plan& program, std::optional<std::uint64_t> results, const encoder_advice& advice
);
// RLX_OUT_OF_MEMORY with all numbers when the plan is over a limit.
result<void> check_memory(
    const encoder_plan& plan,
    const model_parts& p,
    double max_memory_gb,
    const encoder_advice& advice
);
// Nodes on another device than the one asked for, tensors that the model does not use.
std::vector<std::string> plan_warnings(const program_plan& program, const model_parts& p);

} // namespace rlx
