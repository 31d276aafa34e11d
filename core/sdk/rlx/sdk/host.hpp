// SPDX-License-Identifier: GPL-3.0-only
// What a plugin may ask of its host: service tables, log, options, the thread team. Part of the
// header-only SDK that is compiled into every plugin.
#pragma once

#include "rlx/abi/backend.h"
#include "rlx/abi/family.h"
#include "rlx/abi/graph.h"
#include "rlx/abi/services.h"
#include "rlx/abi/weights.h"
#include "rlx/sdk/error.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

namespace rlx::sdk {
inline namespace sdk_v1 {

// Name of the interface a table type belongs to.
template <class Table>
inline constexpr const char* service_name = nullptr;
template <>
inline constexpr const char* service_name<rlx_weights_v1> = "rlx.weights/1";
template <>
inline constexpr const char* service_name<rlx_graph_v1> = "rlx.graph/1";
template <>
inline constexpr const char* service_name<rlx_options_v1> = "rlx.options/1";
template <>
inline constexpr const char* service_name<rlx_par_v1> = "rlx.par/1";

// Bytes of the table as first released; what wrappers may use without asking. 0: they ask.
template <class Table>
inline constexpr std::size_t first_bytes = 0;
template <>
inline constexpr std::size_t first_bytes<rlx_weights_v1> =
    offsetof(rlx_weights_v1, release) + sizeof(void*);
template <>
inline constexpr std::size_t first_bytes<rlx_graph_v1> =
    offsetof(rlx_graph_v1, dim_range) + sizeof(void*);
template <>
inline constexpr std::size_t first_bytes<rlx_options_v1> =
    offsetof(rlx_options_v1, set_str) + sizeof(void*);
template <>
inline constexpr std::size_t first_bytes<rlx_par_v1> =
    offsetof(rlx_par_v1, barrier) + sizeof(void*);

// The host's table of that type, or null when this host has none. Asked once, then cached. [any
// thread]
template <class Table>
const Table* service() {
    static std::atomic<const Table*> cache = nullptr;
    const Table* table = cache.load(std::memory_order_acquire);
    if (!table && host()) {
        table = static_cast<const Table*>(host()->iface(host()->ctx, str(service_name<Table>), 0));
        if (table && table->hdr.size < first_bytes<Table>) table = nullptr;
        cache.store(table, std::memory_order_release);
    }
    return table;
}

// RLX_VERSION_MISMATCH naming the service when this host lacks it. The generated tables call this
// before anything of the author's runs, so wrappers may use service<T>() unchecked.
template <class... Tables>
status need() {
    std::string missing;
    (
        [&] {
            if (!service<Tables>()) missing += format(" {}", service_name<Tables>);
        }(),
        ...
    );
    if (missing.empty()) return {};
    return fail(
        RLX_VERSION_MISMATCH, "this host does not offer the services this plugin needs:{}", missing
    );
}

template <class... Args>
void log(
    std::uint32_t level, std::string_view component, std::string_view pattern, const Args&... args
) {
    if (!RLX_HAS(host(), log)) return;
    host()->log(host()->ctx, level, str(component), str(format(pattern, args...)));
}

// Read-only view of a key/value bag; a null bag is an empty one. Borrowed: valid during the call.
class options_view {
public:
    options_view(const rlx_options* o = nullptr) : o_(o) {}

    const rlx_options* raw() const { return o_; }

    // Absent key: no value. A value of another kind is an error naming the key.
    result<std::optional<std::int64_t>> i64(std::string_view key) const {
        return get<std::int64_t>(&rlx_options_v1::get_i64, key);
    }

    result<std::optional<double>> f64(std::string_view key) const {
        return get<double>(&rlx_options_v1::get_f64, key);
    }

    // The text is borrowed until the bag is changed or freed.
    result<std::optional<std::string_view>> text(std::string_view key) const {
        auto s = get<rlx_str>(&rlx_options_v1::get_str, key);
        if (!s.ok()) return std::move(s.error());
        if (!s->has_value()) return std::optional<std::string_view>();
        return std::optional<std::string_view>(view(**s));
    }

    result<std::int64_t> i64_or(std::string_view key, std::int64_t otherwise) const {
        return RLX_TRY(i64(key)).value_or(otherwise);
    }

    result<double> f64_or(std::string_view key, double otherwise) const {
        return RLX_TRY(f64(key)).value_or(otherwise);
    }

    result<std::string_view> text_or(std::string_view key, std::string_view otherwise) const {
        return RLX_TRY(text(key)).value_or(otherwise);
    }

private:
    template <class T, class Getter>
    result<std::optional<T>> get(Getter getter, std::string_view key) const {
        if (!o_) return std::optional<T>();
        RLX_CHECK(need<rlx_options_v1>());
        T value{};
        std::uint32_t found = 0;
        RLX_CHECK(check((service<rlx_options_v1>()->*getter)(o_, str(key), &value, &found)));
        return found ? std::optional<T>(value) : std::optional<T>();
    }

    const rlx_options* o_;
};

// Fills a key/value bag. The first failure sticks: out.set("a", 1).set("b", "x"); return
// out.done();
class options_writer {
public:
    options_writer(rlx_options* o) : o_(o) {}

    rlx_options* raw() const { return o_; }

    options_writer& set(std::string_view key, std::string_view value) {
        return put([&](const rlx_options_v1& t) { return t.set_str(o_, str(key), str(value)); });
    }

    options_writer& set(std::string_view key, const char* value) {
        return set(key, std::string_view(value));
    }

    template <class T>

    requires(std::is_arithmetic_v<T>) options_writer& set(std::string_view key, T value) {
        return put([&](const rlx_options_v1& t) {
            if constexpr (std::is_floating_point_v<T>) {
                return t.set_f64(o_, str(key), static_cast<double>(value));
            } else {
                return t.set_i64(o_, str(key), static_cast<std::int64_t>(value));
            }
        });
    }

    status done() { return std::move(status_); }

private:
    template <class Fn>
    options_writer& put(Fn&& fn) {
        if (!status_.ok()) return *this;
        if (!o_) {
            status_ = fail(RLX_INVALID_ARGUMENT, "no options to write to");
        } else if (status have = need<rlx_options_v1>(); !have.ok()) {
            status_ = std::move(have);
        } else {
            status_ = check(fn(*service<rlx_options_v1>()));
        }
        return *this;
    }

    rlx_options* o_;
    status status_;
};

// A key/value bag of the plugin's own, for calls that take one. Move-only; ends with the object.
// [one thread per object]
class options {
public:
    // RLX_VERSION_MISMATCH on a host whose rlx.options/1 has minor 0.
    static result<options> create() {
        const rlx_options_v1* table = service<rlx_options_v1>();
        if (!RLX_HAS(table, create) || !RLX_HAS(table, destroy))
            return fail(RLX_VERSION_MISMATCH, "this host makes no options (rlx.options/1 minor 1)");
        options out;
        RLX_CHECK(check(table->create(&out.bag_)));
        return out;
    }

    options(options&& other) noexcept : bag_(std::exchange(other.bag_, nullptr)) {}

    options& operator=(options&& other) noexcept {
        std::swap(bag_, other.bag_);
        return *this;
    }

    ~options() {
        if (bag_) service<rlx_options_v1>()->destroy(bag_);
    }

    // Borrowed: valid while this object lives and is not moved from.
    rlx_options* raw() const { return bag_; }

    options_view read() const { return {bag_}; }

    options_writer write() { return {bag_}; }

private:
    options() = default;

    rlx_options* bag_ = nullptr;
};

// Threads of the host's team; 1 on a host without one.
inline std::uint32_t team_size() {
    const rlx_par_v1* par = service<rlx_par_v1>();
    return par ? par->threads(par->ctx) : 1;
}

// A running parallel region, as one of its threads sees it.
struct team {
    std::uint32_t thread;
    std::uint32_t n_threads;
    void* handle;

    void barrier() const {
        if (n_threads > 1) service<rlx_par_v1>()->barrier(handle);
    }
};

// fn(team) on every thread of the host's team; returns when all have returned. fn must not throw.
template <class Fn>
void parallel(Fn&& fn) {
    using body = std::remove_reference_t<Fn>;
    const rlx_par_v1* par = service<rlx_par_v1>();
    if (!par) return fn(team{0, 1, nullptr});
    par->run(
        par->ctx,
        [](void* arg, std::uint32_t thread, std::uint32_t n, void* handle) noexcept {
            (*static_cast<body*>(arg))(team{thread, n, handle});
        },
        const_cast<void*>(static_cast<const void*>(&fn))
    );
}

} // namespace sdk_v1
} // namespace rlx::sdk
