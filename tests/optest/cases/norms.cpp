// SPDX-License-Identifier: GPL-3.0-only
// Reduce, Softmax and the norms.
#include "cases.hpp"

namespace optest {
namespace {

using list = std::vector<std::int64_t>;

void list_reduce(sink& s) {
    for (int kind = RLX_REDUCE_SUM; kind <= RLX_REDUCE_L2; ++kind) {
        for (int axis = 0; axis < 3; ++axis)
            for (const int keep : {0, 1})
                s.add({{"kind", kind}, {"axis", axis}, {"keep", keep}, {"d", list{3, 5, 17}}});
        for (const auto& d : {list{3, 0}, list{0, 3}, list{2, 1}})
            s.add({{"kind", kind}, {"axis", 1}, {"d", d}});
        s.add({{"kind", kind}, {"axis", 0}, {"d", list{0, 3}}});
        for (const char* v : views)
            s.add({{"kind", kind}, {"axis", -1}, {"d", list{3, 5, 17}}, {"view", v}});
    }
    for (const std::int64_t n : sizes(s.full))
        for (const int kind : {RLX_REDUCE_SUM, RLX_REDUCE_MAX})
            s.add({{"kind", kind}, {"axis", 1}, {"d", list{3, n}}, {"sym", 1}});
    for (const int kind : {RLX_REDUCE_MAX, RLX_REDUCE_MIN})
        for (const char* x : {"masked", "infinite", "extreme"})
            s.add({{"kind", kind}, {"axis", 1}, {"d", list{5, 33}}, {"x", x}});
    for (const int kind : {RLX_REDUCE_SUM, RLX_REDUCE_MEAN, RLX_REDUCE_PROD, RLX_REDUCE_L2})
        for (const char* x : {"nan", "infinite"})
            for (const int axis : {0, 1})
                s.add({{"kind", kind}, {"axis", axis}, {"d", list{19, 5}}, {"x", x}});
    s.add({{"kind", RLX_REDUCE_SUM}, {"axis", 1}, {"d", list{2, 4099}}, {"x", "positive"}});
    s.add({{"kind", RLX_REDUCE_MEAN}, {"axis", 0}, {"d", list{1031, 3}}, {"x", "huge"}});
}

void build_reduce(model& m) {
    const test_case& c = m.given();
    const std::int64_t kind = c.num("kind");
    m.limit_name = kind == RLX_REDUCE_MAX || kind == RLX_REDUCE_MIN ? "Reduce.pick" : "Reduce";
    const rlx_value x =
        m.operand("a", shape_of(m), kind == RLX_REDUCE_PROD ? numbers::positive : numbers::usual);
    m.output(m.add(
        RLX_OP_Reduce,
        {x},
        {{RLX_ATTR_kind, kind}, {RLX_ATTR_axis, c.num("axis")}, {RLX_ATTR_keep, c.num("keep")}}
    ));
}

void list_softmax(sink& s) {
    for (const std::int64_t n : sizes(s.full)) {
        s.add({{"axis", -1}, {"d", list{3, n}}, {"sym", n % 2}});
        s.add({{"axis", 0}, {"d", list{n, 3}}, {"sym", n % 2}});
    }
    for (const char* x : {"masked", "huge", "ties", "wide", "nan", "infinite"})
        for (const int axis : {0, 1, 2})
            s.add({{"axis", axis}, {"d", list{4, 7, 33}}, {"x", x}});
    for (const char* v : views)
        s.add({{"axis", 2}, {"d", list{3, 5, 17}}, {"x", "wide"}, {"view", v}});
    s.add({{"axis", 1}, {"d", list{2, 4099}}, {"x", "wide"}});
    for (const int axis : {0, 1}) // rows short enough for some to be whole numbers only
        for (const char* x : {"nan", "infinite"})
            s.add({{"axis", axis}, {"d", list{7, 3}}, {"x", x}, {"sym", 1}});
}

void build_softmax(model& m) {
    const rlx_value x = m.operand("a", shape_of(m));
    m.output(m.add(RLX_OP_Softmax, {x}, {{RLX_ATTR_axis, m.given().num("axis")}}));
}

// Rows of n under a norm with p parameters.
void list_rows(sink& s, int most) {
    for (const std::int64_t n : sizes(s.full))
        s.add({"f32"}, {{"d", list{5, n}}, {"p", most}, {"sym", n % 2}});
    for (const char* t : plain_types)
        for (int p = 0; p <= most; ++p)
            s.add({t}, {{"d", list{2, 3, 67}}, {"p", p}});
    for (const char* v : views)
        s.add({"f32"}, {{"d", list{3, 5, 17}}, {"p", most}, {"view", v}});
    for (const char* x : {"wide", "ties", "positive"})
        s.add({"f32"}, {{"d", list{3, 131}}, {"p", most}, {"x", x}});
    for (const char* x : {"nan", "infinite"})
        for (const std::int64_t n : {3, 131})
            s.add({"f32"}, {{"d", list{9, n}}, {"p", most}, {"x", x}});
    s.add({"f32"}, {{"d", list{0, 16}}, {"p", most}});
    s.add({"f32"}, {{"d", list{1, 2048}}, {"p", most}});
    s.add({"f32"}, {{"d", list{67}}, {"p", most}});
}

std::vector<rlx_value> with_parameters(model& m, rlx_value x, std::int64_t n) {
    std::vector<rlx_value> in{x};
    const std::uint16_t t = m.given().type(0, RLX_F32);
    if (m.given().num("p") > 0) in.push_back(m.weight("w", t, {n}, numbers::positive));
    if (m.given().num("p") > 1) in.push_back(m.weight("b", t, {n}));
    return in;
}

void list_rms_norm(sink& s) {
    list_rows(s, 1);
    s.add({"f32"}, {{"d", list{3, 67}}, {"p", 1}, {"offset", 1}});
    s.add({"bf16"}, {{"d", list{3, 64}}, {"p", 1}, {"offset", 1}});
    s.add({"f32"}, {{"d", list{3, 67}}, {"p", 0}, {"offset", 1}});
}

void build_rms_norm(model& m) {
    const axes d = shape_of(m);
    const rlx_value x = m.operand("a", d);
    std::vector<attr> attrs{{RLX_ATTR_eps, 1e-5}};
    if (m.given().num("offset")) attrs.emplace_back(RLX_ATTR_weight_offset, 1.0);
    m.output(m.add(RLX_OP_RmsNorm, with_parameters(m, x, d.back().n), attrs));
}

void list_layer_norm(sink& s) {
    list_rows(s, 2);
    // A mean far from 0: the variance must come from the differences.
    s.add({"f32"}, {{"d", list{3, 67}}, {"p", 2}, {"x", "far"}});
}

void build_layer_norm(model& m) {
    const axes d = shape_of(m);
    const rlx_value x = m.operand("a", d);
    m.output(m.add(RLX_OP_LayerNorm, with_parameters(m, x, d.back().n), {{RLX_ATTR_eps, 1e-5}}));
}

void list_group_norm(sink& s) {
    for (const int groups : {1, 2, 3, 6})
        for (const auto& d :
             {list{2, 6, 5, 7}, list{1, 6, 67}, list{3, 6}, list{2, 6, 0}, list{0, 6, 4}})
            for (const int p : {0, 2})
                s.add({"f32"}, {{"d", d}, {"groups", groups}, {"p", p}});
    for (const char* t : plain_types)
        s.add({t}, {{"d", list{2, 6, 17}}, {"groups", 2}, {"p", 2}});
    for (const char* v : {"perm", "slice"})
        s.add({"f32"}, {{"d", list{2, 6, 17}}, {"groups", 3}, {"p", 2}, {"view", v}});
    s.add({"f32"}, {{"d", list{3, 6, 17}}, {"groups", 3}, {"p", 1}, {"sym", 1}});
    for (const char* x : {"nan", "infinite"})
        for (const std::int64_t n : {1, 17})
            s.add({"f32"}, {{"d", list{3, 6, n}}, {"groups", 3}, {"p", 2}, {"x", x}});
}

void build_group_norm(model& m) {
    const axes d = shape_of(m);
    const rlx_value x = m.operand("a", d);
    m.output(m.add(
        RLX_OP_GroupNorm,
        with_parameters(m, x, d[1].n),
        {{RLX_ATTR_groups, m.given().num("groups")}, {RLX_ATTR_eps, 1e-5}}
    ));
}

constexpr op_cases all[] = {
    {"Reduce", list_reduce, build_reduce},
    {"Softmax", list_softmax, build_softmax},
    {"RmsNorm", list_rms_norm, build_rms_norm},
    {"LayerNorm", list_layer_norm, build_layer_norm},
    {"GroupNorm", list_group_norm, build_group_norm},
};

} // namespace

std::span<const op_cases> norm_cases() {
    return all;
}

} // namespace optest
