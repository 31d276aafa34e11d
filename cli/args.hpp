// SPDX-License-Identifier: GPL-3.0-only
// Arguments of one command, checked against its flags.
#pragma once

#include "flags.hpp"
#include "rlx/base/result.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rlx::cli {

// A first word that makes it another command with flags of its own.
struct subcommand {
    std::string name;
    std::string summary;
};

// What a command accepts and how its help reads.
struct command_spec {
    std::string name;
    std::string summary;
    std::string positional; // "<path>", empty = none; ends in "..." = any number
    std::vector<flag_group> groups;
    std::string notes = {}; // printed at the end of --help
    std::vector<subcommand> subcommands = {};
};

class arguments {
public:
    // Errors are RLX_INVALID_ARGUMENT: an unknown flag names its nearest match, a bad value what
    // was expected.
    static result<arguments> parse(const command_spec& spec, std::span<const std::string> args);

    bool has(std::string_view flag) const { return values_.contains(flag); }

    std::string text(std::string_view flag, std::string_view fallback = {}) const;
    std::int64_t integer(std::string_view flag, std::int64_t fallback) const;
    double number(std::string_view flag, double fallback) const;
    std::vector<std::string> all(std::string_view flag) const;

    const std::vector<std::string>& positional() const { return positional_; }

    // Sets a flag as if it had been given; `auto` injects --weights with it.
    void set(std::string_view flag, std::string value);

private:
    std::map<std::string, std::vector<std::string>, std::less<>> values_;
    std::vector<std::string> positional_;
};

std::string help_text(std::string_view program, const command_spec& spec);

// The candidate most like `word`, nullopt when none is close.
std::optional<std::string_view>
nearest(std::string_view word, std::span<const std::string_view> candidates);

} // namespace rlx::cli
