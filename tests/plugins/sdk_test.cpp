// SPDX-License-Identifier: GPL-3.0-only
// The SDK's text, errors, options and sized structs.
#include "rlx/base/options.hpp"
#include "rlx/base/result.hpp"
#include "rlx/base/wall.hpp"
#include "rlx/sdk/models.hpp"
#include "rlx/sdk/plugin.hpp"

#include <array>
#include <gtest/gtest.h>
#include <new>
#include <stdexcept>

namespace {

using namespace rlx;

class sdk_test : public ::testing::Test {
protected:
    sdk_test() { sdk::detail::host_table = rlx::host(); }
};

error text_of(rlx_error* e) {
    return e ? from_wall(e) : error{RLX_OK, "no error"};
}

TEST_F(sdk_test, format_fills_holes_with_numbers_text_and_lists) {
    const std::array<std::int64_t, 3> shape{2, -1, 4};
    EXPECT_EQ(sdk::format("a {} b {} c {}", 1, "x", std::string("y")), "a 1 b x c y");
    EXPECT_EQ(sdk::format("{} {} {}", shape, true, 1.5), "[2, -1, 4] true 1.5");
    EXPECT_EQ(sdk::format("{}", sdk::str("s")), "s");
    EXPECT_EQ(sdk::format("{} {}", 1), "1 {}");
    EXPECT_EQ(sdk::format("none", 1), "none");
    EXPECT_EQ(
        sdk::format("{}{}", 'c', std::uint64_t{18446744073709551615u}), "c18446744073709551615"
    );
}

struct deep_format {
    static constexpr sdk::format_info info{"deep", "tensors of 8, 9 and 65537 axes"};
    std::vector<sdk::format_tensor> all;

    static sdk::result<std::unique_ptr<deep_format>>
    open(std::string_view, std::span<const std::byte>) {
        auto made = std::make_unique<deep_format>();
        for (const std::size_t rank : {8u, 9u, 65537u})
            made->all.push_back({"t", RLX_F32, std::vector<std::int64_t>(rank, 1), 0, 4});
        return made;
    }

    std::span<const sdk::format_tensor> tensors() const { return all; }
};

struct valued_format {
    static constexpr sdk::format_info info{"valued", "a value of each kind"};
    std::vector<sdk::format_value> values{
        {"model_type", "llama"},
        {"hidden_size", 16},
        {"rope_theta", 0.5},
        {"tie_word_embeddings", true},
        {"layer_types", sdk::format_array{1}},
        {"layer_types.0", std::string("full")}};

    static sdk::result<std::unique_ptr<valued_format>>
    open(std::string_view, std::span<const std::byte>) {
        return std::make_unique<valued_format>();
    }

    std::span<const sdk::format_tensor> tensors() const { return {}; }

