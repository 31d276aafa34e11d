// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/loader/probe.hpp"

#include "files.hpp"
#include "index.hpp"
#include "private_file.hpp"
#include "rlx/base/environment.hpp"
#include "rlx/base/log.hpp"
#include "rlx/base/mmap.hpp"
#include "scan.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <optional>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>

namespace rlx {
namespace {

namespace fs = std::filesystem;
using clock = std::chrono::steady_clock;

constexpr auto grievance_lasts = std::chrono::hours(24);

// Drivers are not ours, so nobody knows their files: an installed or updated one has changed the
// linker's list of libraries, a kernel module comes with a new boot, and these variables choose.
constexpr const char* installed_libraries = "/etc/ld.so.cache";
constexpr const char* boot_id = "/proc/sys/kernel/random/boot_id";
constexpr std::string_view choosing_variables[] = {
    "VK_", "LD_", "MESA_", "GALLIUM_", "LIBGL_", "DRI_", "CUDA_", "NVIDIA_", "HIP_", "ROC"};

std::string stamp(const fs::path& file, const struct stat& st) {
    const loader::file_stamp s = loader::stamp_of(st);
    return fmt::format("{} {} {} {} {}\n", file.native(), s.mtime_ns, s.ctime_ns, s.size, s.inode);
}

std::string drivers() {
    std::string out;

    struct stat st {};

    if (::stat(installed_libraries, &st) == 0) out += stamp(installed_libraries, st);
    if (const auto boot = read_virtual_file(boot_id); boot.ok()) out += *boot;
    std::vector<std::string_view> variables;
    for (char** v = env_for_child(); v && *v; ++v)
        if (std::ranges::any_of(choosing_variables, [&](std::string_view prefix) {
                return std::string_view(*v).starts_with(prefix);
            }))
            variables.emplace_back(*v);
    std::ranges::sort(variables);
    out += fmt::format(
        "{:016x}\n", loader::index_checksum(fmt::format("{}", fmt::join(variables, "\n")))
    );
    return out;
}

// What a verdict is about: these files in this state, with these drivers.
result<std::string> subject(const manifest& m, const fs::path& program) {
    std::string out = "rlx-probe 3\n";
    for (const fs::path& file : {m.library, program}) {
        struct stat st {};

        if (::stat(file.c_str(), &st) != 0)
            return error{RLX_NOT_FOUND, fmt::format("{}: {}", file.native(), std::strerror(errno))};
        out += stamp(file, st);
    }
    return out + drivers();
}

fs::path verdict_file(const manifest& m, const probe_options& o) {
    fs::path folder = o.cache;
    if (folder.empty()) folder = cache_dir().empty() ? fs::path() : cache_dir() / "probes";
    if (folder.empty() || env_is_secure()) return {};
    return folder / fmt::format("{:016x}", loader::index_checksum(m.library.native()));
}

// The text behind the subject: empty for a backend that did no harm, else what it did.
std::optional<std::string> read_verdict(const fs::path& file, std::string_view about) {
    if (file.empty()) return std::nullopt;
    auto text = loader::read_private_file(file);
    if (!text.ok() || !text->starts_with(about)) return std::nullopt;
    std::string verdict = text->substr(about.size());
    if (verdict.empty()) return verdict;

    struct stat st {};

    if (::stat(file.c_str(), &st) != 0) return std::nullopt;
    const auto age = std::chrono::system_clock::now().time_since_epoch() -
                     std::chrono::nanoseconds(loader::stamp_of(st).mtime_ns);
    return age < grievance_lasts && age >= clock::duration::zero() ? std::optional(verdict)
                                                                   : std::nullopt;
}

void write_verdict(const fs::path& file, const std::string& about, const std::string& verdict) {
    if (file.empty()) return;
    if (auto done = loader::replace_private_file(file, about + verdict); !done.ok())
        log_info(
            "plugins",
            fmt::format("verdict {} is not written: {}", file.native(), done.error().message)
        );
}

struct child {
    pid_t pid = -1;
    loader::owned_fd said; // what it writes: "begin\n", then "done\n"
};

// rlx-probe in a process group of its own, silent, with the standard handling of signals.
result<child> start(const fs::path& program, const manifest& m) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return error{RLX_IO, std::strerror(errno)};
    child out{-1, loader::owned_fd(ends[0])};
    const loader::owned_fd theirs(ends[1]);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDWR, 0);
    ::posix_spawn_file_actions_adddup2(&files, theirs.get(), STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&files, STDIN_FILENO, STDERR_FILENO);
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP
    );
    std::string words[] = {program.native(), m.library.native()};
    char* argv[] = {words[0].data(), words[1].data(), nullptr};
    const int failed =
        ::posix_spawn(&out.pid, program.c_str(), &files, &attributes, argv, env_for_child());
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&files);
    if (failed) return error{RLX_IO, std::strerror(failed)};
    return out;
}

