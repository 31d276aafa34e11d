// SPDX-License-Identifier: GPL-3.0-only
// Building graphs: tensor, graph_builder, scope. A forward is written as plain functions f(scope m,
// tensor x); after the first error every call returns an empty tensor and does nothing, and the
// error names the module it happened in. Compiled into the plugin.
#pragma once

#include "rlx/abi/graph.h"
#include "rlx/sdk/weights.hpp"

#include <array>
#include <charconv>
#include <cstring>
#include <span>
#include <vector>

namespace rlx::sdk {
inline namespace sdk_v1 {

// A number of elements, or (negative) an expression the graph knows: see rlx/abi/graph.h.
using dim = std::int64_t;

inline constexpr dim any_size = -1; // in an expected weight shape

// A value of the graph; empty (id 0) stands for an optional input that is not given.
struct tensor {
    rlx_value id = 0;

    explicit operator bool() const { return id != 0; }
};

struct shape {
    std::uint32_t rank = 0;
    std::array<dim, RLX_MAX_RANK> dims{};

    dim back() const { return rank > 0 ? dims[rank - 1] : 0; }
};

inline rlx_attr attr(std::uint16_t key, std::int64_t value) {
    return {key, RLX_ATTR_I64, 1, value, 0, nullptr, 0};
}

inline rlx_attr attr_real(std::uint16_t key, double value) {
    return {key, RLX_ATTR_F64, 1, 0, value, nullptr, 0};
}

// values must live until the node is added.
inline rlx_attr attr_list(std::uint16_t key, std::span<const std::int64_t> values) {
    return {key, RLX_ATTR_LIST, 1, 0, 0, values.data(), values.size()};
}

// [one thread per graph]
class graph_builder {
public:
    graph_builder(rlx_graph* g, sticky& e) : table_(service<rlx_graph_v1>()), g_(g), errors_(&e) {
        if (table_ == nullptr) e.check(to_wall(RLX_VERSION_MISMATCH, "the host lacks rlx.graph/1"));
    }

    sticky& errors() const { return *errors_; }

    bool ok() const { return errors_->ok(); }

    rlx_graph* raw() const { return g_; }

    // Module path recorded with the nodes added from now on.
    void at(std::string_view path) {
        if (ok()) table_->set_origin(g_, str(path));
    }

    // An input the host has declared with this name, type and rank; its dims are the host's.
    tensor declared_input(std::string_view name, std::uint32_t dtype, std::uint32_t rank) {
        tensor t;
        if (ok()) errors_->check(table_->input(g_, str(name), dtype, rank, nullptr, &t.id));
        return t;
    }

    tensor input(std::string_view name, std::uint32_t dtype, std::span<const dim> dims) {
        tensor t;
        if (!ok()) return t;
        const auto rank = static_cast<std::uint32_t>(dims.size());
        errors_->check(table_->input(g_, str(name), dtype, rank, dims.data(), &t.id));
        return t;
    }

    tensor weight(std::string_view name, std::span<const dim> expect, std::uint32_t flags) {
        tensor t;
        if (!ok()) return t;
        const auto rank = static_cast<std::uint32_t>(expect.size());
        errors_->check(table_->weight(g_, str(name), rank, expect.data(), flags, &t.id));
        return t;
    }

    tensor constant(std::uint32_t dtype, std::span<const dim> dims, rlx_bytes data) {
        tensor t;
        if (!ok()) return t;
        const auto rank = static_cast<std::uint32_t>(dims.size());
        errors_->check(table_->constant(g_, dtype, rank, dims.data(), data, &t.id));
        return t;
    }

    tensor state(std::string_view name, const rlx_state_slot& slot) {
        tensor t;
        if (ok()) errors_->check(table_->state(g_, str(name), &slot, &t.id));
        return t;
    }

    void output(std::string_view name, tensor t) {
        if (ok()) errors_->check(table_->output(g_, str(name), t.id));
    }

    dim
    symbol(std::string_view name, std::int64_t min, std::int64_t max, std::int64_t multiple = 1) {
        dim d = 0;
        if (ok()) errors_->check(table_->symbol(g_, str(name), min, max, multiple, &d));
        return d;
    }

    // op: RLX_DIM_*
    dim combine(std::uint32_t op, dim a, dim b) {
        dim d = 0;
        if (ok()) errors_->check(table_->dim_op(g_, op, a, b, &d));
        return d;
    }

    // Appends a node; where is the module path that errors name. Empty inputs at the end are left
    // out, so optional operands can be passed as they are.
    void
    add(std::string_view where,
        std::uint32_t op,
        std::span<const tensor> in,
        std::span<const rlx_attr> attrs,
        std::span<tensor> out) {
        constexpr std::size_t limit = 64;
        if (!ok()) return;
        if (in.size() > limit || out.size() > limit) {
            errors_->fail(RLX_INVALID_ARGUMENT, "op {}: more than {} operands", op, limit);
            return;
        }
        std::array<rlx_value, limit> ids;
        std::array<rlx_value, limit> made{};
        std::uint32_t n_in = 0;
        for (std::size_t i = 0; i < in.size(); ++i) {
            ids[i] = in[i].id;
            if (in[i]) n_in = static_cast<std::uint32_t>(i + 1);
        }
        at(where);
        const bool added = errors_->check(table_->add(
            g_,
            op,
            ids.data(),
            n_in,
            attrs.data(),
            static_cast<std::uint32_t>(attrs.size()),
            made.data(),
            static_cast<std::uint32_t>(out.size())
        ));
        for (std::size_t i = 0; added && i < out.size(); ++i)
            out[i].id = made[i];
    }

    // The same for an op of a plugin ("rlx.op/1"); attribute keys from RLX_ATTR_CUSTOM on.
    void add_custom(
        std::string_view where,
        std::string_view name,
        std::uint32_t version,
        std::span<const tensor> in,
        std::span<const rlx_attr> attrs,
        std::span<tensor> out
    ) {
        if (!ok()) return;
        if (!RLX_HAS(table_, add_custom)) {
            errors_->fail(RLX_VERSION_MISMATCH, "op {}: this host runs no ops of plugins", name);
            return;
        }
        at(where);
        std::vector<rlx_value> ids;
        for (const tensor t : in)
            ids.push_back(t.id);
        std::vector<rlx_value> made(out.size());
        const bool added = errors_->check(table_->add_custom(
            g_,
            str(name),
            version,
            ids.data(),
            static_cast<std::uint32_t>(ids.size()),
            attrs.data(),
            static_cast<std::uint32_t>(attrs.size()),
            made.data(),
            static_cast<std::uint32_t>(made.size())
        ));
        for (std::size_t i = 0; added && i < out.size(); ++i)
            out[i].id = made[i];
    }

    // Rank 0 after an error.
    shape shape_of(tensor t) const {
        shape s;
        rlx_value_info info{};
        info.size = sizeof info;
        if (!ok() || !errors_->check(table_->value(g_, t.id, &info))) return s;
        s.rank = info.rank <= RLX_MAX_RANK ? info.rank : RLX_MAX_RANK;
        for (std::uint32_t i = 0; i < s.rank; ++i)
            s.dims[i] = info.dims[i];
        return s;
    }

    // RLX_F32 after an error.
    std::uint32_t dtype_of(tensor t) const {
        rlx_value_info info{};
        info.size = sizeof info;
        if (!ok() || !errors_->check(table_->value(g_, t.id, &info))) return RLX_F32;
        return info.dtype;
    }

private:
    const rlx_graph_v1* table_;
    rlx_graph* g_;
    sticky* errors_;
};

// A place in the module tree, "model.layers.3.mlp": weights are looked up below it and errors name
// it. m["a.b"] is m["a"]["b"], m[""] is m itself. Small value type; copies are independent.
class scope {
public:
    explicit scope(graph_builder& g) : g_(&g) {}

    graph_builder& graph() const { return *g_; }

    bool ok() const { return g_->ok(); }

    std::string_view path() const { return {path_.data(), length_}; }

    scope operator[](std::string_view name) const {
        scope s = *this;
        s.append(name);
        return s;
    }

    scope operator[](std::int64_t index) const {
        std::array<char, 24> digits;
        const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), index);
        return (*this)[std::string_view(digits.data(), end.ptr)];
    }

