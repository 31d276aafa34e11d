// SPDX-License-Identifier: GPL-3.0-only
#include "terminal.hpp"

#include "rlx/base/environment.hpp"
#include "rlx/loader/loader.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <initializer_list>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>
#include <utility>

namespace rlx::cli {

namespace {

std::atomic<std::uint32_t> cancelled{0};
std::atomic<int> signal_number{0};

termios terminal_before; // valid while echo_is_off
std::atomic<bool> echo_is_off{false};
std::atomic<bool> watching{false};

void restore_echo() {
    if (echo_is_off.exchange(false)) tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
}

// In handlers: one system call, no memory.
void tell(std::initializer_list<const char*> parts) {
    iovec line[8] = {};
    int n = 0;
    for (const char* part : parts)
        line[n++] = {const_cast<char*>(part), std::strlen(part)};
    if (::writev(STDERR_FILENO, line, n) < 0) return;
}

bool tell_interrupted() {
    const char* loading = plugin_being_loaded();
    if (loading)
        tell({"rlx: error: interrupted while the plugin ", loading, " was being loaded\n"});
    return loading != nullptr;
}

// Told once, then the signal ends the process as it would have.
extern "C" void on_crash(int number) {
    const char* name = ::sigabbrev_np(number);
    const char* loading = plugin_being_loaded();
    const char* loaded = plugins_loaded();
    if (number == SIGINT || number == SIGTERM)
        tell_interrupted();
    else if (loading)
        tell(
            {"rlx: error: the plugin ",
             loading,
             " crashed (SIG",
             name,
             ") while it was being loaded; remove it, or name another family or device\n"}
        );
    else
        tell(
            {"rlx: error: crashed (SIG",
             name,
             "), in rlx or in one of its plugins: ",
             loaded ? loaded : "none was loaded",
             "\n"}
        );
    restore_echo();
    ::raise(number);
}

// rlx returns from main(); what calls exit() before is a plugin or a library of one.
extern "C" void on_exit_call() {
    if (!watching) return;
    const char* loading = plugin_being_loaded();
    const char* loaded = plugins_loaded();
    if (loading)
        tell(
            {"rlx: error: the plugin ",
             loading,
             " ended the program while it was being loaded; remove it, or name another family or "
             "device\n"}
        );
    else
        tell(
            {"rlx: error: the program was ended by exit(), in one of its plugins: ",
             loaded ? loaded : "none was loaded",
             "\n"}
        );
    restore_echo();
    _exit(1);
}

extern "C" void on_signal(int number) {
    if (tell_interrupted() || cancelled.exchange(1)) {
        restore_echo();
        _exit(128 + number);
    }
    signal_number = number;
}

std::int64_t now_ns() {
    return std::chrono::steady_clock::now().time_since_epoch().count();
}

error io_error(std::string_view what, std::string_view path) {
    return {RLX_IO, fmt::format("{} {}: {}", what, path, std::strerror(errno))};
}

} // namespace

bool stdin_is_terminal() {
    return isatty(STDIN_FILENO);
}

bool stdout_is_terminal() {
    return isatty(STDOUT_FILENO);
}

bool stderr_is_terminal() {
    return isatty(STDERR_FILENO);
}

bool use_colour() {
    if (env_flag("CLICOLOR_FORCE")) return true;
    return stderr_is_terminal() && !env_string("NO_COLOR") && env_string("TERM") != "dumb";
}

std::atomic<std::uint32_t>& cancel_flag() {
    return cancelled;
}

int caught_signal() {
    return signal_number;
}

plugin_watch::plugin_watch() {
    watching = true;
    std::atexit(on_exit_call);
    // A stack of its own: the plugin may have used up the thread's. Saved registers alone can take
    // 11 KiB.
    static char stack[64 << 10];
    const stack_t other{stack, 0, sizeof stack};
    ::sigaltstack(&other, nullptr);
    for (const int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGINT, SIGTERM}) {
        struct sigaction action = {};
        // Whoever handles or ignores it already has reasons.
        if (sigaction(number, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) continue;
        action.sa_handler = on_crash;
        action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_NODEFER | SA_ONSTACK;
        sigaction(number, &action, nullptr);
    }
}

plugin_watch::~plugin_watch() {
    watching = false;
}

void catch_signals() {
    struct sigaction action = {};
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

void reset_cancel() {
    cancelled = 0;
    signal_number = 0;
}

void open_missing_streams() {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
        // What cannot be read or written still fails: the wrong way round on purpose.
        if (fcntl(fd, F_GETFD) == -1 && errno == EBADF)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
}

echo_off::echo_off() {
    if (tcgetattr(STDIN_FILENO, &terminal_before) != 0) return; // no terminal
    termios silent = terminal_before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    echo_is_off = tcsetattr(STDIN_FILENO, TCSANOW, &silent) == 0;
}

echo_off::~echo_off() {
    restore_echo();
}

result<void> print(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return {};
    return io_error("cannot write", "standard output");
}

result<void> flush() {
    if (std::fflush(stdout) == 0) return {};
    return io_error("cannot write", "standard output");
}

result<std::string> read_stdin() {
    std::string all;
    char block[65536];
    for (;;) {
        const ssize_t n = read(STDIN_FILENO, block, sizeof block);
        if (n == 0) return all;
        if (n > 0)
            all.append(block, static_cast<std::size_t>(n));
        else if (errno != EINTR)
            return io_error("cannot read", "standard input");
        if (cancelled) return error{RLX_CANCELLED, "interrupted while reading standard input"};
    }
}

result<std::string> read_text(const std::string& path) {
    if (path == "-") return read_stdin();
    std::FILE* f = std::fopen(path.c_str(), "rb");
    if (!f)
        return error{RLX_NOT_FOUND, fmt::format("cannot open {}: {}", path, std::strerror(errno))};
    std::string all;
    char block[65536];
    std::size_t n;
    while ((n = std::fread(block, 1, sizeof block, f)) > 0)
        all.append(block, n);
    const bool failed = std::ferror(f);
    std::fclose(f);
    if (failed)
        return error{RLX_NOT_FOUND, fmt::format("cannot read {}: {}", path, std::strerror(errno))};
    return all;
}

result<output_file> output_file::open(const std::string& path) {
    output_file out;
    out.path_ = path;
    if (path == "-") {
        if (stdout_is_terminal())
            return error{
                RLX_INVALID_ARGUMENT,
                "--out -: not writing binary data to a terminal; redirect standard output"};
        return out;
    }

    // A device or a pipe is written to; a file of another name must not take its place.
    struct stat there {};

    out.special_ = stat(path.c_str(), &there) == 0 && !S_ISREG(there.st_mode);
    out.part_ = out.special_ ? path : fmt::format("{}.{}.part", path, getpid());
    out.file_ = std::fopen(out.part_.c_str(), "wb");
    if (!out.file_) return io_error("cannot write", path);
    return out;
}

output_file::output_file(output_file&& o) noexcept
    : path_(std::move(o.path_)), part_(std::move(o.part_)), file_(std::exchange(o.file_, nullptr)),
      special_(o.special_) {}

output_file::~output_file() {
    if (!file_) return;
    (void)std::fclose(file_);
    if (!special_) std::remove(part_.c_str());
}

result<void> output_file::write(std::string_view data) {
    if (path_ == "-") return print(data);
    if (std::fwrite(data.data(), 1, data.size(), file_) == data.size()) return {};
    return io_error("cannot write", path_);
}

result<void> output_file::finish() {
    if (path_ == "-") return flush();
    const bool closed = std::fclose(std::exchange(file_, nullptr)) == 0;
    if (closed && (special_ || std::rename(part_.c_str(), path_.c_str()) == 0)) return {};
    error failed = io_error("cannot write", path_);
    if (!special_) std::remove(part_.c_str());
    return failed;
}

result<void> write_file(const std::string& path, std::string_view data) {
    auto out = RLX_TRY(output_file::open(path));
    RLX_CHECK(out.write(data));
    return out.finish();
}

result<progress_mode> parse_progress_mode(std::string_view name) {
    if (name == "auto") return progress_mode::automatic;
    if (name == "plain") return progress_mode::plain;
    if (name == "json") return progress_mode::json;
    if (name == "none") return progress_mode::none;
    return error{
        RLX_INVALID_ARGUMENT,
        fmt::format("--progress: '{}' is none of auto, plain, json, none", name)};
}

progress_line::progress_line(std::string stage, std::string unit, progress_mode mode)
    : stage_(std::move(stage)), unit_(std::move(unit)), mode_(mode), start_ns_(now_ns()) {
    if (mode_ == progress_mode::automatic && !stderr_is_terminal()) mode_ = progress_mode::none;
}

progress_line::~progress_line() {
    clear();
}

void progress_line::clear() {
    if (drawn_) say("\r\033[K");
}

void progress_line::update(std::uint64_t done, std::uint64_t total) {
    if (mode_ == progress_mode::none || total == 0 || done < done_) return;
    const std::int64_t now = now_ns();
    const std::int64_t pause = mode_ == progress_mode::automatic ? 100'000'000 : 1'000'000'000;
    const bool last = done == total && done_ != total;
    if (now - std::max(last_ns_, start_ns_) < pause && !(last && mode_ == progress_mode::json))
        return;
    done_ = done;
    last_ns_ = now;
    const double percent = 100.0 * static_cast<double>(done) / static_cast<double>(total);
    if (mode_ == progress_mode::json) {
        say("{{\"stage\": \"{}\", \"done\": {}, \"total\": {}, \"unit\": \"{}\"}}\n",
            stage_,
            done,
            total,
            unit_);
    } else if (mode_ == progress_mode::plain) {
        say("{} {:.0f} %\n", stage_, percent);
    } else {
        const int filled = static_cast<int>(percent / 5);
        say("\r\033[K{} [{:=<{}}{: <{}}] {:.0f} %", stage_, "", filled, "", 20 - filled, percent);
        drawn_ = true;
    }
    std::fflush(stderr);
}

} // namespace rlx::cli
