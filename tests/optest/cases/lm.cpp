// SPDX-License-Identifier: GPL-3.0-only
#include "lm.hpp"

#include "rlx/base/wall.hpp"

namespace optest {
namespace {

constexpr std::int64_t heads = 4, kv_heads = 2, head_dim = 64, layers = 2;

class decoder {
public:
    decoder(model& m, std::uint16_t type, std::int64_t hidden)
        : m_(m), type_(type), hidden_(hidden) {}

    rlx_value matrix(const std::string& name, std::int64_t out, std::int64_t in) {
        return m_.weight(name, type_, {out, in});
    }

    rlx_value norm(const std::string& name, rlx_value x) {
        const rlx_value w = m_.weight(name, RLX_F32, {hidden_}, numbers::positive);
        return m_.add(RLX_OP_RmsNorm, {x, w}, {{RLX_ATTR_eps, 1e-5}});
    }

    rlx_value sum(rlx_value a, rlx_value b) {
        return m_.add(RLX_OP_Binary, {a, b}, {{RLX_ATTR_kind, RLX_BINARY_ADD}});
    }

    rlx_value
    attention(const std::string& p, rlx_value x, rlx_value rope, const lm_values& v, axis t) {
        const auto split = [&](const char* name, std::int64_t n) {
            const rlx_value y = m_.add(RLX_OP_MatMul, {x, matrix(p + name, n * head_dim, hidden_)});
            return m_.reshape(y, {t, n, head_dim});
        };
        const rlx_value q = m_.add(RLX_OP_Rope, {split("q", heads), rope});
        const rlx_value k = m_.add(RLX_OP_Rope, {split("k", kv_heads), rope});
        const rlx_value state = m_.state(p + "kv", kv_heads, head_dim, head_dim);
        const rlx_value kv = m_.add(RLX_OP_KvAppend, {state, k, split("v", kv_heads), v.slots});
        const rlx_value y = m_.add(
            RLX_OP_AttentionState, {q, kv, v.cu, v.lengths, v.table}, {{RLX_ATTR_scale, 0.18}}
        );
        const rlx_value flat = m_.reshape(y, {t, heads * head_dim});
        return m_.add(RLX_OP_MatMul, {flat, matrix(p + "o", hidden_, heads * head_dim)});
    }

    rlx_value mlp(const std::string& p, rlx_value x) {
        const std::int64_t wide = 2 * hidden_;
        const rlx_value gate = m_.add(RLX_OP_MatMul, {x, matrix(p + "gate", wide, hidden_)});
        const rlx_value up = m_.add(RLX_OP_MatMul, {x, matrix(p + "up", wide, hidden_)});
        const rlx_value y = m_.add(RLX_OP_Glu, {gate, up}, {{RLX_ATTR_kind, RLX_GLU_SWIGLU}});
        return m_.add(RLX_OP_MatMul, {y, matrix(p + "down", hidden_, wide)});
    }

private:
    model& m_;
    std::uint16_t type_;
    std::int64_t hidden_;
};

axis symbol(model& m, const char* name, std::int64_t max) {
    std::int64_t d = 0;
    must(rlx::graph_table()->symbol(m.graph().handle(), rlx::str(name), 0, max, 1, &d));
    return {d, 0};
}

} // namespace

lm_values build_lm(model& m, const lm_bounds& bounds) {
    const std::uint16_t type = m.given().type(0, RLX_F32);
    const std::int64_t hidden = is_super(type_name(type)) ? 256 : 64;
    const axis t = symbol(m, "T", bounds.tokens), b = symbol(m, "B", bounds.sequences);
    const axis p = symbol(m, "P", bounds.pages);
    m.pages = bounds.pages * bounds.sequences;
    lm_values v{};
    v.tokens = m.ints("tokens", {t}, {});
    v.positions = m.ints("positions", {t}, {});
    v.slots = m.ints("slots", {t}, {});
    v.cu = m.input("cu", RLX_I32, {m.dim_op(RLX_DIM_ADD, b, 1)}, {0});
    v.lengths = m.ints("lengths", {b}, {});
    v.table = m.ints("table", {b, p}, {});
    decoder d(m, type, hidden);
    rlx_value x = m.add(RLX_OP_GatherRows, {m.weight("embed", type, {lm_vocab, hidden}), v.tokens});
    const rlx_value rope = m.add(
        RLX_OP_RopeTable, {v.positions}, {{RLX_ATTR_dim, head_dim}, {RLX_ATTR_base, 10000.0}}
    );
    for (std::int64_t i = 0; i < layers; ++i) {
        const std::string prefix = "layer" + std::to_string(i) + ".";
        x = d.sum(x, d.attention(prefix, d.norm(prefix + "norm1", x), rope, v, t));
        x = d.sum(x, d.mlp(prefix, d.norm(prefix + "norm2", x)));
    }
    m.output(m.add(RLX_OP_MatMul, {d.norm("norm", x), d.matrix("head", lm_vocab, hidden)}));
    m.limit_name = "Model";
    return v;
}

feed lm_feed(const model& m, const lm_values& v, const std::vector<lm_sequence>& step) {
    std::vector<double> tokens, positions, slots, cu{0}, lengths, table;
    std::size_t most = 1;
    for (const lm_sequence& s : step)
        most = std::max(most, s.pages.size());
    for (const lm_sequence& s : step) {
        for (std::size_t i = 0; i < s.tokens.size(); ++i) {
            const std::int64_t at = s.cached + static_cast<std::int64_t>(i);
            tokens.push_back(static_cast<double>(s.tokens[i]));
            positions.push_back(static_cast<double>(at));
            const std::int64_t page = s.pages.at(static_cast<std::size_t>(at / m.page_tokens));
            slots.push_back(static_cast<double>(page * m.page_tokens + at % m.page_tokens));
        }
        cu.push_back(static_cast<double>(tokens.size()));
        lengths.push_back(static_cast<double>(s.cached) + static_cast<double>(s.tokens.size()));
        for (std::size_t p = 0; p < most; ++p)
            table.push_back(p < s.pages.size() ? static_cast<double>(s.pages[p]) : 0);
    }
    const auto t = static_cast<std::int64_t>(tokens.size()),
               b = static_cast<std::int64_t>(step.size());
    const auto p = static_cast<std::int64_t>(most);
    feed f;
    f.extents = {{"T", t}, {"B", b}, {"P", p}};
    const auto put = [&](rlx_value id, ref::dims shape, std::vector<double> data) {
        ref::tensor x(RLX_I32, std::move(shape));
        x.data = std::move(data);
        f.inputs[id] = std::move(x);
    };
    put(v.tokens, {t}, tokens);
    put(v.positions, {t}, positions);
    put(v.slots, {t}, slots);
    put(v.cu, {b + 1}, cu);
    put(v.lengths, {b}, lengths);
    put(v.table, {b, p}, table);
    return f;
}

} // namespace optest
