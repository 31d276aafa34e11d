// SPDX-License-Identifier: GPL-3.0-only
// One team for the whole process. A region costs one store and, when workers are parked, one futex
// wake; a barrier is one counter. Waits spin for some tens of microseconds, because the others
// usually arrive within that, and then park, because a thread that spins while the awaited one has
// no CPU makes everything slower by orders of magnitude.
#include "rlx/base/threads.hpp"

#include "rlx/base/environment.hpp"
#include "rlx/base/log.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <ctime>
#include <linux/futex.h>
#include <mutex>
#include <new>
#include <pthread.h>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>

namespace rlx {
namespace {

constexpr std::size_t cache_line = 64;
constexpr std::uint64_t barrier_spin_ns = 40'000;
constexpr std::uint64_t idle_spin_ns =
    100'000; // between two regions of one step there is little time

inline void cpu_relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

std::uint64_t now_ns() {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000u +
           static_cast<std::uint64_t>(t.tv_nsec);
}

// A counter one can wait on. Waking costs a system call only when somebody sleeps.
class alignas(cache_line) event {
public:
    std::uint32_t load() const { return value_.load(std::memory_order_acquire); }

    void advance() {
        value_.fetch_add(1, std::memory_order_seq_cst);
        // Either this sees the sleeper, or the sleeper's own check after announcing itself sees the
        // new value.
        if (sleepers_.load(std::memory_order_seq_cst) != 0) {
            ::syscall(SYS_futex, &value_, FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
        }
    }

    // Returns once the value differs from old.
    void wait(std::uint32_t old, std::uint64_t spin_ns) {
        std::uint32_t missed = misses_.load(std::memory_order_relaxed);
        bool full = missed < give_up || old % probe_every == 0;
        if (spin(old, full ? spin_ns : std::min(spin_ns, short_spin_ns))) {
            if (missed != 0) misses_.store(missed / 2, std::memory_order_relaxed);
            return;
        }
        if (full && missed < max_misses) misses_.store(missed + 1, std::memory_order_relaxed);
        sleepers_.fetch_add(1, std::memory_order_seq_cst);
        while (value_.load(std::memory_order_seq_cst) == old) {
            ::syscall(SYS_futex, &value_, FUTEX_WAIT_PRIVATE, old, nullptr, nullptr, 0);
        }
        sleepers_.fetch_sub(1, std::memory_order_relaxed);
    }

    // Those a fork() has not copied.
    void forget_sleepers() { sleepers_.store(0, std::memory_order_relaxed); }

private:
    static constexpr std::uint32_t give_up = 4, max_misses = 8, probe_every = 32;
    static constexpr std::uint64_t short_spin_ns = 1'000;

    bool spin(std::uint32_t old, std::uint64_t spin_ns) const {
        std::uint64_t start = 0;
        do {
            for (int i = 0; i < 32; i++) {
                if (load() != old) return true;
                cpu_relax();
            }
            std::uint64_t t = now_ns();
            if (start == 0) start = t;
            if (t - start >= spin_ns) return false;
        } while (true);
    }

    static_assert(sizeof(std::atomic<std::uint32_t>) == 4, "a futex is 32 bits");
    std::atomic<std::uint32_t> value_{0};
    std::atomic<std::uint32_t> sleepers_{0};
    std::atomic<std::uint32_t> misses_{0}; // full spins that failed of late
};

// Threads of one region. What a barrier gets as `team`.
struct team {
    alignas(cache_line) std::uint32_t n = 1; // changed only between regions
    std::uint64_t spin_ns = 0;
    alignas(cache_line) std::atomic<std::uint32_t> arrived{0};
    event generation;

    void barrier() {
        if (n == 1) return;
        std::uint32_t old = generation.load();
        if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == n) {
            arrived.store(
                0, std::memory_order_relaxed
            ); // nobody arrives again before the generation advances
            generation.advance();
        } else {
            generation.wait(old, spin_ns);
        }
    }
};

constinit thread_local bool inside_region = false;

class pool {
public:
    void run(rlx_par_fn fn, void* arg) {
        if (inside_region) return run_alone(fn, arg);
        std::lock_guard lock(mutex_);
        try {
            resize(threads());
        } catch (...) {
            // Short of memory: the team stays as it is.
        }
        if (team_.n == 1) {
            inside_region = true;
            run_alone(fn, arg);
            inside_region = false;
            return;
        }
        fn_ = fn;
        arg_ = arg;
        running_.store(team_.n - 1, std::memory_order_relaxed);
        std::uint32_t done = finished_.load();
        start_.advance();
        inside_region = true;
        fn(arg, 0, team_.n, &team_);
        inside_region = false;
        finished_.wait(done, team_.spin_ns);
    }

    void stop() {
        std::lock_guard lock(mutex_);
        resize(1);
    }

    // A fork() waits for the region of another thread, and copies no workers: the child's first
    // region starts its own. One from inside a region leaves both as they are.
    void before_fork() {
        if (!inside_region) mutex_.lock();
    }

    void after_fork() {
        if (!inside_region) mutex_.unlock();
    }

    void after_fork_in_child() {
        if (inside_region) return;
        std::free(ids_);
        ids_ = nullptr;
        team_.n = 1;
        refused_ = 0;
        start_.forget_sleepers();
        finished_.forget_sleepers();
        team_.generation.forget_sleepers();
        mutex_.unlock();
    }