enum class ended { by_itself, too_late, cancelled };

// Reads until the child is through or gone, or its time is up.
ended listen(const child& c, const probe_options& o, std::string& said) {
    const auto end =
        clock::now() +
        std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(o.seconds));
    while (!said.ends_with("done\n")) {
        if (o.cancel && o.cancel->load(std::memory_order_relaxed)) return ended::cancelled;
        if (clock::now() >= end) return ended::too_late;
        pollfd p{c.said.get(), POLLIN, 0};
        if (::poll(&p, 1, 50) <= 0) continue;
        char bytes[256];
        const ssize_t n = ::read(c.said.get(), bytes, sizeof bytes);
        if (n == 0 || (n < 0 && errno != EINTR)) break;
        if (n > 0 && said.size() < 4096) said.append(bytes, static_cast<std::size_t>(n));
    }
    return ended::by_itself;
}

// Ends the child with all it started. The status, or nothing when somebody else has reaped it.
std::optional<int> reap(const child& c, bool kill_first) {
    if (kill_first) ::kill(-c.pid, SIGKILL);
    int status = 0;
    pid_t got = 0;
    while ((got = ::waitpid(c.pid, &status, 0)) < 0 && errno == EINTR) {
    }
    ::kill(-c.pid, SIGKILL); // what it left behind
    return got == c.pid ? std::optional(status) : std::nullopt;
}

std::string how_it_ended(std::optional<int> status) {
    if (status && WIFSIGNALED(*status)) {
        const char* name = ::sigabbrev_np(WTERMSIG(*status));
        return fmt::format("crashed (SIG{})", name ? name : "?");
    }
    if (status && WIFEXITED(*status))
        return fmt::format("ended the process (status {})", WEXITSTATUS(*status));
    return "ended the process";
}

// Empty: it did no harm. RLX_IO when nothing could be tried.
result<std::string> try_it(const fs::path& program, const manifest& m, const probe_options& o) {
    const child c = RLX_TRY(start(program, m));
    std::string said;
    const ended how = listen(c, o, said);
    const bool done = said.ends_with("done\n");
    const auto status = reap(c, done || how != ended::by_itself);
    if (how == ended::cancelled) return error{RLX_CANCELLED, "cancelled"};
    if (done) return std::string();
    if (!said.starts_with("begin\n"))
        return error{RLX_IO, "it does not start: it " + how_it_ended(status)};
    if (how == ended::too_late) return fmt::format("gave no answer within {} s", o.seconds);
    return how_it_ended(status);
}

} // namespace

result<void> probe_backend(const manifest& m, const probe_options& options) {
    const fs::path folder = loader::own_folder();
    const fs::path program = folder.empty() ? folder : folder / "rlx" / "rlx-probe";
    const auto about = subject(m, program);
    if (!about.ok()) {
        log_info("plugins", "backends are not tried beforehand: " + about.error().message);
        return {};
    }
    const fs::path file = verdict_file(m, options);
    std::optional<std::string> verdict;
    if (options.use_cache) verdict = read_verdict(file, *about);
    if (!verdict) {
        auto tried = try_it(program, m, options);
        if (!tried.ok() && tried.error().code == RLX_CANCELLED) return tried.error();
        if (!tried.ok()) {
            log_warn(
                "plugins",
                fmt::format("{} cannot be used: {}", program.native(), tried.error().message)
            );
            return {};
        }
        verdict = std::move(*tried);
        write_verdict(file, *about, *verdict);
    }
    if (verdict->empty()) return {};
    return error{
        RLX_DEVICE_LOST,
        fmt::format(
            "plugin {} ({}) {} when it was tried in a process of its own",
            m.id,
            m.library.native(),
            *verdict
        )};
}

} // namespace rlx
