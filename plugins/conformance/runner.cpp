// SPDX-License-Identifier: GPL-3.0-only
#include "runner.hpp"

#include "loan.hpp"
#include "stage.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <new>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace conformance {
namespace {

// Shared between the two processes: what was going on survives whatever happens to the child.
struct blackboard {
    std::array<char, 400> stage;
    std::array<char, 4000> why;
    int verdict; // of the enum, -1 while the check runs
};

// Of this process when it is a child.
blackboard* board = nullptr;

template <std::size_t N>
void put(std::array<char, N>& to, const std::string& text) {
    const std::size_t n = std::min(N - 1, text.size());
    std::memcpy(to.data(), text.data(), n);
    to[n] = 0;
}

void conclude(verdict v, const std::string& why) {
    put(board->why, why);
    board->verdict = static_cast<int>(v);
}

[[noreturn]] void run_child(const std::function<std::string()>& check, int out) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    ::close(out);
    watch_loans(board->stage.data(), board->stage.size());
    try {
        const std::string remark = check();
        conclude(verdict::ok, remark);
    } catch (const failed& f) {
        conclude(verdict::failed, f.why);
    } catch (const skipped& s) {
        conclude(verdict::skipped, s.why);
    } catch (const std::exception& e) {
        conclude(verdict::failed, std::string("the checker stumbled: ") + e.what());
    }
    std::fflush(nullptr);
    ::_exit(0); // no destructors: the plugin may have spoilt anything
}

using clock = std::chrono::steady_clock;

std::atomic<int> interrupt{0};

// Reads until nobody can write any more or the time is up; true when nobody can.
bool collect(int in, clock::time_point end, std::string& output) {
    constexpr std::size_t most = 64 * 1024;
    for (;;) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(end - clock::now()).count();
        if (left <= 0 || interrupted_by()) return false;
        pollfd p{in, POLLIN, 0};
        // In pieces: a signal may come right before it waits.
        const auto wait = static_cast<int>(std::min<decltype(left)>(left, 100));
        if (::poll(&p, 1, wait) < 0 && errno != EINTR) return false;
        if (!(p.revents & (POLLIN | POLLHUP))) continue;
        char buffer[4096];
        const ssize_t n = ::read(in, buffer, sizeof buffer);
        if (n <= 0) return true;
        output.append(
            buffer,
            std::min<std::size_t>(static_cast<std::size_t>(n), most - std::min(most, output.size()))
        );
    }
}

// Reaps the child; true when it ended by itself before `end`, else it is killed. The end of its
// output says nothing: a plugin may close descriptors 1 and 2 and go on.
bool reap(pid_t pid, clock::time_point end, int& status) {
    for (;;) {
        const pid_t got = ::waitpid(pid, &status, WNOHANG);
        if (got == pid) return true;
        if (clock::now() >= end) break;
        ::poll(nullptr, 0, 2);
    }
    ::kill(pid, SIGKILL);
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return false;
}

void judge(const blackboard& b, int status, double late_s, outcome& o) {
    const std::string doing = b.stage[0] ? std::string(" while ") + b.stage.data() : std::string();
    o.what = verdict::failed;
    if (late_s > 0) {
        char text[64];
        std::snprintf(text, sizeof text, "no answer within %g s", late_s);
        o.why = text + doing;
    } else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) {
        o.why = "the plugin starts a process" + doing;
    } else if (WIFSIGNALED(status)) {
        const char* name = ::sigabbrev_np(WTERMSIG(status));
        o.why = std::string("the process died of SIG") + (name ? name : "?") + doing;
    } else if (b.verdict < 0) {
        o.why = "the plugin ended the process (exit status " + std::to_string(WEXITSTATUS(status)) +
                ")" + doing;
    } else {
        o.what = static_cast<verdict>(b.verdict);
        o.why = b.why.data();
    }
}

} // namespace

void catch_interrupts() {
    for (const int number : {SIGINT, SIGTERM})
        std::signal(number, [](int n) { interrupt = n; });
}

int interrupted_by() {
    return interrupt;
}

void stage(const std::string& what) {
    if (board) put(board->stage, what);
}

outcome run_alone(const std::function<std::string()>& check, double timeout_s) {
    const auto begin = clock::now();
    const auto end =
        begin +
        std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(timeout_s));
    void* at = ::mmap(
        nullptr, sizeof(blackboard), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0
    );
    int pipe_ends[2];
    if (at == MAP_FAILED || ::pipe2(pipe_ends, O_CLOEXEC) != 0)
        return {verdict::failed, "the checker itself is short of memory or descriptors", "", 0};
    auto* shared = new (at) blackboard{};
    shared->verdict = -1;
    const pid_t pid = ::fork();
    if (pid == 0) {
        board = shared;
        run_child(check, pipe_ends[1]);
    }
    ::close(pipe_ends[1]);
    outcome o{verdict::failed, "the checker cannot fork", "", 0};
    if (pid > 0) {
        const bool closed = collect(pipe_ends[0], end, o.output);
        int status = 0;
        const bool in_time = reap(pid, closed ? end : clock::now(), status) && closed;
        judge(*shared, status, in_time ? 0 : timeout_s, o);
    }
    ::close(pipe_ends[0]);
    ::munmap(at, sizeof(blackboard));
    o.seconds = std::chrono::duration<double>(clock::now() - begin).count();
    return o;
}

} // namespace conformance