    std::span<const sdk::format_value> config() const { return values; }
};

TEST_F(sdk_test, a_format_gives_config_values_one_by_one) {
    using list = sdk::format_list<deep_format, valued_format>;
    const rlx_weight_format_v1& t = sdk::weight_format_table<list>;
    const rlx_format_file in{sizeof in, 0, sdk::str("f"), {nullptr, 0}};
    void* file = nullptr;
    ASSERT_EQ(t.open(nullptr, 1, &in, &file), nullptr);
    ASSERT_TRUE(t.meta_count && t.meta);
    std::uint64_t n = 0;
    ASSERT_EQ(t.meta_count(nullptr, file, &n), nullptr);
    std::string all;
    for (std::uint64_t i = 0; i < n; ++i) {
        rlx_str key{};
        rlx_meta m{};
        m.size = sizeof m;
        ASSERT_EQ(t.meta(nullptr, file, i, &key, &m), nullptr);
        all += sdk::format(
            "{} {} {} {} '{}'\n", sdk::view(key), m.kind, m.i, m.f, m.s.p ? sdk::view(m.s) : ""
        );
    }
    EXPECT_EQ(
        all,
        "model_type 4 0 0 'llama'\nhidden_size 1 16 16 ''\nrope_theta 2 0 0.5 ''\n"
        "tie_word_embeddings 3 1 0 ''\nlayer_types 5 1 0 ''\nlayer_types.0 4 0 0 'full'\n"
    );
    rlx_str key{};
    rlx_meta m{};
    m.size = sizeof m;
    for (rlx_error* e :
         {t.meta(nullptr, file, n, &key, &m),
          t.meta(nullptr, nullptr, 0, &key, &m),
          t.meta(nullptr, file, 0, nullptr, &m),
          t.meta(nullptr, file, 0, &key, nullptr),
          t.meta_count(nullptr, file, nullptr)}) {
        ASSERT_NE(e, nullptr);
        EXPECT_EQ(text_of(e).code, std::uint32_t{RLX_INVALID_ARGUMENT});
    }
    t.close(nullptr, file);
    // One that has none beside it has no values; one without any such has no members.
    ASSERT_EQ(t.open(nullptr, 0, &in, &file), nullptr);
    ASSERT_EQ(t.meta_count(nullptr, file, &n), nullptr);
    EXPECT_EQ(n, 0U);
    t.close(nullptr, file);
    EXPECT_EQ(sdk::weight_format_table<sdk::format_list<deep_format>>.meta, nullptr);
}

TEST_F(sdk_test, a_format_cannot_give_more_axes_than_there_are) {
    const rlx_weight_format_v1& table = sdk::weight_format_table<sdk::format_list<deep_format>>;
    const rlx_format_file in{sizeof in, 0, sdk::str("f"), {nullptr, 0}};
    void* file = nullptr;
    ASSERT_EQ(table.open(nullptr, 0, &in, &file), nullptr);
    rlx_format_tensor t{};
    t.size = sizeof t;
    EXPECT_EQ(table.tensor(nullptr, file, 0, &t), nullptr);
    EXPECT_EQ(t.rank, 8);
    EXPECT_EQ(
        text_of(table.tensor(nullptr, file, 1, &t)).message,
        "tensor 1 't' has 9 axes, expected at most 8"
    );
    EXPECT_EQ(text_of(table.tensor(nullptr, file, 2, &t)).code, std::uint32_t{RLX_CORRUPT_DATA});
    table.close(nullptr, file);
}

// This program holds the core without librlx.
TEST_F(sdk_test, a_host_without_models_says_so) {
    auto m = sdk::hosted_model::open(sdk::sized<rlx_model_options>());
    ASSERT_FALSE(m.ok());
    EXPECT_EQ(m.error().code, std::uint32_t{RLX_UNSUPPORTED});
    EXPECT_FALSE(sdk::hosted_model::plan(sdk::sized<rlx_model_options>()).ok());
}

TEST_F(sdk_test, guarded_turns_everything_into_a_host_error) {
    EXPECT_EQ(sdk::guarded([] {}), nullptr);
    EXPECT_EQ(sdk::guarded([]() -> sdk::status { return {}; }), nullptr);
    const auto refused = text_of(sdk::guarded([] { return sdk::fail(RLX_IO, "disk {}", 3); }));
    EXPECT_EQ(refused.code, std::uint32_t{RLX_IO});
    EXPECT_EQ(refused.message, "disk 3");
    const auto threw = text_of(sdk::guarded([] { throw std::runtime_error("boom"); }));
    EXPECT_EQ(threw.code, std::uint32_t{RLX_PLUGIN_THREW});
    EXPECT_EQ(threw.message, "boom");
    EXPECT_EQ(
        text_of(sdk::guarded([] { throw std::bad_alloc(); })).code, std::uint32_t{RLX_OUT_OF_MEMORY}
    );
    EXPECT_EQ(text_of(sdk::guarded([] { throw 7; })).code, std::uint32_t{RLX_PLUGIN_THREW});
}

TEST_F(sdk_test, errors_keep_code_and_text_across_the_wall_and_back) {
    const auto there = sdk::from_wall(to_wall(error{RLX_CORRUPT_DATA, "bad"}));
    EXPECT_EQ(there.code, std::uint32_t{RLX_CORRUPT_DATA});
    const auto back = text_of(sdk::to_wall(sdk::error(there).within("loading")));
    EXPECT_EQ(back.code, std::uint32_t{RLX_CORRUPT_DATA});
    EXPECT_EQ(back.message, "loading: bad");
}

sdk::result<int> half(int n) {
    if (n % 2) return sdk::fail(RLX_INVALID_ARGUMENT, "{} is odd", n);
    return n / 2;
}

sdk::result<int> quarter(int n) {
    return RLX_TRY(half(RLX_TRY(half(n))));
}

TEST_F(sdk_test, try_passes_values_and_errors_on) {
    EXPECT_EQ(*quarter(12), 3);
    EXPECT_EQ(quarter(6).error().message, "3 is odd");
}

TEST_F(sdk_test, options_view_reads_and_says_which_key_is_of_the_wrong_kind) {
    options bag;
    bag.set_int("i", 5).set_float("f", 0.5).set_string("s", "text");
    const sdk::options_view o(bag.handle());
    EXPECT_EQ(*o.i64_or("i", 1), 5);
    EXPECT_EQ(*o.i64_or("absent", 1), 1);
    EXPECT_EQ(*o.f64_or("f", 1), 0.5);
    EXPECT_EQ(*o.text_or("s", ""), "text");
    const auto wrong = o.i64("s");
    ASSERT_FALSE(wrong.ok());
    EXPECT_NE(wrong.error().message.find("s"), std::string::npos);
    EXPECT_FALSE(sdk::options_view().i64("i")->has_value());
}

TEST_F(sdk_test, options_writer_writes_and_keeps_the_first_error) {
    options bag;
    EXPECT_TRUE(
        sdk::options_writer(bag.handle()).set("i", 3u).set("f", 2.5f).set("s", "x").done().ok()
    );
    EXPECT_EQ(bag.get_int("i"), 3);
    EXPECT_EQ(bag.get_float("f"), 2.5);
    EXPECT_EQ(bag.get_string("s"), "x");
    EXPECT_FALSE(sdk::options_writer(nullptr).set("i", 3).set("j", 4).done().ok());
}

TEST_F(sdk_test, sized_structs_may_be_shorter_or_longer_than_ours) {
    struct newer {
        rlx_memory known;
        std::uint64_t later;
    } wide{{}, 99};

    wide.known.size = sizeof wide;
    wide.known.weights = 5;
    wide.known.scratch = 6;
    EXPECT_EQ(sdk::read_struct(&wide.known)->scratch, 6u);
    wide.known.size = offsetof(rlx_memory, mapped); // an older caller: no mapped, no scratch
    const rlx_memory old = *sdk::read_struct(&wide.known);
    EXPECT_EQ(old.weights, 5u);
    EXPECT_EQ(old.scratch, 0u);
    EXPECT_FALSE(sdk::read_struct<rlx_memory>(nullptr).ok());
    wide.known.size = 0;
    EXPECT_FALSE(sdk::read_struct(&wide.known).ok());

    rlx_memory out{};
    out.size = offsetof(rlx_memory, mapped);
    rlx_memory full{};
    full.weights = 1;
    full.mapped = 2;
    sdk::write_struct(&out, full);
    EXPECT_EQ(out.weights, 1u);
    EXPECT_EQ(out.mapped, 0u); // beyond what the receiver knows
    EXPECT_EQ(out.size, offsetof(rlx_memory, mapped));
}

TEST_F(sdk_test, parallel_reaches_every_thread_of_the_team) {
    std::atomic<std::uint32_t> sum = 0;
    sdk::parallel([&](sdk::team t) { sum += t.thread + 1; });
    const std::uint32_t n = sdk::team_size();
    EXPECT_EQ(sum, n * (n + 1) / 2);
}

} // namespace
