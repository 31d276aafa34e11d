// SPDX-License-Identifier: GPL-3.0-only
// The library as a guest of a process: fork, devices, what stays as it was.
#include "c_api.hpp"

#include <algorithm>
#include <cfenv>
#include <clocale>
#include <csignal>
#include <filesystem>
#include <sys/wait.h>
#include <unistd.h>

namespace rlx::test {
namespace {

std::string answer(rlx_model* model) {
    rlx_generate_options how;
    rlx_generate_options_init(&how);
    how.max_tokens = 12;
    rlx_generate_result result;
    rlx_generate_result_init(&result);
    const outcome done(
        rlx_model_generate(model, rlx_cstr("Once upon"), &how, nullptr, nullptr, &result)
    );
    const c_array<char> text(result.text);
    const c_array<std::int32_t> tokens(result.tokens);
    return text ? text.get() : done.message;
}

// The workers are not copied by a fork: without care the child waits for them for ever.
TEST(c_api_process, a_forked_child_generates_what_its_parent_does) {
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "the thread sanitizer ends a forked child that starts threads";
#endif
    rlx_model_options o = story_options();
    o.threads = 3;
    rlx_model* raw = nullptr;
    EXPECT_OK(rlx_model_open(&o, &raw));
    const c_model model(raw);
    const std::string expected = answer(raw);
    for (int round = 0; round < 3; ++round) {
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            ::alarm(60);
            bool same = answer(raw) == expected;
            rlx_model* own = nullptr;
            rlx_error* failed = rlx_model_open(&o, &own);
            same = same && !failed && answer(own) == expected;
            ::_exit(same ? 0 : 1);
        }
        int status = -1;
        EXPECT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
        EXPECT_EQ(WEXITSTATUS(status), 0);
        EXPECT_EQ(answer(raw), expected);
    }
}

TEST(c_api_process, signals_locale_and_rounding_stay_as_they_are) {
    struct sigaction before[32]{}, after {};

    for (int s = 1; s < 32; ++s)
        ::sigaction(s, nullptr, &before[s]);
    const std::string locale = std::setlocale(LC_ALL, nullptr);
    const auto folder = std::filesystem::current_path();
    ASSERT_EQ(std::fesetround(FE_UPWARD), 0);
    const c_model model = open_story();
    answer(model.get());
    EXPECT_EQ(std::fegetround(), FE_UPWARD);
    std::fesetround(FE_TONEAREST);
    for (int s = 1; s < 32; ++s) {
        ::sigaction(s, nullptr, &after);
        EXPECT_EQ(after.sa_handler, before[s].sa_handler) << s;
    }
    EXPECT_EQ(std::setlocale(LC_ALL, nullptr), locale);
    EXPECT_EQ(std::filesystem::current_path(), folder);
}

struct listed {
    std::vector<std::string> available, reasons;
    std::size_t most = 1000;
};

std::uint32_t note_device(void* ctx, const rlx_device_info* d) {
    auto& out = *static_cast<listed*>(ctx);
    EXPECT_GE(d->size, sizeof *d);
    const std::string name(d->name.p, d->name.n), reason(d->reason.p, d->reason.n);
    if (d->available)
        out.available.push_back(name);
    else
        out.reasons.push_back(reason);
    return out.available.size() + out.reasons.size() >= out.most ? 1 : 0;
}

TEST(c_api_process, devices_are_listed_with_the_reason_of_those_that_are_not_here) {
    listed all;
    EXPECT_OK(rlx_devices(nullptr, 0, note_device, &all));
    ASSERT_FALSE(all.available.empty());
    EXPECT_EQ(std::ranges::count(all.available, "cpu"), 1);
    EXPECT_FALSE(all.reasons.empty());
    for (const std::string& reason : all.reasons)
        EXPECT_NE(reason, "");
    listed first;
    first.most = 1;
    EXPECT_FAILS(rlx_devices(nullptr, 0, note_device, &first), RLX_CANCELLED, "ended the list");
    EXPECT_EQ(first.available.size() + first.reasons.size(), 1U);
    EXPECT_FAILS(rlx_devices(nullptr, 0, nullptr, nullptr), RLX_INVALID_ARGUMENT, "on_device");
    EXPECT_FAILS(rlx_devices(nullptr, 2, note_device, &all), RLX_INVALID_ARGUMENT, "plugin_dirs");
}

} // namespace
} // namespace rlx::test
