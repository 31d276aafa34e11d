// SPDX-License-Identifier: GPL-3.0-only
#include "fake_catalog.hpp"

#include "rlx/extensions.hpp"
#include "rlx/rlx.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace rlx::test {
namespace {

using ids = std::vector<std::int32_t>;

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

class runner : public testing::Test {
protected:
    lm_runner::builder builder() {
        return lm_runner::builder().weights(file.path()).catalog(&catalog);
    }

    std::unique_ptr<lm_runner> open(const lm_runner::builder& b) {
        auto out = b.build();
        EXPECT_TRUE(out) << (out ? "" : out.error().message);
        return out ? std::move(*out) : nullptr;
    }

    static error failure(const lm_runner::builder& b) {
        const auto out = b.build();
        EXPECT_FALSE(out);
        return out ? error{RLX_OK, "no error"} : out.error();
    }

    fake_lm fake;
    fake_catalog catalog{fake};
    gguf_file file{
        {{"general.architecture", std::string("fake")}, {"tokenizer.ggml.eos_token_id", 5U}}};
};

} // namespace

TEST_F(runner, loads_one_family_and_one_backend_and_says_so) {
    const auto r = open(builder().max_seq(128).compute("f32"));
    ASSERT_TRUE(r);
    EXPECT_EQ(catalog.loaded().size(), 2U);
    EXPECT_EQ(r->family(), "fake");
    EXPECT_EQ(r->vocab_size(), fake_vocab);
    EXPECT_EQ(r->max_seq(), 128);
    const run_facts& facts = r->ran_on();
    EXPECT_EQ(facts.family_plugin, "org.rlx.fake");
    EXPECT_EQ(facts.family_version, "1.2.3");
    EXPECT_EQ(facts.backend_plugin, "org.rlx.fake-cpu");
    EXPECT_EQ(facts.device, "cpu");
    EXPECT_EQ(facts.device_description, "a device of the test");
    EXPECT_EQ(facts.tier, "fake");
    EXPECT_EQ(facts.compute, "f32");
    EXPECT_EQ(facts.kv, "f32");
    EXPECT_GE(facts.threads, 1U);
    EXPECT_GT(r->load_seconds(), 0);
}

TEST_F(runner, everything_is_given_back) {
    open(builder());
    EXPECT_EQ(fake.open_devices, 0);
    EXPECT_EQ(fake.programs, 0);
    EXPECT_EQ(fake.buffers, 0);
    failure(builder().max_memory_gb(1e-6));
    EXPECT_EQ(fake.open_devices, 0);
}

TEST_F(runner, generates_from_ids_without_a_tokenizer_and_says_that_there_is_no_text) {
    fake.script = {1, 2, 5, 3};
    const auto r = open(builder());
    ASSERT_TRUE(r);
    const auto out = r->generate(ids{0}, {.max_tokens = 10});
    ASSERT_TRUE(out) << out.error().message;
    EXPECT_EQ(out->tokens, (ids{1, 2, 5})); // 5 is the file's eos
    EXPECT_EQ(out->finish_reason, "stop");
    EXPECT_EQ(out->text, "");
    ASSERT_EQ(r->fallbacks().size(), 1U);
    EXPECT_EQ(r->fallbacks()[0].what, "text");
    EXPECT_TRUE(contains(r->fallbacks()[0].reason, "ids only: ")) << r->fallbacks()[0].reason;
    ASSERT_TRUE(r->generate(ids{0}, {.max_tokens = 1}));
    EXPECT_EQ(r->fallbacks().size(), 1U);
    EXPECT_FALSE(r->generate("text", {.max_tokens = 1}));
}

