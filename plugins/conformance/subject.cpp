// SPDX-License-Identifier: GPL-3.0-only
#include "subject.hpp"

#include "checks.hpp"
#include "loan.hpp"
#include "rlx/base/wall.hpp"

#include <algorithm>
#include <cstring>
#include <dlfcn.h>
#include <vector>

namespace conformance {

subject::subject(const target& t) : target_(t) {
    stage(loading_stage);
    // Drivers may have helpers of their own.
    if (!opens_libraries(t)) forbid_processes();
    void* handle = nullptr;
    {
        const plugin_scope plugin; // its constructors
        handle = ::dlopen(t.file.c_str(), RTLD_NOW | RTLD_LOCAL);
    }
    if (!handle) throw failed{std::string("the system's loader refuses it: ") + ::dlerror()};
    void* symbol = ::dlsym(handle, RLX_PLUGIN_ENTRY_SYMBOL);
    if (!symbol) throw failed{"it exports no " RLX_PLUGIN_ENTRY_SYMBOL};
    entry_ = reinterpret_cast<rlx_plugin_entry_fn>(symbol);
    if (opens_libraries(t) && !judge_callers(symbol))
        throw failed{"its code is nowhere in memory: its allocations cannot be told from others"};
}

returned_error subject::enter(const host_config& config, std::uint32_t table_bytes) {
    constexpr std::size_t canaries = 64;
    const std::size_t room = std::max<std::size_t>(table_bytes, sizeof(rlx_hdr));
    std::vector<std::byte> memory(room + canaries, std::byte{0x5a});
    std::fill_n(memory.begin(), room, std::byte{0});
    auto* out = reinterpret_cast<rlx_plugin*>(memory.data());
    out->hdr.size = table_bytes;
    const rlx_host* host = make_host(config);
    rlx_error* e = call("the entry", [&] { return entry_(host, out); });
    if (std::any_of(memory.end() - canaries, memory.end(), [](std::byte b) {
            return b != std::byte{0x5a};
        })) {
        throw failed{
            "the entry wrote behind the " + std::to_string(table_bytes) +
            " bytes of the table it was given"};
    }
    if (e) return take(e);
    table_ = {};
    std::memcpy(&table_, memory.data(), std::min(room, sizeof table_));
    if (answered() && table_.hdr.size > table_bytes) {
        throw failed{
            "the entry claims to have written " + std::to_string(table_.hdr.size) +
            " bytes of a table of " + std::to_string(table_bytes)};
    }
    return {};
}

void subject::start(host_config config) {
    const returned_error e = enter(config);
    if (e.code) throw failed{"the entry refuses today's host: " + e.message};
    if (!RLX_HAS(&table_, iface)) throw failed{"the entry left a table without iface"};
}

const void* subject::iface(const std::string& name, std::uint16_t min_minor) const {
    return call("iface of " + name, [&] {
        return table_.iface(table_.self, rlx::str(name), min_minor);
    });
}

void subject::quiesce() const {
    if (RLX_HAS(&table_, quiesce)) call("quiesce", [&] { table_.quiesce(table_.self); });
}

void check_host() {
    if (!host_complaint().empty()) throw failed{host_complaint()};
}

} // namespace conformance
