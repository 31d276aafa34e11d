// SPDX-License-Identifier: GPL-3.0-only
// Ctrl-C, SIGTERM, and readers that go away.
#include "process.hpp"

#include <csignal>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace rlx::test {
namespace {

std::vector<std::string> endless(std::vector<std::string> more = {}) {
    std::vector<std::string> args{
        program("rlx-run"),
        "run",
        "--weights",
        stories_model(),
        "--prompt",
        "Once upon a time,",
        "--ignore-eos",
        "--max-tokens",
        "500"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
}

TEST(signals, interrupt_keeps_the_partial_text_and_exits_with_130) {
    const outcome r = run(endless(), {.signal = SIGINT, .signal_after = 20});
    EXPECT_EQ(r.exit_code, 130) << r.err;
    EXPECT_GE(r.out.size(), 20u);
    const outcome whole = run(endless());
    EXPECT_LT(r.out.size(), whole.out.size());
    EXPECT_EQ(whole.out.substr(0, r.out.size() - 1), r.out.substr(0, r.out.size() - 1));
}

TEST(signals, termination_exits_with_143) {
    EXPECT_EQ(run(endless(), {.signal = SIGTERM}).exit_code, 143);
}

TEST(signals, interrupted_json_is_still_one_document) {
    // Signalled while it streams NDJSON, so there is something to count.
    const outcome r = run(endless({"--jsonl"}), {.signal = SIGINT, .signal_after = 300});
    EXPECT_EQ(r.exit_code, 130) << r.err;
    const std::size_t last = r.out.rfind('\n', r.out.size() - 2);
    const auto doc = nlohmann::json::parse(r.out.substr(last + 1));
    EXPECT_EQ(doc["finish_reason"], "cancelled");
    EXPECT_GT(doc["usage"]["completion_tokens"], 0);
}

TEST(signals, a_reader_that_goes_away_ends_the_program_quietly) {
    const outcome r = run(endless({"--quiet"}), {.close_stdout_early = true});
    EXPECT_EQ(r.exit_code, 128 + SIGPIPE);
    EXPECT_EQ(r.err, "");
}

} // namespace
} // namespace rlx::test
