// SPDX-License-Identifier: GPL-3.0-only
// A model on two devices computes what it computes on one: devices that lack ops, and partitions
// made at random, for language models and encoders.
#include "fixture.hpp"
#include "image_case.hpp"

#include <random>
#include <set>

namespace rlx::test {
namespace {

// The same kernels on both sides; only fusions that cross a border are gone.
constexpr double limit = 2e-5;

chain_options on(const std::string& device) {
    chain_options o;
    o.device = device;
    o.lm.max_sequences = 3;
    // Such small models are islands as a whole.
    o.adjust = [](model_parts& p) { p.force = [](std::uint32_t) { return -1; }; };
    return o;
}

// Every node by the toss of a coin that the seed decides.
std::function<void(model_parts&)> forced(std::uint32_t seed) {
    return [seed](model_parts& p) {
        p.force = [seed](std::uint32_t node) {
            return static_cast<int>(std::minstd_rand(seed * 7919 + node * 104729 + 1)() >> 13 & 1);
        };
        p.fallback = fallback_policy::allow;
    };
}

constexpr std::string_view device_names[] = {
    "everything", "products", "no_attention", "no_norms", "no_glu", "contiguous", "nothing"};

class device_lacks : public testing::TestWithParam<std::tuple<std::string, int>> {};

TEST_P(device_lacks, ops_and_the_logits_are_the_cpus) {
    const auto& [name, index] = GetParam();
    const fixture f{name};
    const auto alone = must(chain::open(f.hf()));
    const auto pair = must(chain::open(f.hf(), on("partial:" + std::to_string(index))));
    EXPECT_LE(
        distance(prefill(pair->model(), f.chunkable()), prefill(alone->model(), f.chunkable())),
        limit
    );
    for (const std::size_t chunk : {1, 7})
        EXPECT_LE(
            distance(
                prefill(pair->model(), f.chunkable(), chunk),
                prefill(alone->model(), f.chunkable(), chunk)
            ),
            limit
        ) << chunk;
}

INSTANTIATE_TEST_SUITE_P(
    partition,
    device_lacks,
    testing::Combine(
        testing::Values(
            "llama-llama3", "llama-gelu", "qwen2-tied", "qwen3-sliding", "qwen3moe-raw"
        ),
        testing::Range(0, 7)
    ),
    [](const auto& p) {
        return test_name(std::get<0>(p.param)) + "_" +
               std::string(device_names[static_cast<std::size_t>(std::get<1>(p.param))]);
    }
);

class random_partition : public testing::TestWithParam<std::string> {};

TEST_P(random_partition, equals_the_cpu_fed_in_any_way) {
    const fixture f{GetParam()};
    const std::span<const std::int32_t> ids = f.chunkable();
    const auto alone = must(chain::open(f.hf()));
    const std::vector<float> want = prefill(alone->model(), ids);
    for (const std::uint32_t seed : {1U, 2U, 3U, 4U}) {
        chain_options o = on("partial:0");
        o.adjust = forced(seed);
        const auto pair = must(chain::open(f.hf(), o));
        ASSERT_GT(pair->model().partition().programs.size(), 4U);
        EXPECT_LE(distance(prefill(pair->model(), ids), want), limit) << "seed " << seed;
        EXPECT_LE(distance(prefill(pair->model(), ids, 1), want), limit) << "seed " << seed;
        EXPECT_LE(distance(prefill(pair->model(), ids, 5), want), limit) << "seed " << seed;
    }
}

// Three sequences in one step, forks that share pages, and pages given back.
TEST_P(random_partition, equals_the_cpu_with_ragged_batches_forks_and_rollbacks) {
    const fixture f{GetParam()};
    const std::span<const std::int32_t> ids = f.chunkable();
    const auto alone = must(chain::open(
        f.hf(), {.lm = {.max_seq = 128, .max_sequences = 3, .max_rows = 64, .compute = "f32"}}
    ));
    const auto drive = [&](lm_model& m) {
        std::vector<float> out;
        const auto keep = [&](std::span<const float> rows) {
            out.insert(out.end(), rows.begin(), rows.end());
        };
        const auto a = must(m.new_sequence()), b = must(m.new_sequence());
        const lm_batch_item first[] = {
            {a.get(), ids.first(9), true}, {b.get(), ids.subspan(4, 2), true}};
        keep(must(m.eval(first)));
        const auto c = must(m.fork(*a));
        const lm_batch_item second[] = {
            {a.get(), ids.subspan(9, 1), true},
            {b.get(), ids.subspan(6, 11), true},
            {c.get(), ids.subspan(2, 3), true}};
        keep(must(m.eval(second)));
        must(m.rollback(*a, 4));
        const lm_batch_item third[] = {
            {c.get(), ids.subspan(5, 1)}, {a.get(), ids.subspan(4, 8), true}};
        keep(must(m.eval(third)));
        return out;
    };
    const std::vector<float> want = drive(alone->model());
    for (const std::uint32_t seed : {11U, 12U, 13U}) {
        chain_options o = on("partial:0");
        o.adjust = forced(seed);
        const auto pair = must(chain::open(f.hf(), o));
        EXPECT_LE(distance(drive(pair->model()), want), limit) << "seed " << seed;
    }
}

INSTANTIATE_TEST_SUITE_P(lm, random_partition, testing::ValuesIn(lm_cases()), [](const auto& p) {
    return test_name(p.param);
});

class random_encoder : public testing::TestWithParam<const char*> {};

TEST_P(random_encoder, equals_the_cpu) {
    const auto folder = std::filesystem::path(RLX_GOLDENS_DIR) / "encoders" / GetParam();
    encoder_options e;
    e.max_tokens = 256;
    e.compute = "f32";
    const std::vector<std::int32_t> ids = {3, 5, 7, 1, 9, 4, 2, 8, 6};
    const std::span<const std::int32_t> all = ids;
    const encoder_text texts[] = {{all}, {all.first(2)}, {all.subspan(3, 5)}};
    const auto alone = must(chain::open_encoder(folder, e));
    const auto rows = must(alone->encoder().encode(texts));
    const std::vector<float> want(rows.begin(), rows.end());
    for (const std::uint32_t seed : {1U, 2U, 3U, 4U, 5U, 6U}) {
        chain_options o = on("partial:0");
        o.adjust = forced(seed);
        const auto pair = must(chain::open_encoder(folder, e, o));
        EXPECT_LE(
            distance(
                must(pair->encoder().encode({texts, 1})),
                std::span(want).first(
                    ids.size() * static_cast<std::size_t>(pair->encoder().width())
                )
            ),
            limit
        );
        EXPECT_LE(distance(must(pair->encoder().encode(texts)), want), limit) << "seed " << seed;
    }
    for (int index = 0; index < 7; ++index) {
        const auto pair =
            must(chain::open_encoder(folder, e, on("partial:" + std::to_string(index))));
        EXPECT_LE(distance(must(pair->encoder().encode(texts)), want), limit) << index;
    }
}

INSTANTIATE_TEST_SUITE_P(
    encoders,
    random_encoder,
    testing::Values("bert", "mpnet", "distilbert", "roberta"),
    [](const auto& p) { return test_name(p.param); }
);

class random_images : public testing::TestWithParam<const char*> {};

TEST_P(random_images, equal_the_cpu_at_every_size_on_one_plan) {
    const auto folder = image_checkpoint(GetParam());
    const auto cases = image_cases(GetParam());
    ASSERT_GE(cases.size(), 1u);
    image_encoder_options e;
    e.max_images = 3;
    e.max_height = 64;
    e.max_width = 200;
    e.compute = "f32";
    for (const image_head head : {image_head::hidden, image_head::classes}) {
        if (head == image_head::classes && cases[0].scores.values.empty()) continue;
        e.head = head;
        const auto alone = must(chain::open_image_encoder(folder, e, image_chain(GetParam())));
        const auto same = [&](const chain_options& o, const std::string& what) {
            const auto pair = must(chain::open_image_encoder(folder, e, o));
            for (const image_case& i : cases) {
                const auto want = must(alone->images().encode(i.batch()));
                const auto got = must(pair->images().encode(i.batch()));
                EXPECT_LE(distance(got.values, want.values), limit)
                    << what << ", " << i.pixels.dims[2] << " x " << i.pixels.dims[3];
            }
        };
        for (const std::uint32_t seed : {1U, 2U, 3U, 4U}) {
            chain_options o = on("partial:0");
            o.family_name = image_chain(GetParam()).family_name;
            o.adjust = forced(seed);
            same(o, "seed " + std::to_string(seed));
        }
        for (int index = 0; index < 7; ++index) {
            chain_options o = on("partial:" + std::to_string(index));
            o.family_name = image_chain(GetParam()).family_name;
            same(o, "device " + std::to_string(index));
        }
    }
}

INSTANTIATE_TEST_SUITE_P(images, random_images, testing::ValuesIn(image_names), [](const auto& p) {
    return test_name(p.param);
});

// Quantised weights, and modes in which the cpu rounds: what crosses is f32 in any case.
TEST(partition, works_with_quantised_weights_and_the_fastest_kernels) {
    const fixture f{"qwen3-dense"};
    chain_options plain;
    plain.lm.compute = "auto";
    plain.lm.kv = "f32";
    chain_options o = on("partial:3");
    o.lm.compute = "auto";
    o.lm.kv = "f32";
    const auto alone = must(chain::open(f.gguf(), plain));
    const auto pair = must(chain::open(f.gguf(), o));
    EXPECT_LE(distance(prefill(pair->model(), f.ids), prefill(alone->model(), f.ids)), limit);
}

} // namespace
} // namespace rlx::test
