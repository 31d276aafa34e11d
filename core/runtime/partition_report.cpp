// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/runtime/partition.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <tuple>

namespace rlx {

std::optional<fallback_policy> parse_fallback(std::string_view text) {
    if (text == "allow") return fallback_policy::allow;
    if (text == "warn") return fallback_policy::warn;
    if (text == "deny") return fallback_policy::deny;
    return std::nullopt;
}

std::size_t partition_report::count(std::string_view device) const {
    std::size_t n = 0;
    for (const node& x : nodes)
        n += x.cause != "view" && x.device == device;
    return n;
}

std::string partition_report::elsewhere(std::string_view wanted) const {
    std::map<std::tuple<bool, std::string, std::string>, std::size_t> groups; // went along, op, why
    std::size_t all = 0, away = 0;
    std::string where;
    for (const node& x : nodes) {
        if (x.cause == "view") continue;
        ++all;
        if (x.device == wanted) continue;
        ++away;
        where = x.device;
        const bool refused = x.cause == "refused";
        ++groups[{!refused, x.op, refused && !x.reason.empty() ? x.reason : x.cause}];
    }
    if (away == 0) return {};

    struct group {
        bool along;
        std::size_t n;
        std::string text;
    };

    std::vector<group> most; // what was refused, then what went along
    for (const auto& [what, n] : groups) {
        const auto& [along, op, why] = what;
        most.push_back({along, n, fmt::format("{} {} ({})", n, op, why)});
    }
    std::ranges::stable_sort(most, [](const group& a, const group& b) {
        return a.along != b.along ? b.along : a.n > b.n;
    });
    std::string out = fmt::format("{} of {} nodes run on {}, not on {}:", away, all, where, wanted);
    constexpr std::size_t listed = 6;
    for (std::size_t i = 0; i < std::min(most.size(), listed); ++i)
        out += (i ? ", " : " ") + most[i].text;
    return most.size() > listed ? out + ", ..." : out;
}

std::string partition_report::text() const {
    std::string out;
    std::uint32_t current = UINT32_MAX;
    for (const node& x : nodes) {
        if (x.program != current && x.program < programs.size()) {
            current = x.program;
            const program& p = programs[current];
            out += fmt::format(
                "program {} on {}: {} nodes, {} bytes copied in\n",
                current,
                p.device,
                p.nodes,
                p.bytes_in
            );
        }
        out += fmt::format(
            "  {:>4} {:<16} {:<10} {:<12} {}{}{}{}\n",
            x.index,
            x.op,
            x.device,
            x.cause,
            x.origin.empty() ? "-" : x.origin,
            x.reason.empty() ? "" : ": ",
            x.reason,
            x.bytes_in ? fmt::format(" [{} bytes copied]", x.bytes_in) : ""
        );
    }
    return out + fmt::format("{} bytes copied in one run, at most\n", bytes_copied);
}

} // namespace rlx
