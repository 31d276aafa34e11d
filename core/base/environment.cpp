// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/base/environment.hpp"

#include <charconv>
#include <cstdlib>
#include <string>
#include <sys/auxv.h>
#include <unistd.h>

namespace rlx {
namespace {

std::filesystem::path under(env_name base, const char* home_relative) {
    if (auto p = env_path(base); p && p->is_absolute())
        return *p; // relative XDG paths are invalid by the spec
    if (auto home = env_path("HOME")) return *home / home_relative;
    return {};
}

std::filesystem::path join(const std::filesystem::path& base, const char* name) {
    return base.empty() ? base : base / name;
}

} // namespace

bool env_is_secure() {
    return ::getauxval(AT_SECURE) != 0;
}

std::optional<std::string_view> env_value(const env_var& var) {
    if (var.trusted && env_is_secure()) return std::nullopt;
    const char* value = std::getenv(var.name.data());
    if (!value || !*value) return std::nullopt;
    return std::string_view(value);
}

std::optional<std::string_view> env_string(env_name name) {
    return env_value(env_vars[name.index]);
}

result<std::optional<std::int64_t>> env_int(env_name name) {
    auto text = env_string(name);
    if (!text) return std::optional<std::int64_t>();
    std::int64_t value = 0;
    auto [end, fail] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (fail != std::errc() || end != text->data() + text->size()) {
        return error{
            RLX_INVALID_ARGUMENT,
            "environment variable " + std::string(env_vars[name.index].name) + "='" +
                std::string(*text) + "': expected a whole number"};
    }
    return std::optional(value);
}

bool env_flag(env_name name) {
    auto text = env_string(name);
    return text && *text != "0" && *text != "false" && *text != "no" && *text != "off";
}

std::optional<std::filesystem::path> env_path(env_name name) {
    auto text = env_string(name);
    if (!text) return std::nullopt;
    return std::filesystem::path(*text);
}

std::vector<std::filesystem::path> env_paths(env_name name) {
    std::vector<std::filesystem::path> out;
    std::string_view rest = env_string(name).value_or("");
    while (!rest.empty()) {
        std::size_t end = rest.find(':');
        if (std::string_view part = rest.substr(0, end); !part.empty()) out.emplace_back(part);
        rest = end == rest.npos ? std::string_view() : rest.substr(end + 1);
    }
    return out;
}

char** env_for_child() {
    return environ;
}

std::filesystem::path cache_dir() {
    if (auto p = env_path("RLX_CACHE_DIR")) return *p;
    return join(under("XDG_CACHE_HOME", ".cache"), "rlx");
}

std::filesystem::path data_dir() {
    return join(under("XDG_DATA_HOME", ".local/share"), "rlx");
}

std::filesystem::path hf_hub_cache() {
    if (auto p = env_path("HF_HUB_CACHE")) return *p;
    if (auto p = env_path("HF_HOME")) return *p / "hub";
    return join(join(under("XDG_CACHE_HOME", ".cache"), "huggingface"), "hub");
}

} // namespace rlx
