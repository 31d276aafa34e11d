// SPDX-License-Identifier: GPL-3.0-only
// What a person at a terminal sees and does: progress on stderr, colour, Ctrl-C, results on stdout.
#pragma once

#include "rlx/base/result.hpp"

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <fmt/format.h>
#include <string>
#include <string_view>

namespace rlx::cli {

bool stdin_is_terminal();
bool stdout_is_terminal();
bool stderr_is_terminal();
bool use_colour(); // on stderr: a terminal, NO_COLOR unset, TERM not dumb; CLICOLOR_FORCE overrides

// While it lives, a process that crashes, is interrupted while a plugin is being loaded, or is ended
// by exit() names the plugin first. It crashes as ever; exit() ends with 1, whatever a plugin said.
// One per process.
class plugin_watch {
public:
    plugin_watch();
    ~plugin_watch();
    plugin_watch(const plugin_watch&) = delete;
    plugin_watch& operator=(const plugin_watch&) = delete;
};

// Raised by SIGINT and SIGTERM after catch_signals(). Where a plugin is being loaded nobody looks
// at the flag: the process ends at once. A second signal ends the process at once.
std::atomic<std::uint32_t>& cancel_flag();
// 0, or the signal that raised the flag.
int caught_signal();
void catch_signals();
// For a REPL: forgets the signal so that the next answer can run.
void reset_cancel();

// While it lives, what is typed does not appear on the terminal; it waits for the next read. One at
// a time; a second signal that ends the process restores the terminal.
class echo_off {
public:
    echo_off();
    ~echo_off();
    echo_off(const echo_off&) = delete;
    echo_off& operator=(const echo_off&) = delete;
};

// A message to stderr. Nobody can be told when that fails, so a failure is ignored.
template <class... Args>
void say(fmt::format_string<Args...> pattern, Args&&... args) {
    const std::string text = fmt::format(pattern, std::forward<Args>(args)...);
    (void)std::fwrite(text.data(), 1, text.size(), stderr);
}

// Puts /dev/null where standard input, output or error is closed: the next file opened would take
// its place otherwise.
void open_missing_streams();

// Writes to stdout. A reader that went away (EPIPE) ends the process quietly; any other failure is
// RLX_IO.
result<void> print(std::string_view text);
result<void> flush();

// All of standard input.
result<std::string> read_stdin();
// A whole text file; "-" is standard input.
result<std::string> read_text(const std::string& path);

// A file written piece by piece through a temporary name, so it appears whole or not at all; a
// device or a pipe is written to as it is. "-" is standard output, which must not be a terminal
// when the data is binary: RLX_INVALID_ARGUMENT.
class output_file {
public:
    static result<output_file> open(const std::string& path);
    output_file(output_file&& o) noexcept;
    output_file& operator=(output_file&& o) = delete;
    ~output_file(); // drops what finish() did not complete
    result<void> write(std::string_view data);
    result<void> finish();

private:
    output_file() = default;
    std::string path_, part_;
    std::FILE* file_ = nullptr; // none for standard output
    bool special_ = false;
};

// All of it at once.
result<void> write_file(const std::string& path, std::string_view data);

enum class progress_mode { automatic, plain, json, none };
result<progress_mode> parse_progress_mode(std::string_view name);

// One line of progress on stderr, redrawn in place on a terminal. Monotone; silent for work below a
// second.
class progress_line {
public:
    progress_line(std::string stage, std::string unit, progress_mode mode);
    ~progress_line();
    progress_line(const progress_line&) = delete;
    progress_line& operator=(const progress_line&) = delete;
    void update(std::uint64_t done, std::uint64_t total);
    void clear(); // makes room for a message; the next update draws it again

private:
    std::string stage_, unit_;
    progress_mode mode_;
    std::int64_t start_ns_, last_ns_ = 0;
    std::uint64_t done_ = 0;
    bool drawn_ = false;
};

} // namespace rlx::cli
