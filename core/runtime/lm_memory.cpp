// SPDX-License-Identifier: GPL-3.0-only
// Refuses a model that does not fit, with all numbers, before anything is loaded.
#include "family_graph.hpp"
#include "lm_graph.hpp"

#include "rlx/base/wall.hpp"

#include <fmt/format.h>

namespace rlx {
namespace {

std::string gb(std::uint64_t bytes) {
    const double value = static_cast<double>(bytes) / 1e9;
    return value < 0.1 ? fmt::format("{:.1f} MB", value * 1e3) : fmt::format("{:.2f} GB", value);
}

std::string advice(const lm_graph& lm, const memory_limit& limit) {
    const device_memory& need = limit.need;
    const std::uint64_t fixed = need.weights + need.mapped + need.scratch;
    std::uint64_t column = 0; // one page in every slot for every sequence
    for (const std::uint64_t bytes : lm.page_bytes)
        column += bytes;
    column *= static_cast<std::uint64_t>(lm.plan.max_sequences);
    if (need.state == 0 || fixed >= limit.bytes || column == 0 ||
        (limit.bytes - fixed) / column == 0)
        return fmt::format(
            "without any cache it needs {}; use a smaller or more quantised model", gb(fixed)
        );
    const std::uint64_t fits = (limit.bytes - fixed) / column * page_tokens;
    return fmt::format("max_seq {} would fit", fits);
}

error shortage(const lm_graph& lm, const memory_limit& limit) {
    const device_memory& need = limit.need;
    // Every part came from a checked sum; only all of them together may be too much.
    std::uint64_t total = 0;
    bool over = false;
    for (const std::uint64_t part : {need.weights, need.mapped, need.state, need.scratch})
        over |= __builtin_add_overflow(total, part, &total);
    return {
        RLX_OUT_OF_MEMORY,
        fmt::format(
            "the plan needs {}{} (weights {}, read from the file in place {}, cache {} for {} x {} "
            "tokens, scratch {}) but {} {}; {}",
            over ? "more than 2^64 bytes" : gb(total),
            lm.plan.devices.size() > 1 ? " on " + need.device : "",
            gb(need.weights),
            gb(need.mapped),
            gb(need.state),
            lm.plan.max_sequences,
            lm.plan.max_seq,
            gb(need.scratch),
            limit.what,
            gb(limit.bytes),
            advice(lm, limit)
        )};
}

} // namespace

result<void> check_memory(const lm_graph& lm, const lm_model::parts& parts) {
    for (const memory_limit& limit :
         memory_limits(parts, lm.plan.devices, lm.options.max_memory_gb))
        if (limit.exceeded()) return shortage(lm, limit);
    return {};
}

} // namespace rlx
