// SPDX-License-Identifier: GPL-3.0-only
// Unary, Binary, Compare, Select, Clamp, Affine, Glu, Snake, Modulate.
#include "cases.hpp"

#include <cmath>

namespace optest {
namespace {

using list = std::vector<std::int64_t>;

// Pairs of shapes that broadcast in every pattern.
const std::pair<list, list> pairs[] = {
    {{5, 17}, {5, 17}},
    {{5, 17}, {17}},
    {{17}, {5, 17}},
    {{5, 17}, {1, 17}},
    {{5, 17}, {5, 1}},
    {{5, 1}, {1, 17}},
    {{2, 3, 5, 7}, {3, 1, 7}},
    {{2, 1, 5, 1}, {1, 3, 1, 7}},
    {{4, 33}, {1}},
    {{4, 33}, {}},
    {{}, {}},
    {{0, 3}, {1, 3}},
    {{3, 0}, {3, 1}},
    {{2, 3, 64}, {2, 1, 64}},
};

void list_unary(sink& s) {
    for (int kind = RLX_UNARY_NEG; kind <= RLX_UNARY_LOG1P; ++kind) {
        s.add({{"kind", kind}, {"d", list{5, 67}}});
        for (const char* x : {"wide", "huge", "infinite", "extreme", "nan"}) {
            const bool wave = kind == RLX_UNARY_SIN || kind == RLX_UNARY_COS;
            const bool gate = kind >= RLX_UNARY_SILU && kind <= RLX_UNARY_GELU_TANH;
            // Far arguments of waves, and infinities of gates (0 times infinity), are nobody's
            // business.
            if (wave && *x != 'w' && *x != 'h' && *x != 'n') continue;
            if (gate && *x == 'i') continue;
            s.add({{"kind", kind}, {"d", list{3, 43}}, {"x", x}});
        }
    }
    for (const std::int64_t n : sizes(s.full))
        for (const int kind : {RLX_UNARY_SILU, RLX_UNARY_NEG})
            s.add({{"kind", kind}, {"d", list{n, 3}}, {"sym", n % 2}});
    for (const char* v : views)
        s.add({{"kind", RLX_UNARY_GELU}, {"d", list{3, 5, 17}}, {"view", v}});
    s.add({{"kind", RLX_UNARY_EXP}, {"d", list{}}});
}

void build_unary(model& m) {
    const std::int64_t kind = m.given().num("kind");
    const bool root = kind >= RLX_UNARY_LOG && kind <= RLX_UNARY_RECIPROCAL;
    const bool exact = kind == RLX_UNARY_NEG || kind == RLX_UNARY_ABS || kind == RLX_UNARY_RELU ||
                       (kind >= RLX_UNARY_FLOOR && kind <= RLX_UNARY_SIGN);
    m.limit_name = exact                                            ? "Unary.sign"
                   : kind == RLX_UNARY_SIN || kind == RLX_UNARY_COS ? "Unary.wave"
                   : kind >= RLX_UNARY_SILU                         ? "Unary.gate"
                                                                    : "Unary";
    const bool near_one = kind == RLX_UNARY_LOG1P;
    const rlx_value x =
        m.operand("a", shape_of(m), root || near_one ? numbers::positive : numbers::usual);
    m.output(m.add(RLX_OP_Unary, {x}, {{RLX_ATTR_kind, kind}}));
}

void list_pairs(sink& s, int first, int last, bool special) {
    for (int kind = first; kind <= last; ++kind)
        for (const char* t : {"f32", "i32"}) {
            if (kind >= RLX_BINARY_POW && special && *t == 'i') continue;
            s.add({t}, {{"kind", kind}, {"a", list{5, 67}}, {"b", list{5, 67}}});
            s.add({t}, {{"kind", kind}, {"a", list{5, 67}}, {"b", list{67}}, {"x", "ties"}});
            if (*t == 'i') continue;
            for (const char* x : {"extreme", "infinite", "nan"})
                if (!(special && kind >= RLX_BINARY_MAX && (*x == 'n' || kind >= RLX_BINARY_POW)))
                    s.add({t}, {{"kind", kind}, {"a", list{7, 43}}, {"b", list{7, 43}}, {"x", x}});
        }
    for (const auto& [a, b] : pairs)
        for (const char* t : {"f32", "i32"})
            s.add({t}, {{"kind", first}, {"a", a}, {"b", b}});
    for (const char* v : views)
        for (const auto& [a, b] : {pairs[0], pairs[4], pairs[6]})
            s.add({"f32"}, {{"kind", first + 1}, {"a", a}, {"b", b}, {"view", v}});
    for (const std::int64_t n : sizes(s.full))
        s.add({"f32"}, {{"kind", first + 2}, {"a", list{n, 3}}, {"b", list{n, 3}}, {"sym", n % 2}});
}

void list_binary(sink& s) {
    list_pairs(s, RLX_BINARY_ADD, RLX_BINARY_ATAN2, true);
    s.add({"i32"}, {{"kind", RLX_BINARY_MUL}, {"a", list{64}}, {"b", list{64}}, {"big", 1}});
    s.add({"i32"}, {{"kind", RLX_BINARY_ADD}, {"a", list{64}}, {"b", list{64}}, {"big", 1}});
    s.add({"i32"}, {{"kind", RLX_BINARY_DIV}, {"a", list{64}}, {"b", list{64}}, {"big", 1}});
}

// Two operands; symbols are shared where both have the axis.
std::pair<rlx_value, rlx_value> two(model& m, numbers how) {
    const test_case& c = m.given();
    const std::uint16_t t = c.type(0, RLX_F32);
    if (c.num("big")) {
        // Products, sums and quotients that leave i32.
        const auto whole = [&] {
            std::vector<std::int64_t> v(64);
            for (std::int64_t& x : v)
                x = static_cast<std::int32_t>(m.rng().bits());
            v[0] = INT32_MIN, v[1] = INT32_MAX, v[2] = 0, v[3] = -1;
            return v;
        };
        auto a = whole(), b = whole();
        b[0] = -1;
        return {m.ints("a", plain({64}), a), m.ints("b", plain({64}), b)};
    }
    axes a = shape_of(m, "a"), b = plain(c.list("b"));
    if (!a.empty() && a.size() == b.size() && a[0].n == b[0].n) b[0] = a[0];
    const rlx_value va = m.typed("a", t, a, how);
    return {va, m.typed("b", t, b, how)};
}

void build_binary(model& m) {
    const std::int64_t kind = m.given().num("kind");
    if (kind == RLX_BINARY_MAX || kind == RLX_BINARY_MIN) m.limit_name = "Binary.pick";
    const auto [a, b] =
        two(m,
            kind == RLX_BINARY_POW || kind == RLX_BINARY_DIV ? numbers::positive : numbers::usual);
    m.output(m.add(RLX_OP_Binary, {a, b}, {{RLX_ATTR_kind, kind}}));
}

void list_compare(sink& s) {
    list_pairs(s, RLX_COMPARE_EQ, RLX_COMPARE_GE, false);
}

void build_compare(model& m) {
    const auto [a, b] = two(m, numbers::ties);
    m.output(m.add(RLX_OP_Compare, {a, b}, {{RLX_ATTR_kind, m.given().num("kind")}}));
}

void list_select(sink& s) {
    for (const char* t : {"f32", "i32"})
        for (const auto& [a, b] : pairs)
            for (const auto& cond : {a, b})
                s.add({t}, {{"c", cond}, {"a", a}, {"b", b}});
    for (const char* v : views)
        s.add(
            {"f32"}, {{"c", list{3, 5, 17}}, {"a", list{3, 5, 17}}, {"b", list{5, 1}}, {"view", v}}
        );
    s.add({"f32"}, {{"c", list{9, 33}}, {"a", list{9, 33}}, {"b", list{9, 33}}, {"nan", 1}});
}

void build_select(model& m) {
    const test_case& c = m.given();
    const std::uint16_t t = c.type(0, RLX_F32);
    const rlx_value cond = m.typed("c", RLX_BOOL, plain(c.list("c")));
    const rlx_value a =
        m.typed("a", t, plain(c.list("a")), c.num("nan") ? numbers::nan : numbers::usual);
    const rlx_value b = m.typed("b", t, plain(c.list("b")));
    m.output(m.add(RLX_OP_Select, {cond, a, b}));
}

void list_simple(sink& s) {
    for (const std::int64_t n : sizes(s.full))
        s.add({{"d", list{n, 3}}, {"sym", n % 2}});
    for (const char* v : views)
        s.add({{"d", list{3, 5, 17}}, {"view", v}});
    s.add({{"d", list{3, 67}}, {"x", "extreme"}});
    s.add({{"d", list{3, 67}}, {"x", "infinite"}});
    s.add({{"d", list{}}});
}

void list_clamp(sink& s) {
    list_simple(s);
    s.add({{"d", list{3, 67}}, {"lo", "-inf"}, {"x", "infinite"}});
    s.add({{"d", list{3, 67}}, {"hi", "inf"}, {"x", "infinite"}});
    s.add({{"d", list{3, 67}}, {"x", "nan"}});
}

void build_clamp(model& m) {
    const test_case& c = m.given();
    const rlx_value x = m.operand("a", shape_of(m));
    m.output(m.add(
        RLX_OP_Clamp, {x}, {{RLX_ATTR_lo, c.real("lo", -0.3)}, {RLX_ATTR_hi, c.real("hi", 0.7)}}
    ));
}

void build_affine(model& m) {
    const rlx_value x = m.operand("a", shape_of(m));
    m.output(m.add(RLX_OP_Affine, {x}, {{RLX_ATTR_scale, 1.7}, {RLX_ATTR_shift, -0.1}}));
}

void list_glu(sink& s) {
    for (int kind = RLX_GLU_SWIGLU; kind <= RLX_GLU_SIGMOID; ++kind) {
        s.add({{"kind", kind}, {"d", list{5, 67}}});
        s.add({{"kind", kind}, {"d", list{5, 67}}, {"x", "huge"}});
        s.add({{"kind", kind}, {"d", list{5, 67}}, {"x", "nan"}});
        s.add({{"kind", kind}, {"d", list{5, 67}}, {"x", "nan"}, {"on", 1}});
        for (const char* v : {"perm", "slice", "mixed"})
            s.add({{"kind", kind}, {"d", list{3, 5, 17}}, {"view", v}});
    }
    for (const std::int64_t n : sizes(s.full))
        s.add({{"kind", RLX_GLU_SWIGLU}, {"d", list{n, 3}}, {"sym", n % 2}});
}

void build_glu(model& m) {
    const axes d = shape_of(m);
    const rlx_value gate = m.operand("gate", d, numbers::wide);
    const rlx_value up = m.operand("up", d);
    m.output(m.add(RLX_OP_Glu, {gate, up}, {{RLX_ATTR_kind, m.given().num("kind")}}));
}

void list_snake(sink& s) {
    for (const int log : {0, 1})
        for (const int beta : {0, 1})
            for (const auto& d :
                 {list{2, 5, 67}, list{1, 17}, list{2, 3, 4, 9}, list{2, 3, 0}, list{0, 3, 4}})
                s.add({{"d", d}, {"log", log}, {"beta", beta}});
    for (const char* v : {"perm", "slice"})
        s.add({{"d", list{2, 5, 17}}, {"beta", 1}, {"view", v}});
    s.add({{"d", list{3, 5, 17}}, {"beta", 1}, {"sym", 1}});
    s.add({{"d", list{2, 5, 17}}, {"beta", 1}, {"x", "nan"}});
}

void build_snake(model& m) {
    const test_case& c = m.given();
    const axes d = shape_of(m);
    std::vector<rlx_value> in{m.operand("a", d, numbers::wide)};
    in.push_back(m.weight("alpha", RLX_F32, {d[1].n}, numbers::positive));
    if (c.num("beta")) in.push_back(m.weight("beta", RLX_F32, {d[1].n}, numbers::positive));
    m.output(m.add(RLX_OP_Snake, in, {{RLX_ATTR_log, c.num("log")}}));
}

void list_modulate(sink& s) {
    for (int which = 0; which < 16; ++which)
        s.add({{"d", list{3, 5, 17}}, {"which", which}, {"p", list{3, 1, 17}}});
    for (const auto& p :
         {list{17}, list{1, 1, 17}, list{3, 5, 17}, list{5, 17}, list{3, 1, 1}, list{1}})
        s.add({{"d", list{3, 5, 17}}, {"which", 15}, {"p", p}});
    for (const char* v : views)
        s.add({{"d", list{3, 5, 17}}, {"which", 15}, {"p", list{3, 5, 17}}, {"view", v}});
    for (const int on : {0, 1, 4})
        s.add({{"d", list{3, 5, 17}}, {"which", 15}, {"p", list{5, 17}}, {"x", "nan"}, {"on", on}});
    for (const std::int64_t n : sizes(s.full))
        s.add({{"d", list{n, 9}}, {"which", 15}, {"p", list{1, 9}}, {"sym", n % 2}});
}

void build_modulate(model& m) {
    const test_case& c = m.given();
    const axes d = shape_of(m);
    std::vector<rlx_value> in{m.operand("a", d)};
    for (int i = 0; i < 4; ++i) {
        const bool given = c.num("which") >> i & 1;
        const std::string name = "p" + std::to_string(i);
        in.push_back(
            !given   ? 0
            : i == 3 ? m.operand(name, d)
                     : m.operand(name, plain(c.list("p")))
        );
    }
    m.output(m.add(RLX_OP_Modulate, in));
}

constexpr op_cases all[] = {
    {"Unary", list_unary, build_unary},
    {"Binary", list_binary, build_binary},
    {"Compare", list_compare, build_compare},
    {"Select", list_select, build_select},
    {"Clamp", list_clamp, build_clamp},
    {"Affine", list_simple, build_affine},
    {"Glu", list_glu, build_glu},
    {"Snake", list_snake, build_snake},
    {"Modulate", list_modulate, build_modulate},
};

} // namespace

std::span<const op_cases> elementwise_cases() {
    return all;
}

} // namespace optest
