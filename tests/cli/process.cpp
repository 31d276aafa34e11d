// SPDX-License-Identifier: GPL-3.0-only
#include "process.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <pty.h>
#include <spawn.h>
#include <stdexcept>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace rlx::test {

namespace {

struct pipe_pair {
    int read = -1, write = -1;

    pipe_pair() {
        int fd[2];
        if (pipe2(fd, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
        read = fd[0], write = fd[1];
    }
};

[[noreturn]] void
child(const std::vector<std::string>& argv, const run_options& o, int in, int out, int err) {
    dup2(in, 0), dup2(out, 1), dup2(err, 2);
    if (!o.directory.empty() && chdir(o.directory.c_str()) != 0) _exit(126);
    for (const std::string& e : o.environment)
        putenv(const_cast<char*>(e.c_str()));
    std::vector<char*> args;
    for (const std::string& a : argv)
        args.push_back(const_cast<char*>(a.c_str()));
    args.push_back(nullptr);
    execv(args[0], args.data());
    _exit(127);
}

// Feeds input, collects both outputs until the child closed them or the time is up.
class exchange {
public:
    exchange(pid_t pid, const run_options& o, int in, int out, int err)
        : pid_(pid), o_(o), fds_{{in, POLLOUT, 0}, {out, POLLIN, 0}, {err, POLLIN, 0}} {
        if (o_.input.empty()) shut(0);
    }

    outcome finish() {
        const auto end =
            std::chrono::steady_clock::now() + std::chrono::seconds(o_.timeout_seconds);
        while (fds_[1].fd >= 0 || fds_[2].fd >= 0) {
            poll(fds_, 3, 100);
            if (std::chrono::steady_clock::now() > end) kill(pid_, SIGKILL);
            if (fds_[0].revents) feed();
            if (fds_[1].revents) take(1, result_.out);
            if (fds_[2].revents) take(2, result_.err);
        }
        int status = 0;
        while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        result_.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        return std::move(result_);
    }

private:
    void shut(int i) {
        if (fds_[i].fd >= 0) close(fds_[i].fd);
        fds_[i].fd = -1;
    }

    void feed() {
        const ssize_t n = write(fds_[0].fd, o_.input.data() + fed_, o_.input.size() - fed_);
        if (n > 0) fed_ += static_cast<std::size_t>(n);
        if (n < 0 || fed_ == o_.input.size()) shut(0);
    }

    void take(int i, std::string& into) {
        char block[65536];
        const ssize_t n = read(fds_[i].fd, block, sizeof block);
        if (n > 0)
            into.append(block, static_cast<std::size_t>(n));
        else
            shut(i);
        if (i != 1 || into.size() < o_.signal_after) return;
        if (o_.signal && !signalled_) signalled_ = kill(pid_, o_.signal) == 0;
        if (o_.close_stdout_early) shut(1);
    }

    pid_t pid_;
    const run_options& o_;
    pollfd fds_[3];
    std::size_t fed_ = 0;
    bool signalled_ = false;
    outcome result_;
};

} // namespace

outcome run(const std::vector<std::string>& argv, const run_options& options) {
    std::signal(SIGPIPE, SIG_IGN);
    pipe_pair in, out, err;
    const pid_t pid = fork();
    if (pid < 0) throw std::runtime_error("fork");
    if (pid == 0) {
        std::signal(SIGPIPE, SIG_DFL);
        child(argv, options, in.read, out.write, err.write);
    }
    close(in.read), close(out.write), close(err.write);
    return exchange(pid, options, in.write, out.read, err.read).finish();
}

int interrupted(
    const std::vector<std::string>& argv, int signal, const std::function<bool()>& ready
) {
    std::vector<char*> raw;
    for (const std::string& word : argv)
        raw.push_back(const_cast<char*>(word.c_str()));
    raw.push_back(nullptr);
    pid_t pid = 0;
    if (posix_spawn(&pid, raw[0], nullptr, nullptr, raw.data(), environ) != 0) return -1;
    int status = 0;
    bool sent = false;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(120);
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (std::chrono::steady_clock::now() > end) kill(pid, SIGKILL);
        if (!sent && ready()) {
            kill(pid, signal);
            sent = true;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool terminals_exist() {
    int master = -1, slave = -1;
    if (openpty(&master, &slave, nullptr, nullptr, nullptr) != 0) return false;
    close(master);
    close(slave);
    return true;
}

std::string program(const std::string& name) {
    return std::string(RLX_BIN_DIR) + "/" + name;
}

std::string stories_model() {
    return std::string(RLX_SOURCE_DIR) + "/families/qwen3/stories/rlx-stories.gguf";
}

std::string smollm2_model() {
    if (const char* given = std::getenv("RLX_SMOLLM2")) return given;
    std::filesystem::path cache;
    if (const char* base = std::getenv("XDG_CACHE_HOME"))
        cache = base;
    else if (const char* home = std::getenv("HOME"))
        cache = std::filesystem::path(home) / ".cache";
    const auto file = cache / "rlx/models/smollm2-135m-instruct-q4_1.gguf";
    return std::filesystem::exists(file) ? file.string() : "";
}

std::string scratch_directory() {
    std::string name = std::filesystem::temp_directory_path() / "rlx-test-XXXXXX";
    if (!mkdtemp(name.data())) throw std::runtime_error("mkdtemp");
    return name;
}

} // namespace rlx::test
