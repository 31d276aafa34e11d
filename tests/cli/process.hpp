// SPDX-License-Identifier: GPL-3.0-only
// Runs a program the way a script would and keeps what it printed.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace rlx::test {

struct outcome {
    int exit_code = -1; // 128 + n when signal n ended it
    std::string out, err;
};

struct run_options {
    std::string input = {};                    // standard input
    std::vector<std::string> environment = {}; // NAME=value, added
    std::string directory = {};                // working directory, empty = this one
    int signal = 0;                            // sent once `signal_after` bytes arrived on stdout
    std::size_t signal_after = 1;
    bool close_stdout_early = false; // reader goes away after the first byte
    int timeout_seconds = 120;       // then SIGKILL and exit_code 137
};

outcome run(const std::vector<std::string>& argv, const run_options& options = {});

// A run that is sent a signal as soon as `ready` says so; the exit code as a shell has it. What it
// prints goes where this process's output goes.
int interrupted(
    const std::vector<std::string>& argv, int signal, const std::function<bool()>& ready
);

// build/<preset>/bin/<name>
std::string program(const std::string& name);
// The bundled story model.
std::string stories_model();
// SmolLM2 as bootstrap.sh fetched it, empty when it is not there.
std::string smollm2_model();
// Whether programs can be given a terminal here; a root without /dev/pts has none.
bool terminals_exist();
// A fresh directory that the test may fill.
std::string scratch_directory();

} // namespace rlx::test