    // The tensor <path>.<leaf>. expect[i] is checked against the file, any_size accepts anything.
    // Absent: an error naming it, or an empty tensor when flags = RLX_WEIGHT_OPTIONAL.
    tensor weight(std::string_view leaf, std::initializer_list<dim> expect, std::uint32_t flags = 0)
        const {
        const scope s = (*this)[leaf];
        return g_->weight(s.path(), {expect.begin(), expect.size()}, flags);
    }

    tensor
    op(std::uint32_t id,
       std::initializer_list<tensor> in,
       std::initializer_list<rlx_attr> attrs = {}) const {
        return ops<1>(id, in, attrs)[0];
    }

    // For ops with several outputs: auto [values, indices] = m.ops<2>(RLX_OP_TopK, ...).
    template <std::size_t N>
    std::array<tensor, N>
    ops(std::uint32_t id,
        std::initializer_list<tensor> in,
        std::initializer_list<rlx_attr> attrs = {}) const {
        std::array<tensor, N> out{};
        g_->add(path(), id, {in.begin(), in.size()}, {attrs.begin(), attrs.size()}, out);
        return out;
    }

    template <class... Args>
    void fail(std::uint32_t code, std::string_view pattern, const Args&... args) const {
        g_->errors().fail(code, "{}: {}", path(), format(pattern, args...));
    }

private:
    void append(std::string_view name) {
        if (name.empty()) return;
        const std::size_t dot = length_ > 0 ? 1 : 0;
        if (length_ + dot + name.size() > path_.size()) {
            g_->errors().fail(RLX_INTERNAL, "{}: module path too long", path());
            return;
        }
        if (dot != 0) path_[length_] = '.';
        std::memcpy(path_.data() + length_ + dot, name.data(), name.size());
        length_ += dot + name.size();
    }

    graph_builder* g_;
    std::size_t length_ = 0;
    std::array<char, 192> path_{};
};

} // namespace sdk_v1
} // namespace rlx::sdk
