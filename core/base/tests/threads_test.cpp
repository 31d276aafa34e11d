// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/base/threads.hpp"

#include "rlx/base/wall.hpp"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <sched.h>
#include <thread>
#include <vector>

namespace {

namespace fs = std::filesystem;

const rlx_par_v1* par() {
    return static_cast<const rlx_par_v1*>(rlx::host()->iface(nullptr, rlx::str("rlx.par/1"), 0));
}

struct Threads : testing::Test {
    void TearDown() override {
        rlx::stop_threads();
        ASSERT_TRUE(rlx::set_threads(0).ok());
    }
};

TEST_F(Threads, EveryThreadRunsTheRegionOnce) {
    for (std::uint32_t n : {1u, 2u, 3u, 8u, 1u, 5u}) {
        ASSERT_TRUE(rlx::set_threads(n).ok());
        EXPECT_EQ(par()->threads(par()->ctx), n);
        for (int repeat = 0; repeat < 50; repeat++) {
            std::vector<int> ran(n, 0); // not atomic: each thread owns its element
            const std::thread::id caller = std::this_thread::get_id();
            rlx::parallel([&](std::uint32_t t, std::uint32_t of) {
                ASSERT_EQ(of, n);
                EXPECT_EQ(t == 0, std::this_thread::get_id() == caller);
                ran[t]++;
            });
            EXPECT_EQ(ran, std::vector<int>(n, 1));
        }
    }
}

// Without the barrier a thread would read its neighbour's slot of the previous round.
struct rounds {
    std::vector<int> slot;
    std::atomic<int> wrong{0};
};

void barrier_body(void* arg, std::uint32_t t, std::uint32_t n, void* team) {
    auto* r = static_cast<rounds*>(arg);
    for (int round = 1; round <= 200; round++) {
        r->slot[t] = round;
        par()->barrier(team);
        if (r->slot[(t + 1) % n] != round) r->wrong++;
        par()->barrier(team);
    }
}

TEST_F(Threads, TheBarrierSeparatesRounds) {
    for (std::uint32_t n : {1u, 2u, 4u, 7u}) {
        ASSERT_TRUE(rlx::set_threads(n).ok());
        rounds r{std::vector<int>(n, 0)};
        par()->run(par()->ctx, barrier_body, &r);
        EXPECT_EQ(r.wrong, 0) << n;
    }
}

TEST_F(Threads, ACallFromInsideARegionRunsAlone) {
    ASSERT_TRUE(rlx::set_threads(3).ok());
    std::atomic<int> inner{0};
    rlx::parallel([&](std::uint32_t, std::uint32_t) {
        EXPECT_EQ(rlx::par_table()->threads(nullptr), 1u);
        auto body = [](void* arg, std::uint32_t t, std::uint32_t n, void* team) {
            EXPECT_EQ(t, 0u);
            EXPECT_EQ(n, 1u);
            par()->barrier(team); // must not wait for the outer team
            ++*static_cast<std::atomic<int>*>(arg);
        };
        par()->run(par()->ctx, body, &inner);
    });
    EXPECT_EQ(inner, 3);
}

TEST_F(Threads, ConcurrentCallersAreSerialised) {
    ASSERT_TRUE(rlx::set_threads(2).ok());
    std::atomic<int> inside{0}, overlaps{0}, total{0};
    std::vector<std::thread> callers;
    for (int i = 0; i < 4; i++) {
        callers.emplace_back([&] {
            for (int k = 0; k < 50; k++) {
                rlx::parallel([&](std::uint32_t t, std::uint32_t) {
                    if (t == 0 && inside.fetch_add(1) != 0) overlaps++;
                    total++;
                    if (t == 0) inside--;
                });
            }
        });
    }
    for (auto& c : callers)
        c.join();
    EXPECT_EQ(overlaps, 0);
    EXPECT_EQ(total, 4 * 50 * 2);
}

TEST_F(Threads, TheSizeMayBeChangedFromInsideARegion) {
    ASSERT_TRUE(rlx::set_threads(2).ok());
    rlx::parallel([](std::uint32_t t, std::uint32_t n) {
        EXPECT_EQ(n, 2u);
        if (t == 0) {
            EXPECT_TRUE(rlx::set_threads(4).ok());
        }
    });
    std::atomic<std::uint32_t> n{0};
    rlx::parallel([&](std::uint32_t, std::uint32_t of) { n = of; });
    EXPECT_EQ(n, 4u);
}

TEST_F(Threads, AbsurdSizesAreRefused) {
    EXPECT_EQ(
        rlx::set_threads(rlx::max_threads + 1).error().code, std::uint32_t{RLX_INVALID_ARGUMENT}
    );
    ::setenv("RLX_THREADS", "0", 1);
    EXPECT_FALSE(rlx::set_threads(0).ok());
    ::setenv("RLX_THREADS", "3", 1);
    EXPECT_TRUE(rlx::set_threads(0).ok());
    EXPECT_EQ(rlx::threads(), 3u);
    ::unsetenv("RLX_THREADS");
}

// Many more threads than CPUs: a barrier that only spins would need a time slice per thread and
// round.
TEST_F(Threads, OversubscriptionDoesNotCollapse) {
    auto cpus = rlx::detect_cpus().affinity;
    auto time = [](std::uint32_t n) {
        EXPECT_TRUE(rlx::set_threads(n).ok());
        rounds r{std::vector<int>(n, 0)};
        par()->run(par()->ctx, barrier_body, &r); // start the threads
        auto start = std::chrono::steady_clock::now();
        par()->run(par()->ctx, barrier_body, &r);
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    double n8 = time(8 * cpus);
    EXPECT_LT(n8, 3) << "seconds for 400 barriers of " << 8 * cpus << " threads";
}

TEST_F(Threads, WorkersParkWhenThereIsNothingToDo) {
    ASSERT_TRUE(rlx::set_threads(4).ok());
    rlx::parallel([](std::uint32_t, std::uint32_t) {});
    auto cpu_time = [] { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; };
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    double before = cpu_time();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_LT(cpu_time() - before, 0.02);
}

// A fake /proc and /sys.
struct Cpus : testing::Test {
    void SetUp() override {
        char name[] = "/tmp/rlx-cpus-XXXXXX";
        root = ::mkdtemp(name);
    }

    void TearDown() override { fs::remove_all(root); }

    void put(const std::string& file, const std::string& text) {
        fs::create_directories((root / file).parent_path());
        std::ofstream(root / file) << text;
    }

    void siblings(int cpu, const std::string& list) {
        put("sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/core_cpus_list",
            list + "\n");
    }

    fs::path root;
    std::vector<std::uint32_t> four{0, 1, 2, 3};
};

TEST_F(Cpus, AffinityAloneBoundsWhenNothingElseIsKnown) {
    auto l = rlx::detect_cpus(root, four);
    EXPECT_EQ(l.affinity, 4u);
    EXPECT_EQ(l.quota, 0u);
    EXPECT_EQ(l.threads(), 4u);
    EXPECT_EQ(rlx::detect_cpus(root, {}).threads(), 1u);
}

TEST_F(Cpus, SiblingsCountAsOneCore) {
    siblings(0, "0,2");
    siblings(2, "0,2");
    siblings(1, "1,3");
    siblings(3, "1,3");
    EXPECT_EQ(rlx::detect_cpus(root, four).threads(), 2u);
    std::vector<std::uint32_t> both_of_one{0, 2};
    EXPECT_EQ(rlx::detect_cpus(root, both_of_one).threads(), 1u);
}

TEST_F(Cpus, TheV2QuotaIsRoundedUpAndAncestorsCount) {
    put("proc/self/cgroup", "0::/a/b\n");
    put("sys/fs/cgroup/a/b/cpu.max", "250000 100000\n");
    EXPECT_EQ(rlx::detect_cpus(root, four).threads(), 3u);
    put("sys/fs/cgroup/a/cpu.max", "150000 100000\n");
    EXPECT_EQ(rlx::detect_cpus(root, four).threads(), 2u);
    put("sys/fs/cgroup/cpu.max", "10000 100000\n");
    EXPECT_EQ(rlx::detect_cpus(root, four).threads(), 1u);
}

TEST_F(Cpus, NoLimitIsNoLimit) {
    put("proc/self/cgroup", "0::/\n");
    put("sys/fs/cgroup/cpu.max", "max 100000\n");
    EXPECT_EQ(rlx::detect_cpus(root, four).quota, 0u);
    put("sys/fs/cgroup/cpu.max", "garbage");
    EXPECT_EQ(rlx::detect_cpus(root, four).quota, 0u);
    put("sys/fs/cgroup/cpu.max", "100000 0");
    EXPECT_EQ(rlx::detect_cpus(root, four).quota, 0u);
}

TEST_F(Cpus, TheV1QuotaIsFoundUnderEitherName) {
    put("proc/self/cgroup", "12:cpuset:/\n4:cpu,cpuacct:/docker/x\n");
    put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us",
        "200000\n"); // a container sees its group at the top
    put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(rlx::detect_cpus(root, four).threads(), 2u);
    put("sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us", "50000\n");
    put("sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(rlx::detect_cpus(root, four).threads(), 1u);
    put("sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us", "-1\n");
    EXPECT_EQ(rlx::detect_cpus(root, four).threads(), 2u);
}

TEST_F(Cpus, AGroupOutsideTheContainerIsNotFollowed) {
    put("proc/self/cgroup", "0::/../../other\n");
    put("other/cpu.max", "100000 100000");
    EXPECT_EQ(rlx::detect_cpus(root, four).threads(), 4u);
}

TEST(CpusHere, TheDefaultFitsThisMachine) {
    auto l = rlx::detect_cpus();
    EXPECT_GE(l.threads(), 1u);
    EXPECT_LE(l.threads(), std::max(1u, std::thread::hardware_concurrency()));
    cpu_set_t before, one;
    ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &before)) {
            CPU_SET(i, &one);
            break;
        }
    }
    ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
    EXPECT_EQ(rlx::detect_cpus().threads(), 1u);
    ::sched_setaffinity(0, sizeof before, &before);
}

} // namespace
