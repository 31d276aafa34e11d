// SPDX-License-Identifier: GPL-3.0-only
// Compile profiles: how a family's graphs are compiled, from <family>.rlx.toml beside the weights.
// Every key: docs/profiles.md. A missing file means the preset of the family's task; anything wrong
// with a file that is there is an error with file and line, never a default.
#pragma once

#include "rlx/base/api.hpp"
#include "rlx/base/result.hpp"
#include "rlx/loader/loader.hpp"
#include "rlx/runtime/lm.hpp"

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace rlx {

// A value and where it was written; line 0 = not in the file.
template <class T>
struct profile_value {
    T value;
    int line = 0;

    bool given() const { return line > 0; }
};

struct compile_profile {
    struct backend_section {
        bool skip_fusion = false;
        bool unfuse_regions = false;
    };

    std::string source; // "preset lm", or the file's path

    // [fusion]
    profile_value<std::string> policy{"direct"}; // direct, fusable
    profile_value<std::string> target{"auto"};   // auto, or the name of the device
    profile_value<bool> assert_clean{false};
    profile_value<bool> skip{false};
    // [passes]
    profile_value<bool> dce{true};
    profile_value<bool> constant_folding{true};
    profile_value<bool> verbose{false};
    // [precision]
    profile_value<std::string> compute{""}; // "" (not said), f32, f16, bf16
    profile_value<std::string> mixed{""};   // "", none, auto
    // [backend.<name>]
    std::map<std::string, backend_section> backends;
    // [infer]
    profile_value<std::string> mode{"production"}; // production, parity

    bool from_file() const { return !source.starts_with("preset "); }
};

// `file` is the name messages use; `backends` are accepted as [backend.<name>] besides the names of
// the field (cpu, cuda, metal, mlx, rocm, tpu, vulkan, wgpu). RLX_CORRUPT_DATA, "file:line: what,
// what is allowed".
RLX_API result<compile_profile>
parse_profile(std::string_view text, std::string file, std::span<const std::string> backends = {});

// The built-in profile for a manifest's task ("lm", "embed", ...); every task has one.
RLX_API compile_profile preset_profile(std::string_view task);

// What a run of `weights` with this family uses. choice: "" = the file the manifest names
// ("profile", by default <family>.rlx.toml) in the folder of the weights if it is there; "none" =
// the preset; else a file, which must exist.
RLX_API result<compile_profile> find_profile(
    const provided& family,
    const std::filesystem::path& weights,
    std::string_view choice,
    const plugin_catalog& catalog
);

// What the caller asked for by flag or builder: it beats the profile.
struct explicit_choices {
    bool compute = false, kv = false;
};

// Writes the profile into the options of a run on `device`. RLX_UNSUPPORTED when the profile asks
// for another backend's rules.
RLX_API result<void> apply_profile(
    const compile_profile& profile,
    std::string_view device,
    const explicit_choices& given,
    lm_options& options
);

} // namespace rlx
