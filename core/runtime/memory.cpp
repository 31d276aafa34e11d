// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/runtime/memory.hpp"

#include <charconv>
#include <fstream>
#include <optional>
#include <string_view>

namespace rlx {
namespace {

namespace fs = std::filesystem;

std::optional<std::uint64_t> parse_number(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    std::uint64_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc() || end == text.data()) return std::nullopt;
    return value;
}

std::optional<std::uint64_t> read_number(const fs::path& file) {
    std::ifstream in(file);
    std::string line;
    if (!std::getline(in, line)) return std::nullopt;
    return parse_number(line); // "max" is no number: no limit
}

// The number after `key` in a file of "key value" lines.
std::optional<std::uint64_t> read_field(const fs::path& file, std::string_view key) {
    std::ifstream in(file);
    std::string line;
    while (std::getline(in, line))
        if (line.starts_with(key)) return parse_number(std::string_view(line).substr(key.size()));
    return std::nullopt;
}

struct cgroup_files {
    std::string_view limit, usage, cache_active, cache_inactive;
};

constexpr cgroup_files v2 = {"memory.max", "memory.current", "active_file ", "inactive_file "};
constexpr cgroup_files v1 = {
    "memory.limit_in_bytes", "memory.usage_in_bytes", "total_active_file ", "total_inactive_file "};

// Lowers `out` by the limits of `group` and all groups above it, up to `mount`.
void apply_groups(
    const fs::path& mount, fs::path group, const cgroup_files& names, available_memory& out
) {
    while (true) {
        const fs::path dir = mount / group.relative_path();
        const auto limit = read_number(dir / names.limit);
        const auto usage = read_number(dir / names.usage);
        if (limit && usage) {
            const std::uint64_t cache =
                read_field(dir / "memory.stat", names.cache_active).value_or(0) +
                read_field(dir / "memory.stat", names.cache_inactive).value_or(0);
            const std::uint64_t held = *usage > cache ? *usage - cache : 0;
            const std::uint64_t left = *limit > held ? *limit - held : 0;
            if (left < out.bytes) out = {left, (dir / names.limit).string()};
        }
        if (!group.has_relative_path()) return;
        group = group.parent_path();
    }
}

} // namespace

available_memory memory_available(const fs::path& root) {
    available_memory out;
    if (const auto kib = read_field(root / "proc/meminfo", "MemAvailable:"))
        out = {*kib * 1024, "MemAvailable"};
    std::ifstream groups(root / "proc/self/cgroup");
    std::string line; // hierarchy:controllers:path
    while (std::getline(groups, line)) {
        const std::size_t first = line.find(':');
        const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
        // Inside a container the path may be one of the host that is not mounted here; the groups
        // that can be seen are used.
        const fs::path path = line.substr(second + 1);
        if (controllers == ",,") apply_groups(root / "sys/fs/cgroup", path, v2, out);
        if (controllers.find(",memory,") != std::string::npos)
            apply_groups(root / "sys/fs/cgroup/memory", path, v1, out);
    }
    return out;
}

} // namespace rlx
