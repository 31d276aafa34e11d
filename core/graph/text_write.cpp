// SPDX-License-Identifier: GPL-3.0-only
#include "dtype.hpp"
#include "impl.hpp"
#include "rlx/graph/text.hpp"
#include "text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace rlx {

namespace ir {

bool holds_dims(std::uint16_t op, std::uint16_t key) {
    return key == RLX_ATTR_dims || key == RLX_ATTR_start || key == RLX_ATTR_stop ||
           key == RLX_ATTR_n ||
           (op == RLX_OP_Pad && (key == RLX_ATTR_pad_lo || key == RLX_ATTR_pad_hi));
}

namespace {

std::string in_quotes(std::string_view name) {
    std::string s = "'";
    for (char c : name) {
        if (c == '\'' || c == '\\') s += '\\';
        s += c == '\n' ? std::string("\\n") : std::string(1, c);
    }
    return s + "'";
}

std::string number(double f) {
    const std::string s = fmt::format("{}", f);
    return s.find_first_not_of("-0123456789") == std::string::npos ? s + ".0" : s;
}

std::string numbers(const module& m, std::uint16_t op, const rlx_attr& a) {
    const std::span list(a.list, static_cast<std::size_t>(a.n));
    if (holds_dims(op, a.key)) return m.dims.text(list);
    return fmt::format("[{}]", fmt::join(list, ", "));
}

class writer {
public:
    explicit writer(const module& m) : m_(m), ids_(m.values.size() + 1, 0) {}

    std::string text() {
        std::string s = "rlxg 1\n";
        for (const symbol& x : m_.dims.symbols()) {
            s += fmt::format("symbol {} {} to {}", x.name, x.min, x.max);
            s += x.multiple != 1 ? fmt::format(" step {}\n", x.multiple) : "\n";
        }
        for (std::size_t i = 0; i < m_.values.size(); i++) {
            const auto id = static_cast<rlx_value>(i + 1);
            if (m_.at(id).kind != RLX_VALUE_TEMP && m_.at(id).root == id) s += source(id);
        }
        for (const node& n : m_.nodes)
            s += line(n);
        for (rlx_value v : m_.outputs)
            s += fmt::format("output {} %{}\n", in_quotes(m_.at(v).name), ids_[v]);
        return s;
    }

private:
    std::string typed(const value& v) const {
        return fmt::format("{} {}", dtype_name(v.dtype), m_.dims.text(v.dims));
    }

    std::string source(rlx_value id) {
        const value& v = m_.at(id);
        ids_[id] = ++last_;
        switch (v.kind) {
        case RLX_VALUE_INPUT:
            return fmt::format("input %{} {} {}\n", last_, in_quotes(v.name), typed(v));
        case RLX_VALUE_WEIGHT:
            return fmt::format("weight %{} {} {}\n", last_, in_quotes(v.name), typed(v));
        case RLX_VALUE_STATE:
            return fmt::format(
                "state %{} {} {} {} x {} x {}\n",
                last_,
                in_quotes(v.name),
                v.slot.kind == RLX_STATE_KV ? "kv" : "tensor",
                v.slot.n_heads,
                v.slot.k_dim,
                v.slot.v_dim
            );
        default: break;
        }
        std::string s = fmt::format("constant %{} {}", last_, typed(v));
        if (!v.data.empty()) s += " ";
        for (std::byte b : v.data)
            s += fmt::format("{:02x}", static_cast<unsigned>(b));
        return s + "\n";
    }

    std::string line(const node& n) {
        std::string outs, args;
        for (rlx_value v : n.in)
            args += (args.empty() ? "" : ", ") + (v ? fmt::format("%{}", ids_[v]) : "_");
        for (const rlx_attr& a : n.attrs.items)
            args += fmt::format("{}{}", args.empty() ? "" : ", ", attribute(n, a));
        for (rlx_value v : n.out) {
            ids_[v] = ++last_;
            outs += fmt::format("{}%{}", outs.empty() ? "" : ", ", last_);
            if (m_.at(v).kind != RLX_VALUE_STATE) outs += " " + typed(m_.at(v));
        }
        const std::string op = n.custom ? fmt::format("{} {}", in_quotes(n.custom->name), n.version)
                                        : std::string(op_info(n.op)->name);
        const std::string at = n.origin.empty() ? "" : " @" + in_quotes(n.origin);
        return fmt::format("{} = {}({}){}\n", outs, op, args, at);
    }

