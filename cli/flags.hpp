// SPDX-License-Identifier: GPL-3.0-only
// The one table of command-line flags. Parsing, --help, suggestions for typing errors, manual pages
// and shell completion all come from it.
#pragma once

#include <span>
#include <string_view>

namespace rlx::cli {

enum class flag_kind {
    toggle, // no value
    text,
    integer, // >= 0
    number,  // >= 0, decimal point allowed
};

struct flag {
    std::string_view name;
    char letter; // 0 = none
    flag_kind kind;
    std::string_view value;    // placeholder in the help, or the values to choose from: "f16|f32"
    std::string_view fallback; // default as people read it; empty = none
    std::string_view help;
    std::string_view alias_of = {}; // another spelling of that flag
};

// What a shell offers after the flag, from its placeholder: FILE and PATH are files, DIR
// directories, DEVICE what the plugins offer, "a|b" these words.
enum class completion { none, free, file, directory, device, words };

completion completion_of(const flag& f);

struct flag_group {
    std::string_view title;
    std::span<const flag> flags;
};

extern const flag_group general_flags;      // every command
extern const flag_group weights_flags;      // which checkpoint
extern const flag_group device_flags;       // where and how it computes
extern const flag_group image_device_flags; // those of them that are not about token sequences
extern const flag_group plugin_flags;       // where plugins are looked for
extern const flag_group prompt_flags;       // what the model is asked
extern const flag_group generate_flags;     // how much and how it answers
extern const flag_group output_flags;       // how the result is printed

// Flags of other tools and older versions that rlx knows but does not have: why, and what to do
// instead.
struct absent_flag {
    std::string_view name;
    std::string_view why;
};

std::span<const absent_flag> absent_flags();

} // namespace rlx::cli
