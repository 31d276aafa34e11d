// SPDX-License-Identifier: GPL-3.0-only
// What a plugin leaves behind in the process.
#include "checks.hpp"
#include "driver.hpp"

#include <cfenv>
#include <chrono>
#include <clocale>
#include <csignal>
#include <cstring>
#include <dirent.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

extern char** environ;

namespace conformance {
namespace {

int entries_of(const char* folder) {
    int n = 0;
    DIR* d = ::opendir(folder);
    while (d && ::readdir(d))
        n++;
    if (d) ::closedir(d);
    return n;
}

// Lives of everything, whether it can be driven or not.
class lives {
public:
    explicit lives(const subject& s) : drivers_(drivers_of(s)) {}

    void once() const {
        for (const auto& d : drivers_) {
            if (!d->missing_members().empty()) continue;
            try {
                d->life();
            } catch (const skipped&) {
            }
        }
    }

private:
    std::vector<std::unique_ptr<driver>> drivers_;
};

struct process_state {
    std::vector<sighandler_t> handlers;
    sigset_t blocked{};
    std::string folder, locale;
    mode_t mask = 0;
    int rounding = 0;
    unsigned float_mode = 0; // denormals, exceptions that trap
    char** environment = nullptr;
    std::vector<std::string> variables;

    static process_state now() {
        process_state s;
        for (int i = 1; i < SIGRTMIN; i++) {
            struct sigaction a {};

            ::sigaction(i, nullptr, &a);
            s.handlers.push_back(a.sa_handler);
        }
        ::sigprocmask(SIG_SETMASK, nullptr, &s.blocked);
        char path[4096];
        s.folder = ::getcwd(path, sizeof path) ? path : "";
        s.locale = std::setlocale(LC_ALL, nullptr);
        s.mask = ::umask(0);
        ::umask(s.mask);
        s.rounding = std::fegetround();
#if defined(__x86_64__)
        s.float_mode = __builtin_ia32_stmxcsr() & ~0x603fU; // without what happened, and rounding
#endif
        s.environment = ::environ;
        for (char** v = ::environ; v && *v; v++)
            s.variables.emplace_back(*v);
        return s;
    }

    std::string difference(const process_state& b) const {
        for (std::size_t i = 0; i < handlers.size(); i++)
            if (handlers[i] != b.handlers[i])
                return std::string("the handler of SIG") + ::sigabbrev_np(static_cast<int>(i) + 1);
        if (std::memcmp(&blocked, &b.blocked, sizeof blocked) != 0) return "the blocked signals";
        if (folder != b.folder) return "the working directory";
        if (locale != b.locale) return "the locale";
        if (mask != b.mask) return "the umask";
        if (rounding != b.rounding) return "the rounding of floating-point numbers";
        if (float_mode != b.float_mode) return "the treatment of denormal numbers or traps";
        if (variables != b.variables) return "the environment";
        return {};
    }
};

} // namespace

std::string check_threads(const target& t) {
    const int before = entries_of("/proc/self/task");
    subject s(t);
    s.start();
    lives(s).once();
    s.quiesce();
    // A joined thread's entry may outlive it for a moment.
    for (int i = 0; i < 50 && entries_of("/proc/self/task") > before; i++)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const int left = entries_of("/proc/self/task") - before;
    if (left > 0)
        throw failed{std::to_string(left) + " threads of its own still run after quiesce"};
    return {};
}

std::string check_descriptors(const target& t) {
    subject s(t);
    s.start();
    const lives l(s);
    l.once();
    const int before = entries_of("/proc/self/fd");
    for (int i = 0; i < 3; i++)
        l.once();
    const int more = entries_of("/proc/self/fd") - before;
    if (more > 0) throw failed{"3 lives leave " + std::to_string(more) + " descriptors open"};
    return {};
}

std::string check_output(const target& t) {
    subject s(t);
    s.start();
    const lives l(s);
    l.once();
    for (std::uint64_t n = 1; n < 20; n++) {
        fail_host_call(n);
        l.once();
    }
    fail_host_call(0);
    s.quiesce();
    return {}; // what was written is judged by who called
}

std::string check_process_state(const target& t) {
    const process_state before = process_state::now();
    subject s(t);
    s.start();
    lives(s).once();
    s.quiesce();
    const std::string changed = before.difference(process_state::now());
    if (!changed.empty()) throw failed{"it changes " + changed + " of the process"};
    return {};
}

} // namespace conformance
