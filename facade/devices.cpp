// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/devices.hpp"

#include "no_device.hpp"

#include "rlx/base/environment.hpp"
#include "rlx/base/log.hpp"
#include "rlx/base/options.hpp"
#include "rlx/base/wall.hpp"
#include "rlx/loader/device_names.hpp"
#include "rlx/services.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace rlx {
namespace {

bool provides(const provided& entry, std::string_view name) {
    return entry.name == name || std::ranges::find(entry.devices, name) != entry.devices.end();
}

// Backends, the preferred ones first.
std::vector<plugin_catalog::match> backends(const plugin_catalog& catalog) {
    auto out = catalog.all("backend");
    std::ranges::stable_sort(out, std::greater<>(), [](const auto& m) {
        return m.entry->priority;
    });
    return out;
}

error not_available(const plugin_catalog& catalog, std::string_view name) {
    std::vector<std::string> there, absent;
    std::string why;
    std::uint32_t code = RLX_UNSUPPORTED;
    for (const device_state& d : known_devices(catalog)) {
        if (d.available)
            there.push_back(d.name);
        else
            absent.push_back(fmt::format("{} ({})", d.name, d.reason));
        if (d.name == name) why = fmt::format("device '{}' is not available: {}", name, d.reason);
    }
    if (why.empty()) {
        why = fmt::format("unknown device '{}'", name);
        code = RLX_INVALID_ARGUMENT;
        for (const candidate& c : catalog.candidates())
            if (c.status == "refused")
                why += fmt::format("; refused: {}: {}", c.file.native(), c.reason);
    }
    return {
        code,
        fmt::format(
            "{}; plugins are here for: {} ('rlx-run devices' tries them); not available: {}",
            why,
            there.empty() ? "none" : fmt::format("{}", fmt::join(there, ", ")),
            fmt::join(absent, ", ")
        )};
}

// The backend that a name means; two of equal priority are an error naming both.
result<plugin_catalog::match> backend_called(const plugin_catalog& catalog, std::string_view name) {
    auto found = backends(catalog);
    std::erase_if(found, [&](const auto& m) { return !provides(*m.entry, name); });
    if (found.empty()) return not_available(catalog, name);
    return preferred(std::move(found), fmt::format("device '{}'", name));
}

struct device_name {
    std::string name;
    std::uint32_t index = 0;
};

result<device_name> parse(std::string_view text) {
    device_name out{std::string(text.substr(0, text.find(':'))), 0};
    if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
        const std::string_view digits = text.substr(colon + 1);
        const auto [end, failed] =
            std::from_chars(digits.data(), digits.data() + digits.size(), out.index);
        if (failed != std::errc() || end != digits.data() + digits.size() || digits.empty())
            return error{
                RLX_INVALID_ARGUMENT,
                fmt::format(
                    "device '{}': expected a number after the colon, as in '{}:0'", text, out.name
                )};
    }
    return out;
}

result<const rlx_backend_v1*> table_of(plugin& p) {
    const auto* table = static_cast<const rlx_backend_v1*>(RLX_TRY(p.iface("rlx.backend/1")));
    if (RLX_HAS(table, device_count) && RLX_HAS(table, open) && RLX_HAS(table, close)) return table;
    return error{
        RLX_VERSION_MISMATCH,
        fmt::format(
            "plugin {}: its rlx.backend/1 lacks device_count, open or close", p.describe().id
        )};
}

// A second file for the same name is never tried in place of the one that the name means.
bool outranked(const plugin_catalog& catalog, const plugin_catalog::match& m) {
    const auto meant = backend_called(catalog, m.entry->name);
    return meant.ok() && meant->entry != m.entry;
}

} // namespace

result<void> usable(const plugin_catalog& catalog, const plugin_catalog::match& m) {
    const plugin_catalog::match meant = RLX_TRY(backend_called(catalog, m.entry->name));
    if (meant.entry == m.entry) return {};
    return error{
        RLX_UNSUPPORTED,
        fmt::format(
            "{} ({}) has priority {}, {} ({}) for the same name {}",
            m.owner->id,
            m.owner->library.native(),
            m.entry->priority,
            meant.owner->id,
            meant.owner->library.native(),
            meant.entry->priority
        )};
}

std::vector<device_state> known_devices(const plugin_catalog& catalog) {
    std::vector<device_state> out;
    const auto add = [&](std::string name) {
        if (std::ranges::find(out, name, &device_state::name) == out.end())
            out.push_back({std::move(name), true, ""});
    };
    for (const auto& m : backends(catalog)) {
        add(m.entry->name);
        for (const std::string& name : m.entry->devices)
            add(name);
    }
    for (const auto& [name, reason] : known_device_names)
        if (std::ranges::find(out, name, &device_state::name) == out.end())
            out.push_back({std::string(name), false, std::string(reason)});
    return out;
}

