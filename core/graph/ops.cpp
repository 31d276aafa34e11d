// SPDX-License-Identifier: GPL-3.0-only
// ops.def expanded into tables.
#include "rlx/graph/ops.hpp"

#include "rlx/abi/graph.h"

#include <algorithm>
#include <array>

namespace rlx {

namespace {

struct attr_row {
    std::uint16_t op;
    attr_desc attr;
};

// Rows of one op are neighbours in ops.def, so an op's attributes are a span of this table.
constexpr attr_row attr_rows[] = {
#define RLX_OP(id, name, version, min_in, max_in, n_out, kind, rule)
#define RLX_OP_ATTR(op, attr, kind, required)                                                      \
    {RLX_OP_##op, {RLX_ATTR_##attr, #attr, RLX_ATTR_##kind, required != 0}},
#include "rlx/abi/ops.def"
#undef RLX_OP
#undef RLX_OP_ATTR
};
constexpr std::size_t n_attr_rows = std::size(attr_rows);

constexpr auto attr_table = [] {
    std::array<attr_desc, n_attr_rows> t{};
    for (std::size_t i = 0; i < n_attr_rows; i++)
        t[i] = attr_rows[i].attr;
    return t;
}();

constexpr std::span<const attr_desc> attrs_of(std::uint16_t op) {
    std::size_t first = 0, n = 0;
    for (std::size_t i = 0; i < n_attr_rows; i++) {
        if (attr_rows[i].op != op) continue;
        if (n++ == 0) first = i;
    }
    return std::span<const attr_desc>(attr_table).subspan(first, n);
}

constexpr op_kind View = op_kind::view, Primitive = op_kind::primitive,
                  Composite = op_kind::composite;

constexpr op_desc op_rows[] = {
#define RLX_OP(id, name, version, min_in, max_in, n_out, kind, rule)                               \
    {id, #name, version, min_in, max_in, n_out, kind, attrs_of(id)},
#define RLX_OP_ATTR(op, attr, kind, required)
#include "rlx/abi/ops.def"
#undef RLX_OP
#undef RLX_OP_ATTR
};

} // namespace

std::span<const op_desc> op_list() {
    return op_rows;
}

const op_desc* op_info(std::uint32_t id) {
    const auto it = std::find_if(std::begin(op_rows), std::end(op_rows), [&](const op_desc& o) {
        return o.id == id;
    });
    return it == std::end(op_rows) ? nullptr : it;
}

const op_desc* op_by_name(std::string_view name) {
    const auto it = std::find_if(std::begin(op_rows), std::end(op_rows), [&](const op_desc& o) {
        return o.name == name;
    });
    return it == std::end(op_rows) ? nullptr : it;
}

std::string_view attr_name(std::uint32_t key) {
    for (const attr_row& r : attr_rows)
        if (r.attr.key == key) return r.attr.name;
    return {};
}

} // namespace rlx
