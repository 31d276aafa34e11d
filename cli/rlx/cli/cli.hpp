// SPDX-License-Identifier: GPL-3.0-only
// The command line: a registry of commands and the entry behind rlx-run and every rlx-<family>.
#pragma once

#include "rlx/base/api.hpp"

#include <functional>
#include <optional>
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
};

// Adds a command, or replaces the one of that name. [any thread]
RLX_API void register_cli(std::string name, std::string description, command_fn run);
// Sorted by name. [any thread]
RLX_API std::vector<command> registered();
// Runs a registered command; nullopt when there is none. No lock is held while it runs. [any
// thread]
RLX_API std::optional<int> run_registered(std::string_view name, std::span<const std::string> args);
// rlx-run: args[0] names the command.
RLX_API int dispatch(std::span<const std::string> args);

} // namespace rlx::cli

extern "C" {
// main() of rlx-run.
RLX_API int rlx_cli_main(int argc, char** argv);
// main() of a program that is one command: rlx-qwen3 is rlx_cli_main_as("qwen3", ...).
RLX_API int rlx_cli_main_as(const char* command, int argc, char** argv);
}
