// SPDX-License-Identifier: GPL-3.0-only
// A device with the CPU behind it, and the list of all devices.
#include "no_device.hpp"
#include "rlx/devices.hpp"

#include "rlx/base/environment.hpp"
#include "rlx/base/options.hpp"
#include "rlx/base/wall.hpp"
#include "rlx/services.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace rlx {

result<device_set> device_set::open(plugin_catalog& catalog, const device_options& options) {
    device_set out;
    out.wanted = RLX_TRY(device::open(catalog, options));
    if (out.wanted->name() == "cpu") return out;
    device_options cpu;
    cpu.name = "cpu";
    cpu.tier = options.cpu_tier;
    cpu.time_ops = options.time_ops;
    auto second = device::open(catalog, cpu);
    // A tier that was asked for is not left out in silence.
    if (!second.ok() && !options.cpu_tier.empty()) return std::move(second.error());
    if (second.ok()) out.second = std::move(*second);
    return out;
}

void device_set::describe(model_parts& parts, fallback_policy policy) const {
    parts.backend = wanted->backend();
    parts.backend_self = wanted->self();
    parts.device = wanted->handle();
    parts.device_index = wanted->index();
    parts.device_name = wanted->label();
    parts.fallback = policy;
    if (second)
        parts.second = {
            second->backend(), second->self(), second->handle(), second->index(), second->label()};
}

void add_fallbacks(
    const partition_report& report, std::string_view wanted, std::vector<fallback>& out
) {
    if (std::string why = report.elsewhere(wanted); !why.empty())
        out.push_back({std::string(wanted), std::move(why)});
}

namespace {

// What a backend says of one of its devices, which is opened for it: only then is it known to work.
result<void> read_device(const rlx_backend_v1* t, void* self, device_listing& out) {
    void* handle = nullptr;
    options how;
    how.set_int("self_test", 1);
    if (const auto cache = private_cache_dir(); !cache.empty())
        how.set_string("cache_dir", cache.string());
    RLX_CHECK(check_wall(t->open(self, out.index, how.handle(), &handle)));
    options info;
    rlx_error* failed =
        RLX_HAS(t, device_info) ? t->device_info(self, out.index, info.handle()) : nullptr;
    t->close(self, handle);
    RLX_CHECK(check_wall(failed));
    const auto text = [&](std::string_view key) {
        return std::string(info.get_string(key).value_or(""));
    };
    out.description = text("description").empty() ? text("name") : text("description");
    out.driver = text("driver");
    out.tier = text("tier");
    out.self_test = text("self_test");
    out.memory =
        static_cast<std::uint64_t>(std::max<std::int64_t>(info.get_int("memory").value_or(0), 0));
    out.own_memory = info.get_int("discrete").value_or(0) == 1;
    return {};
}

result<void> list_backend(
    plugin_catalog& catalog,
    const plugin_catalog::match& m,
    const probe_options& probe,
    std::vector<device_listing>& out
) {
    device_listing one;
    one.name = one.backend = m.entry->name;
    one.plugin = m.owner->id;
    one.version = m.owner->version;
    const auto unavailable = [&](std::string reason) {
        one.reason = std::move(reason);
        out.push_back(one);
    };
    if (auto meant = usable(catalog, m); !meant) {
        unavailable(std::move(meant.error().message));
        return {};
    }
    if (auto tried = probe_backend(*m.owner, probe); !tried) {
        if (tried.error().code == RLX_CANCELLED) return std::move(tried.error());
        unavailable(std::move(tried.error().message));
        return {};
    }
    auto loaded = catalog.load(*m.owner);
    if (!loaded) {
        unavailable(std::move(loaded.error().message));
        return {};
    }
    plugin* p = *loaded;
    auto iface = p->iface("rlx.backend/1");
    const auto* t = iface ? static_cast<const rlx_backend_v1*>(*iface) : nullptr;
    if (!t || !RLX_HAS(t, device_count) || !RLX_HAS(t, open) || !RLX_HAS(t, close)) {
        unavailable(
            iface ? "its rlx.backend/1 lacks device_count, open or close"
                  : std::move(iface.error().message)
        );
        return {};
    }
    void* self = p->table().self;
    const std::uint32_t n = t->device_count(self);
    if (n == 0) unavailable(why_none(t, self, m.owner->id));
    for (std::uint32_t i = 0; i < n; ++i) {
        device_listing d = one;
        d.index = i;
        if (d.backend != "cpu") d.name = fmt::format("{}:{}", d.backend, i);
        auto read = read_device(t, self, d);
        d.available = read.ok();
        if (!read) d.reason = std::move(read.error().message);
        out.push_back(std::move(d));
    }
    return {};
}

} // namespace

result<std::vector<device_listing>>
list_devices(plugin_catalog& catalog, const probe_options& probe) {
    offer_services();
    auto backends = catalog.all("backend");
    std::ranges::stable_sort(backends, std::greater<>(), [](const auto& m) {
        return m.entry->priority;
    });
    std::vector<device_listing> out;
    for (const auto& m : backends)
        RLX_CHECK(list_backend(catalog, m, probe, out));
    for (const device_state& d : known_devices(catalog)) {
        const bool listed =
            std::ranges::any_of(out, [&](const device_listing& x) { return x.backend == d.name; });
        if (listed || d.available) continue;
        device_listing one;
        one.name = one.backend = d.name;
        one.reason = d.reason;
        out.push_back(std::move(one));
    }
    return out;
}

} // namespace rlx
