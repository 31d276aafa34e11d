// SPDX-License-Identifier: GPL-3.0-only
// Manual pages and shell completion, made from the flags that parsing and --help use.
#pragma once

#include "args.hpp"

#include <string>
#include <vector>

namespace rlx::cli {

// A program or a command of it.
struct manual_entry {
    std::string program; // "rlx-run chat", "rlx-qwen3"
    command_spec spec;
    std::vector<manual_entry> below = {}; // commands, or subcommands of a command
    std::string task = {}; // not empty: stands for the families of this task, whatever their names

    bool is_family() const { return !task.empty(); }
};

// The word that selects an entry below another.
std::string_view word_of(const manual_entry& e);

// man(7) source. The page's name is the program with - for spaces.
std::string man_page(const manual_entry& e);
std::string page_name(const manual_entry& e);

// Scripts for one program. What plugins add (commands, devices) is asked of `rlx-run help --list`
// when the user presses the key.
std::string bash_completion(const manual_entry& program);
std::string zsh_completion(const manual_entry& program);
std::string fish_completion(const manual_entry& program);

} // namespace rlx::cli
