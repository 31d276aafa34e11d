// SPDX-License-Identifier: GPL-3.0-only
// The entry, and hosts of other ages.
#include "checks.hpp"
#include "driver.hpp"
#include "runner.hpp"

#include "rlx/base/wall.hpp"

#include <algorithm>
#include <functional>

namespace conformance {
namespace {

constexpr double part_timeout_s = 10; // of one host of many

// A plugin keeps what it learnt about its host, so every host gets a process. A failure names the
// host.
void with_new_process(const std::string& host, const std::function<void()>& part) {
    const outcome o = run_alone(
        [&] {
            part();
            check_host();
            return std::string();
        },
        part_timeout_s
    );
    if (o.what == verdict::failed) throw failed{host + ": " + o.why};
}

enum class must { work, survive };

// Enters and leads the whole life of every interface.
void live(const target& t, const host_config& config, must what) {
    subject s(t);
    const returned_error e = s.enter(config);
    if (what == must::work && e.code) throw failed{"the entry refuses: " + e.message};
    if (e.code || !s.answered() || !RLX_HAS(&s.table(), iface)) {
        if (what == must::work) throw failed{"the entry left no table"};
        return;
    }
    for (const auto& d : drivers_of(s)) {
        if (!d->missing_members().empty()) continue;
        try {
            const life_result r = d->life();
            if (what == must::work && !r.ok())
                throw failed{d->name() + " " + r.where + ": " + r.error.message};
        } catch (const skipped&) {
        } catch (const failed& f) {
            // A host like this may give wrong results; it must not bring anything down.
            if (what == must::work || f.why.starts_with("an exception")) throw;
        }
    }
    s.quiesce();
}

std::string number(std::uint64_t n) {
    return std::to_string(n);
}

// Sizes of ABI 1.0, which no host and no plugin ever goes below.
const std::map<std::string, std::uint32_t>& released_bytes() {
    static const std::map<std::string, std::uint32_t> bytes = {
        {"", 64},
        {"rlx.weights/1", 88},
        {"rlx.graph/1", 160},
        {"rlx.options/1", 56},
        {"rlx.par/1", 40}};
    return bytes;
}

std::string joined(const std::vector<std::string>& names) {
    std::string out;
    for (const auto& n : names)
        out += (out.empty() ? "'" : ", '") + n + "'";
    return out.empty() ? "none" : out;
}

// Users find things by the manifest, the host by what describe says.
void compare_names(driver& d, const std::vector<std::string>& in_manifest) {
    if (d.name() == "rlx.family/1" || d.name() == "rlx.backend/1") return;
    std::vector<std::string> in_code = d.names();
    std::ranges::sort(in_code);
    if (in_code != in_manifest)
        throw failed{
            d.name() + ": the manifest lists " + joined(in_manifest) + ", describe gives " +
            joined(in_code)};
}

} // namespace

std::string check_entry(const target& t) {
    subject s(t);
    const rlx_plugin first = [&] {
        s.start();
        return s.table();
    }();
    constexpr std::size_t least = offsetof(rlx_plugin, iface) + sizeof(first.iface);
    if (first.hdr.size < least || first.hdr.size > sizeof(rlx_plugin))
        throw failed{
            "the entry wrote a table of " + number(first.hdr.size) + " bytes, expected " +
            number(least) + " to " + number(sizeof(rlx_plugin))};
    if (first.hdr.major != RLX_ABI_MAJOR || first.hdr.minor > RLX_ABI_MINOR)
        throw failed{
            "the entry negotiated " + number(first.hdr.major) + "." + number(first.hdr.minor) +
            ", this host speaks up to " + number(RLX_ABI_MAJOR) + "." + number(RLX_ABI_MINOR)};
    s.start();
    if (s.table().self != first.self || s.table().iface != first.iface)
        throw failed{"the entry gives another table the second time"};
    s.quiesce();
    s.quiesce();
    check_host();
    return "ABI " + number(first.hdr.major) + "." + number(first.hdr.minor);
}

std::string check_stamp(const target& t) {
    subject s(t);
    s.start();
    const auto text = [](rlx_str v) { return v.p ? std::string(rlx::view(v)) : std::string(); };
    const std::string id = text(s.table().id), version = text(s.table().version);
    if (id == t.manifest.id && version == t.manifest.version) return id + " " + version;
    throw failed{
        "the manifest says " + t.manifest.id + " " + t.manifest.version + ", the code says " + id +
        " " + version + "; build it again"};
}

std::string check_interfaces(const target& t) {
    subject s(t);
    s.start();
    std::string seen;
    for (const std::string& name : claimed(t.manifest)) {
        const auto* hdr = static_cast<const rlx_hdr*>(s.iface(name));
        if (!hdr) throw failed{"the manifest claims it, but iface gives no " + name};
        if (hdr->size < sizeof(rlx_hdr) || hdr->size > 65536 || hdr->major != 1)
            throw failed{
                name + " has a header of " + number(hdr->size) + " bytes, version " +
                number(hdr->major) + "." + number(hdr->minor)};
        if (s.iface(name, UINT16_MAX))
            throw failed{name + " is answered although minor 65535 was asked for"};
        seen += (seen.empty() ? "" : ", ") + name;
    }
    for (const auto& d : drivers_of(s)) {
        const std::string missing = d->missing_members();
        if (!missing.empty()) throw failed{d->name() + " lacks" + missing};
        compare_names(*d, listed(t.manifest, d->name()));
    }
    for (const char* name :
         {"", "rlx.family", "rlx.family/2", "rlx.backend/11", "RLX.FAMILY/1", "no.such/1"})
        if (s.iface(name))
            throw failed{"iface answers the unknown name '" + std::string(name) + "'"};
    const void* none = call("iface of no name", [&] {
        return s.table().iface(s.table().self, rlx_str{nullptr, 0}, 0);
    });
    if (none) throw failed{"iface answers an empty name"};
    for (const char* name : known_interfaces()) {
        if (s.iface(name) && seen.find(name) == seen.npos)
            throw failed{
                "iface gives " + std::string(name) + ", which the manifest does not claim"};
    }
    check_host();
    return seen.empty() ? "none that this program knows" : seen;
}

std::string check_life(const target& t) {
    subject s(t);
    s.start({});
    std::string remark, reasons;
    for (const auto& d : drivers_of(s)) {
        if (!d->missing_members().empty())
            throw failed{d->name() + " lacks" + d->missing_members()};
        try {
            for (int i = 0; i < 3; i++) {
                const life_result r = d->life();
                if (!r.ok()) throw failed{d->name() + " " + r.where + ": " + r.error.message};
            }
            remark += (remark.empty() ? "" : ", ") + d->name();
        } catch (const skipped& skip) {
            reasons += (reasons.empty() ? "" : "; ") + d->name() + ": " + skip.why;
        }
    }
    check_host();
    if (remark.empty())
        throw skipped{reasons.empty() ? "it offers no interface that can be driven" : reasons};
    return remark + (reasons.empty() ? "" : "; not run: " + reasons);
}

std::string check_older_host(const target& t) {
    const bool needs_more = t.manifest.abi_min_minor > 0;
    with_new_process("a host of ABI 1.0", [&] {
        const host_config old{
            .minor = 0, .bytes = released_bytes(), .missing = {"rlx.io/1"}, .one_thread = true};
        if (!needs_more) return live(t, old, must::work);
        subject s(t);
        const returned_error e = s.enter(old);
        if (e.code != RLX_VERSION_MISMATCH)
            throw failed{
                "its manifest asks for ABI 1." +
                number(static_cast<std::uint64_t>(t.manifest.abi_min_minor)) +
                ", yet its entry does not refuse with RLX_VERSION_MISMATCH"};
    });
    int hosts = 1;
    std::map<std::string, std::uint32_t> all = service_bytes();
    all[""] = sizeof(rlx_host);
    for (const auto& [name, bytes] : all) {
        for (std::uint32_t cut = sizeof(rlx_hdr); cut < bytes; cut += sizeof(void*)) {
            const std::string what =
                (name.empty() ? "rlx_host" : name) + " of " + number(cut) + " bytes";
            with_new_process("a host with " + what, [&] {
                live(t, {.minor = 0, .bytes = {{name, cut}}, .one_thread = true}, must::survive);
            });
            hosts++;
        }
    }
    return number(static_cast<std::uint64_t>(hosts)) + " hosts";
}

std::string check_missing_services(const target& t) {
    std::set<std::string> all;
    for (const auto& [name, bytes] : service_bytes()) {
        all.insert(name);
        with_new_process("a host without " + name, [&, name = name] {
            live(t, {.missing = {name}, .one_thread = true}, must::survive);
        });
    }
    with_new_process("a host without any service", [&] {
        live(t, {.missing = all, .one_thread = true}, must::survive);
    });
    return {};
}

std::string check_newer_host(const target& t) {
    for (const std::uint16_t minor : {RLX_ABI_MINOR + 1, 65535}) {
        with_new_process("a host of ABI 1." + number(minor), [&] {
            const host_config config{.minor = minor, .unknown = 256, .one_thread = true};
            {
                subject s(t);
                const returned_error e = s.enter(config, 4096);
                if (e.code) throw failed{"the entry refuses: " + e.message};
                if (s.table().hdr.minor == minor)
                    throw failed{
                        "the entry claims minor " + number(minor) + ", which it cannot know"};
                if (s.table().hdr.size > 1024)
                    throw failed{
                        "the entry claims to have filled " + number(s.table().hdr.size) +
                        " bytes, more than it can know"};
            }
            live(t, config, must::work);
        });
    }
    return {};
}

std::string check_foreign_major(const target& t) {
    struct version {
        std::uint16_t major, minor;
    };

    // The minor of another major says nothing.
    for (const version v :
         {version{0, 0}, {0, RLX_ABI_MINOR}, {2, 0}, {2, RLX_ABI_MINOR}, {65535, 65535}}) {
        with_new_process("a host of ABI " + number(v.major) + "." + number(v.minor), [&] {
            subject s(t);
            const returned_error e = s.enter({.major = v.major, .minor = v.minor});
            if (e.code == RLX_VERSION_MISMATCH || (!e.code && !s.answered())) return;
            if (e.code)
                throw failed{
                    "the entry refuses with code " + number(e.code) +
                    ", expected RLX_VERSION_MISMATCH"};
            throw failed{"the entry starts, expected RLX_VERSION_MISMATCH"};
        });
    }
    return {};
}

std::string check_short_table(const target& t) {
    for (std::uint32_t bytes = 0; bytes < sizeof(rlx_plugin); bytes += 4) {
        with_new_process("a host that takes " + number(bytes) + " bytes of rlx_plugin", [&] {
            subject s(t);
            s.enter({.one_thread = true}, bytes);
        });
    }
    return {};
}

} // namespace conformance
