// SPDX-License-Identifier: GPL-3.0-only
#include "line_editor.hpp"

#include "terminal.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include <readline/history.h>
#include <readline/readline.h>

namespace rlx::cli {

namespace {

constexpr int history_lines = 1000;

volatile std::sig_atomic_t interrupted = 0;

extern "C" void on_interrupt(int) {
    interrupted = 1;
}

// Called by readline while it waits, after a signal.
extern "C" int leave_on_interrupt() {
    if (interrupted) rl_done = 1;
    return 0;
}

} // namespace

line_editor::line_editor(std::filesystem::path history)
    : history_(std::move(history)), interactive_(stdin_is_terminal() && stderr_is_terminal()) {
    if (!interactive_) return;
    rl_outstream = stderr; // stdout carries answers only
    rl_catch_signals = 0;
    rl_event_hook = leave_on_interrupt;
    rl_signal_event_hook = leave_on_interrupt;
    rl_variable_bind("enable-bracketed-paste", "on");
    rl_bind_key('\t', rl_insert);
    using_history();
    stifle_history(history_lines);
    if (!history_.empty()) read_history(history_.c_str());
}

line_editor::~line_editor() {
    if (!interactive_ || history_.empty()) return;
    std::error_code ec;
    std::filesystem::create_directories(history_.parent_path(), ec);
    if (!ec) write_history(history_.c_str());
}

line_editor::input line_editor::read(const std::string& prompt) {
    if (!interactive_) {
        std::string line;
        if (!std::getline(std::cin, line)) return {event::end, {}};
        return {event::line, line};
    }
    interrupted = 0;
    struct sigaction mine = {}, before = {};
    mine.sa_handler = on_interrupt;
    sigaction(SIGINT, &mine, &before);
    char* line = readline(prompt.c_str());
    sigaction(SIGINT, &before, nullptr);
    if (interrupted) {
        std::free(line);
        std::fputs("\n", stderr);
        return {event::interrupted, {}};
    }
    if (!line) return {event::end, {}};
    std::string text(line);
    std::free(line);
    return {event::line, text};
}

void line_editor::remember(const std::string& line) {
    if (interactive_ && !line.empty()) add_history(line.c_str());
}

} // namespace rlx::cli
