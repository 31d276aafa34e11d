// SPDX-License-Identifier: GPL-3.0-only
// Private: what the functions of rlx/rlx.h and the members of "rlx.models/1" (the same functions)
// are made of. Nothing of C++ leaves them.
#pragma once

#include "rlx/base/wall.hpp"
#include "rlx/embedder.hpp"
#include "rlx/rlx.h"
#include "rlx/rlx.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>

// The object behind the handle: one of the three, by what it was opened for.
struct rlx_model {
    std::unique_ptr<rlx::lm_runner> runner;
    std::unique_ptr<rlx::text_embedder> embedder;
    std::unique_ptr<rlx::text_reranker> reranker;
    std::atomic<bool> busy{false};
    std::atomic<std::uint64_t> n_notes{0}; // the model's own lists change while it generates

    // fn(the lm_runner or the text_embedder), what both have.
    template <class Fn>
    decltype(auto) with(Fn&& fn) const {
        if (runner) return fn(*runner);
        return fn(reranker ? reranker->model() : *embedder);
    }
};

namespace rlx::c_api {

// A host error from literal parts; allocates nothing but the error, which cannot fail.
inline rlx_error* plain_error(std::uint32_t code, std::string_view text) noexcept {
    return host()->error_new(nullptr, code, str(text), nullptr);
}

// fn() -> result<void>; whatever comes out of it, as the wall takes it.
template <class Fn>
rlx_error* guarded(Fn&& fn) noexcept {
    try {
        result<void> done = fn();
        return done ? nullptr : to_wall(done.error());
    } catch (const std::bad_alloc&) {
        return plain_error(RLX_OUT_OF_MEMORY, "out of memory");
    } catch (const std::exception& e) {
        return plain_error(RLX_INTERNAL, e.what());
    } catch (...) {
        return plain_error(RLX_INTERNAL, "something that is no std::exception was thrown");
    }
}

inline error missing(std::string_view what) {
    return {RLX_INVALID_ARGUMENT, fmt::format("{} is NULL", what)};
}

// Holds the model for one call. A second one meanwhile is the caller's mistake, and said.
class use {
public:
    static result<use> begin(rlx_model* model) {
        if (!model) return missing("model");
        if (model->busy.exchange(true, std::memory_order_acquire))
            return error{
                RLX_INVALID_ARGUMENT,
                "the model is in use by another call; give every thread a model of its own"};
        return use(model);
    }

    use(use&& other) noexcept : model_(std::exchange(other.model_, nullptr)) {}

    ~use() {
        if (!model_) return;
        model_->n_notes = model_->with([](const auto& m) -> std::uint64_t {
            return m.warnings().size() + m.fallbacks().size();
        });
        model_->busy.store(false, std::memory_order_release);
    }

    // RLX_INVALID_ARGUMENT unless it was opened for that.
    result<lm_runner*> runner() const {
        if (model_->runner) return model_->runner.get();
        return opened_for_less("generate");
    }

    result<text_embedder*> embedder() const {
        if (model_->embedder) return model_->embedder.get();
        return opened_for_less("embed");
    }

    result<text_reranker*> reranker() const {
        if (model_->reranker) return model_->reranker.get();
        return opened_for_less("rank");
    }

    checkpoint& files() const {
        if (model_->runner) return model_->runner->checkpoint();
        if (model_->reranker) return model_->reranker->checkpoint();
        return model_->embedder->checkpoint();
    }

    const rlx_model& model() const { return *model_; }

private:
    error opened_for_less(std::string_view wanted) const {
        const std::string_view has = model_->runner     ? "generate"
                                     : model_->embedder ? "embed"
                                                        : "rank";
        return {
            RLX_INVALID_ARGUMENT,
            fmt::format("the model was opened to {}; open it to {} for this call", has, wanted)};
    }

    explicit use(rlx_model* model) : model_(model) {}

