// SPDX-License-Identifier: GPL-3.0-only
// Errors inside a plugin: error, status, result<T>, and their way across the wall. Works with and
// without exceptions. Part of the header-only SDK that is compiled into every plugin.
#pragma once

#include "rlx/sdk/text.hpp"

#include <cstddef>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#if !defined(__cpp_exceptions)
// Defined by rlx_guard.cpp when the build has it (rlx_add_plugin does), else null.
extern "C" __attribute__((weak, visibility("hidden"))) int
rlx_sdk_guard(void (*fn)(void*), void* arg, char* what, std::size_t size) noexcept;
#endif

namespace rlx::sdk {
inline namespace sdk_v1 {

// code is an RLX_* status. The message is lower case without a full stop and says what, where, what
// was expected and what to do.
struct [[nodiscard]] error {
    std::uint32_t code = RLX_INTERNAL;
    std::string message;

    // Adds context from outside: error{..., "no such key"}.within("loading qwen3").
    error within(std::string_view context) && {
        message.insert(0, std::string(context) + ": ");
        return std::move(*this);
    }
};

// fail(RLX_CORRUPT_DATA, "n_heads {} is no multiple of n_kv_heads {}", 9, 4)
template <class... Args>
error fail(std::uint32_t code, std::string_view pattern, const Args&... args) {
    return {code, format(pattern, args...)};
}

// A value or an error. Reading the wrong one is the plugin author's bug and traps.
template <class T>
class [[nodiscard]] result {
public:
    result(T value) : state_(std::in_place_index<0>, std::move(value)) {}

    template <class U>

    requires(std::is_convertible_v<U, T> && !std::is_same_v<std::remove_cvref_t<U>, T> && !std::is_same_v<std::remove_cvref_t<U>, sdk_v1::error> && !std::is_same_v<std::remove_cvref_t<U>, result>)
        result(U&& value)
        : state_(std::in_place_index<0>, std::forward<U>(value)) {}

    result(sdk_v1::error e) : state_(std::in_place_index<1>, std::move(e)) {}

    bool ok() const { return state_.index() == 0; }

    explicit operator bool() const { return ok(); }

    T& value() {
        if (!ok()) __builtin_trap();
        return *std::get_if<0>(&state_);
    }

    const T& value() const { return const_cast<result*>(this)->value(); }

    T& operator*() { return value(); }

    T* operator->() { return &value(); }

    sdk_v1::error& error() {
        if (ok()) __builtin_trap();
        return *std::get_if<1>(&state_);
    }

    const sdk_v1::error& error() const { return const_cast<result*>(this)->error(); }

private:
    std::variant<T, sdk_v1::error> state_;
};

// Success or an error.
template <>
class [[nodiscard]] result<void> {
public:
    result() = default;

    result(sdk_v1::error e) : error_(std::move(e)) {}

    bool ok() const { return !error_.has_value(); }

    explicit operator bool() const { return ok(); }

    sdk_v1::error& error() {
        if (!error_) __builtin_trap();
        return *error_;
    }

    const sdk_v1::error& error() const { return const_cast<result*>(this)->error(); }

private:
    std::optional<sdk_v1::error> error_;
};

using status = result<void>;

namespace detail {
// The table the entry received. The one piece of state a plugin keeps; set before anything else
// runs.
inline constinit const rlx_host* host_table = nullptr;
} // namespace detail

// Null only before the entry has run.
inline const rlx_host* host() {
    return detail::host_table;
}

// A new host error; the caller passes it on or frees it. Never null once the entry has run.
inline rlx_error* to_wall(std::uint32_t code, std::string_view message) {
    const rlx_host* h = host();
    return h ? h->error_new(h->ctx, code, str(message), nullptr) : nullptr;
}

inline rlx_error* to_wall(const error& e) {
    return to_wall(e.code, e.message);
}

// Takes ownership of e (not null).
inline error from_wall(rlx_error* e) {
    error out{host()->error_code(e), std::string(view(host()->error_message(e)))};
    host()->error_free(e);
    return out;
}

// The status of a host call: check(graph->output(g, name, v)).
inline status check(rlx_error* e) {
    if (e) return from_wall(e);
    return {};
}

namespace detail {

inline rlx_error* wall_result(rlx_error* e) {
    return e;
}

inline rlx_error* wall_result(error&& e) {
    return to_wall(e);
}

template <class T>
rlx_error* wall_result(result<T>&& r) {
    return r.ok() ? nullptr : to_wall(r.error());
}

template <class Fn>
rlx_error* call(Fn&& fn) {
    if constexpr (std::is_void_v<std::invoke_result_t<Fn>>) {
        fn();
        return nullptr;
    } else {
        return wall_result(fn());
    }
}

} // namespace detail

// Runs fn and turns everything that can come out of it (an error, an exception, bad_alloc) into
// what the wall takes: NULL for success, else a host error. Every generated table member goes
// through here. fn returns nothing, status, result<T>, error or rlx_error*.
template <class Fn>
rlx_error* guarded(Fn&& fn) noexcept {
#if defined(__cpp_exceptions)
    try {
        return detail::call(fn);
    } catch (const std::bad_alloc&) {
        return to_wall(RLX_OUT_OF_MEMORY, "out of memory inside the plugin");
    } catch (const std::exception& e) {
        return to_wall(RLX_PLUGIN_THREW, e.what());
    } catch (...) {
        return to_wall(RLX_PLUGIN_THREW, "the plugin threw something that is not a std::exception");
    }
#else
    if (!rlx_sdk_guard) return detail::call(fn); // memory that runs out ends the process

    struct task {
        std::remove_reference_t<Fn>* fn;
        rlx_error* out;
    } t{&fn, nullptr};

    char what[256] = "";
    const auto body = [](void* arg) {
        static_cast<task*>(arg)->out = detail::call(*static_cast<task*>(arg)->fn);
    };
    switch (rlx_sdk_guard(body, &t, what, sizeof what)) {
    case 0: return t.out;
    case 1: return to_wall(RLX_OUT_OF_MEMORY, "out of memory inside the plugin");
    default: return to_wall(RLX_PLUGIN_THREW, what);
    }
#endif
}

} // namespace sdk_v1
} // namespace rlx::sdk

// The same macros as the host's rlx/base/result.hpp; their text must stay equal, unit tests include
// both.

// The value of a result, or return its error from the calling function. May be nested.
#define RLX_TRY(expr) RLX_TRY_AS(RLX_UNIQUE(rlx_result_, __COUNTER__), expr)
#define RLX_TRY_AS(name, expr)                                                                     \
    __extension__({                                                                                \
        auto name = (expr);                                                                        \
        if (!name.ok()) return std::move(name.error());                                            \
        std::move(name.value());                                                                   \
    })

// Returns the error of a result<void> from the calling function.
#define RLX_CHECK(expr) RLX_CHECK_AS(RLX_UNIQUE(rlx_result_, __COUNTER__), expr)
#define RLX_CHECK_AS(name, expr)                                                                   \
    do {                                                                                           \
        auto name = (expr);                                                                        \
        if (!name.ok()) return std::move(name.error());                                            \
    } while (false)

#define RLX_UNIQUE(prefix, n) RLX_UNIQUE_(prefix, n)
#define RLX_UNIQUE_(prefix, n) prefix##n
