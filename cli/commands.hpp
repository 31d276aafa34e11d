// SPDX-License-Identifier: GPL-3.0-only
// The built-in commands. Each takes its arguments without the command name and returns the exit
// code.
#pragma once

#include "args.hpp"
#include "exit_code.hpp"
#include "terminal.hpp"

#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace rlx::cli {

using arg_span = std::span<const std::string>;

// Parses, answers --help, runs the body, prints its error ("rlx-run tokenize: ...") and gives the
// exit code. program is what help and errors call the command.
int run_command(
    std::string_view program,
    const command_spec& spec,
    arg_span args,
    const std::function<result<int>(const arguments&)>& body
);
int report(std::string_view program, const error& e);

// What a command would print as its help: `run` is called with `args` and ends in run_command(),
// which hands the flags over instead of working. nullopt when it never gets there.
struct described {
    std::string program; // what help and errors call it
    command_spec spec;
};

std::optional<described> describe(int (*run)(arg_span), arg_span args);

// The command behind rlx-run <family> and rlx-<family>, by the task of the family's manifest.
struct family_command {
    std::string_view task, summary;
    int (*run)(std::string_view family, std::string_view program, arg_span args);
};

std::span<const family_command> family_commands();
// Runs it; RLX_UNSUPPORTED for a task that no command here is for.
int run_family(
    std::string_view family, std::string_view task, std::string_view program, arg_span args
);
// `task` may be one that no command is for: language models then.
described describe_family(std::string_view family, std::string_view task = "lm");

struct builtin {
    const char* name;
    const char* description;
    int (*run)(arg_span);
};

std::span<const builtin> builtin_commands();
// What rlx-run --help prints.
std::string top_help();

int cmd_run(arg_span args);
int cmd_auto(arg_span args);
int cmd_family(std::string_view family, std::string_view program, arg_span args);
int cmd_image_family(std::string_view family, std::string_view program, arg_span args);
int cmd_embed_family(std::string_view family, std::string_view program, arg_span args);
int cmd_embed(arg_span args);
int cmd_chat(arg_span args);
int cmd_tokenize(arg_span args);
int cmd_render(arg_span args);
int cmd_logits(arg_span args);
int cmd_check(arg_span args);
int cmd_inspect(arg_span args);
int cmd_plugins(arg_span args);
int cmd_devices(arg_span args);
int cmd_env(arg_span args);
int cmd_help(arg_span args);

} // namespace rlx::cli