TEST_F(runner, logits_come_in_chunks_with_the_same_values) {
    const auto r = open(builder().max_rows(7));
    ASSERT_TRUE(r);
    ids all;
    for (std::int32_t i = 0; i < 50; ++i)
        all.push_back(i * 7 % 32);
    for (const std::int64_t chunk : {0, 1, 3, 49, 50, 80}) {
        std::vector<float> got;
        ASSERT_TRUE(r->logits(
            all,
            chunk,
            [&](std::int64_t first, std::span<const float> rows) -> result<void> {
                EXPECT_EQ(first * fake_vocab, static_cast<std::int64_t>(got.size()));
                got.insert(got.end(), rows.begin(), rows.end());
                return {};
            }
        ));
        ASSERT_EQ(got.size(), all.size() * fake_vocab);
        const std::vector<float> last(got.end() - fake_vocab, got.end());
        EXPECT_EQ(last, fake_logits(all)) << chunk;
        EXPECT_EQ(
            std::vector<float>(got.begin(), got.begin() + fake_vocab),
            fake_logits(std::span(all).first(1))
        );
    }
    EXPECT_EQ(r->predict_logits(all).value(), fake_logits(all));
    const auto nothing = [](std::int64_t, std::span<const float>) { return result<void>(); };
    EXPECT_FALSE(r->logits(ids{}, 0, nothing));
    EXPECT_FALSE(r->logits(all, -1, nothing));
    EXPECT_FALSE(r->logits(ids(2000, 1), 0, nothing));
}

TEST_F(runner, an_error_of_the_rows_callback_ends_logits) {
    const auto r = open(builder());
    const auto stop =
        r->logits(ids{1, 2, 3}, 1, [](std::int64_t, std::span<const float>) -> result<void> {
            return error{RLX_IO, "disk full"};
        });
    ASSERT_FALSE(stop);
    EXPECT_EQ(stop.error().message, "disk full");
}

TEST_F(runner, the_cache_is_kept_only_when_asked) {
    const auto r = open(builder());
    ASSERT_TRUE(r->generate(ids{1, 2, 3}, {.max_tokens = 2}, {}, true));
    EXPECT_EQ(r->generate(ids{1, 2, 3, 4}, {.max_tokens = 2}, {}, true)->usage.cached_tokens, 3);
    EXPECT_EQ(r->generate(ids{1, 2, 3, 4}, {.max_tokens = 2})->usage.cached_tokens, 0);
    EXPECT_EQ(r->generate(ids{1, 2, 3, 4}, {.max_tokens = 2}, {}, true)->usage.cached_tokens, 0);
    EXPECT_TRUE(r->predict_logits(ids{1})); // finds the one sequence free
}

TEST_F(runner, plan_needs_no_weights_and_build_refuses_what_is_too_large) {
    const auto plan = builder().max_seq(640).plan();
    ASSERT_TRUE(plan) << plan.error().message;
    EXPECT_EQ(plan->state, 640U * 8);
    EXPECT_EQ(fake.compiles, 0);
    const error e = failure(builder().max_memory_gb(0.0005));
    EXPECT_EQ(e.code, RLX_OUT_OF_MEMORY);
    EXPECT_TRUE(e.message.starts_with(file.path().string() + ": the plan needs")) << e.message;
}

TEST_F(runner, another_family_than_asked_for_is_refused_by_name) {
    const error e = failure(builder().family("qwen3"));
    EXPECT_EQ(e.code, RLX_UNSUPPORTED);
    EXPECT_TRUE(contains(e.message, "architecture 'fake' belongs to family 'fake', not 'qwen3'"))
        << e.message;
    EXPECT_TRUE(catalog.loaded().empty());
    catalog.family().provides[0].task = "embed";
    EXPECT_TRUE(contains(failure(builder()).message, "is for task 'embed'"));
}

TEST_F(runner, missing_weights_are_named) {
    EXPECT_EQ(failure(lm_runner::builder()).code, RLX_INVALID_ARGUMENT);
    const error e = failure(builder().weights("/nowhere/model.gguf"));
    EXPECT_EQ(e.code, RLX_NOT_FOUND);
    EXPECT_TRUE(contains(e.message, "/nowhere/model.gguf")) << e.message;
}

TEST_F(runner, a_tier_the_machine_lacks_is_an_error) {
    EXPECT_EQ(failure(builder().tier("avx9000")).code, RLX_UNSUPPORTED);
    EXPECT_TRUE(builder().tier("fake").build());
}

TEST_F(runner, an_unknown_device_gets_the_list_of_all_with_reasons) {
    const error e = failure(builder().device("abacus"));
    EXPECT_EQ(e.code, RLX_INVALID_ARGUMENT);
    EXPECT_TRUE(contains(
        e.message,
        "unknown device 'abacus'; plugins are here for: cpu, fpga ('rlx-run devices' tries them); "
        "not available: vulkan ("
    )) << e.message;
    const error known = failure(builder().device("metal"));
    EXPECT_EQ(known.code, RLX_UNSUPPORTED);
    EXPECT_TRUE(contains(known.message, "device 'metal' is not available: Metal is Apple's"))
        << known.message;
    for (const char* name :
         {"metal", "mps", "mlx", "cuda", "rocm", "hip", "gpu", "wgpu", "tpu", "vulkan"})
        EXPECT_TRUE(contains(e.message, name)) << name;
}

