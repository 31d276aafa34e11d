// SPDX-License-Identifier: GPL-3.0-only
// "rlx.models/1", the C API across the wall.
#include "c_api.hpp"

#include "rlx/base/wall.hpp"

namespace rlx::test {
namespace {

const rlx_models_v1* service(std::uint16_t min_minor = 0) {
    story(); // any model: the services are offered before a plugin is loaded
    return static_cast<const rlx_models_v1*>(
        host()->iface(host()->ctx, str("rlx.models/1"), min_minor)
    );
}

TEST(models_service, is_the_c_api) {
    const rlx_models_v1* t = service();
    ASSERT_NE(t, nullptr);
    EXPECT_EQ(service(1), nullptr);
    EXPECT_EQ(t->hdr.size, sizeof *t);
    EXPECT_EQ(t->hdr.major, 1);
    EXPECT_EQ(t->open, &rlx_model_open);
    EXPECT_EQ(t->embed_ids, &rlx_model_embed_ids);
    EXPECT_EQ(t->free_memory, &rlx_free);
    // Every member is there: a table is whole or not at all.
    const auto* members = reinterpret_cast<void* const*>(t + 1);
    for (const auto* at = reinterpret_cast<void* const*>(&t->open); at < members; ++at)
        EXPECT_NE(*at, nullptr);
}

TEST(models_service, runs_a_model) {
    const rlx_models_v1* t = service();
    const rlx_model_options o = story_options();
    rlx_model* model = nullptr;
    EXPECT_OK(t->open(&o, &model));
    rlx_generate_options how;
    rlx_generate_options_init(&how);
    how.max_tokens = 4;
    rlx_generate_result result;
    rlx_generate_result_init(&result);
    EXPECT_OK(t->generate(model, rlx_cstr("Once upon"), &how, nullptr, nullptr, &result));
    EXPECT_EQ(result.n_tokens, 4U);
    t->free_memory(result.text);
    t->free_memory(result.tokens);
    t->close(model);
}

} // namespace
} // namespace rlx::test
