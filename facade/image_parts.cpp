// SPDX-License-Identifier: GPL-3.0-only
#include "image_parts.hpp"

#include "rlx/base/environment.hpp"
#include "rlx/base/threads.hpp"
#include "rlx/extensions.hpp"
#include "rlx/services.hpp"

#include <fmt/format.h>

namespace rlx {
namespace {

constexpr std::string_view task = "encode_image";

// By what the checkpoint says, or by the family's name for files that say nothing (Meta's).
result<plugin_catalog::match>
find_image_family(const weights& w, plugin_catalog& catalog, const std::string& wanted) {
    const std::string where = w.path().string();
    if (w.architecture().empty() && !wanted.empty()) return catalog.find("family", wanted);
    const check_report report = RLX_TRY(check_weights(w, catalog));
    RLX_CHECK(require_supported(report, w, false));
    const provided& entry = *report.family.entry;
    if (!wanted.empty() && entry.name != wanted)
        return error{
            RLX_UNSUPPORTED,
            fmt::format(
                "{}: architecture '{}' belongs to family '{}', not '{}'",
                where,
                report.architecture,
                entry.name,
                wanted
            )};
    return report.family;
}

result<void>
choose_family(image_parts& p, const image_embedder_options& o, plugin_catalog& catalog) {
    const weights& w = p.files->weights();
    const auto match = RLX_TRY(find_image_family(w, catalog, o.family));
    if (match.entry->task != task)
        return error{
            RLX_UNSUPPORTED,
            fmt::format(
                "{}: family '{}' is for task '{}', not for images",
                w.path().string(),
                match.entry->name,
                match.entry->task
            )};
    offer_services();
    plugin* family = RLX_TRY(catalog.load(*match.owner));
    p.parts.family = static_cast<const rlx_family_v1*>(RLX_TRY(family->iface("rlx.family/1")));
    p.parts.family_self = family->table().self;
    p.facts.family = match.entry->name;
    p.facts.family_plugin = match.owner->id;
    p.facts.family_version = match.owner->version;
    return {};
}

result<void> open_device(image_parts& p, const image_embedder_options& o, plugin_catalog& catalog) {
    device_options how = o.device;
    if (how.tier.empty()) how.tier = env_string("RLX_CPU").value_or("");
    how.probe.cancel = o.cancel;
    p.devices = RLX_TRY(device_set::open(catalog, how));
    const device& wanted = *p.devices.wanted;
    p.fallbacks.assign(wanted.passed_over().begin(), wanted.passed_over().end());
    p.parts.find_op = op_finder(catalog);
    p.parts.w = &p.files->weights();
    p.devices.describe(p.parts, fallback_policy::warn);
    p.facts.backend_plugin = wanted.provider().id;
    p.facts.backend_version = wanted.provider().version;
    p.facts.device = wanted.name();
    p.facts.device_description = wanted.description();
    p.facts.threads = rlx::threads();
    return {};
}

} // namespace

result<image_parts> open_image_parts(const image_embedder_options& o) {
    if (o.weights.empty())
        return error{RLX_INVALID_ARGUMENT, "no weights given: name a file or a directory"};
    RLX_CHECK(set_threads(o.threads));
    image_parts p;
    plugin_catalog* catalog = o.catalog;
    if (!catalog) {
        search_options where;
        where.plugin_dirs = o.plugin_dirs;
        p.own_catalog = RLX_TRY(plugin_catalog::open(where));
        catalog = p.own_catalog.get();
    }
    p.files = RLX_TRY(checkpoint::open(o.weights, with_plugins(o.open, *catalog)));
    RLX_CHECK(choose_family(p, o, *catalog));
    RLX_CHECK(open_device(p, o, *catalog));
    return p;
}

} // namespace rlx
