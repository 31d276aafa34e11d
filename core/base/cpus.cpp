// SPDX-License-Identifier: GPL-3.0-only
// How many threads make sense here: affinity, physical cores, cgroup quota.
#include "rlx/base/mmap.hpp"
#include "rlx/base/threads.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <sched.h>
#include <set>
#include <string>
#include <string_view>
#include <thread>

namespace rlx {
namespace {

using path = std::filesystem::path;

std::optional<std::string> small_file(const path& file) {
    auto text = read_virtual_file(file);
    if (!text.ok()) return std::nullopt;
    while (!text->empty() && text->back() == '\n')
        text->pop_back();
    return std::move(*text);
}

std::optional<double> number(std::string_view s) {
    double v = 0;
    auto [end, fail] = std::from_chars(s.data(), s.data() + s.size(), v);
    if (fail != std::errc() || end == s.data()) return std::nullopt;
    return v;
}

std::optional<double> number_file(const path& file) {
    auto text = small_file(file);
    return text ? number(*text) : std::nullopt;
}

std::uint32_t whole_cpus(double quota, double period) {
    double cpus = quota / period;
    if (!(cpus > 0)) return 0;
    auto whole = static_cast<std::uint32_t>(std::min(cpus, 1e6));
    return std::max<std::uint32_t>(1, whole < cpus ? whole + 1 : whole);
}

// "max 100000" or "250000 100000".
std::uint32_t quota_v2(const path& dir) {
    auto text = small_file(dir / "cpu.max");
    if (!text) return 0;
    std::size_t space = text->find(' ');
    if (space == text->npos) return 0;
    auto quota = number(std::string_view(*text).substr(0, space));
    auto period = number(std::string_view(*text).substr(space + 1));
    return quota && period && *period > 0 ? whole_cpus(*quota, *period) : 0;
}

std::uint32_t quota_v1(const path& dir) {
    auto quota = number_file(dir / "cpu.cfs_quota_us");
    auto period = number_file(dir / "cpu.cfs_period_us");
    return quota && period && *quota > 0 && *period > 0 ? whole_cpus(*quota, *period) : 0;
}

std::uint32_t smaller(std::uint32_t a, std::uint32_t b) {
    return a == 0 ? b : b == 0 ? a : std::min(a, b);
}

// The quota of a group is also bounded by its ancestors. Inside a container the group's path may
// not exist under the mount; the mount's own top then is the container's group.
std::uint32_t
quota_along(const path& mount, const path& group, std::uint32_t (*read)(const path&)) {
    std::uint32_t out = read(mount);
    path dir = mount;
    for (const path& part : group.relative_path()) {
        if (part == ".." || part.empty()) return out;
        dir /= part;
        out = smaller(out, read(dir));
    }
    return out;
}

bool lists_cpu(std::string_view controllers) {
    while (!controllers.empty()) {
        std::size_t end = controllers.find(',');
        if (controllers.substr(0, end) == "cpu") return true;
        controllers = end == controllers.npos ? std::string_view() : controllers.substr(end + 1);
    }
    return false;
}

// Lines of /proc/self/cgroup: "0::/user.slice" (v2), "4:cpu,cpuacct:/docker/x" (v1).
std::uint32_t cgroup_quota(const path& root) {
    const path mounts = root / "sys/fs/cgroup";
    std::string text = small_file(root / "proc/self/cgroup").value_or("");
    std::string_view rest = text;
    std::uint32_t out = 0;
    while (!rest.empty()) {
        std::string_view line = rest.substr(0, rest.find('\n'));
        rest = line.size() == rest.size() ? std::string_view() : rest.substr(line.size() + 1);
        std::size_t a = line.find(':');
        std::size_t b = a == line.npos ? a : line.find(':', a + 1);
        if (b == line.npos) continue;
        std::string_view controllers = line.substr(a + 1, b - a - 1);
        path group(line.substr(b + 1));
        if (controllers.empty()) {
            out = smaller(out, quota_along(mounts, group, quota_v2));
            out = smaller(out, quota_along(mounts / "unified", group, quota_v2));
        } else if (lists_cpu(controllers)) {
            out = smaller(out, quota_along(mounts / controllers, group, quota_v1));
            out = smaller(out, quota_along(mounts / "cpu", group, quota_v1));
        }
    }
    return out;
}

std::uint32_t physical_cores(const path& root, std::span<const std::uint32_t> cpus) {
    std::set<std::string> cores; // one entry per distinct list of siblings
    for (std::uint32_t cpu : cpus) {
        std::string name = "cpu" + std::to_string(cpu);
        path topology = root / "sys/devices/system/cpu" / name / "topology";
        auto siblings = small_file(topology / "core_cpus_list");
        if (!siblings) siblings = small_file(topology / "thread_siblings_list");
        cores.insert(siblings ? *siblings : name);
    }
    return static_cast<std::uint32_t>(cores.size());
}

std::vector<std::uint32_t> allowed_cpus() {
    std::vector<std::uint32_t> out;
    for (std::size_t limit = 1024; limit <= 65536;
         limit *= 4) { // the kernel refuses a set smaller than its own
        cpu_set_t* set = CPU_ALLOC(limit);
        if (!set) break;
        std::size_t bytes = CPU_ALLOC_SIZE(limit);
        bool ok = ::sched_getaffinity(0, bytes, set) == 0;
        for (std::uint32_t i = 0; ok && i < limit; i++) {
            if (CPU_ISSET_S(i, bytes, set)) out.push_back(i);
        }
        CPU_FREE(set);
        if (ok) break;
    }
    return out;
}

} // namespace

std::uint32_t cpu_limits::threads() const {
    return std::clamp(smaller(smaller(affinity, cores), quota), std::uint32_t{1}, max_threads);
}

cpu_limits detect_cpus(const path& root, std::span<const std::uint32_t> cpus) {
    return {
        static_cast<std::uint32_t>(cpus.size()), physical_cores(root, cpus), cgroup_quota(root)};
}

cpu_limits detect_cpus() {
    std::vector<std::uint32_t> cpus = allowed_cpus();
    if (cpus.empty()) return {std::thread::hardware_concurrency(), 0, cgroup_quota("/")};
    return detect_cpus("/", cpus);
}

} // namespace rlx
