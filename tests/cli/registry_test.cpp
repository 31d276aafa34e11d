// SPDX-License-Identifier: GPL-3.0-only
// register_cli and dispatch inside a process.
#include "rlx/cli/cli.hpp"

#include <future>
#include <gtest/gtest.h>

namespace rlx::cli {
namespace {

int run(std::vector<std::string> args, std::string* errors = nullptr) {
    testing::internal::CaptureStderr();
    const int code = dispatch(args);
    std::fflush(stderr);
    const std::string text = testing::internal::GetCapturedStderr();
    if (errors) *errors = text;
    return code;
}

TEST(register_cli, a_command_gets_its_arguments_and_gives_the_exit_code) {
    std::vector<std::string> got;
    register_cli("test-args", "keeps its arguments", [&](std::span<const std::string> args) {
        got.assign(args.begin(), args.end());
        return 17;
    });
    EXPECT_EQ(run({"test-args", "a", "--b"}), 17);
    EXPECT_EQ(got, (std::vector<std::string>{"a", "--b"}));
    EXPECT_EQ(run({"help", "test-args"}), 17);
    EXPECT_EQ(got, std::vector<std::string>{"--help"});
}

// With a lock held while a command runs, this would never end.
TEST(register_cli, a_running_command_registers_and_dispatches_others_also_from_other_threads) {
    register_cli("test-outer", "registers another", [](std::span<const std::string>) {
        register_cli("test-inner", "made at run time", [](std::span<const std::string>) {
            return 23;
        });
        const std::string inner[] = {"test-inner"};
        auto elsewhere = std::async(std::launch::async, [&] { return dispatch(inner); });
        return elsewhere.get() + dispatch(inner);
    });
    EXPECT_EQ(run({"test-outer"}), 46);
}

TEST(register_cli, the_higher_priority_wins_and_a_tie_names_both_owners) {
    const auto gives = [](int code) {
        return [code](std::span<const std::string>) { return code; };
    };
    register_cli("test-twice", "the first", gives(1), 100);
    register_cli("test-twice", "the second", gives(2), 100);
    std::string errors;
    EXPECT_EQ(run({"test-twice"}, &errors), 2); // a usage error, not the second's code
    EXPECT_NE(
        errors.find("command 'test-twice' is claimed with equal priority 100 by this process ('the "
                    "first') and this process ('the second')"),
        std::string::npos
    ) << errors;
    register_cli("test-twice", "the third", gives(33), 101);
    EXPECT_EQ(run({"test-twice"}), 33);
}

TEST(register_cli, a_built_in_command_is_one_of_them) {
    register_cli(
        "env", "ours", [](std::span<const std::string>) { return 44; }, 99
    );
    testing::internal::CaptureStdout();
    EXPECT_EQ(run({"env"}), 0);
    testing::internal::GetCapturedStdout();
    register_cli("env", "ours as well", [](std::span<const std::string>) { return 45; });
    std::string errors;
    EXPECT_EQ(run({"env"}, &errors), 2);
    EXPECT_NE(errors.find("by rlx and this process ('ours as well')"), std::string::npos) << errors;
    register_cli(
        "env", "ours at last", [](std::span<const std::string>) { return 46; }, 200
    );
    EXPECT_EQ(run({"env"}), 46);
}

TEST(register_cli, a_command_without_a_function_is_an_error_when_it_is_run) {
    register_cli("test-empty", "nothing to run", nullptr);
    std::string errors;
    EXPECT_EQ(run({"test-empty"}, &errors), 2);
    EXPECT_NE(errors.find("'test-empty' of this process ('nothing to run')"), std::string::npos)
        << errors;
}

TEST(register_cli, what_a_command_throws_reaches_who_dispatched_it) {
    register_cli("test-throws", "throws", [](std::span<const std::string>) -> int { throw 7; });
    const std::string args[] = {"test-throws"};
    EXPECT_THROW((void)dispatch(args), int);
}

TEST(register_cli, an_unknown_command_is_a_usage_error_with_a_hint) {
    register_cli("test-known", "known", [](std::span<const std::string>) { return 0; });
    std::string errors;
    EXPECT_EQ(run({"test-knwon"}, &errors), 2);
    EXPECT_NE(errors.find("did you mean 'test-known'?"), std::string::npos) << errors;
}

} // namespace
} // namespace rlx::cli
