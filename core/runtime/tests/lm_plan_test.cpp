// SPDX-License-Identifier: GPL-3.0-only
#include "fake_lm.hpp"

#include "rlx/runtime/memory.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace rlx::test {
namespace {

namespace fs = std::filesystem;

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

error open_error(fake_lm& fake, const lm_options& options) {
    const auto model = lm_model::open(fake.parts(), options);
    EXPECT_FALSE(model);
    return model ? error{RLX_OK, "no error"} : model.error();
}

// A root directory with the given files.
class fake_root {
public:
    fake_root(std::initializer_list<std::pair<std::string, std::string>> files)
        : path_(
              fs::path(testing::TempDir()) /
              ("rlx_root_" + std::to_string(getpid()) + "_" + std::to_string(number_++))
          ) {
        for (const auto& [name, text] : files) {
            fs::create_directories((path_ / name).parent_path());
            std::ofstream(path_ / name) << text;
        }
    }

    fake_root(const fake_root&) = delete;

    ~fake_root() { fs::remove_all(path_); }

    const fs::path& path() const { return path_; }

private:
    static inline int number_ = 0;
    fs::path path_;
};

// A checkpoint of which nothing is known but the tensors nobody asked for.
class idle_weights final : public weights {
public:
    explicit idle_weights(std::size_t n) : n_(n) {}

    std::string_view format() const override { return "gguf"; }

    std::string_view architecture() const override { return "fake"; }

    const fs::path& path() const override { return path_; }

    std::span<const tensor_info> tensors() const override { return {}; }

    std::uint64_t file_bytes() const override { return 0; }

    std::optional<std::string_view> meta_string(std::string_view) const override { return {}; }

    std::optional<std::int64_t> meta_int(std::string_view) const override { return {}; }

    std::optional<double> meta_float(std::string_view) const override { return {}; }

    std::optional<bool> meta_bool(std::string_view) const override { return {}; }

    std::optional<std::vector<std::string_view>> meta_strings(std::string_view) const override {
        return {};
    }

    std::optional<std::vector<double>> meta_floats(std::string_view) const override { return {}; }

    std::optional<std::vector<std::int64_t>> meta_ints(std::string_view) const override {
        return {};
    }

    std::vector<std::string> meta_keys() const override { return {}; }

    result<std::optional<std::string>> sidecar(std::string_view) const override {
        return std::optional<std::string>();
    }

    std::vector<std::string> unused() const override {
        std::vector<std::string> out;
        for (std::size_t i = 0; i < n_; ++i)
            out.push_back("w" + std::to_string(i));
        return out;
    }

    rlx_weights* handle() override { return nullptr; }

private:
    std::size_t n_;
    fs::path path_ = "model.gguf";
};

std::string unused_warning(std::size_t n) {
    fake_lm fake;
    idle_weights w(n);
    lm_model::parts parts = fake.parts();
    parts.w = &w;
    const auto model = lm_model::open(parts, {});
    EXPECT_TRUE(model) << (model ? "" : model.error().message);
    return model && !(*model)->warnings().empty() ? (*model)->warnings()[0] : "";
}

} // namespace

TEST(lm_plan, tensors_nobody_asked_for_are_a_warning_that_lists_eight) {
    EXPECT_EQ(unused_warning(0), "");
    EXPECT_EQ(unused_warning(1), "1 tensor of model.gguf is not used by the model: w0");
    EXPECT_EQ(
        unused_warning(9),
        "9 tensors of model.gguf are not used by the model: w0, w1, w2, w3, w4, w5, w6, w7, ..."
    );
}