    result<void> want(std::uint32_t n) {
        if (n > max_threads) {
            return error{
                RLX_INVALID_ARGUMENT,
                std::to_string(n) + " threads asked for, the limit is " +
                    std::to_string(max_threads)};
        }
        if (n == 0) {
            auto from_env = env_int("RLX_THREADS");
            if (!from_env.ok()) return std::move(from_env.error());
            if (auto v = *from_env; v && (*v < 1 || *v > max_threads)) {
                return error{
                    RLX_INVALID_ARGUMENT,
                    "environment variable RLX_THREADS=" + std::to_string(*v) + ": expected 1 to " +
                        std::to_string(max_threads)};
            } else if (v) {
                n = static_cast<std::uint32_t>(*v);
            }
        }
        if (n == 0) n = detect_cpus().threads();
        wanted_.store(n, std::memory_order_relaxed);
        return {};
    }

    std::uint32_t threads() {
        std::uint32_t n = wanted_.load(std::memory_order_relaxed);
        if (n != 0) return n;
        if (auto set = want(0); !set.ok()) {
            log_warn("threads", set.error().message);
            wanted_.store(detect_cpus().threads(), std::memory_order_relaxed);
        }
        return wanted_.load(std::memory_order_relaxed);
    }

private:
    static void run_alone(rlx_par_fn fn, void* arg) {
        team alone;
        fn(arg, 0, 1, &alone);
    }

    // Called with the mutex held and no region running.
    void resize(std::uint32_t n) {
        if (n == team_.n || (n > team_.n && n == refused_)) return;
        end_workers();
        refused_ = 0;
        // Spinning helps only when every thread can have a CPU of its own.
        std::uint32_t cpus = detect_cpus().affinity;
        team_.spin_ns = cpus != 0 && n > cpus ? 0 : barrier_spin_ns;
        idle_spin_ = team_.spin_ns == 0 ? 0 : idle_spin_ns;
        if (n > 1) start_workers(n);
    }

    void start_workers(std::uint32_t n) {
        auto* ids = static_cast<pthread_t*>(std::calloc(n, sizeof(pthread_t)));
        if (!ids) return;
        sigset_t all{}, before{};
        sigfillset(&all); // signals belong to the application's threads
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        std::uint32_t started = 1;
        epoch_ = start_.load();
        while (started < n && start_worker(ids[started], started))
            started++;
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        ids_ = ids;
        team_.n = started;
        if (started < n) {
            refused_ = n;
            log_warn(
                "threads",
                "the system allows " + std::to_string(started) + " of " + std::to_string(n) +
                    " threads"
            );
        }
    }

    struct seat {
        pool* owner;
        std::uint32_t thread;
    };

    bool start_worker(pthread_t& id, std::uint32_t thread) {
        auto* s = new (std::nothrow) seat{this, thread};
        if (!s) return false;
        if (::pthread_create(&id, nullptr, worker_main, s) != 0) {
            delete s;
            return false;
        }
        std::string name = "rlx-" + std::to_string(thread);
        ::pthread_setname_np(id, name.c_str());
        return true;
    }

    static void* worker_main(void* arg) {
        seat s = *static_cast<seat*>(arg);
        delete static_cast<seat*>(arg);
        inside_region = true;
        s.owner->work(s.thread);
        return nullptr;
    }

    void work(std::uint32_t thread) {
        std::uint32_t seen = epoch_;
        while (true) {
            start_.wait(seen, idle_spin_);
            seen++;
            if (!fn_) return;
            fn_(arg_, thread, team_.n, &team_);
            if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) finished_.advance();
        }
    }

    void end_workers() {
        if (!ids_) return;
        fn_ = nullptr;
        start_.advance();
        for (std::uint32_t i = 1; i < team_.n; i++)
            ::pthread_join(ids_[i], nullptr);
        std::free(ids_);
        ids_ = nullptr;
        team_.n = 1;
    }

    std::mutex mutex_; // serialises regions and changes of size
    std::atomic<std::uint32_t> wanted_{0};
    pthread_t* ids_ = nullptr;  // [team_.n], the first is not used
    std::uint32_t refused_ = 0; // size the system did not give; not tried again for every region
    std::uint32_t epoch_ = 0;
    std::uint64_t idle_spin_ = 0;
    team team_;
    event start_;    // advances when a region starts
    event finished_; // advances when its last worker is done
    alignas(cache_line) std::atomic<std::uint32_t> running_{0};
    rlx_par_fn fn_ = nullptr; // null ends the workers
    void* arg_ = nullptr;
};

// Never destroyed: workers may be parked in it while the process exits.
pool& the_pool() {
    static pool* p = [] {
        auto* made = new pool;
        ::pthread_atfork(
            [] { the_pool().before_fork(); },
            [] { the_pool().after_fork(); },
            [] { the_pool().after_fork_in_child(); }
        );
        return made;
    }();
    return *p;
}

std::uint32_t table_threads(void*) {
    return inside_region ? 1 : the_pool().threads();
}

void table_run(void*, rlx_par_fn fn, void* arg) {
    the_pool().run(fn, arg);
}

void table_barrier(void* t) {
    static_cast<team*>(t)->barrier();
}

constexpr rlx_par_v1 table{
    {sizeof(rlx_par_v1), 1, 0}, nullptr, table_threads, table_run, table_barrier};

} // namespace

result<void> set_threads(std::uint32_t n) {
    return the_pool().want(n);
}

std::uint32_t threads() {
    return the_pool().threads();
}

void stop_threads() {
    the_pool().stop();
}

const rlx_par_v1* par_table() {
    return &table;
}

} // namespace rlx