result<std::unique_ptr<device>> device::open_from(
    plugin_catalog& catalog,
    const plugin_catalog::match& m,
    const device_options& options,
    std::uint32_t index,
    choice by
) {
    const std::string& tier =
        options.tier.empty() && provides(*m.entry, "cpu") ? options.cpu_tier : options.tier;
    auto loaded = catalog.load(*m.owner);
    // RLX_NOT_FOUND stays for "no such device".
    if (!loaded.ok() && loaded.error().code == RLX_NOT_FOUND)
        return error{RLX_UNSUPPORTED, std::move(loaded.error().message)};
    plugin* p = RLX_TRY(std::move(loaded));
    const rlx_backend_v1* table = RLX_TRY(table_of(*p));
    const std::uint32_t count = table->device_count(p->table().self);
    if (count == 0) return error{RLX_NOT_FOUND, why_none(table, p->table().self, m.owner->id)};
    if (index >= count)
        return error{
            RLX_NOT_FOUND,
            fmt::format(
                "plugin {} sees {} device(s), number {} was asked for", m.owner->id, count, index
            )};
    std::unique_ptr<device> out(new device);
    out->self_ = p->table().self;
    out->index_ = index;
    out->plugin_ = m.owner;
    out->name_ = m.entry->name;
    rlx::options how, info;
    if (RLX_HAS(table, device_info))
        RLX_CHECK(check_wall(table->device_info(out->self_, index, info.handle())));
    out->description_ =
        info.get_string("description").value_or(info.get_string("name").value_or(""));
    if (by == choice::of_the_best && info.get_int("software").value_or(0) == 1) return out;
    if (by != choice::by_name) how.set_int("self_test", 1); // nobody insists on this one
    if (!tier.empty()) how.set_string("tier", tier);
    if (options.time_ops) how.set_int("time_ops", 1);
    if (const auto cache = private_cache_dir(); !cache.empty())
        how.set_string("cache_dir", cache.string());
    RLX_CHECK(check_wall(table->open(out->self_, index, how.handle(), &out->handle_)));
    out->backend_ = table; // from here on the destructor closes it
    return out;
}

result<std::unique_ptr<device>>
device::open_auto(plugin_catalog& catalog, const device_options& options, std::uint32_t index) {
    std::vector<fallback> failed;
    std::vector<std::string> reasons;
    std::vector<plugin_catalog::match> emulated; // for want of anything else
    const auto attempt = [&](const plugin_catalog::match& m, choice by) {
        auto out = open_from(catalog, m, options, index, by);
        if (out.ok() && (*out)->backend_) (*out)->passed_over_ = std::move(failed);
        return out;
    };
    for (const auto& m : backends(catalog)) {
        if (outranked(catalog, m)) continue;
        auto tried = usable(catalog, m);
        if (tried.ok()) tried = probe_backend(*m.owner, options.probe);
        if (tried.ok()) {
            auto out = attempt(m, choice::of_the_best);
            if (out.ok() && (*out)->backend_) return out;
            if (out.ok()) {
                log_info(
                    "devices",
                    fmt::format(
                        "auto passes over {} ({}): the processor plays this device",
                        (*out)->label(),
                        (*out)->description_
                    )
                );
                emulated.push_back(m);
                continue;
            }
            tried = std::move(out.error());
        }
        const error& e = tried.error();
        if (e.code == RLX_CANCELLED) return e;
        // Having no device is no failure.
        if (e.code != RLX_NOT_FOUND) failed.push_back({"device " + m.entry->name, e.message});
        reasons.push_back(e.message);
    }
    for (const auto& m : emulated) {
        auto out = attempt(m, choice::of_the_rest);
        if (out.ok()) return out;
        failed.push_back({"device " + m.entry->name, out.error().message});
        reasons.push_back(out.error().message);
    }
    return error{
        RLX_UNSUPPORTED,
        fmt::format(
            "no device: {}",
            reasons.empty() ? "no backend plugin was found"
                            : fmt::format("{}", fmt::join(reasons, "; "))
        )};
}

result<std::unique_ptr<device>>
device::open(plugin_catalog& catalog, const device_options& options) {
    offer_services();
    const device_name wanted = RLX_TRY(parse(options.name));
    if (wanted.name == "auto") return open_auto(catalog, options, wanted.index);
    const plugin_catalog::match m = RLX_TRY(backend_called(catalog, wanted.name));
    auto out = open_from(catalog, m, options, wanted.index, choice::by_name);
    if (out.ok()) (*out)->name_ = wanted.name;
    if (!out.ok() && out.error().code == RLX_NOT_FOUND)
        return error{
            RLX_UNSUPPORTED, fmt::format("device '{}': {}", options.name, out.error().message)};
    return out;
}

std::string device::label() const {
    return name_ == "cpu" ? name_ : fmt::format("{}:{}", name_, index_);
}

device::~device() {
    if (backend_) backend_->close(self_, handle_);
}

} // namespace rlx