TEST(lm_plan, states_the_bytes_before_anything_is_loaded) {
    fake_lm fake;
    const auto plan =
        lm_model::plan(fake.parts(), {.max_seq = 100, .max_sequences = 3, .max_rows = 5});
    ASSERT_TRUE(plan) << plan.error().message;
    EXPECT_EQ(plan->weights, 1000000U);
    EXPECT_EQ(plan->mapped, 500U);
    EXPECT_EQ(plan->state, 3U * 2 * 64 * 8); // sequences x pages x rows x bytes of a row
    EXPECT_EQ(plan->state_per_token, 8U);
    EXPECT_GE(plan->scratch, 64U + 5 * fake_vocab * 4);
    EXPECT_EQ(plan->total(), plan->weights + plan->mapped + plan->state + plan->scratch);
    EXPECT_EQ(fake.compiles, 0);
    EXPECT_EQ(fake.buffers, 0);
    EXPECT_EQ(fake.open_models, 0);
}

TEST(lm_plan, the_model_reports_the_plan_it_was_opened_with) {
    fake_lm fake;
    const auto plan = lm_model::plan(fake.parts(), {});
    const auto model = lm_model::open(fake.parts(), {});
    ASSERT_TRUE(plan && model);
    EXPECT_EQ((*model)->memory().total(), plan->total());
    EXPECT_EQ((*model)->max_seq(), 1000); // the checkpoint's context, below the default of 4096
    EXPECT_EQ((*model)->tier(), "fake");
}

TEST(lm_plan, more_than_max_memory_gb_is_refused_before_compiling_with_what_would_fit) {
    fake_lm fake;
    fake.weight_bytes = 1'000'000'000;
    fake.mapped_bytes = 0;
    fake.context = 1 << 24;
    const auto plan = lm_model::plan(fake.parts(), {.max_seq = 64});
    ASSERT_TRUE(plan);
    const std::uint64_t fixed = plan->weights + plan->scratch;
    // Room for exactly 10 pages.
    const double limit = static_cast<double>(fixed + 10 * 64 * 8 + 100) / 1e9;
    const error e = open_error(fake, {.max_seq = 1 << 24, .max_memory_gb = limit});
    EXPECT_EQ(e.code, RLX_OUT_OF_MEMORY);
    EXPECT_TRUE(contains(e.message, "needs 1.13 GB (weights 1.00 GB")) << e.message;
    EXPECT_TRUE(contains(e.message, "cache 0.13 GB for 1 x 16777216 tokens")) << e.message;
    EXPECT_TRUE(contains(e.message, "max_memory_gb allows 1.00 GB")) << e.message;
    EXPECT_TRUE(contains(e.message, "max_seq 640 would fit")) << e.message;
    EXPECT_EQ(fake.compiles, 0);
    EXPECT_TRUE(lm_model::open(fake.parts(), {.max_seq = 640, .max_memory_gb = limit}));
    EXPECT_EQ(open_error(fake, {.max_seq = 641, .max_memory_gb = limit}).code, RLX_OUT_OF_MEMORY);
    // The plan alone says the same, as a fact.
    EXPECT_EQ(lm_model::plan(fake.parts(), {.max_seq = 640, .max_memory_gb = limit})->refused, "");
    EXPECT_EQ(
        lm_model::plan(fake.parts(), {.max_seq = 1 << 24, .max_memory_gb = limit})->refused,
        e.message
    );
}

TEST(lm_plan, a_model_whose_weights_alone_do_not_fit_says_so) {
    fake_lm fake;
    fake.weight_bytes = 3'000'000'000;
    const error e = open_error(fake, {.max_memory_gb = 2});
    EXPECT_TRUE(contains(e.message, "without any cache it needs 3.00 GB")) << e.message;
}

TEST(lm_plan, more_than_the_machine_has_is_refused_without_being_asked) {
    fake_lm fake;
    fake.weight_bytes = std::uint64_t{1} << 60;
    const error e = open_error(fake, {});
    EXPECT_EQ(e.code, RLX_OUT_OF_MEMORY);
    EXPECT_TRUE(contains(e.message, "the machine has available")) << e.message;
    EXPECT_EQ(fake.compiles, 0);
}

TEST(lm_plan, sums_that_overflow_are_over_every_limit) {
    fake_lm fake;
    fake.weight_bytes = ~std::uint64_t{0} - 5;
    EXPECT_EQ(open_error(fake, {}).code, RLX_OUT_OF_MEMORY);
}

