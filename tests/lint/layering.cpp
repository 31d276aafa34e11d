// SPDX-License-Identifier: GPL-3.0-only
// Who may include whom: cli -> facade -> plugins/loader -> core; families, ssm, backends ->
// core/abi + core/sdk.
#include "lint.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace lint {
namespace {

struct layer {
    std::string_view folder; // longest match owns a file
    std::string_view may;    // folders whose headers it may include, besides its own
};

constexpr std::string_view all_core =
    "core/abi core/base core/formats core/graph core/runtime core/text core/media";

constexpr std::array layers{
    layer{"core/abi", ""},
    layer{"core/sdk", "core/abi"},
    layer{"core/base", "core/abi"},
    layer{"core/formats", "core/abi core/base"},
    layer{"core/graph", "core/abi core/base core/formats"},
    layer{"core/text", "core/abi core/base core/formats"},
    layer{"core/media", "core/abi core/base"},
    layer{"core/runtime", "core/abi core/base core/formats core/graph core/text"},
    layer{"ssm", "core/abi core/sdk"},
    layer{"families", "core/abi core/sdk ssm"},
    layer{"plugins/backends", "core/abi core/sdk"},
    layer{"plugins/template-family", "core/abi core/sdk"},
    layer{"plugins/template-backend", "core/abi core/sdk"},
    layer{"plugins/template-c11", "core/abi"},
    layer{"plugins/template-command", "core/abi core/sdk"},
    layer{"plugins/template-op", "core/abi core/sdk"},
    layer{"plugins/template-weight-format", "core/abi core/sdk"},
    layer{"plugins/loader", all_core},
    layer{
        "facade",
        "plugins/loader core/abi core/base core/formats core/graph core/runtime core/text "
        "core/media"},
    layer{
        "cli",
        "facade plugins/loader core/abi core/base core/formats core/graph core/runtime core/text "
        "core/media"},
};

// Folders that hold an include root "rlx/".
constexpr std::array roots{
    "core/abi",
    "core/sdk",
    "core/base",
    "core/formats",
    "core/graph",
    "core/runtime",
    "core/text",
    "core/media",
    "plugins/loader",
    "facade",
    "cli",
    "ssm"};

constexpr std::array third_party{
    "fmt/",
    "nlohmann/",
    "cxxopts",
    "pcre2",
    "utf8proc",
    "toml",
    "gtest/",
    "gmock/",
    "benchmark/",
    "vulkan/",
    "shaderc",
    "sndfile",
    "png.h",
    "jpeglib",
    "curl/",
    "readline/"};

// What plugins may include besides the SDK and the standard library of their language: processor
// intrinsics, the system calls that memory, libraries opened at run time and caches on disk need,
// and the types of a driver that is opened at run time.
constexpr std::array system_headers{
    "immintrin.h",
    "cpuid.h",
    "unistd.h",
    "dlfcn.h",
    "sys/mman.h",
    "sys/syscall.h",
    "fcntl.h",
    "sys/stat.h",
    "vulkan/vulkan.h"};

constexpr std::array c_headers{
    "assert.h",
    "errno.h",
    "float.h",
    "inttypes.h",
    "limits.h",
    "math.h",
    "stdalign.h",
    "stdarg.h",
    "stdbool.h",
    "stddef.h",
    "stdint.h",
    "stdio.h",
    "stdlib.h",
    "string.h"};

// Sources that become plugins, the SDK among them: in-tree families and backends live by the rules
// of strangers.
bool is_plugin(std::string_view folder) {
    return folder == "core/sdk" || folder == "families" || folder == "plugins/backends" ||
           folder.starts_with("plugins/template-");
}

// <vector>: C++ headers have neither a dot nor a slash.
bool is_standard(std::string_view name) {
    return name.find_first_of("./") == name.npos ||
           std::find(c_headers.begin(), c_headers.end(), name) != c_headers.end();
}

const layer* layer_of(std::string_view path) {
    const layer* best = nullptr;
    for (const auto& l : layers) {
        const bool inside = path.starts_with(l.folder) && path.size() > l.folder.size() &&
                            path[l.folder.size()] == '/';
        if (inside && (!best || l.folder.size() > best->folder.size())) best = &l;
    }
    return best;
}

bool lists(std::string_view words, std::string_view word) {
    while (!words.empty()) {
        const auto end = std::min(words.find(' '), words.size());
        if (words.substr(0, end) == word) return true;
        words.remove_prefix(std::min(end + 1, words.size()));
    }
    return false;
}

bool is_public(std::string_view path) {
    return path.find("/rlx/") != path.npos && (path.ends_with(".hpp") || path.ends_with(".h"));
}

struct include_line {
    std::string_view name; // empty: a macro, include_next, a line that goes on
    bool quoted = false;
};

std::optional<include_line> parse_include(std::string_view line) {
    const auto skip = [&] { // blanks and comments
        for (;;) {
            line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
            if (!line.starts_with("/*")) return;
            const auto end = line.find("*/", 2);
            line.remove_prefix(end == line.npos ? line.size() : end + 2);
        }
    };
    skip();
    if (!line.starts_with('#') && !line.starts_with("%:")) return std::nullopt;
    line.remove_prefix(line[0] == '#' ? 1 : 2);
    skip();
    if (line.starts_with("import")) return include_line{};
    if (!line.starts_with("include")) return std::nullopt;
    line.remove_prefix(7);
    skip();
    if (line.empty() || (line[0] != '"' && line[0] != '<')) return include_line{};
    const bool quoted = line[0] == '"';
    const auto end = line.find(quoted ? '"' : '>', 1);
    if (end == line.npos) return include_line{};
    return include_line{line.substr(1, end - 1), quoted};
}

// "config.hpp": beside the file, or below the folder of the family, backend or template it is in.
bool is_own_header(const source_file& f, const layer& own, const fs::path& root, fs::path name) {
    const fs::path file = f.path;
    if (fs::exists(root / file.parent_path() / name)) return true;
    fs::path top = own.folder;
    if (!own.folder.starts_with("plugins/template-"))
        top /= *file.lexically_relative(own.folder).begin();
    return fs::exists(root / top / name);
}

// Why this include is wrong, or empty.
std::string
judge(const source_file& f, const layer& own, const include_line& inc, const fs::path& root) {
    const std::string name(inc.name);
    if (name.empty()) {
        if (!is_plugin(own.folder)) return {};
        return "a plugin spells out on one line what it includes";
    }
    for (const char* prefix : third_party) {
        if (!name.starts_with(prefix)) continue;
        if (is_public(f.path)) return "a public header must not include " + name;
        if (own.folder == "families" || own.folder == "ssm")
            return "a family must not include " + name;
    }
    if (name.find("..") != name.npos) {
        const fs::path target = (fs::path(f.path).parent_path() / name).lexically_normal();
        if (layer_of(target.generic_string()) == &own) return {};
        return name + " leads out of " + std::string(own.folder) +
               "; include from the include root";
    }
    if (!name.starts_with("rlx/")) {
        const bool allowed =
            (inc.quoted ? is_own_header(f, own, root, name) : is_standard(name)) ||
            std::find(system_headers.begin(), system_headers.end(), name) != system_headers.end();
        if (!allowed && is_plugin(own.folder))
            return "a plugin includes rlx/sdk.hpp, rlx/sdk/*, rlx/abi/*, its own headers and the "
                   "standard "
                   "library, not " +
                   name;
        return {};
    }
    for (const char* folder : roots) {
        if (!fs::exists(root / folder / name)) continue;
        if (own.folder == folder || lists(own.may, folder)) return {};
        return std::string(own.folder) + " must not include " + name + " of " + folder;
    }
    return {};
}

} // namespace

findings check_includes(const source_file& f, const fs::path& root) {
    findings out;
    const layer* own = layer_of(f.path);
    if (!own || !f.is_cpp() || f.is_test()) return out;
    std::string_view rest = f.text;
    for (std::size_t number = 1; !rest.empty(); number++) {
        const auto end = std::min(rest.find('\n'), rest.size());
        if (const auto inc = parse_include(rest.substr(0, end))) {
            if (auto why = judge(f, *own, *inc, root); !why.empty()) {
                out.push_back({"layering", f.path + ":" + std::to_string(number), std::move(why)});
            }
        }
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return out;
}

} // namespace lint
