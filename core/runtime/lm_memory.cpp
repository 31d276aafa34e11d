// SPDX-License-Identifier: GPL-3.0-only
// Refuses a model that does not fit, with all numbers, before anything is loaded.
#include "lm_graph.hpp"

#include "rlx/base/wall.hpp"
#include "rlx/runtime/memory.hpp"

#include <fmt/format.h>

namespace rlx {
namespace {

struct memory_limit {
    std::uint64_t bytes;
    std::string what; // "max_memory_gb allows"
};

std::string gb(std::uint64_t bytes) {
    const double value = static_cast<double>(bytes) / 1e9;
    return value < 0.1 ? fmt::format("{:.1f} MB", value * 1e3) : fmt::format("{:.2f} GB", value);
}

// What device or machine can give. A device with memory of its own says so ("discrete" = 1 beside
// "memory").
memory_limit hardware_limit(const lm_model::parts& p) {
    if (RLX_HAS(p.backend, device_info)) {
        options info;
        rlx_error* failed = p.backend->device_info(p.backend_self, p.device_index, info.handle());
        if (failed) host()->error_free(failed);
        const auto memory = info.get_int("memory");
        if (!failed && info.get_int("discrete").value_or(0) == 1 && memory.value_or(0) > 0)
            return {static_cast<std::uint64_t>(*memory), "the device has"};
    }
    const available_memory machine = memory_available();
    return {machine.bytes, fmt::format("the machine has available (by {})", machine.limited_by)};
}

std::string advice(const lm_graph& lm, std::uint64_t limit) {
    const lm_plan& plan = lm.plan;
    const std::uint64_t fixed = plan.weights + plan.mapped + plan.scratch;
    std::uint64_t column = 0; // one page in every slot for every sequence
    for (const std::uint64_t bytes : lm.page_bytes)
        column += bytes;
    column *= static_cast<std::uint64_t>(plan.max_sequences);
    if (fixed >= limit || column == 0 || (limit - fixed) / column == 0)
        return fmt::format(
            "without any cache it needs {}; use a smaller or more quantised model", gb(fixed)
        );
    const std::uint64_t fits = (limit - fixed) / column * page_tokens;
    return fmt::format("max_seq {} would fit", fits);
}

} // namespace

result<void> check_memory(const lm_graph& lm, const lm_model::parts& parts) {
    memory_limit limit = hardware_limit(parts);
    const double own = lm.options.max_memory_gb * 1e9;
    if (own > 0 && own < static_cast<double>(limit.bytes))
        limit = {static_cast<std::uint64_t>(own), "max_memory_gb allows"};
    const lm_plan& p = lm.plan;
    // Weights and mapped bytes come from a file, state and scratch were checked: no sum of four
    // such numbers is near 2^64 unless one of them already is over the limit.
    std::uint64_t total = 0;
    bool over = false;
    for (const std::uint64_t part : {p.weights, p.mapped, p.state, p.scratch})
        over |= __builtin_add_overflow(total, part, &total);
    if (!over && total <= limit.bytes) return {};
    return error{
        RLX_OUT_OF_MEMORY,
        fmt::format(
            "the plan needs {} (weights {}, read from the file in place {}, cache {} for {} x {} "
            "tokens, scratch {}) but {} {}; {}",
            over ? "more than 2^64 bytes" : gb(total),
            gb(p.weights),
            gb(p.mapped),
            gb(p.state),
            p.max_sequences,
            p.max_seq,
            gb(p.scratch),
            limit.what,
            gb(limit.bytes),
            advice(lm, limit.bytes)
        )};
}

} // namespace rlx
