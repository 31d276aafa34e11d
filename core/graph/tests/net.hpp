// SPDX-License-Identifier: GPL-3.0-only
// Builds graphs in tests through the C table, as a plugin would, and keeps the last error.
#pragma once

#include "../impl.hpp"
#include "rlx/base/wall.hpp"

#include <gtest/gtest.h>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

namespace rlx::test {

using ir::dim;

struct attr {
    attr(std::uint16_t key, std::int64_t v) : a{key, RLX_ATTR_I64, 1, v, 0, nullptr, 0} {}

    attr(std::uint16_t key, int v) : attr(key, static_cast<std::int64_t>(v)) {}

    attr(std::uint16_t key, double v) : a{key, RLX_ATTR_F64, 1, 0, v, nullptr, 0} {}

    attr(std::uint16_t key, std::vector<std::int64_t> v)
        : a{key, RLX_ATTR_LIST, 1, 0, 0, nullptr, v.size()}, list(std::move(v)) {}

    rlx_attr a;
    std::vector<std::int64_t> list;
};

class net {
public:
    std::unique_ptr<graph> g;
    const rlx_graph_v1* api = graph_table();
    std::string error; // of the last call; empty = it succeeded
    std::uint32_t code = RLX_OK;

    explicit net(weights* w = nullptr) : g(graph::create(w)) {}

    ir::module& m() { return ir::impl(g->handle()).m; }

    const ir::value& at(rlx_value v) { return m().at(v); }

    std::string shape(rlx_value v) { return v ? m().dims.text(m().at(v).dims) : "none"; }

    std::string strides(rlx_value v) { return v ? m().dims.text(m().at(v).strides) : "none"; }

    bool check(rlx_error* e) {
        error.clear();
        code = RLX_OK;
        if (!e) return true;
        const rlx::error err = from_wall(e);
        error = err.message;
        code = err.code;
        return false;
    }

    dim sym(std::string_view name, std::int64_t min, std::int64_t max, std::int64_t multiple = 1) {
        dim d = 0;
        check(api->symbol(g->handle(), str(name), min, max, multiple, &d));
        return d;
    }

    dim calc(std::uint32_t op, dim a, dim b) {
        dim d = INT64_MIN;
        check(api->dim_op(g->handle(), op, a, b, &d));
        return d;
    }

    rlx_value in(std::string_view name, std::uint32_t dtype, std::vector<dim> dims) {
        rlx_value v = 0;
        check(api->input(
            g->handle(), str(name), dtype, static_cast<std::uint32_t>(dims.size()), dims.data(), &v
        ));
        return v;
    }

    rlx_value f32(std::string_view name, std::vector<dim> dims) {
        return in(name, RLX_F32, std::move(dims));
    }

    rlx_value i32(std::string_view name, std::vector<dim> dims) {
        return in(name, RLX_I32, std::move(dims));
    }

    rlx_value state(std::string_view name, std::int64_t heads, std::int64_t k, std::int64_t v) {
        rlx_value out = 0;
        const rlx_state_slot slot{sizeof slot, RLX_STATE_KV, heads, k, v};
        check(api->state(g->handle(), str(name), &slot, &out));
        return out;
    }

    template <class T>
    rlx_value constant(std::uint32_t dtype, std::vector<dim> dims, const std::vector<T>& data) {
        rlx_value v = 0;
        check(api->constant(
            g->handle(),
            dtype,
            static_cast<std::uint32_t>(dims.size()),
            dims.data(),
            {data.data(), data.size() * sizeof(T)},
            &v
        ));
        return v;
    }

    // A stand-in for a checkpoint tensor: the module's own value, so that no file is needed.
    rlx_value weight(std::string_view name, std::uint16_t dtype, std::vector<dim> dims) {
        ir::value v;
        v.kind = RLX_VALUE_WEIGHT;
        v.dtype = dtype;
        v.name = name;
        v.dims = std::move(dims);
        dim step = 1;
        v.strides.resize(v.dims.size());
        for (std::size_t i = v.dims.size(); i-- > 0; step *= v.dims[i])
            v.strides[i] = step;
        if (dtype >= RLX_Q4_0 && dtype <= RLX_IQ4_XS) v.strides.clear();
        return m().push(std::move(v));
    }

