// SPDX-License-Identifier: GPL-3.0-only
// Interface tables made from classes: every member function the class has becomes a noexcept
// trampoline, every one it lacks a NULL. Authors never write the C structs. Part of the header-only
// SDK that is compiled into every plugin.
#pragma once

#include "rlx/sdk/host.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>

namespace rlx::sdk {
inline namespace sdk_v1 {

// A copy of a sized struct of the wall; members an older caller does not know are zero.
template <class T>
result<T> read_struct(const T* s) {
    if (!s || s->size < sizeof s->size) {
        return fail(RLX_INVALID_ARGUMENT, "a struct argument is missing or has no size");
    }
    T out{};
    std::memcpy(&out, s, std::min<std::size_t>(s->size, sizeof out));
    out.size = static_cast<std::uint32_t>(std::min<std::size_t>(s->size, sizeof out));
    return out;
}

// Writes the members the receiver knows; dst->size stays.
template <class T>
void write_struct(T* dst, T value) {
    value.size = dst->size;
    std::memcpy(dst, &value, std::min<std::size_t>(dst->size, sizeof value));
}

// The i-th element of an array whose element may be shorter or longer than ours.
template <class T>
T read_element(const T* first, std::uint64_t stride, std::uint64_t i) {
    T out{};
    std::memcpy(
        &out,
        reinterpret_cast<const char*>(first) + i * stride,
        std::min<std::size_t>(stride, sizeof out)
    );
    return out;
}

namespace detail {

inline error null_argument(std::string_view member) {
    return fail(RLX_INVALID_ARGUMENT, "{}: a required argument is NULL", member);
}

template <class Class>
struct family_thunks {
    static rlx_error* open(void*, rlx_weights* w, const rlx_options* o, void** model) noexcept {
        return guarded([&]() -> status {
            if (!w || !model) return null_argument("open");
            *model = nullptr;
            RLX_CHECK((need<rlx_weights_v1, rlx_graph_v1, rlx_options_v1>()));
            std::unique_ptr<Class> made = RLX_TRY(Class::open(w, options_view(o)));
            *model = made.release();
            return {};
        });
    }

    static void close(void*, void* model) noexcept { delete static_cast<Class*>(model); }

    static rlx_error* info(void*, void* model, rlx_options* out) noexcept {
        return guarded([&]() -> status {
            if (!model || !out) return null_argument("info");
            return static_cast<Class*>(model)->info(options_writer(out));
        });
    }

    static rlx_error* build(void*, void* model, rlx_str graph, rlx_graph* g) noexcept {
        return guarded([&]() -> status {
            if (!model || !g) return null_argument("build");
            return static_cast<Class*>(model)->build(view(graph), g);
        });
    }

    static constexpr rlx_family_v1 make() {
        rlx_family_v1 t{};
        t.hdr = {sizeof t, 1, 0};
        t.open = open;
        t.close = close;
        constexpr bool has_info = requires(Class & c, options_writer w) {
            c.info(w);
        };
        constexpr bool has_build = requires(Class & c, rlx_graph * g) {
            c.build(std::string_view(), g);
        };
        static_assert(
            has_info || !requires { &Class::info; }, "expected status info(options_writer) const"
        );
        static_assert(
            has_build || !requires { &Class::build; },
            "expected status build(std::string_view graph, rlx_graph*) const"
        );
        if constexpr (has_info) t.info = info;
        if constexpr (has_build) t.build = build;
        return t;
    }
};

template <class Device>
struct backend_thunks {
    using program = typename Device::program;

    static std::uint32_t device_count(void*) noexcept {
        std::uint32_t n = 0;
        rlx_error* e = guarded([&] { n = Device::device_count(); });
        if (!e) return n;
        // As it is: formatting takes memory, and its failure would end the process here.
        if (RLX_HAS(host(), log))
            host()->log(host()->ctx, RLX_LOG_ERROR, str("device_count"), host()->error_message(e));
        host()->error_free(e);
        return 0;
    }

    static rlx_error* device_info(void*, std::uint32_t index, rlx_options* out) noexcept {
        return guarded([&]() -> status {
            if (!out) return null_argument("device_info");
            return Device::device_info(index, options_writer(out));
        });
    }

    static rlx_error*
    open(void*, std::uint32_t index, const rlx_options* opts, void** device) noexcept {
        return guarded([&]() -> status {
            if (!device) return null_argument("open");
            *device = nullptr;
            RLX_CHECK((need<rlx_weights_v1, rlx_graph_v1, rlx_options_v1>()));
            std::unique_ptr<Device> made = RLX_TRY(Device::open(index, options_view(opts)));
            *device = made.release();
            return {};
        });
    }

    static void close(void*, void* device) noexcept { delete static_cast<Device*>(device); }

    static rlx_error* supports(
        void* device,
        const rlx_graph* g,
        const std::uint32_t* nodes,
        std::uint64_t n,
        std::uint8_t* verdict,
        rlx_str* reason
    ) noexcept {
        return guarded([&]() -> status {
            if (!device || !g || (n && (!nodes || !verdict))) return null_argument("supports");
            const auto count = static_cast<std::size_t>(n);
            const std::span<rlx_str> reasons(reason, reason ? count : 0);
            return static_cast<Device*>(device)->supports(
                g, std::span(nodes, count), std::span(verdict, count), reasons
            );
        });
    }

    static rlx_error* measure(void* device, const rlx_compile_args* a, rlx_memory* out) noexcept {
        return guarded([&]() -> status {
            if (!device || !out) return null_argument("measure");
            const rlx_compile_args args = RLX_TRY(read_struct(a));
            write_struct(out, rlx_memory(RLX_TRY(static_cast<Device*>(device)->measure(args))));
            return {};
        });
    }

    static rlx_error* compile(void* device, const rlx_compile_args* a, void** out) noexcept {
        return guarded([&]() -> status {
            if (!device || !out) return null_argument("compile");
            *out = nullptr;
            const rlx_compile_args args = RLX_TRY(read_struct(a));
            std::unique_ptr<program> made = RLX_TRY(static_cast<Device*>(device)->compile(args));
            *out = made.release();
            return {};
        });
    }

    static void program_free(void*, void* p) noexcept { delete static_cast<program*>(p); }

    static rlx_error* program_info(void* device, void* p, rlx_options* out) noexcept {
        return guarded([&]() -> status {
            if (!device || !p || !out) return null_argument("program_info");
            return static_cast<Device*>(device)->program_info(
                *static_cast<program*>(p), options_writer(out)
            );
        });
    }

    static rlx_error* run(void* device, void* p, const rlx_run_args* a) noexcept {
        return guarded([&]() -> status {
            if (!device || !p) return null_argument("run");
            const rlx_run_args args = RLX_TRY(read_struct(a));
            return static_cast<Device*>(device)->run(*static_cast<program*>(p), args);
        });
    }

    static rlx_error* page_bytes(
        void* device, const rlx_compile_args* a, rlx_value state, std::uint64_t* bytes
    ) noexcept {
        return guarded([&]() -> status {
            if (!device || !bytes) return null_argument("page_bytes");
            const rlx_compile_args args = RLX_TRY(read_struct(a));
            if (!args.graph) return null_argument("page_bytes");
            *bytes = RLX_TRY(static_cast<Device*>(device)->page_bytes(args, state));
            return {};
        });
    }

    static rlx_error* alloc(void* device, std::uint64_t bytes, rlx_buffer** out) noexcept {
        return guarded([&]() -> status {
            if (!device || !out) return null_argument("alloc");
            *out = nullptr;
            *out = RLX_TRY(static_cast<Device*>(device)->alloc(bytes));
            return {};
        });
    }

    static void free(void* device, rlx_buffer* b) noexcept {
        if (device && b) static_cast<Device*>(device)->free(b);
    }

    static rlx_error* copy(
        void* device,
        rlx_buffer* dst,
        std::uint64_t dst_off,
        rlx_buffer* src,
        std::uint64_t src_off,
        std::uint64_t n
    ) noexcept {
        return guarded([&]() -> status {
            if (!device || !dst || !src) return null_argument("copy");
            return static_cast<Device*>(device)->copy(dst, dst_off, src, src_off, n);
        });
    }

    static rlx_error*
    upload(void* device, rlx_buffer* dst, std::uint64_t off, rlx_bytes src) noexcept {
        return guarded([&]() -> status {
            if (!device || !dst || (src.n && !src.p)) return null_argument("upload");
            return static_cast<Device*>(device)->upload(dst, off, src);
        });
    }

    static rlx_error* download(
        void* device, rlx_buffer* src, std::uint64_t off, void* dst, std::uint64_t n
    ) noexcept {
        return guarded([&]() -> status {
            if (!device || !src || (n && !dst)) return null_argument("download");
            return static_cast<Device*>(device)->download(src, off, dst, n);
        });
    }

    // A member of the right name and the wrong type would silently be no member.
    static constexpr void check_optional() {
        using args = const rlx_compile_args&;
        static_assert(
            requires(Device & d, args a) { d.measure(a); } || !requires { &Device::measure; },
            "expected result<rlx_memory> measure(const rlx_compile_args&)"
        );
        static_assert(
            requires(Device & d, program & p, options_writer w) { d.program_info(p, w); } ||
                !requires { &Device::program_info; },
            "expected status program_info(program&, options_writer)"
        );
        static_assert(
            requires(Device & d, args a) { d.page_bytes(a, 1u); } ||
                !requires { &Device::page_bytes; },
            "expected result<std::uint64_t> page_bytes(const rlx_compile_args&, rlx_value)"
        );
        static_assert(
            requires(Device & d, rlx_buffer * b) { d.copy(b, 0u, b, 0u, 0u); } ||
                !requires { &Device::copy; },
            "expected status copy(rlx_buffer*, std::uint64_t, rlx_buffer*, std::uint64_t, "
            "std::uint64_t)"
        );
    }

    static constexpr rlx_backend_v1 make() {
        rlx_backend_v1 t{};
        t.hdr = {sizeof t, 1, 0};
        t.device_count = device_count;
        t.device_info = device_info;
        t.open = open;
        t.close = close;
        t.supports = supports;
        t.compile = compile;
        t.program_free = program_free;
        t.run = run;
        t.alloc = alloc;
        t.free = free;
        t.upload = upload;
        t.download = download;
        check_optional();
        if constexpr (requires(Device & d, const rlx_compile_args& a) { d.measure(a); }) {
            t.measure = measure;
        }
        if constexpr (requires(Device & d, program & p, options_writer w) {
                          d.program_info(p, w);
                      }) {
            t.program_info = program_info;
        }
        if constexpr (requires(Device & d, const rlx_compile_args& a) { d.page_bytes(a, 1u); }) {
            t.page_bytes = page_bytes;
        }
        if constexpr (requires(Device & d, rlx_buffer * b) { d.copy(b, 0u, b, 0u, 0u); }) {
            t.copy = copy;
        }
        return t;
    }
};

} // namespace detail

// "rlx.family/1" from a class:
//   static result<std::unique_ptr<Class>> open(rlx_weights*, options_view);
//   status info(options_writer) const;
//   status build(std::string_view graph, rlx_graph*);
// Parameters may be any type that is made implicitly from the pointer.
template <class Class>
inline constexpr rlx_family_v1 family_table = detail::family_thunks<Class>::make();

// "rlx.backend/1" from a device class with a nested type program:
//   static std::uint32_t device_count();
//   static status device_info(std::uint32_t index, options_writer);
//   static result<std::unique_ptr<Device>> open(std::uint32_t index, options_view);
//   status supports(const rlx_graph*, std::span<const std::uint32_t> nodes,
//                   std::span<std::uint8_t> verdict,
//                   std::span<rlx_str> reasons /* empty when nobody asks */);
//   result<rlx_memory> measure(const rlx_compile_args&);                               optional
//   result<std::unique_ptr<program>> compile(const rlx_compile_args&);
//   status program_info(program&, options_writer);                                     optional
//   status run(program&, const rlx_run_args&);
//   result<std::uint64_t> page_bytes(const rlx_compile_args&, rlx_value state);        optional
//   result<rlx_buffer*> alloc(std::uint64_t bytes);   void free(rlx_buffer*);
//   status copy(rlx_buffer*, std::uint64_t, rlx_buffer*, std::uint64_t, std::uint64_t); optional
//   status upload(rlx_buffer*, std::uint64_t, rlx_bytes);
//   status download(rlx_buffer*, std::uint64_t, void*, std::uint64_t);
// Argument structs arrive at this plugin's size, members an older host does not know being zero.
template <class Device>
inline constexpr rlx_backend_v1 backend_table = detail::backend_thunks<Device>::make();

} // namespace sdk_v1
} // namespace rlx::sdk