    rlx_model* model_;
};

constexpr std::uint32_t least_struct = 8; // size and the word after it
constexpr std::uint32_t most_struct = 4096;

// Whether a struct of the caller's says a size that some version has.
inline result<void> check_size(const std::uint32_t* size, std::string_view name) {
    if (!size) return missing(name);
    if (*size >= least_struct && *size <= most_struct && *size % 8 == 0) return {};
    return error{
        RLX_INVALID_ARGUMENT,
        fmt::format(
            "{}: size is {}, expected sizeof of the struct; use its _init() function", name, *size
        )};
}

// A copy of the caller's options, shorter or longer than ours: members the caller does not know are
// zero, members we do not know must be. NULL is all defaults.
template <class T>
result<T> read_options(const T* given, std::string_view name) {
    T out{};
    if (!given) return out;
    RLX_CHECK(check_size(&given->size, name));
    const auto* bytes = reinterpret_cast<const unsigned char*>(given);
    std::memcpy(&out, bytes, std::min<std::size_t>(given->size, sizeof out));
    for (std::size_t i = sizeof out; i < given->size; ++i)
        if (bytes[i] != 0)
            return error{
                RLX_UNSUPPORTED,
                fmt::format(
                    "{}: an option is set that librlx {} does not know", name, rlx_version()
                )};
    return out;
}

// Zeroes a result struct but for its size, which must be one.
template <class T>
result<void> clear_result(T* out, std::string_view name) {
    RLX_CHECK(check_size(out ? &out->size : nullptr, name));
    std::memset(
        reinterpret_cast<unsigned char*>(out) + sizeof out->size, 0, out->size - sizeof out->size
    );
    return {};
}

// Fills the members the caller knows.
template <class T>
void write_result(T* out, T value) {
    value.size = out->size;
    std::memcpy(out, &value, std::min<std::size_t>(out->size, sizeof value));
}

inline result<void> check_flags(std::uint32_t flags, std::uint32_t known, std::string_view name) {
    if ((flags & ~known) == 0) return {};
    return error{
        RLX_INVALID_ARGUMENT,
        fmt::format(
            "{}: flags {:#x} has bits that librlx {} does not know", name, flags, rlx_version()
        )};
}

// So that a later version can give the word a meaning.
inline result<void> check_reserved(std::uint32_t reserved, std::string_view name) {
    if (reserved == 0) return {};
    return error{
        RLX_INVALID_ARGUMENT, fmt::format("{}: reserved is {}, expected 0", name, reserved)};
}

template <class T>
result<std::span<const T>> read_array(const T* first, std::uint64_t n, std::string_view name) {
    if (n > 0 && !first) return missing(name);
    if (n > SIZE_MAX / sizeof(T) / 2)
        return error{RLX_INVALID_ARGUMENT, fmt::format("{}: {} elements", name, n)};
    return std::span<const T>(first, static_cast<std::size_t>(n));
}

inline result<std::string_view> read_text(rlx_str s, std::string_view name) {
    const auto bytes = RLX_TRY(read_array(s.p, s.n, name));
    return std::string_view(bytes.data(), bytes.size());
}

// A flag of the caller's, as the C++ side watches it.
inline const std::atomic<std::uint32_t>* watched(const volatile std::uint32_t* flag) {
    static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));
    static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
    return reinterpret_cast<const std::atomic<std::uint32_t>*>(const_cast<const std::uint32_t*>(flag
    ));
}

constexpr pooling poolings[] = { // by RLX_POOL_*
    pooling::from_checkpoint,
    pooling::last,
    pooling::mean,
    pooling::cls,
    pooling::max,
    pooling::weighted_mean,
    pooling::mean_sqrt_len,
    pooling::none};

inline std::uint32_t as_pooling(pooling p) {
    return static_cast<std::uint32_t>(std::ranges::find(poolings, p) - std::begin(poolings));
}

// Memory for the caller's rlx_free().
struct free_memory {
    void operator()(void* p) const { std::free(p); }
};

template <class T>
using owned = std::unique_ptr<T[], free_memory>;

// A copy of n elements and `extra` zeroed ones. Throws std::bad_alloc.
template <class T>
owned<T> copy_out(const T* first, std::size_t n, std::size_t extra = 0) {
    if (n + extra == 0) return nullptr;
    owned<T> out(static_cast<T*>(std::calloc(n + extra, sizeof(T))));
    if (!out) throw std::bad_alloc();
    if (n > 0) std::memcpy(out.get(), first, n * sizeof(T));
    return out;
}

inline owned<char> text_out(std::string_view text) {
    return copy_out(text.data(), text.size(), 1);
}

// Where a call puts an array of the caller's: both pointers are required and cleared first.
template <class T>
class array_result {
public:
    static result<array_result> begin(T** first, std::uint64_t* n, std::string_view name) {
        if (first) *first = nullptr;
        if (n) *n = 0;
        if (!first || !n) return missing(name);
        return array_result(first, n);
    }

    void put(owned<T> values, std::size_t n) {
        *first_ = values.release();
        *n_ = n;
    }

private:
    array_result(T** first, std::uint64_t* n) : first_(first), n_(n) {}

    T** first_;
    std::uint64_t* n_;
};

} // namespace rlx::c_api
