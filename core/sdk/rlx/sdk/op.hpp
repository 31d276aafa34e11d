// SPDX-License-Identifier: GPL-3.0-only
// Ops of a plugin ("rlx.op/1") from classes. Compiled into the plugin.
//
//   struct swirl {
//       static constexpr op_info info{.name = "org.example.swirl", .description = "..."};
//       // by s.give(0, s.in(0).dtype, s.dims(0)), say
//       static status infer(op_shapes& s);
//       static status run(const op_tensors& t); // from t.in<float>(0) to t.out<float>(0)
//   };
//   struct my_plugin { using ops = op_list<swirl>; };
//   RLX_PLUGIN(my_plugin)
//
// infer and run are static and must be safe from any thread.
#pragma once

#include "rlx/abi/op.h"
#include "rlx/sdk/host.hpp"
#include "rlx/sdk/table.hpp"

#include <array>
#include <cstring>
#include <span>
#include <vector>

namespace rlx::sdk {
inline namespace sdk_v1 {

struct op_info {
    std::string_view name;        // "org.example.swirl"
    std::string_view description; // one line
    std::uint32_t version = 1;
    std::uint32_t min_inputs = 1;
    std::uint32_t max_inputs = 1;
    std::uint32_t outputs = 1;
};

namespace detail {

// Typed attributes, found by key.
class op_attrs {
public:
    op_attrs(const rlx_attr* first, std::uint32_t n) : attrs_(first, n) {}

    bool has(std::uint16_t key) const { return find(key) != nullptr; }

    // A value of another kind counts as absent.
    std::int64_t i64(std::uint16_t key, std::int64_t otherwise = 0) const {
        const rlx_attr* a = find(key);
        return a && a->kind == RLX_ATTR_I64 ? a->i : otherwise;
    }

    double f64(std::uint16_t key, double otherwise = 0) const {
        const rlx_attr* a = find(key);
        return a && a->kind == RLX_ATTR_F64 ? a->f : otherwise;
    }

    std::span<const std::int64_t> list(std::uint16_t key) const {
        const rlx_attr* a = find(key);
        if (!a || a->kind != RLX_ATTR_LIST) return {};
        return {a->list, static_cast<std::size_t>(a->n)};
    }

    // RLX_INVALID_ARGUMENT for a key that is none of these: ops refuse what they do not know.
    status only(std::initializer_list<std::uint16_t> known) const {
        for (const rlx_attr& a : attrs_) {
            if (std::find(known.begin(), known.end(), a.key) == known.end())
                return fail(RLX_INVALID_ARGUMENT, "unknown attribute {}", a.key);
        }
        return {};
    }

private:
    const rlx_attr* find(std::uint16_t key) const {
        for (const rlx_attr& a : attrs_)
            if (a.key == key) return &a;
        return nullptr;
    }

    std::span<const rlx_attr> attrs_;
};

} // namespace detail

// Inputs and outputs while the graph is built. Dims are handles: pass them on, or calculate.
class op_shapes {
public:
    explicit op_shapes(const rlx_op_infer& a) : attrs(a.attr, a.n_attr), a_(a) {}

    detail::op_attrs attrs;

    std::size_t inputs() const { return a_.n_in; }

    // given = 0 for an optional input that is not there, or beyond the last.
    rlx_op_shape in(std::size_t i) const {
        return i < a_.n_in ? read_element(a_.in, a_.shape_stride, i) : rlx_op_shape{};
    }

    std::vector<std::int64_t> dims(std::size_t i) const {
        const rlx_op_shape s = in(i);
        return {s.dim, s.dim + std::min<std::size_t>(s.rank, RLX_MAX_RANK)};
    }

    // op: RLX_DIM_*
    result<std::int64_t> combine(std::uint32_t op, std::int64_t a, std::int64_t b) const {
        std::int64_t out = 0;
        RLX_CHECK(check(service<rlx_graph_v1>()->dim_op(a_.graph, op, a, b, &out)));
        return out;
    }

    void give(std::size_t i, std::uint16_t dtype, std::span<const std::int64_t> dims) {
        if (i >= a_.n_out || dims.size() > RLX_MAX_RANK) return;
        auto* at = reinterpret_cast<char*>(a_.out) + i * a_.shape_stride;
        rlx_op_shape s = read_element(a_.out, a_.shape_stride, i);
        s.dtype = dtype;
        s.rank = static_cast<std::uint16_t>(dims.size());
        std::copy(dims.begin(), dims.end(), s.dim);
        s.given = 1;
        std::memcpy(at, &s, std::min<std::size_t>(sizeof s, a_.shape_stride));
    }

private:
    const rlx_op_infer& a_;
};

// Host tensors of one computation, row-major without gaps; types and sizes are those infer gave.
class op_tensors {
public:
    explicit op_tensors(const rlx_op_run& a) : attrs(a.attr, a.n_attr), a_(a) {}

    detail::op_attrs attrs;

    // data NULL: not given.
    rlx_tensor in(std::size_t i) const {
        return i < a_.n_in ? read_element(a_.in, a_.tensor_stride, i) : rlx_tensor{};
    }

    rlx_tensor out(std::size_t i) const {
        return i < a_.n_out ? read_element(a_.out, a_.tensor_stride, i) : rlx_tensor{};
    }

    template <class T>
    std::span<const T> in(std::size_t i) const {
        const rlx_tensor t = in(i);
        return {static_cast<const T*>(t.data), static_cast<std::size_t>(t.n_bytes / sizeof(T))};
    }

    template <class T>
    std::span<T> out(std::size_t i) const {
        const rlx_tensor t = out(i);
        return {static_cast<T*>(t.data), static_cast<std::size_t>(t.n_bytes / sizeof(T))};
    }

private:
    const rlx_op_run& a_;
};

template <class... Ops>
struct op_list {};

namespace detail {

template <class List>
struct op_thunks;

template <class... Ops>
struct op_thunks<op_list<Ops...>> {
    static constexpr std::array<op_info, sizeof...(Ops)> infos{Ops::info...};

    static std::uint32_t count(void*) noexcept { return sizeof...(Ops); }

    static error out_of_range(std::uint32_t index) {
        return fail(RLX_INVALID_ARGUMENT, "op {} of {}", index, sizeof...(Ops));
    }

    static rlx_error* describe(void*, std::uint32_t index, rlx_op_desc* out) noexcept {
        return guarded([&]() -> status {
            if (!out) return null_argument("describe");
            if (index >= infos.size()) return out_of_range(index);
            const op_info& o = infos[index];
            write_struct(
                out,
                rlx_op_desc{
                    0,
                    o.version,
                    o.min_inputs,
                    o.max_inputs,
                    o.outputs,
                    0,
                    str(o.name),
                    str(o.description)}
            );
            return {};
        });
    }

    static rlx_error* infer(void*, std::uint32_t index, const rlx_op_infer* args) noexcept {
        return guarded([&]() -> status {
            RLX_CHECK(need<rlx_graph_v1>());
            const rlx_op_infer a = RLX_TRY(read_struct(args));
            if (!a.graph || (a.n_in && !a.in) || (a.n_attr && !a.attr) || !a.out || a.n_out == 0)
                return null_argument("infer");
            op_shapes s(a);
            return pick(index, [&]<class Op>() { return Op::infer(s); });
        });
    }

    static rlx_error* run(void*, std::uint32_t index, const rlx_op_run* args) noexcept {
        return guarded([&]() -> status {
            const rlx_op_run a = RLX_TRY(read_struct(args));
            if ((a.n_in && !a.in) || (a.n_attr && !a.attr) || !a.out || a.n_out == 0)
                return null_argument("run");
            const op_tensors t(a);
            return pick(index, [&]<class Op>() { return Op::run(t); });
        });
    }

    static constexpr rlx_op_v1 make() {
        return {{sizeof(rlx_op_v1), 1, 0}, count, describe, infer, run};
    }

private:
    template <class Fn>
    static status pick(std::uint32_t index, Fn&& fn) {
        std::uint32_t at = 0;
        status out = out_of_range(index);
        (void)((at++ == index ? (out = fn.template operator()<Ops>(), true) : false) || ...);
        return out;
    }
};

} // namespace detail

template <class List>
inline constexpr rlx_op_v1 op_table = detail::op_thunks<List>::make();

} // namespace sdk_v1
} // namespace rlx::sdk
