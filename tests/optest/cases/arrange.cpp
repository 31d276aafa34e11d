// SPDX-License-Identifier: GPL-3.0-only
// Flip, Random, Gather, scatters, Sort, ArgReduce, CumSum, LogSumExp, L2Norm, VqNearest.
#include "cases.hpp"

namespace optest {
namespace {

using list = std::vector<std::int64_t>;

void list_flip(sink& s) {
    for (const char* t : {"f32", "i32", "u8", "f16", "i64"})
        for (int axis = 0; axis < 3; ++axis)
            s.add({t}, {{"d", list{3, 5, 7}}, {"axis", axis}});
    for (const char* v : views)
        s.add({"f32"}, {{"d", list{3, 5, 17}}, {"axis", -1}, {"view", v}});
    s.add({"f32"}, {{"d", list{0, 5}}, {"axis", 0}});
    s.add({"f32"}, {{"d", list{9, 5}}, {"axis", 0}, {"sym", 1}});
}

void build_flip(model& m) {
    const rlx_value x = m.typed("a", m.given().type(0, RLX_F32), shape_of(m));
    m.output(m.add(RLX_OP_Flip, {x}, {{RLX_ATTR_axis, m.given().num("axis")}}));
}

void list_random(sink& s) {
    for (const int kind : {RLX_RANDOM_UNIFORM, RLX_RANDOM_NORMAL})
        for (const auto& d : {list{}, list{0}, list{1}, list{3, 67}, list{1031}, list{2, 3, 64}})
            for (const auto& key : {list{1, 0, 0, 0}, list{-5, 77, 12345, 0}, list{7, -1, -2, -1}})
                s.add({{"kind", kind}, {"d", d}, {"key", key}});
    s.add({{"kind", RLX_RANDOM_NORMAL}, {"d", list{9, 5}}, {"key", list{1, 2, 3, 4}}, {"sym", 1}});
}

void build_random(model& m) {
    const test_case& c = m.given();
    const list key = c.list("key");
    list dims;
    for (const axis& a : shape_of(m))
        dims.push_back(a.handle);
    const rlx_value seed = m.ints("seed", {2}, {key[0], key[1]});
    const rlx_value offset = m.ints("offset", {2}, {key[2], key[3]});
    m.output(m.add(
        RLX_OP_Random, {seed, offset}, {{RLX_ATTR_dims, dims}, {RLX_ATTR_kind, c.num("kind")}}
    ));
}

// bad=1: one past the end; bad=2: negative.
list indices(model& m, std::size_t n, std::int64_t below, bool distinct = false) {
    list out(n);
    for (std::size_t i = 0; i < n; ++i)
        out[i] = distinct ? static_cast<std::int64_t>(i) : m.rng().below(below);
    const std::int64_t bad = m.given().num("bad");
    if (bad && n) out[n / 2] = bad == 1 ? below : -1, m.must_fail = true;
    return out;
}

void list_gather(sink& s) {
    for (const char* t : {"f32", "i32", "u8", "f16"})
        for (int axis = 0; axis < 3; ++axis)
            for (const auto& idx : {list{4}, list{2, 3}, list{}, list{0}})
                s.add({t}, {{"d", list{3, 5, 7}}, {"axis", axis}, {"idx", idx}});
    for (const char* v : {"perm", "slice", "bcast"})
        s.add({"f32"}, {{"d", list{3, 5, 7}}, {"axis", 1}, {"idx", list{9}}, {"view", v}});
    for (const int bad : {1, 2})
        s.add({"f32"}, {{"d", list{3, 5}}, {"axis", 1}, {"idx", list{4}}, {"bad", bad}});
}

void build_gather(model& m) {
    const test_case& c = m.given();
    const list d = c.list("d"), idx = c.list("idx");
    const rlx_value x = m.typed("a", c.type(0, RLX_F32), plain(d));
    const auto at = indices(m, ref::count(idx), d[static_cast<std::size_t>(c.num("axis"))]);
    m.output(
        m.add(RLX_OP_Gather, {x, m.ints("idx", plain(idx), at)}, {{RLX_ATTR_axis, c.num("axis")}})
    );
}

void list_scatter_rows(sink& s) {
    for (const char* t : {"f32", "i32"})
        for (const int add : {0, 1}) {
            for (const auto& d : {list{7, 5}, list{7}, list{5, 3, 17}, list{9, 64}})
                for (const int n : {0, 1, 4, 13}) // 13: equal ids for certain
                    s.add({t}, {{"d", d}, {"n", n}, {"accumulate", add}});
            s.add({t}, {{"d", list{7, 5}}, {"n", 4}, {"accumulate", add}, {"view", "perm"}});
        }
    for (const int bad : {1, 2})
        s.add({"f32"}, {{"d", list{7, 5}}, {"n", 4}, {"bad", bad}});
}

void build_scatter_rows(model& m) {
    const test_case& c = m.given();
    list d = c.list("d");
    const std::uint16_t t = c.type(0, RLX_F32);
    const rlx_value x = m.typed("a", t, plain(d));
    const std::int64_t n = c.num("n");
    const rlx_value ids = m.ints("ids", {n}, indices(m, static_cast<std::size_t>(n), d[0]));
    d[0] = n;
    const rlx_value rows = m.typed("rows", t, plain(d));
    m.output(m.add(RLX_OP_ScatterRows, {x, ids, rows}, {{RLX_ATTR_accumulate, c.num("accumulate")}})
    );
}

void list_scatter_along(sink& s) {
    for (const char* t : {"f32", "i32"})
        for (const int add : {0, 1})
            for (int axis = 0; axis < 3; ++axis)
                for (const int n : {0, 3, 11})
                    s.add(
                        {t}, {{"d", list{3, 5, 7}}, {"axis", axis}, {"n", n}, {"accumulate", add}}
                    );
    s.add({"f32"}, {{"d", list{4, 9}}, {"axis", -1}, {"n", 5}, {"view", "perm"}});
    for (const int bad : {1, 2})
        s.add({"f32"}, {{"d", list{4, 9}}, {"axis", 1}, {"n", 3}, {"bad", bad}});
}

void build_scatter_along(model& m) {
    const test_case& c = m.given();
    list d = c.list("d");
    const std::uint16_t t = c.type(0, RLX_F32);
    const std::int64_t axis = c.num("axis");
    const rlx_value x = m.typed("a", t, plain(d));
    const auto at =
        static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(d.size()) : axis);
    const std::int64_t below = d[at];
    d[at] = c.num("n");
    const rlx_value idx = m.ints("idx", plain(d), indices(m, ref::count(d), below));
    const rlx_value src = m.typed("src", t, plain(d));
    m.output(m.add(
        RLX_OP_ScatterAlong,
        {x, idx, src},
        {{RLX_ATTR_axis, axis}, {RLX_ATTR_accumulate, c.num("accumulate")}}
    ));
}

void list_sort(sink& s) {
    for (const int falling : {0, 1}) {
        for (const std::int64_t n : sizes(s.full))
            s.add({{"d", list{3, n}}, {"descending", falling}});
        for (const char* x : {"ties", "masked", "extreme", "infinite"})
            for (const char* v : {"none", "perm"})
                s.add({{"d", list{4, 33}}, {"descending", falling}, {"x", x}, {"view", v}});
        s.add({{"d", list{1, 4099}}, {"descending", falling}, {"x", "ties"}});
    }
    s.add({{"d", list{0, 9}}, {"sym", 1}});
}

void build_sort(model& m) {
    const rlx_value x = m.operand("a", shape_of(m));
    for (const rlx_value v :
         m.add_many(RLX_OP_Sort, {x}, {{RLX_ATTR_descending, m.given().num("descending")}}, 2))
        m.output(v);
}

void list_arg_reduce(sink& s) {
    for (const int kind : {RLX_REDUCE_MAX, RLX_REDUCE_MIN}) {
        for (int axis = 0; axis < 3; ++axis)
            for (const char* x : {"usual", "ties", "masked", "extreme"})
                for (const int keep : {0, 1})
                    s.add(
                        {{"kind", kind},
                         {"axis", axis},
                         {"keep", keep},
                         {"d", list{3, 5, 17}},
                         {"x", x}}
                    );
        for (const std::int64_t n : sizes(s.full))
            s.add({{"kind", kind}, {"axis", -1}, {"d", list{3, n}}, {"x", "ties"}});
        for (const char* v : views)
            s.add({{"kind", kind}, {"axis", 2}, {"d", list{3, 5, 17}}, {"view", v}});
    }
}

void build_arg_reduce(model& m) {
    const test_case& c = m.given();
    m.output(m.add(
        RLX_OP_ArgReduce,
        {m.operand("a", shape_of(m))},
        {{RLX_ATTR_kind, c.num("kind")},
         {RLX_ATTR_axis, c.num("axis")},
         {RLX_ATTR_keep, c.num("keep")}}
    ));
}

void list_cum_sum(sink& s) {
    for (const char* t : {"f32", "i32"})
        for (const int exclusive : {0, 1})
            for (const int reverse : {0, 1}) {
                for (int axis = 0; axis < 3; ++axis)
                    s.add(
                        {t},
                        {{"d", list{3, 5, 17}},
                         {"axis", axis},
                         {"exclusive", exclusive},
                         {"reverse", reverse}}
                    );
                s.add(
                    {t},
                    {{"d", list{2, 131}},
                     {"axis", 1},
                     {"exclusive", exclusive},
                     {"reverse", reverse},
                     {"view", "perm"}}
                );
            }
    for (const std::int64_t n : sizes(s.full))
        s.add({"f32"}, {{"d", list{3, n}}, {"axis", -1}, {"sym", 1}});
}

void build_cum_sum(model& m) {
    const test_case& c = m.given();
    m.output(m.add(
        RLX_OP_CumSum,
        {m.typed("a", c.type(0, RLX_F32), shape_of(m))},
        {{RLX_ATTR_axis, c.num("axis")},
         {RLX_ATTR_exclusive, c.num("exclusive")},
         {RLX_ATTR_reverse, c.num("reverse")}}
    ));
}

void list_log_sum_exp(sink& s) {
    for (int axis = 0; axis < 3; ++axis)
        for (const char* x : {"usual", "masked", "huge", "wide"})
            for (const int keep : {0, 1})
                s.add({{"axis", axis}, {"keep", keep}, {"d", list{4, 5, 17}}, {"x", x}});
    for (const std::int64_t n : sizes(s.full))
        s.add({{"axis", -1}, {"d", list{3, n}}});
    for (const char* v : views)
        s.add({{"axis", 2}, {"d", list{3, 5, 17}}, {"view", v}});
}

void build_log_sum_exp(model& m) {
    const test_case& c = m.given();
    m.output(m.add(
        RLX_OP_LogSumExp,
        {m.operand("a", shape_of(m))},
        {{RLX_ATTR_axis, c.num("axis")}, {RLX_ATTR_keep, c.num("keep")}}
    ));
}

void list_l2(sink& s) {
    for (const int kind : {0, int{RLX_L2_MAX}, int{RLX_L2_ADD}}) {
        for (const std::int64_t n : sizes(s.full))
            s.add({{"kind", kind}, {"d", list{3, n}}, {"sym", n % 2}});
        for (const char* v : views)
            s.add({{"kind", kind}, {"d", list{3, 5, 17}}, {"view", v}});
        s.add({{"kind", kind}, {"d", list{3, 17}}, {"eps", "2.5"}});
    }
}

void build_l2(model& m) {
    const test_case& c = m.given();
    std::vector<attr> attrs{{RLX_ATTR_eps, c.real("eps", 1e-6)}};
    if (c.num("kind")) attrs.emplace_back(RLX_ATTR_kind, c.num("kind"));
    m.output(m.add(RLX_OP_L2Norm, {m.operand("a", shape_of(m))}, attrs));
}

void list_vq(sink& s) {
    for (const char* t : {"f32", "bf16"})
        for (const auto& d : {list{5, 17}, list{2, 3, 64}, list{7}, list{0, 8}, list{3, 1}})
            for (const int k : {1, 5, 67})
                s.add({t}, {{"d", d}, {"k", k}});
    s.add({"f32"}, {{"d", list{5, 4}}, {"k", 40}, {"x", "ties"}, {"book", "ties"}});
    s.add({"f32"}, {{"d", list{3, 5, 17}}, {"k", 9}, {"view", "perm"}});
}

void build_vq(model& m) {
    const test_case& c = m.given();
    const axes d = shape_of(m);
    const rlx_value x = m.operand("a", d);
    const numbers how = c.has("book") ? numbers::ties : numbers::usual;
    m.output(m.add(
        RLX_OP_VqNearest, {x, m.weight("book", c.type(0, RLX_F32), {c.num("k"), d.back().n}, how)}
    ));
}

constexpr op_cases all[] = {
    {"Flip", list_flip, build_flip},
    {"Random", list_random, build_random},
    {"Gather", list_gather, build_gather},
    {"ScatterRows", list_scatter_rows, build_scatter_rows},
    {"ScatterAlong", list_scatter_along, build_scatter_along},
    {"Sort", list_sort, build_sort},
    {"ArgReduce", list_arg_reduce, build_arg_reduce},
    {"CumSum", list_cum_sum, build_cum_sum},
    {"LogSumExp", list_log_sum_exp, build_log_sum_exp},
    {"L2Norm", list_l2, build_l2},
    {"VqNearest", list_vq, build_vq},
};

} // namespace

std::span<const op_cases> arrange_cases() {
    return all;
}

} // namespace optest
