// SPDX-License-Identifier: GPL-3.0-only
// The command line: a registry of commands and the entry behind rlx-run and every rlx-<family>.
#pragma once

#include "rlx/base/api.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rlx::cli {

// A command gets its arguments without program and command name and returns the exit code.
using command_fn = std::function<int(std::span<const std::string> args)>;

struct command {
    std::string name;
    std::string description;
    command_fn run;
    std::int64_t priority = 100; // of all commands of a name, the highest is run
    std::string owner;           // for messages: "rlx", "plugin org.example.words (/path)"
};

// Adds a command. Built-in commands and those of plugins without a "priority" have 100: two of the
// same priority for one name are an error naming both when that name is run, and so is a `run` that
// is empty. [any thread]
RLX_API void register_cli(
    std::string name, std::string description, command_fn run, std::int64_t priority = 100
);
// Built-in and registered ones, sorted by name. [any thread]
RLX_API std::vector<command> registered();
// rlx-run: args[0] names the command: built in, registered, of a plugin ("rlx.cli/1"), or a family.
// Gives the exit code; what a registered command throws passes through. No lock is held while it
// runs, so it may register and dispatch others. [any thread]
RLX_API int dispatch(std::span<const std::string> args);

} // namespace rlx::cli

extern "C" {
// main() of rlx-run.
RLX_API int rlx_cli_main(int argc, char** argv);
// main() of a program that is one command, rlx-inspect: rlx_cli_main_as("inspect", ...), or one
// family with its task, rlx-qwen3: rlx_cli_main_as("qwen3:lm", ...).
RLX_API int rlx_cli_main_as(const char* command, int argc, char** argv);
}
