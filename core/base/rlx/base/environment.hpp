// SPDX-License-Identifier: GPL-3.0-only
// Every environment variable the project reads, in one table, and the only place that reads them. A
// name that is not in the table does not compile. Plugins never read the environment; they receive
// options.
#pragma once

#include "rlx/base/api.hpp"
#include "rlx/base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace rlx {

enum class env_type : std::uint8_t { string, integer, flag, path, path_list };

struct env_var {
    std::string_view name;
    env_type type;
    std::string_view fallback; // what unset means, for people
    std::string_view doc;
    bool trusted; // ignored in a set-user-id or otherwise privileged process (AT_SECURE)
};

inline constexpr env_var env_vars[] = {
    {"RLX_CPU",
     env_type::string,
     "best the machine has",
     "forces a kernel tier of the cpu backend: baseline, avx2, avx512, avx512_vnni, amx",
     false},
    {"RLX_THREADS",
     env_type::integer,
     "physical cores within affinity and cgroup quota",
     "number of threads that compute",
     false},
    {"RLX_PLUGIN_PATH",
     env_type::path_list,
     "",
     "directories searched for plugins before the installed ones",
     true},
    {"LD_LIBRARY_PATH",
     env_type::path_list,
     "",
     "the system's loader looks here for libraries; no plugin is loaded while a folder here is one "
     "that others may write to",
     true},
    {"RLX_LOG", env_type::string, "warn", "log level: error, warn, info, debug", false},
    {"RLX_CACHE_DIR",
     env_type::path,
     "$XDG_CACHE_HOME/rlx or ~/.cache/rlx",
     "where the plugin index is kept and `inspect scan` looks for models",
     true},
    {"RLX_DEVICE", env_type::string, "cpu", "default of --device", false},
    {"RLX_WEIGHTS_DIR",
     env_type::path,
     "",
     "directory in which a bare model name is looked up",
     true},
    {"RLX_WEIGHTS_PATHS",
     env_type::path_list,
     "",
     "more directories in which `inspect scan` looks",
     true},
    {"LM_STUDIO_MODELS",
     env_type::path,
     "~/.lmstudio/models",
     "model directory of LM Studio",
     true},
    {"OLLAMA_MODELS", env_type::path, "~/.ollama/models", "model directory of Ollama", true},
    {"LEMONADE_CACHE_DIR",
     env_type::path,
     "~/.cache/lemonade",
     "model directory of Lemonade",
     true},
    {"MLX_CACHE", env_type::path, "~/.cache/mlx", "model directory of MLX tools", true},
    {"VLLM_CACHE_ROOT", env_type::path, "~/.cache/vllm", "model directory of vLLM", true},
    {"NO_COLOR", env_type::flag, "0", "no colour in terminal output", false},
    {"CLICOLOR_FORCE", env_type::flag, "0", "colour even when the output is no terminal", false},
    {"TERM",
     env_type::string,
     "",
     "terminal type; 'dumb' means no colour and no line editing",
     false},
    {"HOME", env_type::path, "", "home directory", true},
    {"XDG_CACHE_HOME", env_type::path, "~/.cache", "base of cache directories", true},
    {"XDG_DATA_HOME",
     env_type::path,
     "~/.local/share",
     "base of user data; user plugins lie in rlx/plugins",
     true},
    {"XDG_STATE_HOME",
     env_type::path,
     "~/.local/state",
     "base of state files such as the chat history",
     true},
    {"HF_HOME", env_type::path, "$XDG_CACHE_HOME/huggingface", "Hugging Face home directory", true},
    {"HF_HUB_CACHE", env_type::path, "$HF_HOME/hub", "Hugging Face model cache", true},
};

// Index in env_vars of a name known at compile time.
struct env_name {
    std::size_t index;

    consteval env_name(const char* name) : index(0) {
        while (env_vars[index].name != name)
            index++; // past the end: the name is missing in the table
    }
};

// All getters: unset or empty is nullopt (env_flag: false; paths: none). A trusted variable in a
// privileged process is as good as unset. Views are borrowed until the environment changes. [any
// thread]
RLX_API std::optional<std::string_view> env_string(env_name name);
// RLX_INVALID_ARGUMENT naming the variable when it is no integer.
RLX_API result<std::optional<std::int64_t>> env_int(env_name name);
// True for anything but unset, empty, "0", "false", "no", "off".
RLX_API bool env_flag(env_name name);
RLX_API std::optional<std::filesystem::path> env_path(env_name name);
// A colon-separated list; empty parts are dropped.
RLX_API std::vector<std::filesystem::path> env_paths(env_name name);

// Effective value of an entry of env_vars, for `rlx-run env`.
RLX_API std::optional<std::string_view> env_value(const env_var& var);
// True when the process runs with more rights than its caller (AT_SECURE).
RLX_API bool env_is_secure();

// The environment as posix_spawn() hands it on; borrowed until it changes.
RLX_API char** env_for_child();

// RLX_CACHE_DIR, else $XDG_CACHE_HOME/rlx, else ~/.cache/rlx; empty when nothing is set.
RLX_API std::filesystem::path cache_dir();
// $XDG_DATA_HOME/rlx, else ~/.local/share/rlx; empty when nothing is set.
RLX_API std::filesystem::path data_dir();
// HF_HUB_CACHE, else $HF_HOME/hub, else $XDG_CACHE_HOME/huggingface/hub, else
// ~/.cache/huggingface/hub.
RLX_API std::filesystem::path hf_hub_cache();

} // namespace rlx
