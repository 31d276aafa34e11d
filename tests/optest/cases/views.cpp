// SPDX-License-Identifier: GPL-3.0-only
// Views, layout and creation. A view that is an output is copied, which is how its elements are
// seen.
#include "cases.hpp"

namespace optest {
namespace {

using list = std::vector<std::int64_t>;

constexpr const char* moved_types[] = {"f32", "i32", "f16", "bf16", "u8", "bool", "i64", "i16"};

std::vector<std::int64_t> handles(const axes& a) {
    std::vector<std::int64_t> out;
    for (const axis& x : a)
        out.push_back(x.handle);
    return out;
}

rlx_value operand(model& m, const char* name = "a") {
    return m.typed(name, m.given().type(0, RLX_F32), shape_of(m));
}

void list_reshape(sink& s) {
    for (const char* v : {"none", "perm", "slice", "bcast"})
        for (const char* t : {"f32", "u8"}) {
            s.add({t}, {{"d", list{6, 4, 5}}, {"to", list{6, 20}}, {"view", v}});
            s.add({t}, {{"d", list{6, 20}}, {"to", list{6, 5, 2, 2}}, {"view", v}});
        }
    s.add({"f32"}, {{"d", list{5, 7, 1}}, {"to", list{5, 7}}, {"sym", 1}});
    s.add({"f32"}, {{"d", list{0, 7}}, {"to", list{0, 7, 1}}});
}

void build_reshape(model& m) {
    const rlx_value x = operand(m);
    m.output(m.reshape(x, shape_of(m, "to")));
}

void list_permute(sink& s) {
    for (const char* t : moved_types)
        s.add({t}, {{"d", list{3, 7, 5}}, {"perm", list{2, 0, 1}}});
    for (const auto& [d, p] :
         {std::pair{list{17, 33}, list{1, 0}},
          {list{2, 3, 4, 5}, list{0, 2, 1, 3}},
          {list{2, 3, 4, 5}, list{3, 1, 2, 0}},
          {list{2, 1, 3, 1, 2, 2, 1, 2}, list{7, 5, 6, 4, 3, 2, 1, 0}},
          {list{0, 4}, list{1, 0}}})
        for (const char* v : {"none", "slice"})
            s.add({"f32"}, {{"d", d}, {"perm", p}, {"view", v}});
    s.add({"f32"}, {{"d", list{9, 5}}, {"perm", list{1, 0}}, {"sym", 1}});
}

void build_permute(model& m) {
    m.output(m.add(RLX_OP_Permute, {operand(m)}, {{RLX_ATTR_perm, m.given().list("perm")}}));
}

void list_slice(sink& s) {
    for (const char* t : {"f32", "u8", "i64"})
        for (int axis = 0; axis < 3; ++axis)
            for (const auto& [from, to] : {std::pair{0, 3}, {1, 4}, {2, 2}, {4, 5}})
                s.add({t}, {{"d", list{5, 6, 7}}, {"axis", axis}, {"from", from}, {"to", to}});
    s.add({"f32"}, {{"d", list{5, 6, 7}}, {"axis", -1}, {"from", 1}, {"to", 7}, {"view", "perm"}});
}

void build_slice(model& m) {
    const test_case& c = m.given();
    m.output(m.add(
        RLX_OP_Slice,
        {operand(m)},
        {{RLX_ATTR_axis, c.num("axis")},
         {RLX_ATTR_start, c.num("from")},
         {RLX_ATTR_stop, c.num("to")}}
    ));
}

void list_broadcast(sink& s) {
    for (const char* t : {"f32", "bool"}) {
        s.add({t}, {{"d", list{1, 7}}, {"to", list{5, 7}}});
        s.add({t}, {{"d", list{7, 1}}, {"to", list{3, 7, 9}}});
        s.add({t}, {{"d", list{1}}, {"to", list{2, 3, 4}}});
    }
    s.add({"f32"}, {{"d", list{1, 7}}, {"to", list{0, 7}}});
}

void build_broadcast(model& m) {
    const rlx_value x = m.typed("a", m.given().type(0, RLX_F32), plain(m.given().list("d")));
    m.output(m.add(RLX_OP_Broadcast, {x}, {{RLX_ATTR_dims, m.given().list("to")}}));
}

void list_copy(sink& s) {
    for (const char* t : {"f32", "i32", "f16", "bf16", "f64", "u8", "bool", "i8", "i16", "i64"}) {
        s.add({t}, {{"d", list{3, 5, 17}}});
        for (const char* v : views)
            s.add({t}, {{"d", list{3, 5, 17}}, {"view", v}});
    }
    for (const std::int64_t n : sizes(s.full))
        s.add({"f32"}, {{"d", list{n, 33}}, {"view", "perm"}, {"sym", n % 2}});
    s.add({"f32"}, {{"d", list{2, 2, 1, 3, 2, 1, 2, 3}}, {"view", "perm"}});
    s.add({"f32"}, {{"d", list{}}});
}

void build_copy(model& m) {
    m.output(m.add(RLX_OP_Copy, {operand(m)}));
}

void list_concat(sink& s) {
    for (const char* t : moved_types)
        s.add({t}, {{"d", list{3, 5, 7}}, {"axis", 1}, {"parts", list{5, 1, 3}}});
    for (int axis = 0; axis < 3; ++axis)
        for (const auto& parts : {list{4}, list{1, 1}, list{0, 3, 0}, list{17, 2, 9, 1}})
            for (const char* v : {"none", "perm", "mixed"})
                s.add(
                    {"f32"}, {{"d", list{3, 5, 7}}, {"axis", axis}, {"parts", parts}, {"view", v}}
                );
    s.add({"f32"}, {{"d", list{3, 0}}, {"axis", 0}, {"parts", list{1, 2}}});
    s.add({"f32"}, {{"d", list{3, 8}}, {"axis", -1}, {"parts", list(64, 2)}});
}

void build_concat(model& m) {
    const test_case& c = m.given();
    list d = c.list("d");
    const std::int64_t axis = c.num("axis");
    const auto at =
        static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(d.size()) : axis);
    std::vector<rlx_value> in;
    for (const std::int64_t n : c.list("parts")) {
        d[at] = n;
        in.push_back(m.typed("p" + std::to_string(in.size()), c.type(0, RLX_F32), plain(d)));
    }
    m.output(m.add(RLX_OP_Concat, in, {{RLX_ATTR_axis, axis}}));
}

void list_pad(sink& s) {
    for (int kind = RLX_PAD_CONSTANT; kind <= RLX_PAD_CIRCULAR; ++kind) {
        for (const char* v : {"none", "perm", "slice"}) {
            s.add(
                {{"d", list{2, 3, 9}},
                 {"kind", kind},
                 {"lo", list{2}},
                 {"hi", list{3}},
                 {"view", v}}
            );
            s.add(
                {{"d", list{2, 5, 7}},
                 {"kind", kind},
                 {"lo", list{4, 0}},
                 {"hi", list{1, 6}},
                 {"view", v}}
            );
        }
        s.add(
            {{"d", list{2, 4, 5, 6}},
             {"kind", kind},
             {"lo", list{1, 2, 3}},
             {"hi", list{3, 2, 1}},
             {"sym", 1}}
        );
        s.add({{"d", list{3, 8}}, {"kind", kind}, {"lo", list{0}}, {"hi", list{0}}});
        s.add(
            {{"d", list{3, 1}},
             {"kind", kind},
             {"lo", list{kind == RLX_PAD_REFLECT ? 0 : 1}},
             {"hi", list{0}}}
        );
    }
    s.add({{"d", list{3, 0}}, {"kind", RLX_PAD_CONSTANT}, {"lo", list{2}}, {"hi", list{1}}});
    s.add({{"d", list{3, 0}}, {"kind", RLX_PAD_REPLICATE}, {"lo", list{2}}, {"hi", list{1}}});
}

void build_pad(model& m) {
    const test_case& c = m.given();
    m.output(m.add(
        RLX_OP_Pad,
        {m.operand("a", shape_of(m))},
        {{RLX_ATTR_kind, c.num("kind")},
         {RLX_ATTR_pad_lo, c.list("lo")},
         {RLX_ATTR_pad_hi, c.list("hi")},
         {RLX_ATTR_value, -0.3}}
    ));
}

void list_cast(sink& s) {
    constexpr const char* types[] = {
        "f32", "f16", "bf16", "f64", "i8", "i16", "i32", "i64", "u8", "bool"};
    for (const char* from : types)
        for (const char* to : types)
            s.add({from, to}, {{"d", list{3, 37}}});
    for (const char* to : {"f16", "bf16", "i8", "i32", "i64", "u8", "bool", "f64"})
        for (const char* x : {"extreme", "infinite", "nan", "huge", "ties"})
            s.add({"f32", to}, {{"d", list{3, 37}}, {"x", x}});
    for (const char* v : views)
        s.add({"f32", "f16"}, {{"d", list{3, 5, 9}}, {"view", v}});
    s.add({"i32", "f32"}, {{"d", list{0, 5}}});
}

void build_cast(model& m) {
    const rlx_value x = operand(m);
    m.output(m.add(
        RLX_OP_Cast, {x}, {{RLX_ATTR_dtype, static_cast<std::int64_t>(m.given().type(1, RLX_F32))}}
    ));
}

void list_fill(sink& s) {
    for (const char* t : {"f32", "i32", "bool"})
        for (const auto& d : {list{}, list{0}, list{1}, list{3, 17}, list{2, 3, 67}})
            s.add({t}, {{"d", d}, {"value", 1}});
    s.add({"f32"}, {{"d", list{5}}, {"value", "-inf"}});
    s.add({"f32"}, {{"d", list{5}}, {"value", "0.1"}});
    s.add({"i32"}, {{"d", list{5}}, {"value", -7}});
    s.add({"f32"}, {{"d", list{5, 3}}, {"value", 2}, {"sym", 1}});
}

void build_fill(model& m) {
    const test_case& c = m.given();
    const axes d = shape_of(m);
    m.output(m.add(
        RLX_OP_Fill,
        {},
        {{RLX_ATTR_dims, handles(d)},
         {RLX_ATTR_dtype, static_cast<std::int64_t>(c.type(0, RLX_F32))},
         {RLX_ATTR_value, c.real("value")}}
    ));
}

void list_arange(sink& s) {
    for (const std::int64_t n : sizes(s.full))
        s.add({{"n", n}, {"sym", n % 2}});
}

void build_arange(model& m) {
    m.output(m.add(RLX_OP_Arange, {}, {{RLX_ATTR_n, m.dim("N", m.given().num("n")).handle}}));
}

constexpr op_cases all[] = {
    {"Reshape", list_reshape, build_reshape},
    {"Permute", list_permute, build_permute},
    {"Slice", list_slice, build_slice},
    {"Broadcast", list_broadcast, build_broadcast},
    {"Concat", list_concat, build_concat},
    {"Pad", list_pad, build_pad},
    {"Copy", list_copy, build_copy},
    {"Cast", list_cast, build_cast},
    {"Fill", list_fill, build_fill},
    {"Arange", list_arange, build_arange},
};

} // namespace

std::span<const op_cases> view_cases() {
    return all;
}

} // namespace optest
