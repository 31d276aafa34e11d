// SPDX-License-Identifier: GPL-3.0-only
// The text form of a graph: for tests, bug reports and eyes. Stable: ids and order only depend on
// the graph.
#include "dtype.hpp"
#include "passes.hpp"
#include "rules.hpp"
#include "text.hpp"

#include <fmt/format.h>

namespace rlx::ir {

namespace {

std::string attr_text(const module& m, std::uint16_t op, const rlx_attr& a) {
    const std::string own = fmt::format("{:#x}", a.key);
    const std::string_view name =
        a.key < RLX_ATTR_CUSTOM ? attr_name(a.key) : std::string_view(own);
    if (a.kind == RLX_ATTR_F64) return fmt::format("{}={}", name, a.f);
    if (a.kind == RLX_ATTR_I64) {
        if (a.key == RLX_ATTR_dtype)
            return fmt::format("{}={}", name, dtype_name(static_cast<std::uint32_t>(a.i)));
        return fmt::format(
            "{}={}", name, holds_dims(op, a.key) ? m.dims.text(a.i) : fmt::format("{}", a.i)
        );
    }
    const std::span list(a.list, static_cast<std::size_t>(a.n));
    if (holds_dims(op, a.key)) return fmt::format("{}={}", name, m.dims.text(list));
    std::string s;
    for (std::int64_t v : list)
        s += fmt::format("{}{}", s.empty() ? "" : ", ", v);
    return fmt::format("{}=[{}]", name, s);
}

std::string source_text(const module& m, rlx_value id) {
    static constexpr const char* kinds[] = {"", "input", "weight", "constant", "state"};
    return fmt::format("{} {}\n", kinds[m.at(id).kind], describe(m, id));
}

std::string out_text(const module& m, rlx_value id) {
    const value& v = m.at(id);
    std::string s = v.is_output
                        ? fmt::format("%{} {} {}", id, dtype_name(v.dtype), m.dims.text(v.dims))
                        : describe(m, id);
    if (v.root != id && v.kind != RLX_VALUE_STATE)
        s += fmt::format(
            " view %{} offset {} strides {}", v.root, m.dims.text(v.offset), m.dims.text(v.strides)
        );
    else if (v.root != id)
        s += fmt::format(" alias %{}", v.root);
    return s;
}

} // namespace

std::string dump(const module& m) {
    std::string s;
    for (const symbol& x : m.dims.symbols()) {
        s += fmt::format("symbol {} {} to {}", x.name, x.min, x.max);
        if (x.multiple != 1) s += fmt::format(" step {}", x.multiple);
        s += "\n";
    }
    for (std::size_t i = 0; i < m.values.size(); i++) {
        const auto id = static_cast<rlx_value>(i + 1);
        const value& v = m.values[i];
        if (v.kind != RLX_VALUE_TEMP && v.root == id) s += source_text(m, id);
    }
    for (const node& n : m.nodes) {
        std::string outs, args;
        for (rlx_value v : n.out)
            outs += (outs.empty() ? "" : ", ") + out_text(m, v);
        for (rlx_value v : n.in)
            args += fmt::format("{}%{}", args.empty() ? "" : ", ", v);
        for (const rlx_attr& a : n.attrs.items)
            args += (args.empty() ? "" : ", ") + attr_text(m, n.op, a);
        s += fmt::format(
            "{} = {}({})",
            outs,
            n.custom        ? n.custom->name
            : op_info(n.op) ? std::string(op_info(n.op)->name)
                            : "?",
            args
        );
        if (!n.origin.empty()) s += fmt::format(" @{}", n.origin);
        for (rlx_value v : n.out)
            if (m.scratch_bytes != 0 && m.at(v).root == v && m.at(v).kind == RLX_VALUE_TEMP &&
                !m.at(v).is_output)
                s += fmt::format(" #{}+{}", m.at(v).scratch_offset, m.at(v).scratch_bytes);
        s += "\n";
    }
    for (rlx_value v : m.outputs)
        s += fmt::format("output '{}' %{}\n", m.at(v).name, v);
    for (const guard& g : m.dims.guards())
        s += fmt::format("guard {}\n", g.message);
    if (m.scratch_bytes) s += fmt::format("scratch {}\n", m.scratch_bytes);
    return s;
}

} // namespace rlx::ir
