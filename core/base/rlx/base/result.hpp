// SPDX-License-Identifier: GPL-3.0-only
// result<T>: a value or an error. The only control-flow macros of the code base are RLX_TRY and
// RLX_CHECK. Inside the host; what crosses to plugins is rlx_error (rlx/base/wall.hpp).
#pragma once

#include "rlx/abi/abi.h"

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace rlx {

// code is an RLX_* status of rlx/abi/abi.h. The message is lower case without a full stop and says what,
// where, what was expected and what to do.
struct error {
    std::uint32_t code = RLX_INTERNAL;
    std::string message;

    // Adds context from outside: error{..., "no such file"}.within("loading qwen3").
    [[nodiscard]] error within(std::string_view context) && {
        message.insert(0, std::string(context) + ": ");
        return std::move(*this);
    }
};

template <class T>
class [[nodiscard]] result {
public:
    result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    result(rlx::error e) : state_(std::in_place_index<1>, std::move(e)) {}

    bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }

    // Wrong access is our bug and aborts.
    T& value() { return ok() ? *std::get_if<0>(&state_) : (std::abort(), *std::get_if<0>(&state_)); }
    const T& value() const { return const_cast<result*>(this)->value(); }
    T& operator*() { return value(); }
    const T& operator*() const { return value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    rlx::error& error() { return ok() ? (std::abort(), *std::get_if<1>(&state_)) : *std::get_if<1>(&state_); }
    const rlx::error& error() const { return const_cast<result*>(this)->error(); }

    result within(std::string_view context) && {
        return ok() ? std::move(*this) : result(std::move(error()).within(context));
    }

private:
    std::variant<T, rlx::error> state_;
};

template <>
class [[nodiscard]] result<void> {
public:
    result() = default;
    result(rlx::error e) : error_(std::move(e)) {}

    bool ok() const { return !error_; }
    explicit operator bool() const { return ok(); }
    rlx::error& error() { return error_ ? *error_ : (std::abort(), *error_); }
    const rlx::error& error() const { return const_cast<result*>(this)->error(); }
    result within(std::string_view context) && {
        return ok() ? result() : result(std::move(error()).within(context));
    }

private:
    std::optional<rlx::error> error_;
};

}  // namespace rlx

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
