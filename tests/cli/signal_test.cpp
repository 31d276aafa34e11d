// SPDX-License-Identifier: GPL-3.0-only
// Ctrl-C, SIGTERM, and readers that go away.
#include "process.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
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

outcome in_shell(const std::string& arguments) {
    return run({"/bin/sh", "-c", program("rlx-run") + " " + arguments});
}

TEST(streams, a_standard_error_that_is_closed_or_full_changes_no_exit_code) {
    const std::string good = "run --weights " + stories_model() + " --prompt Once --max-tokens 3 ";
    for (const char* lost : {"2>&-", "2>/dev/full"}) {
        EXPECT_EQ(in_shell(std::string("nosuch ") + lost).exit_code, 2) << lost;
        const outcome r = in_shell(good + lost);
        EXPECT_EQ(r.exit_code, 0) << lost;
        EXPECT_EQ(r.out, in_shell(good).out) << lost;
    }
}

TEST(streams, a_standard_input_that_is_closed_is_no_file_of_ours) {
    const outcome r = in_shell("run --weights " + stories_model() + " --prompt - <&-");
    EXPECT_EQ(r.exit_code, 1) << r.err;
    EXPECT_NE(r.err.find("standard input"), std::string::npos) << r.err;
}

// The plugin of this command flushes and throws the error away.
TEST(streams, output_that_a_plugin_command_lost_is_no_success) {
    namespace fs = std::filesystem;
    const fs::path dir = fs::path(scratch_directory()) / "plugins";
    fs::create_directories(dir);
    fs::permissions(dir, fs::perms::owner_all);
    fs::copy_file(fs::path(RLX_BAD_PLUGINS) / "extras.so", dir / "extras.so");
    const std::string line = "--plugin-dir " + dir.native() + " extras words";
    const outcome good = in_shell(line);
    EXPECT_EQ(good.exit_code, 0) << good.err;
    EXPECT_EQ(good.out, "words");
    const outcome lost = in_shell(line + " > /dev/full");
    EXPECT_EQ(lost.exit_code, 1) << lost.err;
    EXPECT_NE(lost.err.find("cannot write standard output: No space"), std::string::npos)
        << lost.err;
    fs::remove_all(dir.parent_path());
}

TEST(dispatch, takes_plugin_folders_before_the_command) {
    const outcome none = in_shell("--plugin-dir");
    EXPECT_EQ(none.exit_code, 2);
    EXPECT_NE(none.err.find("--plugin-dir"), std::string::npos) << none.err;
    const outcome r = in_shell("--plugin-dir /nonexistent --plugin-dir=/nowhere plugins --why");
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_NE(r.out.find("/nonexistent"), std::string::npos) << r.out;
    EXPECT_NE(r.out.find("/nowhere"), std::string::npos) << r.out;
}

TEST(dispatch, an_unknown_command_says_that_plugins_were_refused) {
    const std::string dir = scratch_directory();
    std::ofstream(dir + "/rlx-words.so") << "no library";
    const outcome r = in_shell("--plugin-dir " + dir + " words");
    EXPECT_EQ(r.exit_code, 2);
    EXPECT_NE(r.err.find("plugin files refused: 1"), std::string::npos) << r.err;
}

} // namespace
} // namespace rlx::test
