// SPDX-License-Identifier: GPL-3.0-only
// "rlx.weights/1" over class checkpoint: argument checks and conversion of errors.
#include "checkpoint.hpp"
#include "rlx/base/wall.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <new>

namespace rlx {
namespace {

template <class F>
rlx_error* guarded(F body) {
    try {
        result<void> r = body();
        return r.ok() ? nullptr : to_wall(r.error());
    } catch (const std::bad_alloc&) {
        return host()->error_new(nullptr, RLX_OUT_OF_MEMORY, str("out of memory"), nullptr);
    } catch (...) {
        return host()->error_new(
            nullptr, RLX_INTERNAL, str("unexpected exception in the weights table"), nullptr
        );
    }
}

error null_argument() {
    return {RLX_INVALID_ARGUMENT, "rlx.weights/1: null argument"};
}

// Fills as much of the caller's struct as the caller knows; its size field stays.
template <class T>
void copy_out(T* out, T value) {
    std::uint32_t size = out->size;
    value.size = size;
    std::memcpy(out, &value, std::min<std::size_t>(size, sizeof(T)));
}

result<const resolved_tensor*> existing(const rlx_weights* w, rlx_str name) {
    if (!w) return null_argument();
    const resolved_tensor* t = RLX_TRY(w->self->find(view(name)));
    if (t) return t;
    return error{
        RLX_NOT_FOUND,
        fmt::format("tensor '{}' not found in {}", view(name), w->self->path().string())};
}

rlx_str w_format(const rlx_weights* w) {
    return str(w->self->format());
}

rlx_str w_architecture(const rlx_weights* w) {
    return str(w->self->architecture());
}

rlx_error* w_meta(const rlx_weights* w, rlx_str key, rlx_meta* out, std::uint32_t* found) {
    return guarded([&]() -> result<void> {
        if (!w || !out || !found) return null_argument();
        *found = 0;
        auto v = w->self->meta(view(key));
        if (!v) return {};
        copy_out(out, rlx_meta{0, v->kind, v->i, v->f, str(v->s)});
        *found = 1;
        return {};
    });
}

rlx_error*
w_add_names(rlx_weights* w, const rlx_name_rule* rules, std::uint64_t n, std::uint64_t stride) {
    return guarded([&]() -> result<void> {
        if (!w || (n && !rules)) return null_argument();
        if (stride < sizeof(rlx_name_rule)) {
            return error{
                RLX_VERSION_MISMATCH,
                fmt::format(
                    "name rules of {} bytes, expected at least {}", stride, sizeof(rlx_name_rule)
                )};
        }
        std::vector<name_rule> made;
        const auto* p = reinterpret_cast<const std::byte*>(rules);
        for (std::uint64_t i = 0; i < n; i++, p += stride) {
            const auto* r = reinterpret_cast<const rlx_name_rule*>(p);
            made.push_back(
                RLX_TRY(name_rule_make(view(r->hf), view(r->gguf), r->transform, view(r->param)))
            );
        }
        return w->self->add_names(std::move(made));
    });
}

rlx_error* w_find(const rlx_weights* w, rlx_str name, rlx_tensor_desc* out, std::uint32_t* found) {
    return guarded([&]() -> result<void> {
        if (!w || !found) return null_argument();
        *found = 0;
        const resolved_tensor* t = RLX_TRY(w->self->find(view(name)));
        if (!t) return {};
        if (out) copy_out(out, t->desc);
        *found = 1;
        return {};
    });
}

rlx_error* w_require(rlx_weights* w, rlx_str name, rlx_tensor_desc* out) {
    return guarded([&]() -> result<void> {
        if (!w) return null_argument();
        const resolved_tensor* t = RLX_TRY(w->self->require(view(name)));
        if (out) copy_out(out, t->desc);
        return {};
    });
}

rlx_error* w_view(const rlx_weights* w, rlx_str name, rlx_bytes* out) {
    return guarded([&]() -> result<void> {
        if (!out) return null_argument();
        auto bytes = w->self->view(*RLX_TRY(existing(w, name)));
        *out = {bytes.data(), bytes.size()};
        return {};
    });
}

rlx_error* w_read_rows(
    const rlx_weights* w,
    rlx_str name,
    std::uint64_t first,
    std::uint64_t n,
    void* dst,
    std::uint64_t dst_bytes
) {
    return guarded([&]() -> result<void> {
        const resolved_tensor* t = RLX_TRY(existing(w, name));
        if (n && !dst) return null_argument();
        if (t->row_bytes != 0 && (dst_bytes % t->row_bytes != 0 || dst_bytes / t->row_bytes != n)) {
            return error{
                RLX_INVALID_ARGUMENT,
                fmt::format(
                    "tensor '{}': {} rows of {} bytes asked for, {} bytes given",
                    view(name),
                    n,
                    t->row_bytes,
                    dst_bytes
                )};
        }
        return w->self->read_rows(*t, view(name), first, {static_cast<std::byte*>(dst), dst_bytes});
    });
}

rlx_error*
w_read_f32(const rlx_weights* w, rlx_str name, std::uint64_t first, std::uint64_t n, float* dst) {
    return guarded([&]() -> result<void> {
        const resolved_tensor* t = RLX_TRY(existing(w, name));
        if (n && !dst) return null_argument();
        return w->self->read_f32(*t, view(name), first, n, dst);
    });
}

void w_release(const rlx_weights* w, rlx_str name) {
    rlx_error* e = guarded([&]() -> result<void> {
        w->self->release(*RLX_TRY(existing(w, name)));
        return {};
    });
    if (e) host()->error_free(e); // a hint has no errors
}

constexpr rlx_weights_v1 table{
    {sizeof(rlx_weights_v1), 1, 0},
    w_format,
    w_architecture,
    w_meta,
    w_add_names,
    w_find,
    w_require,
    w_view,
    w_read_rows,
    w_read_f32,
    w_release};

} // namespace

const rlx_weights_v1* weights_table() {
    static const bool offered = (host_provide("rlx.weights/1", &table), true);
    static_cast<void>(offered);
    return &table;
}

} // namespace rlx
