// SPDX-License-Identifier: GPL-3.0-only
// Fft, Stft, Istft; CausalConv1d, the scans, Rnn, StateLoad and StateStore, LoraMatMul.
#include "cases.hpp"

namespace optest {
namespace {

using list = std::vector<std::int64_t>;

void list_fft(sink& s) {
    for (const std::int64_t n : {1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 60, 64, 97, 128})
        for (int kind = RLX_FFT_R2C; kind <= RLX_FFT_C2C_INVERSE; ++kind)
            s.add({{"kind", kind}, {"n", n}, {"d", list{3}}});
    for (const char* v : {"perm", "slice"})
        for (int kind = RLX_FFT_R2C; kind <= RLX_FFT_C2C_INVERSE; ++kind)
            s.add({{"kind", kind}, {"n", 20}, {"d", list{2, 3}}, {"view", v}});
    s.add({{"kind", RLX_FFT_R2C}, {"n", 16}, {"d", list{0}}, {"sym", 1}});
}

void build_fft(model& m) {
    const test_case& c = m.given();
    const std::int64_t n = c.num("n"), kind = c.num("kind");
    axes d = shape_of(m);
    d.push_back(kind == RLX_FFT_C2R ? n / 2 + 1 : n);
    if (kind != RLX_FFT_R2C) d.push_back(2);
    std::vector<attr> attrs{{RLX_ATTR_kind, kind}};
    if (kind == RLX_FFT_C2R) attrs.emplace_back(RLX_ATTR_n, n);
    m.output(m.add(RLX_OP_Fft, {m.operand("x", d)}, attrs));
}

void list_stft(sink& s) {
    for (const auto& p : {list{16, 4}, list{15, 5}, list{20, 20}, list{8, 11}})
        for (const int window : {0, 1})
            for (const int frames : {1, 7})
                s.add({{"n", p[0]}, {"hop", p[1]}, {"frames", frames}, {"window", window}, {"b", 2}}
                );
    s.add({{"n", 16}, {"hop", 4}, {"frames", 5}, {"window", 1}, {"b", 3}, {"view", "perm"}});
    s.add({{"n", 16}, {"hop", 4}, {"frames", 5}, {"window", 1}, {"b", 2}, {"trim", 8}});
}

void build_stft(model& m) {
    const test_case& c = m.given();
    const std::int64_t n = c.num("n"), hop = c.num("hop"),
                       length = (c.num("frames") - 1) * hop + n + hop / 2;
    std::vector<rlx_value> in{m.operand("x", {c.num("b"), length})};
    if (c.num("window")) in.push_back(m.weight("w", RLX_F32, {n}, numbers::positive));
    m.output(m.add(RLX_OP_Stft, in, {{RLX_ATTR_n, n}, {RLX_ATTR_hop, hop}}));
}

void build_istft(model& m) {
    const test_case& c = m.given();
    const std::int64_t n = c.num("n");
    std::vector<rlx_value> in{m.operand("x", {c.num("b"), c.num("frames"), n / 2 + 1, 2})};
    if (c.num("window")) in.push_back(m.weight("w", RLX_F32, {n}, numbers::positive));
    m.output(m.add(
        RLX_OP_Istft,
        in,
        {{RLX_ATTR_n, n}, {RLX_ATTR_hop, c.num("hop")}, {RLX_ATTR_trim, c.num("trim")}}
    ));
}

// Lengths of the sequences with every size that the op's argument `d` needs.
void list_scan(sink& s, const std::vector<list>& shapes) {
    for (const list& d : shapes)
        for (const auto& lengths : {list{5}, list{1, 1}, list{3, 0, 7}, list{0}, list{33, 2}})
            for (const int state : {0, 1})
                s.add({{"lengths", lengths}, {"d", d}, {"state", state}, {"extra", state}});
    s.add({{"lengths", list{4, 3}}, {"d", shapes[0]}, {"state", 1}, {"extra", 1}, {"sym", 1}});
    s.add({{"lengths", list{4, 3}}, {"d", shapes[0]}, {"state", 1}, {"view", "slice"}});
    s.add({{"lengths", list{4, 3}}, {"d", shapes[0]}, {"state", 1}, {"bad", 1}});
}

struct tokens {
    axis t, b;
    rlx_value cu;
};

tokens token_axes(model& m) {
    const list lengths = m.given().list("lengths");
    list cu = cuts(lengths);
    const axis t = m.dim("T", cu.back()), b = m.dim("B", static_cast<std::int64_t>(lengths.size()));
    if (m.given().num("bad")) cu[1] = cu.back() + 1, m.must_fail = true;
    return {t, b, m.ints("cu", {m.dim_op(RLX_DIM_ADD, b, 1)}, cu)};
}

rlx_value state_of(model& m, const axes& dims) {
    return m.given().num("state") ? m.operand("state", dims) : 0;
}

void both(
    model& m, std::uint32_t op, const std::vector<rlx_value>& in, std::vector<attr> attrs = {}
) {
    for (const rlx_value v : m.add_many(op, in, std::move(attrs), 2))
        m.output(v);
}

void list_causal(sink& s) {
    list_scan(s, {{5, 4}, {1, 1}, {17, 3}, {64, 2}});
}

void build_causal(model& m) {
    const list d = m.given().list("d");
    const tokens k = token_axes(m);
    const rlx_value x = m.operand("x", {k.t, d[0]});
    const rlx_value w = m.weight("w", RLX_F32, {d[0], d[1]});
    const rlx_value bias = m.given().num("extra") ? m.weight("b", RLX_F32, {d[0]}) : 0;
    both(m, RLX_OP_CausalConv1d, {x, w, k.cu, bias, state_of(m, {k.b, d[0], d[1] - 1})});
}

void list_selective(sink& s) {
    list_scan(s, {{5, 4}, {1, 1}, {17, 16}, {33, 8}});
}

// dt > 0 and A < 0, as models have them: the state fades.
rlx_value negative(model& m, rlx_value v) {
    return m.add(RLX_OP_Affine, {v}, {{RLX_ATTR_scale, -1.0}, {RLX_ATTR_shift, 0.0}});
}

void build_selective(model& m) {
    const list d = m.given().list("d");
    const tokens k = token_axes(m);
    const rlx_value x = m.operand("x", {k.t, d[0]});
    const rlx_value dt = m.operand("dt", {k.t, d[0]}, numbers::positive);
    const rlx_value a = negative(m, m.operand("A", {d[0], d[1]}, numbers::positive));
    const rlx_value in = m.operand("B", {k.t, d[1]}), out = m.operand("C", {k.t, d[1]});
    const rlx_value skip = m.given().num("extra") ? m.weight("skip", RLX_F32, {d[0]}) : 0;
    both(m, RLX_OP_SelectiveScan, {x, dt, a, in, out, k.cu, skip, state_of(m, {k.b, d[0], d[1]})});
    m.tested = {RLX_OP_SelectiveScan};
}

void list_ssd(sink& s) {
    list_scan(s, {{4, 3, 2, 5}, {1, 1, 1, 1}, {6, 16, 1, 16}, {2, 8, 2, 33}});
}

void build_ssd(model& m) {
    const list d = m.given().list("d"); // H, P, G, N
    const tokens k = token_axes(m);
    const rlx_value x = m.operand("x", {k.t, d[0], d[1]});
    const rlx_value dt = m.operand("dt", {k.t, d[0]}, numbers::positive);
    const rlx_value a = negative(m, m.operand("A", {d[0]}, numbers::positive));
    const rlx_value in = m.operand("B", {k.t, d[2], d[3]}), out = m.operand("C", {k.t, d[2], d[3]});
    const rlx_value skip = m.given().num("extra") ? m.weight("skip", RLX_F32, {d[0]}) : 0;
    both(m, RLX_OP_SsdScan, {x, dt, a, in, out, k.cu, skip, state_of(m, {k.b, d[0], d[1], d[3]})});
    m.tested = {RLX_OP_SsdScan};
}

void list_delta(sink& s) {
    list_scan(s, {{2, 4, 8, 5}, {1, 1, 1, 1}, {2, 2, 16, 16}, {1, 3, 17, 33}});
    for (const int decay : {1, 2, 3})
        for (const int tiled : {0, 1})
            s.add(
                {{"lengths", list{4, 3}},
                 {"d", list{2, 6, 8, 5}},
                 {"state", 1},
                 {"decay", decay},
                 {"tiled", tiled},
                 {"scale", "0.35"}}
            );
}

// Decay per head and token, or per key element too; 3: per head alone.
rlx_value decay_of(model& m, const tokens& k, const list& d, std::int64_t rank) {
    const axes shape = rank == 3 ? axes{d[1]} : rank == 2 ? axes{k.t, d[1], d[2]} : axes{k.t, d[1]};
    return negative(m, m.operand("decay", shape, numbers::positive));
}

std::vector<attr> delta_attrs(const test_case& c) {
    std::vector<attr> out;
    if (c.has("tiled")) out.emplace_back(RLX_ATTR_tiled, c.num("tiled"));
    if (c.has("scale")) out.emplace_back(RLX_ATTR_scale, c.real("scale"));
    return out;
}

void build_delta(model& m) {
    const test_case& c = m.given();
    const list d = c.list("d"); // Hk, H, dk, dv
    const tokens k = token_axes(m);
    const auto unit = [&](const char* name) {
        return m.add(RLX_OP_L2Norm, {m.operand(name, {k.t, d[0], d[2]})}, {{RLX_ATTR_eps, 1e-6}});
    };
    const rlx_value q = unit("q"), key = unit("k");
    const rlx_value v = m.operand("v", {k.t, d[1], d[3]});
    const rlx_value decay = decay_of(m, k, d, c.num("decay", 1) == 3 ? 1 : c.num("decay", 1));
    const rlx_value beta =
        m.add(RLX_OP_Unary, {m.operand("beta", {k.t, d[1]})}, {{RLX_ATTR_kind, RLX_UNARY_SIGMOID}});
    both(
        m,
        RLX_OP_GatedDeltaRule,
        {q, key, v, decay, beta, k.cu, state_of(m, {k.b, d[1], d[2], d[3]})},
        delta_attrs(c)
    );
    m.tested = {RLX_OP_GatedDeltaRule};
}

void build_linear(model& m) {
    const test_case& c = m.given();
    const list d = c.list("d");
    const tokens k = token_axes(m);
    const rlx_value q = m.operand("q", {k.t, d[0], d[2]}), key = m.operand("k", {k.t, d[0], d[2]});
    const rlx_value v = m.operand("v", {k.t, d[1], d[3]});
    const rlx_value decay = c.has("decay") ? decay_of(m, k, d, c.num("decay")) : 0;
    both(
        m,
        RLX_OP_LinearAttention,
        {q, key, v, k.cu, decay, state_of(m, {k.b, d[1], d[2], d[3]})},
        delta_attrs(c)
    );
    m.tested = {RLX_OP_LinearAttention};
}

void list_rnn(sink& s) {
    for (int kind = RLX_RNN_LSTM; kind <= RLX_RNN_RELU; ++kind)
        for (const int reverse : {0, 1})
            for (const int p : {0, 1})
                for (const auto& d :
                     {list{2, 5, 7, 4}, list{1, 1, 16, 16}, list{3, 9, 3, 17}, list{2, 0, 3, 4}})
                    s.add(
                        {p ? "f32" : "bf16"},
                        {{"kind", kind}, {"reverse", reverse}, {"p", p}, {"d", d}}
                    );
    s.add(
        {"f32"},
        {{"kind", RLX_RNN_LSTM}, {"p", 1}, {"d", list{3, 5, 7, 4}}, {"sym", 1}, {"view", "slice"}}
    );
}

void build_rnn(model& m) {
    const test_case& c = m.given();
    const list d = c.list("d"); // N, T, in, h
    const std::int64_t kind = c.num("kind"), parts = kind == RLX_RNN_LSTM  ? 4
                                                     : kind == RLX_RNN_GRU ? 3
                                                                           : 1;
    const std::uint16_t t = c.type(0, RLX_F32);
    const axis n = m.dim("N", d[0]);
    std::vector<rlx_value> in{m.operand("x", {n, d[1], d[2]})};
    in.push_back(m.weight("wi", t, {parts * d[3], d[2]}));
    in.push_back(m.weight("wh", t, {parts * d[3], d[3]}));
    if (c.num("p")) {
        in.push_back(m.weight("bi", t, {parts * d[3]}));
        in.push_back(m.weight("bh", t, {parts * d[3]}));
        in.push_back(m.operand("h0", {n, d[3]}));
        if (kind == RLX_RNN_LSTM) in.push_back(m.operand("c0", {n, d[3]}));
    }
    for (const rlx_value v : m.add_many(
             RLX_OP_Rnn, in, {{RLX_ATTR_kind, kind}, {RLX_ATTR_reverse, c.num("reverse")}}, 3
         ))
        m.output(v);
}

void list_tensor_state(sink& s) {
    for (const auto& d : {list{1, 1, 1}, list{2, 8, 5}, list{3, 16, 16}})
        for (const auto& pages : {list{0}, list{3, 0, 5}, list{6, 5, 4, 3, 2, 1, 0}})
            s.add({{"d", d}, {"pages", pages}});
    for (const int bad : {1, 2})
        s.add({{"d", list{2, 8, 5}}, {"pages", list{1, 0}}, {"bad", bad}});
}

// Stores and loads again, in another order.
void build_tensor_state(model& m) {
    const test_case& c = m.given();
    const list d = c.list("d");
    list pages = c.list("pages"), back(pages.rbegin(), pages.rend());
    m.pages = 7;
    if (c.num("bad")) pages[0] = c.num("bad") == 1 ? m.pages : -1, m.must_fail = true;
    const auto n = static_cast<std::int64_t>(pages.size());
    const rlx_value x = m.operand("x", {n, d[0], d[1], d[2]});
    const rlx_value state = m.state("s", d[0], d[1], d[2], RLX_STATE_TENSOR);
    const rlx_value stored = m.add(RLX_OP_StateStore, {state, x, m.ints("to", {n}, pages)});
    m.output(m.add(RLX_OP_StateLoad, {stored, m.ints("from", {n}, back)}));
    m.tested = {RLX_OP_StateStore, RLX_OP_StateLoad};
}

void list_lora(sink& s) {
    for (const char* t : {"f32", "bf16", "q8_0", "q4_K"})
        for (const int rows : {0, 1, 7})
            for (const int bias : {0, 1})
                s.add(
                    {t},
                    {{"m", rows},
                     {"in", is_super(t) ? 256 : 64},
                     {"out", 33},
                     {"r", 4},
                     {"bias", bias}}
                );
    s.add({"f32"}, {{"m", 5}, {"in", 17}, {"out", 9}, {"r", 1}, {"sym", 1}});
}

void build_lora(model& m) {
    const test_case& c = m.given();
    const std::int64_t in = c.num("in"), out = c.num("out"), r = c.num("r");
    const rlx_value x = m.operand("x", {m.dim("T", c.num("m")), in});
    std::vector<rlx_value> all{x, m.weight("w", c.type(0, RLX_F32), {out, in})};
    all.push_back(m.weight("a", RLX_F32, {r, in}));
    all.push_back(m.weight("up", RLX_F32, {out, r}));
    if (c.num("bias")) all.push_back(m.weight("b", RLX_F32, {out}));
    m.output(m.add(RLX_OP_LoraMatMul, all, {{RLX_ATTR_scale, 0.7}}));
}

constexpr op_cases all[] = {
    {"Fft", list_fft, build_fft},
    {"Stft", list_stft, build_stft},
    {"Istft", list_stft, build_istft},
    {"CausalConv1d", list_causal, build_causal},
    {"SelectiveScan", list_selective, build_selective},
    {"SsdScan", list_ssd, build_ssd},
    {"GatedDeltaRule", list_delta, build_delta},
    {"LinearAttention", list_delta, build_linear},
    {"Rnn", list_rnn, build_rnn},
    {"StateStore", list_tensor_state, build_tensor_state},
    {"StateLoad", list_tensor_state, build_tensor_state},
    {"LoraMatMul", list_lora, build_lora},
};

} // namespace

std::span<const op_cases> recurrent_cases() {
    return all;
}

} // namespace optest
