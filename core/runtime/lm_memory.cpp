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
    const memory_limit limit = limit_of(parts, lm.options.max_memory_gb);
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
