// SPDX-License-Identifier: GPL-3.0-only
#include "driver.hpp"

#include "rlx/base/wall.hpp"

#include <algorithm>

namespace conformance {
namespace {

struct row {
    const char* kind;
    const char* iface;
    std::unique_ptr<driver> (*make)(const subject&, const void*);
};

constexpr row known[] = {
    {"family", "rlx.family/1", drive_family},
    {"backend", "rlx.backend/1", drive_backend},
    {"op", "rlx.op/1", drive_op},
    {"weight_format", "rlx.weight_format/1", drive_weight_format},
    {"tensor_names", "rlx.tensor_names/1", drive_tensor_names},
    {"command", "rlx.cli/1", drive_cli},
};

} // namespace

std::vector<std::string> claimed(const rlx::manifest& m) {
    std::vector<std::string> out;
    for (const auto& p : m.provides) {
        for (const row& r : known) {
            // Commands of families have no table of their own.
            const bool meant = p.kind != "command" || p.json.find("\"rlx.cli/1\"") != p.json.npos;
            if (p.kind == r.kind && meant &&
                std::find(out.begin(), out.end(), r.iface) == out.end())
                out.emplace_back(r.iface);
        }
    }
    return out;
}

std::vector<std::string> listed(const rlx::manifest& m, const std::string& iface) {
    std::vector<std::string> out;
    for (const auto& p : m.provides)
        for (const row& r : known)
            if (iface == r.iface && p.kind == r.kind &&
                (p.kind != "command" || p.interface == "rlx.cli/1"))
                out.push_back(p.name);
    std::ranges::sort(out);
    return out;
}

std::vector<const char*> known_interfaces() {
    std::vector<const char*> out;
    for (const row& r : known)
        out.push_back(r.iface);
    return out;
}

std::vector<std::unique_ptr<driver>> drivers_of(const subject& s) {
    std::vector<std::unique_ptr<driver>> out;
    for (const std::string& name : claimed(s.about().manifest)) {
        const void* table = s.iface(name);
        if (!table) continue;
        const auto* at = std::find_if(std::begin(known), std::end(known), [&](const row& r) {
            return name == r.iface;
        });
        out.push_back(at->make(s, table));
    }
    return out;
}

void must_fail(const std::string& what, rlx_error* e) {
    if (!e) throw failed{what + " succeeded, expected an error"};
    take(e);
}

void of_host(rlx_error* e) {
    auto r = rlx::check_wall(e);
    if (!r.ok()) throw failed{"the checker stumbled: " + r.error().message};
}

} // namespace conformance
