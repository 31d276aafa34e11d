// SPDX-License-Identifier: GPL-3.0-only
// A family and a backend put together by today's runtime, from tables that came from anywhere.
#pragma once

#include "fixture.hpp"

#include "rlx/base/options.hpp"
#include "rlx/base/wall.hpp"

namespace rlx::test {

struct table {
    const void* iface = nullptr;
    void* self = nullptr;
};

// The plugin's table as the loader gives it; dir holds the plugin and nothing of the same name.
inline table
load_from(const std::filesystem::path& dir, std::string_view kind, std::string_view name) {
    static auto* catalogs = new std::vector<std::unique_ptr<plugin_catalog>>; // plugins stay loaded
    search_options o;
    o.plugin_dirs = {dir};
    o.use_environment = o.use_defaults = o.use_index = false;
    catalogs->push_back(must(plugin_catalog::open(o)));
    plugin_catalog& c = *catalogs->back();
    plugin* p = must(c.load(*must(c.find(kind, name)).owner));
    return {must(p->iface("rlx." + std::string(kind) + "/1")), p->table().self};
}

// Logits of a golden's prompt in exact mode, fed in chunks of 5 so that the state matters too.
inline std::vector<float> logits_of(const fixture& f, const table& family, const table& backend) {
    const auto w = must(weights::open(f.hf()));
    lm_model::parts parts{
        .w = w.get(),
        .family = static_cast<const rlx_family_v1*>(family.iface),
        .family_self = family.self,
        .backend = static_cast<const rlx_backend_v1*>(backend.iface),
        .backend_self = backend.self,
        .device = nullptr,
    };
    must(check_wall(parts.backend->open(backend.self, 0, options().handle(), &parts.device)));
    std::vector<float> out;
    {
        const auto m =
            must(lm_model::open(parts, {.max_seq = 128, .max_rows = 64, .compute = "f32"}));
        out = prefill(*m, f.ids, 5);
    }
    parts.backend->close(backend.self, parts.device);
    return out;
}

inline void expect_golden(const char* name, const table& family, const table& backend) {
    const fixture f{name};
    const auto got = logits_of(f, family, backend);
    EXPECT_LE(distance(got, f.logits), 1e-4) << name;
    EXPECT_EQ(best_of_rows(got, f.vocab()), best_of_rows(f.logits, f.vocab())) << name;
}

} // namespace rlx::test
