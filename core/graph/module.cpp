// SPDX-License-Identifier: GPL-3.0-only
#include "module.hpp"

#include "dtype.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace rlx::ir {

const rlx_attr* attr_list::find(std::uint32_t key) const {
    for (const rlx_attr& a : items)
        if (a.key == key) return &a;
    return nullptr;
}

std::int64_t attr_list::i64(std::uint32_t key, std::int64_t fallback) const {
    const rlx_attr* a = find(key);
    return a ? a->i : fallback;
}

double attr_list::f64(std::uint32_t key, double fallback) const {
    const rlx_attr* a = find(key);
    return a ? a->f : fallback;
}

std::span<const std::int64_t> attr_list::list(std::uint32_t key) const {
    const rlx_attr* a = find(key);
    return a ? std::span(a->list, static_cast<std::size_t>(a->n)) : std::span<const std::int64_t>();
}

void attr_list::put(rlx_attr a) {
    if (a.kind == RLX_ATTR_LIST) {
        const auto n = static_cast<std::size_t>(a.n);
        auto copy = std::make_unique<std::int64_t[]>(n);
        std::copy_n(a.list, n, copy.get());
        a.list = copy.get();
        lists.push_back(std::move(copy));
    }
    items.push_back(a);
}

rlx_value module::push(value v) {
    const auto id = static_cast<rlx_value>(values.size() + 1);
    if (v.root == 0) v.root = id;
    values.push_back(std::move(v));
    return id;
}

void module::renumber() {
    for (value& v : values)
        v.producer = no_node;
    for (std::size_t i = 0; i < nodes.size(); i++)
        for (rlx_value v : nodes[i].out)
            at(v).producer = static_cast<std::uint32_t>(i);
}

rlx_value module::find(std::uint32_t kind, std::string_view name) const {
    for (std::size_t i = 0; i < values.size(); i++)
        if (values[i].kind == kind && values[i].name == name) return static_cast<rlx_value>(i + 1);
    return 0;
}

std::string where(std::string_view op, std::string_view origin) {
    return origin.empty() ? std::string(op) : fmt::format("{} in {}", op, origin);
}

std::string where(const op_desc& op, std::string_view origin) {
    return where(op.name, origin);
}

std::string where(const node& n) {
    if (n.custom) return where(n.custom->name, n.origin);
    const op_desc* op = op_info(n.op);
    return where(op ? std::string(op->name) : fmt::format("op {}", n.op), n.origin);
}

std::string describe(const module& m, rlx_value id) {
    if (!m.valid(id)) return fmt::format("%{}", id);
    const value& v = m.at(id);
    std::string s = fmt::format("%{}", id);
    if (!v.name.empty()) s += fmt::format(" '{}'", v.name);
    if (v.kind == RLX_VALUE_STATE)
        return s +
               fmt::format(" kv state {} x ({} + {})", v.slot.n_heads, v.slot.k_dim, v.slot.v_dim);
    return s + fmt::format(" {} {}", dtype_name(v.dtype), m.dims.text(v.dims));
}

} // namespace rlx::ir
