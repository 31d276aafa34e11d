// SPDX-License-Identifier: GPL-3.0-only
// MatMul, GroupedMatMul, MoeRoute, MoeCombine, BatchMatMul.
#include "cases.hpp"

#include <fmt/format.h>

namespace optest {
namespace {

using list = std::vector<std::int64_t>;

void list_matmul(sink& s) {
    // Plain weights: every edge of m, n and k.
    for (const char* t : plain_types) {
        for (const std::int64_t m : {0, 1, 2, 5, 8, 17, 33})
            s.add({t, "f32"}, {{"m", m}, {"k", 67}, {"n", 31}, {"sym", m % 2}});
        for (const std::int64_t n : {0, 1, 7, 16, 17, 33, 65})
            s.add({t, "f32"}, {{"m", 3}, {"k", 64}, {"n", n}, {"bias", n % 2}});
        for (const std::int64_t k : {0, 1, 2, 15, 16, 17, 129})
            s.add({t, "f32"}, {{"m", 5}, {"k", k}, {"n", 19}, {"bias", 1}});
        s.add({t, "f32"}, {{"d", list{2, 3}}, {"k", 64}, {"n", 48}, {"bias", 1}});
    }
    for (const char* t : packed_types) {
        const std::int64_t block = is_super(t) ? 256 : 32;
        for (const std::int64_t m : {0, 1, 2, 3, 7, 8, 9, 33})
            s.add({t, "f32"}, {{"m", m}, {"k", 2 * block}, {"n", 37}, {"sym", m % 2}});
        for (const std::int64_t n : {1, 8, 16, 17, 31, 64, 65})
            for (const int m : {1, 6})
                s.add({t, "f32"}, {{"m", m}, {"k", block}, {"n", n}, {"bias", n % 2}});
        s.add({t, "f32"}, {{"m", 4}, {"k", 1280}, {"n", 24}});
        s.add({t, "f32"}, {{"m", 5}, {"k", 2 * block}, {"n", 37}, {"view", "slice"}});
        s.add({t, "f32"}, {{"m", 17}, {"k", 2 * block}, {"n", 37}, {"x", "wide"}});
    }
    for (const char* t : {"f32", "f16", "q8_0", "q4_0", "q4_K", "q6_K", "iq4_nl"})
        for (const std::int64_t m : {1, 6, 33}) {
            const std::int64_t k = is_super(t) ? 256 : 32;
            s.add({t, "f32"}, {{"m", m}, {"k", k}, {"n", 37}, {"x", "some_nan"}});
            s.add({t, "f32"}, {{"m", m}, {"k", k}, {"n", 37}, {"x", "some_inf"}});
        }
    for (const char* v : views)
        s.add({"f32", "f32"}, {{"d", list{3, 5}}, {"k", 32}, {"n", 17}, {"view", v}});
    // A weight that is made at run time.
    s.add({"f32", "f32"}, {{"m", 5}, {"k", 33}, {"n", 17}, {"made", 1}});
    s.add({"f32", "f32"}, {{"m", 5}, {"k", 33}, {"n", 17}, {"made", 1}, {"view", "perm"}});
    if (!s.full) return;
    for (const char* t : {"f32", "bf16", "q4_0", "q8_0", "q4_K", "q6_K"})
        for (const std::int64_t m : {1, 64, 130})
            s.add({t, "f32"}, {{"m", m}, {"k", 1024}, {"n", 515}});
}

void build_matmul(model& m) {
    const test_case& c = m.given();
    const std::int64_t k = c.num("k"), n = c.num("n");
    axes d = c.has("d") ? shape_of(m) : axes{m.dim("T", c.num("m"))};
    d.push_back(k);
    const rlx_value x = m.operand("x", d);
    std::vector<rlx_value> in{
        x, c.num("made") ? m.operand("w", {n, k}) : m.weight("w", c.type(0, RLX_F32), {n, k})};
    if (c.num("bias")) in.push_back(m.weight("b", RLX_F32, {n}));
    m.output(m.add(RLX_OP_MatMul, in));
}

void list_grouped(sink& s) {
    for (const char* t : {"f32", "bf16", "f16", "q8_0", "q4_0", "q4_K", "q6_K", "q5_K", "iq4_xs"})
        for (const int per : {0, 1})
            for (const auto& tk : {list{1, 2}, list{7, 3}, list{33, 2}})
                s.add(
                    {t, "f32"},
                    {{"t", tk[0]},
                     {"k", tk[1]},
                     {"per", per},
                     {"e", 5},
                     {"in", is_super(t) ? 256 : 64},
                     {"out", 19}}
                );
    s.add({"f32", "f32"}, {{"t", 0}, {"k", 2}, {"e", 5}, {"in", 32}, {"out", 16}, {"sym", 1}});
    s.add({"f32", "f32"}, {{"t", 9}, {"k", 1}, {"e", 1}, {"in", 33}, {"out", 65}, {"sym", 1}});
    s.add({"q8_0", "f32"}, {{"t", 9}, {"k", 2}, {"e", 64}, {"in", 32}, {"out", 8}});
    for (const char* t : {"f32", "q8_0", "q4_K"})
        for (const char* x : {"some_nan", "some_inf"})
            s.add(
                {t, "f32"},
                {{"t", 9},
                 {"k", 2},
                 {"e", 5},
                 {"in", is_super(t) ? 256 : 64},
                 {"out", 19},
                 {"x", x}}
            );
    for (const int bad : {1, 2})
        s.add(
            {"f32", "f32"}, {{"t", 5}, {"k", 2}, {"e", 5}, {"in", 32}, {"out", 16}, {"bad", bad}}
        );
}

void build_grouped(model& m) {
    const test_case& c = m.given();
    const axis t = m.dim("T", c.num("t"));
    const std::int64_t k = c.num("k"), e = c.num("e");
    const rlx_value x =
        m.operand("x", c.num("per") ? axes{t, k, c.num("in")} : axes{t, c.num("in")});
    std::vector<std::int64_t> ids(static_cast<std::size_t>(t.n * k));
    for (std::int64_t& v : ids)
        v = m.rng().below(e);
    if (c.num("bad")) ids[3] = c.num("bad") == 1 ? e : -1, m.must_fail = true;
    const rlx_value w = m.weight("w", c.type(0, RLX_F32), {e, c.num("out"), c.num("in")});
    m.output(m.add(RLX_OP_GroupedMatMul, {x, w, m.ints("ids", {t, k}, ids)}));
}

void list_moe_route(sink& s) {
    for (const std::int64_t e : {1, 4, 8, 17, 64, 128})
        for (const int normalise : {0, 1})
            for (const std::int64_t k : {std::int64_t{1}, (e + 1) / 2, e})
                s.add({{"t", 5}, {"e", e}, {"k", k}, {"normalise", normalise}, {"sym", 1}});
    for (const char* x : {"ties", "masked", "wide"})
        for (const int normalise : {0, 1})
            s.add({{"t", 7}, {"e", 16}, {"k", 4}, {"normalise", normalise}, {"x", x}});
    for (const char* x : {"nan", "infinite"})
        for (const std::int64_t e : {3, 16, 67})
            for (const int normalise : {0, 1})
                s.add({{"t", 9}, {"e", e}, {"k", 2}, {"normalise", normalise}, {"x", x}});
    s.add({{"t", 7}, {"e", 16}, {"k", 4}, {"normalise", 1}, {"scale", "2.5"}});
    s.add({{"t", 0}, {"e", 16}, {"k", 4}, {"normalise", 1}});
    for (const char* v : {"perm", "slice"})
        s.add({{"t", 7}, {"e", 16}, {"k", 4}, {"normalise", 1}, {"view", v}});
}

void build_moe_route(model& m) {
    const test_case& c = m.given();
    const rlx_value x = m.operand("x", {m.dim("T", c.num("t")), c.num("e")}, numbers::wide);
    std::vector<attr> attrs{{RLX_ATTR_k, c.num("k")}, {RLX_ATTR_normalise, c.num("normalise")}};
    if (c.has("scale")) attrs.emplace_back(RLX_ATTR_scale, c.real("scale"));
    const auto y = m.add_many(RLX_OP_MoeRoute, {x}, attrs, 2);
    m.output(y[0]);
    if (c.text("x") != "nan" && c.text("x") != "infinite") return m.output(y[1]);
    // A row of NaN may be sorted in any way; its ids name experts all the same.
    const auto within = [&](std::int64_t kind, std::int64_t bound) {
        const rlx_value b = m.ints(fmt::format("bound{}", bound), {}, {bound});
        m.output(m.add(RLX_OP_Compare, {y[1], b}, {{RLX_ATTR_kind, kind}}));
    };
    within(RLX_COMPARE_GE, 0);
    within(RLX_COMPARE_LT, c.num("e"));
}

void list_moe_combine(sink& s) {
    for (const auto& d :
         {list{1, 1, 1},
          list{5, 2, 67},
          list{7, 8, 64},
          list{0, 2, 8},
          list{3, 4, 0},
          list{3, 1, 17}})
        for (const char* v : {"none", "perm", "slice"})
            s.add({{"d", d}, {"view", v}, {"sym", *v == 'n'}});
    for (const char* x : {"some_nan", "some_inf"})
        for (const int on : {0, 1})
            s.add({{"d", list{9, 4, 37}}, {"x", x}, {"on", on}});
}

void build_moe_combine(model& m) {
    const axes d = shape_of(m);
    const rlx_value y = m.operand("y", d);
    m.output(m.add(RLX_OP_MoeCombine, {y, m.operand("w", {d[0], d[1]})}));
}

void list_batch(sink& s) {
    for (const auto& [a, b] :
         {std::pair{list{5, 17}, list{7, 17}},
          {list{2, 3, 5, 17}, list{2, 3, 7, 17}},
          {list{2, 3, 5, 16}, list{3, 9, 16}},
          {list{2, 1, 5, 16}, list{1, 3, 9, 16}},
          {list{4, 1, 33}, list{4, 65, 33}},
          {list{4, 33, 1}, list{1, 65, 1}},
          {list{2, 5, 0}, list{2, 7, 0}},
          {list{2, 0, 5}, list{2, 7, 5}},
          {list{0, 3, 5}, list{1, 7, 5}},
          {list{1, 64, 64}, list{1, 64, 64}},
          {list{3, 31, 129}, list{3, 33, 129}}})
        for (const char* v : {"none", "perm", "slice", "mixed"})
            s.add({{"a", a}, {"b", b}, {"view", v}});
    for (const char* x : {"some_nan", "some_inf"})
        for (const int on : {0, 1})
            for (const auto& a : {list{2, 5, 17}, list{2, 33, 64}})
                s.add({{"a", a}, {"b", list{2, 19, a[2]}}, {"x", x}, {"on", on}});
}

void build_batch(model& m) {
    const rlx_value a = m.operand("a", plain(m.given().list("a")));
    m.output(m.add(RLX_OP_BatchMatMul, {a, m.operand("b", plain(m.given().list("b")))}));
}

constexpr op_cases all[] = {
    {"MatMul", list_matmul, build_matmul},
    {"GroupedMatMul", list_grouped, build_grouped},
    {"MoeRoute", list_moe_route, build_moe_route},
    {"MoeCombine", list_moe_combine, build_moe_combine},
    {"BatchMatMul", list_batch, build_batch},
};

} // namespace

std::span<const op_cases> linear_cases() {
    return all;
}

} // namespace optest
