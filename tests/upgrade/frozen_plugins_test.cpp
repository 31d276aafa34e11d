// SPDX-License-Identifier: GPL-3.0-only
// Plugins built with the previous SDK (ABI 1.0) on today's host.
#include "chain.hpp"

namespace rlx::test {
namespace {

const std::filesystem::path frozen = RLX_FROZEN_PLUGINS;
const std::filesystem::path today = RLX_PLUGIN_DIR;

TEST(frozen_plugins, were_built_with_the_headers_of_abi_1_0) {
    search_options o;
    o.plugin_dirs = {frozen};
    o.use_environment = o.use_defaults = o.use_index = false;
    const auto catalog = must(plugin_catalog::open(o));
    ASSERT_EQ(catalog->manifests().size(), 2u);
    for (const manifest& m : catalog->manifests()) {
        const plugin* p = must(catalog->load(m));
        EXPECT_EQ(p->table().hdr.major, 1) << m.id;
        EXPECT_EQ(p->table().hdr.minor, 0) << m.id; // negotiated, whatever this host offers
    }
}

TEST(frozen_plugins, family_gives_the_reference_logits_through_todays_cpu_backend) {
    const table family = load_from(frozen, "family", "frozen-family");
    const table cpu = load_from(today, "backend", "cpu");
    for (const char* name : {"llama-default", "llama-llama3", "llama-bias", "qwen2-untied"})
        expect_golden(name, family, cpu);
}

TEST(frozen_plugins, backend_gives_the_reference_logits_under_todays_families) {
    const table backend = load_from(frozen, "backend", "frozen-backend");
    expect_golden("llama-default", load_from(today, "family", "llama32"), backend);
    expect_golden("qwen3-dense", load_from(today, "family", "qwen3"), backend);
    expect_golden("qwen3-sliding", load_from(today, "family", "qwen3"), backend);
}

TEST(frozen_plugins, work_together) {
    expect_golden(
        "llama-default",
        load_from(frozen, "family", "frozen-family"),
        load_from(frozen, "backend", "frozen-backend")
    );
}

TEST(frozen_plugins, backend_names_what_it_cannot_run) {
    const fixture f{"llama-llama3"};
    const table family = load_from(frozen, "family", "frozen-family");
    const table backend = load_from(frozen, "backend", "frozen-backend");
    try {
        logits_of(f, family, backend);
        FAIL() << "scaled RoPE ran";
    } catch (const std::runtime_error& e) {
        EXPECT_NE(std::string(e.what()).find("scaled RoPE"), std::string::npos) << e.what();
    }
}

} // namespace
} // namespace rlx::test
