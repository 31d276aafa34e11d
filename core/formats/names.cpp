// SPDX-License-Identifier: GPL-3.0-only
#include "names.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace rlx {
namespace {

constexpr std::string_view hole = "{}";

std::size_t holes(std::string_view s) {
    std::size_t n = 0;
    for (std::size_t at = s.find(hole); at != s.npos; at = s.find(hole, at + 2))
        n++;
    return n;
}

} // namespace

result<name_rule> name_rule_make(
    std::string_view hf, std::string_view gguf, std::uint32_t transform, std::string_view param
) {
    auto bad = [&](std::string_view why) {
        return error{
            RLX_INVALID_ARGUMENT, fmt::format("name rule '{}' -> '{}': {}", hf, gguf, why)};
    };
    if (hf.empty()) return bad("the checkpoint name is empty");
    if (transform > RLX_TX_EXPERTS_TRANSPOSED)
        return bad(fmt::format("unknown transform {}", transform));
    bool stack = transform == RLX_TX_STACK;
    std::size_t n = holes(hf);
    if (stack && (n < 1 || n > 2))
        return bad("a stacked tensor needs {} for the expert in the checkpoint name");
    if (!stack && n > 1) return bad("more than one {}");
    std::size_t layers = stack ? n - 1 : n;
    if (!gguf.empty() && holes(gguf) != layers) return bad("the {} of both names do not pair up");
    if (transform == RLX_TX_ROPE_ROWS && param.empty())
        return bad("needs the config key of the number of heads");
    if (transform == RLX_TX_EXPERTS && param.empty())
        return bad("needs the config key of the number of experts");
    name_rule r{std::string(hf), {}, std::string(gguf), transform, std::string(param)};
    if (!stack) return r;
    std::size_t expert = hf.rfind(hole);
    if (expert == 0 || hf[expert - 1] != '.') return bad("the expert's {} must follow a dot");
    r.each = r.hf;
    r.hf.erase(expert - 1, 3);
    return r;
}

std::vector<name_match> name_find(const std::vector<name_rule>& rules, std::string_view name) {
    std::vector<name_match> out;
    for (const name_rule& r : rules) {
        std::string_view p = r.hf;
        std::size_t at = p.find(hole);
        if (at == p.npos) {
            if (p == name) out.push_back({&r, {}});
            continue;
        }
        std::string_view before = p.substr(0, at), after = p.substr(at + 2);
        if (name.size() <= before.size() + after.size()) continue;
        if (!name.starts_with(before) || !name.ends_with(after)) continue;
        std::string_view digits =
            name.substr(before.size(), name.size() - before.size() - after.size());
        if (std::all_of(digits.begin(), digits.end(), [](char c) {
                return c >= '0' && c <= '9';
            })) {
            out.push_back({&r, std::string(digits)});
        }
    }
    return out;
}

std::string
name_fill(std::string_view pattern, std::string_view layer, std::optional<std::uint64_t> expert) {
    std::string out(pattern);
    std::size_t last = out.rfind(hole);
    if (expert && last != out.npos) out.replace(last, 2, std::to_string(*expert));
    std::size_t first = out.find(hole);
    if (first != out.npos) out.replace(first, 2, layer);
    return out;
}

} // namespace rlx
