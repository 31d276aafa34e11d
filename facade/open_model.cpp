// SPDX-License-Identifier: GPL-3.0-only
#include "open_model.hpp"

#include "rlx/base/environment.hpp"
#include "rlx/base/threads.hpp"
#include "rlx/extensions.hpp"
#include "rlx/services.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace rlx {
namespace {

// What opens a family of this task instead; empty for one that only plugins know.
std::string_view opened_with(std::string_view task) {
    if (task == "lm") return " (rlx::lm_runner, RLX_MODEL_GENERATE)";
    if (task == "encode") return " (rlx-embed, rlx::text_embedder, RLX_MODEL_EMBED)";
    if (task == "encode_image") return " (rlx-embed, rlx::image_embedder)";
    return "";
}

error other_task(
    const std::string& where, const provided& entry, std::span<const std::string_view> tasks
) {
    return {
        RLX_UNSUPPORTED,
        fmt::format(
            "{}: family '{}' is for task '{}'{}, expected '{}'",
            where,
            entry.name,
            entry.task,
            opened_with(entry.task),
            fmt::join(tasks, "' or '")
        )};
}

result<void> choose_family(
    opened_model& m,
    const model_request& r,
    plugin_catalog& catalog,
    std::span<const std::string_view> tasks
) {
    const weights& w = m.files->weights();
    // By what the checkpoint says, or by the family's name for files that say nothing (Meta's).
    if (w.architecture().empty() && !r.family.empty()) {
        m.report.family = RLX_TRY(catalog.find("family", r.family));
    } else {
        m.report = RLX_TRY(check_weights(w, catalog, r.family));
        RLX_CHECK(require_supported(m.report, w, false));
    }
    const provided& entry = *m.report.family.entry;
    const std::string where = w.path().string();
    if (std::ranges::find(tasks, entry.task) == tasks.end()) return other_task(where, entry, tasks);
    offer_services();
    plugin* family = RLX_TRY(catalog.load(*m.report.family.owner));
    m.parts.family = static_cast<const rlx_family_v1*>(RLX_TRY(family->iface("rlx.family/1")));
    m.parts.family_self = family->table().self;
    m.facts.family = entry.name;
    m.facts.family_plugin = m.report.family.owner->id;
    m.facts.family_version = m.report.family.owner->version;
    return {};
}

result<void> open_devices(opened_model& m, const model_request& r, plugin_catalog& catalog) {
    device_options how = r.device;
    if (how.cpu_tier.empty()) how.cpu_tier = env_string("RLX_CPU").value_or("");
    m.devices = RLX_TRY(device_set::open(catalog, how));
    const device& wanted = *m.devices.wanted;
    m.fallbacks.assign(wanted.passed_over().begin(), wanted.passed_over().end());
    m.parts.find_op = op_finder(catalog);
    m.parts.w = &m.files->weights();
    m.devices.describe(m.parts, r.fallback);
    m.facts.backend_plugin = wanted.provider().id;
    m.facts.backend_version = wanted.provider().version;
    m.facts.device = wanted.label();
    if (m.devices.second) m.facts.second_plugin = m.devices.second->provider().id;
    m.facts.device_description = wanted.description();
    m.facts.threads = rlx::threads();
    return {};
}

} // namespace

result<opened_model> open_parts(const model_request& r, std::span<const std::string_view> tasks) {
    if (r.weights.empty())
        return error{RLX_INVALID_ARGUMENT, "no weights given: name a file or a directory"};
    RLX_CHECK(set_threads(r.threads));
    opened_model m;
    plugin_catalog* catalog = r.catalog;
    if (!catalog) {
        search_options where;
        where.plugin_dirs = r.plugin_dirs;
        m.own_catalog = RLX_TRY(plugin_catalog::open(where));
        catalog = m.own_catalog.get();
    }
    m.files =
        RLX_TRY(checkpoint::open(r.weights, with_plugins(r.open, *catalog), r.tokenizer.string()));
    RLX_CHECK(choose_family(m, r, *catalog, tasks));
    RLX_CHECK(open_devices(m, r, *catalog));
    m.profile =
        RLX_TRY(find_profile(*m.report.family.entry, m.files->weights().path(), r.profile, *catalog)
        );
    m.facts.profile = m.profile.source;
    return m;
}

} // namespace rlx
