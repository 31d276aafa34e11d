// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/base/wall.hpp"

#include "rlx/abi/services.h"
#include "rlx/base/log.hpp"

#include <gtest/gtest.h>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <vector>

namespace {

using rlx::error;
using rlx::host;
using rlx::str;
using rlx::view;

TEST(Wall, AnErrorKeepsItsCodeAndMessageBothWays) {
    rlx_error* e = rlx::to_wall({RLX_NOT_FOUND, "no such tensor"});
    EXPECT_EQ(host()->error_code(e), std::uint32_t{RLX_NOT_FOUND});
    EXPECT_EQ(view(host()->error_message(e)), "no such tensor");
    error back = rlx::from_wall(e);
    EXPECT_EQ(back.code, std::uint32_t{RLX_NOT_FOUND});
    EXPECT_EQ(back.message, "no such tensor");
}

TEST(Wall, ACauseIsAppendedAndItsOwnershipTaken) {
    rlx_error* cause = rlx::to_wall({RLX_IO, "disk on fire"});
    rlx_error* e = host()->error_new(nullptr, RLX_CORRUPT_DATA, str("loading x"), cause);
    EXPECT_EQ(rlx::from_wall(e).message, "loading x: disk on fire");
}

TEST(Wall, AnErrorCannotSayOk) {
    rlx_error* e = host()->error_new(nullptr, RLX_OK, str("confused"), nullptr);
    EXPECT_EQ(host()->error_code(e), std::uint32_t{RLX_INTERNAL});
    host()->error_free(e);
}

TEST(Wall, EmptyAndHugeMessagesAreTaken) {
    rlx_error* empty = host()->error_new(nullptr, RLX_IO, {nullptr, 0}, nullptr);
    EXPECT_EQ(host()->error_message(empty).n, 0u);
    host()->error_free(empty);
    std::string huge(1 << 20, 'x');
    rlx_error* e = host()->error_new(nullptr, RLX_IO, str(huge), nullptr);
    EXPECT_LE(host()->error_message(e).n, 64u * 1024);
    host()->error_free(e);
    host()->error_free(nullptr);
}

// 0 when the static error came back, after what malloc holds in reserve was used up.
int exhaust_memory() {
    rlimit none{1, 1};
    ::setrlimit(RLIMIT_AS, &none);
    ::setrlimit(RLIMIT_DATA, &none);
    for (int i = 0; i < 100'000'000; i++) {
        rlx_error* e = host()->error_new(nullptr, RLX_IO, str("a message of some length"), nullptr);
        if (!e) return 2;
        if (host()->error_code(e) != RLX_OUT_OF_MEMORY) continue;
        host()->error_free(e);
        host()->error_free(e); // harmless
        return view(host()->error_message(e)) == "out of memory" ? 0 : 3;
    }
    return 4;
}

TEST(Wall, WithoutMemoryTheStaticErrorComesBack) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "sanitizers need the address space";
#endif
    EXPECT_EXIT(::_exit(exhaust_memory()), testing::ExitedWithCode(0), "");
}

TEST(Wall, BuiltInServicesAreThereFromTheStart) {
    for (std::string_view name : {"rlx.options/1", "rlx.par/1"}) {
        const void* table = host()->iface(nullptr, str(name), 0);
        ASSERT_NE(table, nullptr) << name;
        EXPECT_EQ(static_cast<const rlx_hdr*>(table)->major, 1);
    }
    EXPECT_EQ(host()->iface(nullptr, str("rlx.options/2"), 0), nullptr);
    EXPECT_EQ(host()->iface(nullptr, str("rlx.options/1"), 999), nullptr);
    EXPECT_EQ(host()->iface(nullptr, {nullptr, 0}, 0), nullptr);
}

TEST(Wall, AProvidedServiceIsFoundAndTheFirstOneStays) {
    static constexpr rlx_hdr first{sizeof(rlx_hdr), 1, 3}, second{sizeof(rlx_hdr), 1, 9};
    rlx::host_provide("test.service/1", &first);
    rlx::host_provide("test.service/1", &second);
    EXPECT_EQ(host()->iface(nullptr, str("test.service/1"), 3), &first);
    EXPECT_EQ(host()->iface(nullptr, str("test.service/1"), 4), nullptr);
}

TEST(Wall, ServicesMayBeAskedForWhileOthersAreAdded) {
    static constexpr rlx_hdr table{sizeof(rlx_hdr), 1, 0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) {
        threads.emplace_back([i] {
            std::string name = "test.race/" + std::to_string(i);
            rlx::host_provide(name, &table);
            for (int k = 0; k < 1000; k++)
                EXPECT_NE(host()->iface(nullptr, str("rlx.par/1"), 0), nullptr);
            EXPECT_EQ(host()->iface(nullptr, str(name), 0), &table);
        });
    }
    for (auto& t : threads)
        t.join();
}

struct lines {
    std::vector<std::string> seen;

    static void
    take(void* ctx, std::uint32_t level, std::string_view component, std::string_view message) {
        static_cast<lines*>(ctx)->seen.push_back(
            std::to_string(level) + " " + std::string(component) + " " + std::string(message)
        );
        rlx::log_error("sink", "must not recurse");
    }
};

TEST(Log, OnlyMessagesUpToTheLevelReachTheSink) {
    EXPECT_FALSE(rlx::log_enabled(RLX_LOG_ERROR)) << "the library must not have a sink of its own";
    lines got;
    rlx::log_set_sink(lines::take, &got);
    rlx::log_info("a", "too low");
    host()->log(nullptr, RLX_LOG_WARN, str("plugin"), str("careful"));
    rlx::log_set_level(RLX_LOG_DEBUG);
    rlx::log_debug("b", "now heard");
    rlx::log_set_level(RLX_LOG_WARN);
    rlx::log_set_sink(nullptr, nullptr);
    rlx::log_error("c", "nobody listens");
    EXPECT_EQ(got.seen, (std::vector<std::string>{"1 plugin careful", "3 b now heard"}));
}

TEST(Log, TheStderrSinkWritesOneLine) {
    testing::internal::CaptureStderr();
    rlx::log_stderr_sink(nullptr, RLX_LOG_WARN, "loader", "index is damaged");
    rlx::log_stderr_sink(nullptr, RLX_LOG_ERROR, "", "no component");
    EXPECT_EQ(
        testing::internal::GetCapturedStderr(),
        "rlx: warning: loader: index is damaged\nrlx: error: no component\n"
    );
}

} // namespace
