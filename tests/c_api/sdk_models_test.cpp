// SPDX-License-Identifier: GPL-3.0-only
// The SDK's handle over "rlx.models/1".
#include "c_api.hpp"
#include "rlx/sdk/models.hpp"

#include "rlx/base/wall.hpp"

#include <stdexcept>

namespace rlx::test {
namespace {

class sdk_models : public testing::Test {
protected:
    static void SetUpTestSuite() {
        story(); // offers the services
        rlx::sdk::detail::host_table = rlx::host();
    }

    static rlx_generate_options most(std::int64_t tokens) {
        auto how = sdk::sized<rlx_generate_options>();
        how.max_tokens = tokens;
        return how;
    }
};

TEST_F(sdk_models, opens_generates_and_closes) {
    auto m = sdk::hosted_model::open(story_options());
    ASSERT_TRUE(m.ok()) << m.error().message;
    EXPECT_EQ(m->info()->vocab_size, 1024);
    EXPECT_GT(sdk::hosted_model::plan(story_options())->total, 0U);
    std::string streamed;
    auto out =
        m->generate("Once upon a time", most(8), [&](std::int32_t, std::string_view t) {
            streamed += t;
            return true;
        });
    ASSERT_TRUE(out.ok()) << out.error().message;
    EXPECT_EQ(out->tokens.size(), 8U);
    EXPECT_EQ(out->text, streamed);
    EXPECT_EQ(out->facts.finish_reason, std::uint32_t{RLX_FINISH_LENGTH});
    auto ids = m->tokenize("a cat");
    ASSERT_TRUE(ids.ok());
    EXPECT_EQ(*m->detokenize(*ids), "a cat");
    EXPECT_EQ(m->logits(*ids)->size(), 1024U);
    const sdk::hosted_model moved = std::move(*m);
    EXPECT_NE(moved.raw(), nullptr);
    EXPECT_EQ(m->raw(), nullptr);
}

TEST_F(sdk_models, a_callback_ends_the_answer_or_throws) {
    auto m = sdk::hosted_model::open(story_options());
    ASSERT_TRUE(m.ok());
    int left = 2;
    auto ended =
        m->generate("Once", most(8), [&](std::int32_t, std::string_view) { return --left > 0; });
    EXPECT_EQ(ended->tokens.size(), 2U);
    auto threw = m->generate("Once", most(8), [](std::int32_t, std::string_view) -> bool {
        throw std::runtime_error("the plugin's own trouble");
    });
    ASSERT_FALSE(threw.ok());
    EXPECT_EQ(threw.error().message, "the plugin's own trouble");
}

TEST_F(sdk_models, embeds) {
    rlx_model_options o = story_options();
    o.task = RLX_MODEL_EMBED;
    auto m = sdk::hosted_model::open(o);
    ASSERT_TRUE(m.ok()) << m.error().message;
    EXPECT_EQ(m->embed("a cat")->size(), static_cast<std::size_t>(m->info()->hidden_size));
    auto wrong = m->embed("");
    ASSERT_FALSE(wrong.ok());
    EXPECT_EQ(wrong.error().code, std::uint32_t{RLX_INVALID_ARGUMENT});
}

} // namespace
} // namespace rlx::test