    std::string attribute(const node& n, const rlx_attr& a) const {
        const std::string key =
            a.key < RLX_ATTR_CUSTOM ? std::string(attr_name(a.key)) : fmt::format("{:#x}", a.key);
        if (a.kind == RLX_ATTR_F64) return fmt::format("{}={}", key, number(a.f));
        if (a.kind == RLX_ATTR_LIST) return fmt::format("{}={}", key, numbers(m_, n.op, a));
        if (a.key == RLX_ATTR_dtype)
            return fmt::format("{}={}", key, dtype_name(static_cast<std::uint32_t>(a.i)));
        return fmt::format(
            "{}={}", key, holds_dims(n.op, a.key) ? m_.dims.text(a.i) : fmt::format("{}", a.i)
        );
    }

    const module& m_;
    std::vector<std::uint64_t> ids_; // by value: its number in the text
    std::uint64_t last_ = 0;
};

using json = nlohmann::ordered_json;

json dim_json(const module& m, dim d) {
    if (d >= 0) return d;
    return m.dims.text(d);
}

json dims_json(const module& m, std::span<const dim> dims) {
    json list = json::array();
    for (dim d : dims)
        list.push_back(dim_json(m, d));
    return list;
}

json value_json(const module& m, rlx_value id) {
    static constexpr const char* kinds[] = {"", "input", "weight", "constant", "state", "temp"};
    const value& v = m.at(id);
    json j = {{"id", id}, {"kind", kinds[v.kind]}};
    if (v.kind == RLX_VALUE_STATE) {
        j["slot"] = {v.slot.n_heads, v.slot.k_dim, v.slot.v_dim};
    } else {
        j["dtype"] = dtype_name(v.dtype);
        j["dims"] = dims_json(m, v.dims);
    }
    if (!v.name.empty()) j["name"] = v.name;
    if (v.root != id) j["root"] = v.root;
    if (v.scratch_bytes != 0 && v.root == id && !v.is_output)
        j["scratch"] = {{"offset", v.scratch_offset}, {"bytes", v.scratch_bytes}};
    return j;
}

json attribute_json(const module& m, const node& n, const rlx_attr& a) {
    // JSON has no infinities.
    if (a.kind == RLX_ATTR_F64)
        return std::isfinite(a.f) ? json(a.f) : json(fmt::format("{}", a.f));
    const bool dims = holds_dims(n.op, a.key);
    if (a.kind == RLX_ATTR_I64) return dims ? dim_json(m, a.i) : json(a.i);
    const std::span list(a.list, static_cast<std::size_t>(a.n));
    return dims ? dims_json(m, list) : json(std::vector<std::int64_t>(list.begin(), list.end()));
}

json node_json(const module& m, const node& n) {
    json j = {
        {"op", n.custom ? n.custom->name : std::string(op_info(n.op)->name)},
        {"version", n.version},
        {"in", n.in},
        {"out", n.out}};
    json attrs = json::object();
    for (const rlx_attr& a : n.attrs.items) {
        const std::string key =
            a.key < RLX_ATTR_CUSTOM ? std::string(attr_name(a.key)) : fmt::format("{:#x}", a.key);
        attrs[key] = attribute_json(m, n, a);
    }
    if (!attrs.empty()) j["attrs"] = std::move(attrs);
    if (!n.origin.empty()) j["origin"] = n.origin;
    return j;
}

} // namespace

} // namespace ir

std::string graph_text(const graph& g) {
    return ir::writer(ir::impl(g.handle()).m).text();
}

std::string graph_json(const graph& g) {
    using ir::json;
    const ir::module& m = ir::impl(g.handle()).m;
    json symbols = json::array(), values = json::array(), nodes = json::array();
    json outputs = json::array();
    for (const ir::symbol& s : m.dims.symbols())
        symbols.push_back(
            {{"name", s.name}, {"min", s.min}, {"max", s.max}, {"multiple", s.multiple}}
        );
    for (std::size_t i = 0; i < m.values.size(); i++) {
        const auto id = static_cast<rlx_value>(i + 1);
        const bool unused = m.at(id).kind == RLX_VALUE_TEMP && m.at(id).producer == ir::no_node;
        if (!unused) values.push_back(ir::value_json(m, id));
    }
    for (const ir::node& n : m.nodes)
        nodes.push_back(ir::node_json(m, n));
    for (rlx_value v : m.outputs)
        outputs.push_back({{"name", m.at(v).name}, {"id", v}});
    const json all = {
        {"symbols", symbols},
        {"values", values},
        {"nodes", nodes},
        {"outputs", outputs},
        {"scratch_bytes", m.scratch_bytes}};
    // Names are a plugin's bytes: what is no UTF-8 is replaced, not thrown at.
    return all.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

} // namespace rlx
