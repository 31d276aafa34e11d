// SPDX-License-Identifier: GPL-3.0-only
// RLX_PLUGIN(my_plugin): the one exported entry of a plugin, with version negotiation and tables
// made from classes. Part of the header-only SDK that is compiled into every plugin; needs the
// C++20 standard library only, works with -fno-exceptions.
//
//   struct my_plugin {
//       using family = my_family;               // "rlx.family/1", see rlx/sdk/table.hpp
//       using backend = my_device;              // "rlx.backend/1", see rlx/sdk/table.hpp
//       using ops = op_list<my_op>;             // "rlx.op/1", see rlx/sdk/op.hpp
//       using formats = format_list<my_format>; // "rlx.weight_format/1", see rlx/sdk/formats.hpp
//       using names = names_list<my_names>;     // "rlx.tensor_names/1", see rlx/sdk/formats.hpp
//       using commands = cli_list<my_command>;  // "rlx.cli/1", see rlx/sdk/cli.hpp
//       status init();           // runs once at load; an error refuses the load
//       void quiesce() noexcept; // stop own threads at process exit
//       // any other interface
//       const void* iface(std::string_view name, std::uint16_t min_minor) noexcept;
//       static constexpr std::uint16_t min_minor = 0; // oldest host minor it works with
//   }; // every member is optional
//   RLX_PLUGIN(my_plugin)
//
// The build defines RLX_PLUGIN_ID and RLX_PLUGIN_VERSION from the manifest (rlx_add_plugin does).
#pragma once

#include "rlx/sdk/cli.hpp"
#include "rlx/sdk/formats.hpp"
#include "rlx/sdk/op.hpp"
#include "rlx/sdk/table.hpp"

#include <cstddef>
#include <cstring>
#include <memory>

namespace rlx::sdk {
inline namespace sdk_v1 {
namespace detail {

// What the macro knows about the plugin.
struct plugin_stamp {
    std::string_view id;
    std::string_view version;
};

template <class Plugin>
constexpr std::uint16_t min_minor_of() {
    if constexpr (requires { Plugin::min_minor; }) {
        return Plugin::min_minor;
    } else {
        return 0;
    }
}

// One interface by name; every table of this SDK has minor 0.
template <class Plugin>
const void* plugin_iface(void* self, rlx_str name, std::uint16_t min_minor) noexcept {
    if constexpr (requires { typename Plugin::family; }) {
        if (view(name) == "rlx.family/1" && min_minor == 0) {
            return &family_table<typename Plugin::family>;
        }
    }
    if constexpr (requires { typename Plugin::backend; }) {
        if (view(name) == "rlx.backend/1" && min_minor == 0) {
            return &backend_table<typename Plugin::backend>;
        }
    }
    if constexpr (requires { typename Plugin::ops; }) {
        if (view(name) == "rlx.op/1" && min_minor == 0) return &op_table<typename Plugin::ops>;
    }
    if constexpr (requires { typename Plugin::formats; }) {
        if (view(name) == "rlx.weight_format/1" && min_minor == 0)
            return &weight_format_table<typename Plugin::formats>;
    }
    if constexpr (requires { typename Plugin::names; }) {
        if (view(name) == "rlx.tensor_names/1" && min_minor == 0)
            return &tensor_names_table<typename Plugin::names>;
    }
    if constexpr (requires { typename Plugin::commands; }) {
        if (view(name) == "rlx.cli/1" && min_minor == 0)
            return &cli_table<typename Plugin::commands>;
    }
    if constexpr (requires(Plugin & p) { p.iface(std::string_view(), min_minor); }) {
        return static_cast<Plugin*>(self)->iface(view(name), min_minor);
    }
    return nullptr;
}

template <class Plugin>
void plugin_quiesce(void* self) noexcept {
    if constexpr (requires(Plugin & p) { p.quiesce(); }) static_cast<Plugin*>(self)->quiesce();
}

// The instance lives as long as the process: nothing of a plugin is destroyed at exit.
template <class Plugin>
result<Plugin*> make_instance() {
    static Plugin* instance = nullptr;
    if (instance) return instance;
    auto made = std::make_unique<Plugin>();
    if constexpr (requires(Plugin & p) { p.init(); }) RLX_CHECK(made->init());
    instance = made.release();
    return instance;
}

template <class Plugin>
status fill(const rlx_host& h, const plugin_stamp& stamp, rlx_plugin* out) {
    constexpr std::uint16_t oldest = min_minor_of<Plugin>();
    if (h.hdr.major != RLX_ABI_MAJOR || h.hdr.minor < oldest) {
        return fail(
            RLX_VERSION_MISMATCH,
            "{} {} needs a host with ABI {}.{} or newer of major {}, this host speaks {}.{}",
            stamp.id,
            stamp.version,
            RLX_ABI_MAJOR,
            oldest,
            RLX_ABI_MAJOR,
            h.hdr.major,
            h.hdr.minor
        );
    }
    if (out->hdr.size < offsetof(rlx_plugin, iface) + sizeof out->iface) {
        return fail(
            RLX_VERSION_MISMATCH,
            "the host takes a plugin table of {} bytes, {} needs at least {}",
            out->hdr.size,
            stamp.id,
            offsetof(rlx_plugin, iface) + sizeof out->iface
        );
    }
    rlx_plugin table{};
    table.hdr.size = static_cast<std::uint32_t>(std::min<std::size_t>(out->hdr.size, sizeof table));
    table.hdr.major = RLX_ABI_MAJOR;
    table.hdr.minor = std::min<std::uint16_t>(h.hdr.minor, RLX_ABI_MINOR);
    table.self = RLX_TRY(make_instance<Plugin>());
    table.id = str(stamp.id);
    table.version = str(stamp.version);
    table.iface = plugin_iface<Plugin>;
    if constexpr (requires(Plugin & p) { p.quiesce(); }) table.quiesce = plugin_quiesce<Plugin>;
    std::memcpy(out, &table, table.hdr.size);
    return {};
}

// A host without working error functions, or no table at all, cannot even be told: the untouched
// table (major 0) is the refusal then.
inline bool can_report(const rlx_host* h) {
    return RLX_HAS(h, error_new) && RLX_HAS(h, error_code) && RLX_HAS(h, error_message) &&
           RLX_HAS(h, error_free) && RLX_HAS(h, iface);
}

template <class Plugin>
rlx_error* enter(const rlx_host* h, const plugin_stamp& stamp, rlx_plugin* out) noexcept {
    if (!can_report(h)) return nullptr;
    host_table = h;
    if (!out) return to_wall(RLX_INVALID_ARGUMENT, "the host passed no plugin table");
    return guarded([&] { return fill<Plugin>(*h, stamp, out); });
}

} // namespace detail
} // namespace sdk_v1
} // namespace rlx::sdk

// Emits the entry point for class Plugin. Once per plugin, in one source file, outside any
// namespace.
#define RLX_PLUGIN(Plugin)                                                                         \
    extern "C" __attribute__((visibility("default"))) rlx_error* rlx_plugin_entry_v1(              \
        const rlx_host* host, rlx_plugin* out                                                      \
    );                                                                                             \
    extern "C" rlx_error* rlx_plugin_entry_v1(const rlx_host* host, rlx_plugin* out) {             \
        return ::rlx::sdk::detail::enter<Plugin>(host, {RLX_PLUGIN_ID, RLX_PLUGIN_VERSION}, out);  \
    }