    rlx_error* raw_add(
        std::uint32_t op,
        const std::vector<rlx_value>& in,
        const std::vector<rlx_attr>& attrs,
        rlx_value* out
    ) {
        return api->add(
            g->handle(),
            op,
            in.data(),
            static_cast<std::uint32_t>(in.size()),
            attrs.data(),
            static_cast<std::uint32_t>(attrs.size()),
            out,
            1
        );
    }

    std::vector<rlx_value>
    ops(std::uint32_t op, std::vector<rlx_value> inputs, std::initializer_list<attr> attrs = {}) {
        std::vector<rlx_attr> list;
        for (const attr& a : attrs) {
            list.push_back(a.a);
            list.back().list = a.list.data();
        }
        const op_desc* desc = op_info(op);
        std::vector<rlx_value> out(desc ? desc->n_outputs : 1, 0);
        check(api->add(
            g->handle(),
            op,
            inputs.data(),
            static_cast<std::uint32_t>(inputs.size()),
            list.data(),
            static_cast<std::uint32_t>(list.size()),
            out.data(),
            static_cast<std::uint32_t>(out.size())
        ));
        return out;
    }

    rlx_value
    op(std::uint32_t id, std::vector<rlx_value> inputs, std::initializer_list<attr> attrs = {}) {
        return ops(id, std::move(inputs), attrs)[0];
    }

    bool output(std::string_view name, rlx_value v) {
        return check(api->output(g->handle(), str(name), v));
    }

    void at_module(std::string_view path) { api->set_origin(g->handle(), str(path)); }

    rlx_value unary(std::int64_t kind, rlx_value x) {
        return op(RLX_OP_Unary, {x}, {{RLX_ATTR_kind, kind}});
    }

    rlx_value add(rlx_value a, rlx_value b) {
        return op(RLX_OP_Binary, {a, b}, {{RLX_ATTR_kind, RLX_BINARY_ADD}});
    }

    rlx_value reshape(rlx_value x, std::vector<dim> d) {
        return op(RLX_OP_Reshape, {x}, {{RLX_ATTR_dims, d}});
    }

    rlx_value permute(rlx_value x, std::vector<dim> p) {
        return op(RLX_OP_Permute, {x}, {{RLX_ATTR_perm, p}});
    }

    rlx_value broadcast(rlx_value x, std::vector<dim> d) {
        return op(RLX_OP_Broadcast, {x}, {{RLX_ATTR_dims, d}});
    }

    rlx_value slice(rlx_value x, std::int64_t axis, dim start, dim stop) {
        return op(
            RLX_OP_Slice,
            {x},
            {{RLX_ATTR_axis, axis}, {RLX_ATTR_start, start}, {RLX_ATTR_stop, stop}}
        );
    }

    // Claims by op: names listed are refused.
    graph::claim_fn refuse(std::vector<std::uint16_t> no) {
        return [this, no](
                   std::span<const std::uint32_t> nodes,
                   std::span<std::uint8_t> verdict,
                   std::span<std::string> reason
               ) -> result<void> {
            for (std::size_t i = 0; i < nodes.size(); i++) {
                verdict[i] = 1;
                for (std::uint16_t op : no)
                    if (m().nodes[nodes[i]].op == op) verdict[i] = 0, reason[i] = "not built";
            }
            return {};
        };
    }

    std::vector<std::string> op_names() {
        std::vector<std::string> names;
        for (const ir::node& n : m().nodes)
            names.emplace_back(op_info(n.op)->name);
        return names;
    }
};

// Fails with the error's text.
template <class T>
testing::AssertionResult is_ok(const result<T>& r) {
    if (r.ok()) return testing::AssertionSuccess();
    return testing::AssertionFailure() << r.error().message;
}

inline bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

} // namespace rlx::test
