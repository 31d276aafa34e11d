// SPDX-License-Identifier: GPL-3.0-only
#include "encoder_plan.hpp"

#include "rlx/base/checked.hpp"

#include <fmt/format.h>

namespace rlx {

result<encoder_plan> plan_encoder(
    const program_plan& program, std::optional<std::uint64_t> results, const encoder_advice& advice
) {
    encoder_plan plan;
    plan.devices = program.memory();
    // The rows are in host memory: where the second device computes, or the only one.
    device_memory& host_side = plan.devices.back();
    const auto scratch = results ? checked_add(host_side.scratch, *results) : std::nullopt;
    if (!scratch)
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "the size of the scratch arena does not fit 64 bits; lower {}", advice.lower
            )};
    host_side.scratch = *scratch;
    const device_memory all = together(plan.devices);
    plan.weights = all.weights;
    plan.mapped = all.mapped;
    plan.scratch = all.scratch;
    return plan;
}

result<void> check_memory(
    const encoder_plan& plan,
    const model_parts& p,
    double max_memory_gb,
    const encoder_advice& advice
) {
    const auto mb = [](std::uint64_t bytes) { return static_cast<double>(bytes) / 1e6; };
    for (const memory_limit& limit : memory_limits(p, plan.devices, max_memory_gb)) {
        if (!limit.exceeded()) continue;
        const device_memory& need = limit.need;
        return error{
            RLX_OUT_OF_MEMORY,
            fmt::format(
                "the plan needs {:.1f} MB{} (weights {:.1f}, read from the file in place {:.1f}, "
                "scratch {:.1f} for {}) but {} {:.1f} MB; lower {}",
                mb(need.total()),
                plan.devices.size() > 1 ? " on " + need.device : "",
                mb(need.weights),
                mb(need.mapped),
                mb(need.scratch),
                advice.step,
                limit.what,
                mb(limit.bytes),
                advice.lower
            )};
    }
    return {};
}

std::vector<std::string> plan_warnings(const program_plan& program, const model_parts& p) {
    std::vector<std::string> out{away_warning(program, p)};
    if (p.w) out.push_back(unused_tensors(*p.w));
    std::erase(out, "");
    return out;
}

} // namespace rlx
