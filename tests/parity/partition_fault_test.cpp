// SPDX-License-Identifier: GPL-3.0-only
// What a partition says of itself, what it costs, and what happens when a device refuses, fails, is
// cancelled or too small.
#include "fixture.hpp"

#include "rlx/base/wall.hpp"

#include <algorithm>

namespace rlx::test {
namespace {

constexpr const char* model = "qwen3-dense";

chain_options on(const std::string& device, fallback_policy policy = fallback_policy::warn) {
    chain_options o;
    o.device = device;
    o.adjust = [policy](model_parts& p) {
        p.fallback = policy;
        p.force = [](std::uint32_t) { return -1; }; // such small models are islands as a whole
    };
    return o;
}

std::unique_ptr<chain> open(const std::string& device) {
    return must(chain::open(fixture{model}.hf(), on(device)));
}

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != text.npos;
}

TEST(partition_report_of, a_device_that_has_everything_is_one_program) {
    const auto c = open("partial:0");
    const partition_report& r = c->model().partition();
    ASSERT_EQ(r.programs.size(), 1U);
    EXPECT_EQ(r.programs[0].device, "partial:0");
    EXPECT_EQ(r.bytes_copied, 0U);
    EXPECT_EQ(r.elsewhere("partial:0"), "");
    EXPECT_TRUE(c->model().warnings().empty());
    ASSERT_EQ(c->model().devices().size(), 1U);
    EXPECT_EQ(c->model().devices()[0].device, "partial:0");
    EXPECT_EQ(c->model().tier(), "test");
}

TEST(partition_report_of, the_cpu_alone_names_no_other_device) {
    const auto c = must(chain::open(fixture{model}.hf()));
    for (const auto& n : c->model().partition().nodes) {
        EXPECT_EQ(n.device, "cpu");
        EXPECT_EQ(n.cause, "only device");
    }
}

TEST(partition_report_of, a_device_with_nothing_leaves_all_to_the_cpu) {
    const auto c = open("partial:6");
    const partition_report& r = c->model().partition();
    ASSERT_EQ(r.programs.size(), 1U);
    EXPECT_EQ(r.programs[0].device, "cpu");
    ASSERT_EQ(c->model().warnings().size(), 1U);
    EXPECT_TRUE(contains(c->model().warnings()[0], "nodes run on cpu, not on partial:6"))
        << c->model().warnings()[0];
    EXPECT_TRUE(contains(c->model().warnings()[0], "this device has nothing"));
    EXPECT_FALSE(contains(c->model().warnings()[0], "island"));
}

TEST(partition_report_of, every_node_has_a_cause_and_refusals_their_reason) {
    const auto c = open("partial:2");
    const partition_report& r = c->model().partition();
    ASSERT_GT(r.programs.size(), 1U);
    EXPECT_GT(r.bytes_copied, 0U);
    std::size_t refused = 0, views = 0;
    std::uint64_t copied = 0;
    std::string before;
    std::uint32_t program = 0;
    for (const auto& n : r.nodes) {
        EXPECT_FALSE(n.cause.empty()) << n.op;
        copied += n.bytes_in;
        views += n.cause == "view";
        if (n.cause == "refused") {
            ++refused;
            EXPECT_EQ(n.device, "cpu");
            EXPECT_EQ(n.reason, "this device has no attention");
            EXPECT_TRUE(n.op == "KvAppend" || n.op == "AttentionState") << n.op;
        }
        if (n.op == "MatMul") {
            EXPECT_EQ(n.device, "partial:2") << n.cause;
        }
        EXPECT_GE(n.program, program);
        program = n.program;
    }
    EXPECT_GT(refused, 0U);
    EXPECT_GT(views, 0U);
    std::uint64_t into_programs = 0;
    for (const auto& p : r.programs)
        into_programs += p.bytes_in;
    EXPECT_EQ(copied, into_programs);
    EXPECT_EQ(
        into_programs, r.bytes_copied
    ); // the logits are made on the device and not read again
    EXPECT_EQ(r.count("cpu") + r.count("partial:2") + views, r.nodes.size());
    EXPECT_TRUE(contains(r.text(), "program 0 on partial:2")) << r.text();
    EXPECT_TRUE(contains(r.text(), "refused")) << r.text();
}

TEST(partition_report_of, nodes_that_do_not_pay_for_their_copies_move_together) {
    chain_options o;
    o.device = "partial:2";
    const auto c = must(chain::open(fixture{model}.hf(), o));
    const partition_report& r = c->model().partition();
    EXPECT_EQ(r.programs.size(), 1U);
    std::size_t islands = 0;
    for (const auto& n : r.nodes) {
        if (n.cause != "island") continue;
        ++islands;
        EXPECT_EQ(n.device, "cpu");
        EXPECT_TRUE(contains(n.reason, "us of copies")) << n.reason;
    }
    EXPECT_GT(islands, 0U);
}

TEST(partition_report_of, a_composite_is_taken_apart_only_where_its_parts_run_there) {
    // A gated unit falls into parts that this device has.
    const auto glu = open("partial:4");
    EXPECT_EQ(glu->model().partition().programs.size(), 1U);
    for (const auto& n : glu->model().partition().nodes)
        EXPECT_NE(n.op, "Glu");
    // A norm's parts need Reduce: it stays whole, on the cpu.
    const auto norm = open("partial:3");
    bool whole = false;
    for (const auto& n : norm->model().partition().nodes) {
        EXPECT_NE(n.op, "Reduce");
        if (n.op != "RmsNorm") continue;
        whole = true;
        EXPECT_EQ(n.device, "cpu");
        EXPECT_EQ(n.cause, "refused");
    }
    EXPECT_TRUE(whole);
}

TEST(partition_report_of, strided_operands_are_copied_rather_than_sent_away) {
    const auto c = open("partial:5");
    for (const auto& n : c->model().partition().nodes)
        EXPECT_EQ(n.device, "partial:5") << n.op << " " << n.reason;
}

TEST(partition_policy, deny_lists_the_nodes_and_their_reasons) {
    const auto c = chain::open(fixture{model}.hf(), on("partial:2", fallback_policy::deny));
    ASSERT_FALSE(c.ok());
    EXPECT_EQ(c.error().code, RLX_UNSUPPORTED);
    for (const char* part :
         {"partial:2 cannot run",
          "the fallback to cpu is denied",
          "KvAppend in model.layers.0",
          "this device has no attention",
          "allow it with"})
        EXPECT_TRUE(contains(c.error().message, part)) << part << " in " << c.error().message;
}

TEST(partition_policy, deny_is_no_obstacle_where_the_device_has_everything) {
    for (const int index : {0, 4, 5})
        must(chain::open(
            fixture{model}.hf(), on("partial:" + std::to_string(index), fallback_policy::deny)
        ));
}

TEST(partition_policy, allow_keeps_quiet_outside_the_report) {
    const auto c = must(chain::open(fixture{model}.hf(), on("partial:2", fallback_policy::allow)));
    EXPECT_TRUE(c->model().warnings().empty());
    EXPECT_NE(c->model().partition().elsewhere("partial:2"), "");
}

TEST(partition_policy, without_a_second_device_a_refusal_is_an_error) {
    chain_options o = on("partial:2");
    compute_device cpu;
    o.adjust = [&](model_parts& p) { std::swap(p.second, cpu); };
    const auto c = chain::open(fixture{model}.hf(), o);
    ASSERT_FALSE(c.ok());
    EXPECT_EQ(c.error().code, RLX_UNSUPPORTED);
    EXPECT_TRUE(contains(c.error().message, "this device has no attention")) << c.error().message;
    cpu.backend->close(cpu.backend_self, cpu.device);
}

TEST(partition_memory, both_devices_are_planned_and_add_up) {
    const lm_plan p = must(chain::plan(fixture{model}.hf(), on("partial:2")));
    ASSERT_EQ(p.devices.size(), 2U);
    EXPECT_EQ(p.devices[0].device, "partial:2");
    EXPECT_EQ(p.devices[1].device, "cpu");
    EXPECT_GT(p.devices[0].weights, 0U);
    EXPECT_EQ(p.devices[0].state, 0U); // the caches live with the attention
    EXPECT_GT(p.devices[1].state, 0U);
    EXPECT_EQ(p.devices[0].total() + p.devices[1].total(), p.total());
    const lm_plan alone = must(chain::plan(fixture{model}.hf()));
    EXPECT_EQ(p.state, alone.state);
    EXPECT_FALSE(p.partition.nodes.empty());
}

TEST(partition_memory, a_device_with_memory_of_its_own_is_asked_for_no_more) {
    chain_options o = on("partial:8");
    const auto fits = chain::open(fixture{model}.hf(), o);
    EXPECT_TRUE(fits.ok()) << fits.error().message;
    o.lm.max_seq = 128;
    o.lm.max_sequences = 600;
    const auto c = chain::open(fixture{model}.hf(), o);
    ASSERT_FALSE(c.ok());
    EXPECT_EQ(c.error().code, RLX_OUT_OF_MEMORY);
    EXPECT_TRUE(contains(c.error().message, "the device has 8.0 MB")) << c.error().message;
}

TEST(partition_memory, the_users_limit_is_for_both_together) {
    chain_options o = on("partial:2");
    const lm_plan p = must(chain::plan(fixture{model}.hf(), o));
    o.lm.max_memory_gb = static_cast<double>(p.total() - 1) / 1e9;
    const auto c = chain::open(fixture{model}.hf(), o);
    ASSERT_FALSE(c.ok());
    EXPECT_TRUE(contains(c.error().message, "on partial:2 and cpu")) << c.error().message;
    o.lm.max_memory_gb = static_cast<double>(p.total() + 1) / 1e9;
    must(chain::open(fixture{model}.hf(), o));
}

// The attention on the cpu, so that the device that fails is one of two.
TEST(partition_fault, an_error_in_a_program_names_program_and_device) {
    chain_options o = on("partial:7");
    o.adjust = [](model_parts& p) {
        p.force = [](std::uint32_t node) { return static_cast<int>(node % 3 == 0); };
    };
    const fixture f{model};
    const auto c = must(chain::open(f.hf(), o));
    const auto s = must(c->model().new_sequence());
    const lm_batch_item item{s.get(), f.chunkable().first(3)};
    const auto rows = c->model().eval({&item, 1});
    ASSERT_FALSE(rows.ok());
    EXPECT_EQ(rows.error().code, RLX_DEVICE_LOST);
    EXPECT_TRUE(contains(rows.error().message, "on partial:7: partial: the device is gone"))
        << rows.error().message;
    EXPECT_EQ(s->length(), 0); // nothing was fed
}

std::atomic<std::uint32_t> stop{0};
int runs_left = 0;
const rlx_backend_v1* real_backend = nullptr;

rlx_error* run_and_cancel(void* device, void* program, const rlx_run_args* args) {
    if (runs_left-- == 0) stop = 1;
    return real_backend->run(device, program, args);
}

TEST(partition_fault, cancelling_between_programs_leaves_the_sequence_as_it_was) {
    rlx_backend_v1 table{};
    chain_options o = on("partial:2");
    o.lm.max_sequences = 2;
    const auto plain = o.adjust;
    o.adjust = [&](model_parts& p) {
        plain(p);
        real_backend = p.second.backend;
        table = *p.second.backend;
        table.run = run_and_cancel;
        p.second.backend = &table;
    };
    const fixture f{model};
    const auto want = must(chain::open(f.hf()));
    for (const int runs : {0, 1}) {
        const auto c = must(chain::open(f.hf(), o));
        const auto s = must(c->model().new_sequence());
        const lm_batch_item item{s.get(), f.chunkable(), true};
        stop = 0;
        runs_left = runs;
        const auto rows = c->model().eval({&item, 1}, {.cancel = &stop});
        ASSERT_FALSE(rows.ok());
        EXPECT_EQ(rows.error().code, RLX_CANCELLED) << rows.error().message;
        EXPECT_EQ(s->length(), 0);
        stop = 0;
        EXPECT_LE(
            distance(prefill(c->model(), f.chunkable()), prefill(want->model(), f.chunkable())),
            2e-5
        );
    }
}

TEST(partition_fault, loading_reports_one_progress_for_all_programs) {
    chain_options o = on("partial:2");
    std::uint64_t last = 0;
    bool forward = true;
    o.lm.progress = [&](std::uint64_t done, std::uint64_t total) {
        forward &= done >= last && done <= total;
        last = done;
    };
    must(chain::open(fixture{model}.hf(), o));
    EXPECT_TRUE(forward);
    EXPECT_GT(last, 0U);
}

} // namespace
} // namespace rlx::test