TEST(lm_plan, options_out_of_range_are_named) {
    fake_lm fake;
    EXPECT_EQ(open_error(fake, {.max_seq = -1}).message, "max_seq is -1, expected 1 to 2147483647");
    EXPECT_TRUE(contains(open_error(fake, {.max_batch = -2}).message, "max_batch is -2"));
    EXPECT_TRUE(contains(open_error(fake, {.max_sequences = 0}).message, "max_sequences is 0"));
    EXPECT_TRUE(contains(open_error(fake, {.max_rows = -1}).message, "max_rows is -1"));
    EXPECT_TRUE(contains(open_error(fake, {.compute = "f15"}).message, "compute is 'f15'"));
    EXPECT_TRUE(contains(open_error(fake, {.kv = "q4"}).message, "kv is 'q4'"));
    EXPECT_TRUE(contains(open_error(fake, {.max_memory_gb = -1}).message, "max_memory_gb is -1"));
    EXPECT_TRUE(contains(
        open_error(fake, {.max_seq = INT32_MAX, .max_sequences = 60000}).message,
        "32-bit row number"
    ));
}

TEST(lm_plan, exact_mode_keeps_the_cache_in_f32) {
    fake_lm fake;
    ASSERT_TRUE(lm_model::open(fake.parts(), {.compute = "f32"}));
    EXPECT_EQ(fake.compute, "f32");
    EXPECT_EQ(fake.kv, "f32");
    ASSERT_TRUE(lm_model::open(fake.parts(), {}));
    EXPECT_EQ(fake.compute, "auto");
    EXPECT_EQ(fake.kv, "f16");
    ASSERT_TRUE(lm_model::open(fake.parts(), {.compute = "f32", .kv = "f16"}));
    EXPECT_EQ(fake.kv, "f16");
}

TEST(lm_plan, auto_is_the_cache_that_the_backend_has) {
    fake_lm fake;
    fake.lacks_kv = "f16";
    auto model = lm_model::open(fake.parts(), {});
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_EQ(fake.kv, "f32");
    EXPECT_EQ((*model)->kv(), "f32");
    EXPECT_TRUE(lm_model::plan(fake.parts(), {}));
    // What was typed is never replaced.
    const error typed = open_error(fake, {.kv = "f16"});
    EXPECT_EQ(typed.code, std::uint32_t{RLX_UNSUPPORTED});
    EXPECT_EQ(typed.message, "fake: no cache of f16; it has a cache of f32: --kv f32");
    fake.lacks_kv = "f32";
    EXPECT_EQ(open_error(fake, {.kv = "f32"}).message, "fake: no cache of f32");
    EXPECT_EQ(open_error(fake, {.compute = "f32"}).message, "fake: no cache of f32");
    model = lm_model::open(fake.parts(), {});
    ASSERT_TRUE(model);
    EXPECT_EQ((*model)->kv(), "f16");
}

TEST(lm_plan, a_context_that_was_not_trained_is_a_warning) {
    fake_lm fake;
    const auto model = lm_model::open(fake.parts(), {.max_seq = 2000});
    ASSERT_TRUE(model);
    ASSERT_EQ((*model)->warnings().size(), 1U);
    EXPECT_TRUE(contains((*model)->warnings()[0], "max_seq 2000 is longer than the 1000 tokens"));
}

TEST(lm_plan, a_family_that_contradicts_itself_is_caught) {
    fake_lm fake;
    fake.reported_vocab = 33;
    const error e = open_error(fake, {});
    EXPECT_TRUE(contains(e.message, "32 columns, expected f32 [R, 33]")) << e.message;
    fake.reported_vocab = 0;
    EXPECT_TRUE(contains(open_error(fake, {}).message, "vocab_size of 0"));
}