TEST_F(runner, devices_are_chosen_by_name_number_or_auto) {
    EXPECT_TRUE(builder().device("cpu:0").build());
    EXPECT_TRUE(builder().device("fpga").build());
    EXPECT_TRUE(builder().device("auto").build());
    EXPECT_TRUE(contains(
        failure(builder().device("cpu:1")).message, "sees 1 device(s), number 1 was asked for"
    ));
    EXPECT_EQ(failure(builder().device("cpu:x")).code, RLX_INVALID_ARGUMENT);
    EXPECT_EQ(failure(builder().device("cpu:")).code, RLX_INVALID_ARGUMENT);
    fake.devices = 0;
    EXPECT_TRUE(contains(failure(builder().device("auto")).message, "sees no device"));
}

TEST_F(runner, auto_takes_an_emulated_device_for_want_of_anything_else) {
    catalog.add_backend("card", catalog.backend().provides[0].priority + 50);
    EXPECT_EQ(open(builder().device("auto"))->ran_on().device, "card:0");
    fake.software = {0, 1}; // of the card, then of the processor
    EXPECT_EQ(open(builder().device("auto"))->ran_on().device, "cpu");
    fake.software = {1, 1};
    EXPECT_EQ(open(builder().device("auto"))->ran_on().device, "card:0");
    fake.software = {1};
    EXPECT_EQ(open(builder().device("card"))->ran_on().device, "card:0");
}

TEST_F(runner, of_two_backends_of_one_name_the_higher_priority_runs_and_a_tie_names_both) {
    const std::int64_t priority = catalog.backend().provides[0].priority;
    catalog.add_backend("cpu", priority);
    const error tied = failure(builder());
    EXPECT_EQ(tied.code, RLX_INVALID_ARGUMENT);
    for (const std::string& part :
         {std::string("device 'cpu' is claimed with equal priority"),
          std::string("org.rlx.fake-cpu (/fake/first.so)"),
          std::string("org.rlx.fake-cpu (/fake/added-cpu.so)")})
        EXPECT_NE(tied.message.find(part), std::string::npos) << tied.message;
    const error nothing_left = failure(builder().device("auto"));
    EXPECT_NE(nothing_left.message.find("org.rlx.fake-cpu"), std::string::npos)
        << nothing_left.message;
    catalog.add_backend("cpu", priority + 1);
    EXPECT_EQ(open(builder())->ran_on().device, "cpu");
}

TEST_F(runner, of_two_rules_for_names_of_tensors_a_tie_names_both_files) {
    const auto names = [&] { return with_plugins({}, catalog).find_names("gguf", "fake"); };
    catalog.add_names("names-a", 100);
    catalog.add_names("names-b", 100);
    const auto tied = names();
    ASSERT_FALSE(tied);
    EXPECT_EQ(tied.error().code, RLX_INVALID_ARGUMENT);
    for (const char* part :
         {"tensor names of gguf architecture 'fake' is claimed with equal priority 100",
          "names-a (/fake/names-a.so)",
          "names-b (/fake/names-b.so)"})
        EXPECT_TRUE(contains(tied.error().message, part)) << tied.error().message;
    // The higher one is asked, and no other: its code has none.
    catalog.add_names("names-c", 101);
    const auto decided = names();
    ASSERT_FALSE(decided);
    EXPECT_FALSE(contains(decided.error().message, "priority")) << decided.error().message;
    ASSERT_EQ(catalog.loaded().size(), 1U);
    EXPECT_EQ(catalog.loaded()[0]->id, "names-c");
}

TEST_F(runner, too_many_threads_are_refused) {
    EXPECT_EQ(failure(builder().threads(1u << 20)).code, RLX_INVALID_ARGUMENT);
    EXPECT_EQ(open(builder().threads(1))->ran_on().threads, 1U);
    EXPECT_GE(open(builder().threads(0))->ran_on().threads, 1U);
}

} // namespace rlx::test