TEST(lm_plan, compiling_reports_progress_and_can_be_cancelled) {
    fake_lm fake;
    std::vector<std::uint64_t> seen;
    const auto progress = [&](std::uint64_t done, std::uint64_t) { seen.push_back(done); };
    ASSERT_TRUE(lm_model::open(fake.parts(), {.progress = progress}));
    EXPECT_EQ(seen, (std::vector<std::uint64_t>{1, 2}));
    const std::atomic<std::uint32_t> raised{1};
    EXPECT_EQ(open_error(fake, {.cancel = &raised}).code, RLX_CANCELLED);
    EXPECT_EQ(fake.buffers, 0);
}

TEST(lm_plan, a_backend_table_that_is_too_short_is_refused_by_name) {
    fake_lm fake;
    lm_model::parts parts = fake.parts();
    rlx_backend_v1 old = *parts.backend;
    old.hdr.size = offsetof(rlx_backend_v1, page_bytes);
    parts.backend = &old;
    const auto model = lm_model::open(parts, {});
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().code, RLX_VERSION_MISMATCH);
    EXPECT_TRUE(contains(model.error().message, "'page_bytes'")) << model.error().message;
}

TEST(lm_options_test, a_family_and_a_backend_are_told_what_the_run_was_asked_for) {
    fake_lm fake;
    lm_options o;
    ASSERT_TRUE(lm_model::open(fake.parts(), o).ok());
    EXPECT_EQ(fake.asked, "auto auto 0 production preset default");
    EXPECT_EQ(fake.fuse, 1);
    o.compute = "f32";
    o.max_seq = 128;
    o.infer_mode = "parity";
    o.profile = "x.rlx.toml";
    o.fuse = false;
    ASSERT_TRUE(lm_model::open(fake.parts(), o).ok());
    EXPECT_EQ(fake.asked, "f32 auto 128 parity x.rlx.toml");
    EXPECT_EQ(fake.fuse, 0);
}

TEST(memory, without_cgroups_it_is_what_the_kernel_says) {
    const fake_root root{
        {"proc/meminfo", "MemTotal:       16000000 kB\nMemAvailable:    4000000 kB\n"}};
    const available_memory m = memory_available(root.path());
    EXPECT_EQ(m.bytes, 4000000U * 1024);
    EXPECT_EQ(m.limited_by, "MemAvailable");
}

TEST(memory, the_tightest_cgroup_above_the_process_wins_and_file_cache_is_free) {
    const fake_root root{
        {"proc/meminfo", "MemAvailable:    4000000 kB\n"},
        {"proc/self/cgroup", "0::/outer/inner\n"},
        {"sys/fs/cgroup/outer/memory.max", "1000000\n"},
        {"sys/fs/cgroup/outer/memory.current", "700000\n"},
        {"sys/fs/cgroup/outer/memory.stat", "anon 1\ninactive_file 100000\nactive_file 50000\n"},
        {"sys/fs/cgroup/outer/inner/memory.max", "max\n"},
        {"sys/fs/cgroup/outer/inner/memory.current", "600000\n"},
    };
    const available_memory m = memory_available(root.path());
    EXPECT_EQ(m.bytes, 450000U);
    EXPECT_TRUE(contains(m.limited_by, "outer/memory.max")) << m.limited_by;
}

TEST(memory, version_one_groups_count_too) {
    const fake_root root{
        {"proc/meminfo", "MemAvailable:    4000000 kB\n"},
        {"proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/b\n"},
        {"sys/fs/cgroup/memory/b/memory.limit_in_bytes", "2000000\n"},
        {"sys/fs/cgroup/memory/b/memory.usage_in_bytes", "2500000\n"},
        {"sys/fs/cgroup/memory/b/memory.stat", "total_inactive_file 0\n"},
    };
    EXPECT_EQ(memory_available(root.path()).bytes, 0U);
}

TEST(memory, a_system_that_says_nothing_sets_no_limit) {
    const fake_root root{};
    EXPECT_EQ(memory_available(root.path()).bytes, UINT64_MAX);
}

} // namespace rlx::test
