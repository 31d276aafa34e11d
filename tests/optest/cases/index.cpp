// SPDX-License-Identifier: GPL-3.0-only
// GatherRows, TakeAlong, TopK.
#include "cases.hpp"

namespace optest {
namespace {

using list = std::vector<std::int64_t>;

std::vector<std::int64_t> indices(model& m, std::size_t n, std::int64_t below) {
    std::vector<std::int64_t> out(n);
    for (std::int64_t& v : out)
        v = m.rng().below(below);
    if (!out.empty()) out.back() = below - 1; // the last one too
    return out;
}

// bad=1: one past the end; bad=2: negative.
void spoil(model& m, std::vector<std::int64_t>& ids, std::int64_t below) {
    const std::int64_t how = m.given().num("bad");
    if (!how || ids.empty()) return;
    ids[ids.size() / 2] = how == 1 ? below : -1;
    m.must_fail = true;
}

void list_gather_rows(sink& s) {
    for (const char* t : plain_types)
        for (const std::int64_t width : {1, 7, 64, 67})
            s.add({t}, {{"rows", 11}, {"d", list{width}}, {"ids", list{9}}});
    for (const char* t : packed_types)
        for (const auto& ids : {list{5}, list{2, 3}})
            s.add({t}, {{"rows", 7}, {"d", list{is_super(t) ? 512 : 96}}, {"ids", ids}});
    for (const auto& ids : {list{0}, list{}, list{3, 2, 2}, list{64}})
        s.add({"f32"}, {{"rows", 5}, {"d", list{3, 4}}, {"ids", ids}});
    s.add({"f32"}, {{"rows", 13}, {"d", list{17}}, {"ids", list{9}}, {"input", 1}, {"sym", 1}});
    s.add(
        {"f32"}, {{"rows", 13}, {"d", list{17}}, {"ids", list{9}}, {"input", 1}, {"view", "slice"}}
    );
    s.add({"f32"}, {{"rows", 13}, {"d", list{}}, {"ids", list{9}}, {"input", 1}});
    for (const int bad : {1, 2}) {
        s.add({"f32"}, {{"rows", 5}, {"d", list{8}}, {"ids", list{6}}, {"bad", bad}});
        s.add({"q8_0"}, {{"rows", 5}, {"d", list{32}}, {"ids", list{6}}, {"bad", bad}});
        s.add({"f32"}, {{"rows", 5}, {"d", list{8}}, {"ids", list{6}}, {"input", 1}, {"bad", bad}});
    }
}

void build_gather_rows(model& m) {
    const test_case& c = m.given();
    list d = c.list("d"), shape = c.list("ids");
    d.insert(d.begin(), c.num("rows"));
    const rlx_value table =
        c.num("input") ? m.operand("table", plain(d)) : m.weight("table", c.type(0, RLX_F32), d);
    auto ids = indices(m, ref::count(shape), c.num("rows"));
    spoil(m, ids, c.num("rows"));
    axes of_ids = plain(shape);
    if (!of_ids.empty()) of_ids[0] = m.dim("N", of_ids[0].n);
    m.output(m.add(RLX_OP_GatherRows, {table, m.ints("ids", of_ids, ids)}));
}

void list_take_along(sink& s) {
    for (const char* t : {"f32", "i32", "f16", "u8"})
        for (int axis = 0; axis < 3; ++axis)
            s.add({t}, {{"d", list{3, 5, 7}}, {"axis", axis}, {"n", 4}});
    for (const std::int64_t n : {0, 1, 7, 33})
        for (const char* v : {"none", "perm", "slice", "bcast"})
            s.add({"f32"}, {{"d", list{4, 9}}, {"axis", -1}, {"n", n}, {"view", v}});
    s.add({"f32"}, {{"d", list{4, 9}}, {"axis", 1}, {"n", 3}, {"bad", 1}});
    s.add({"f32"}, {{"d", list{4, 9}}, {"axis", 0}, {"n", 3}, {"bad", 2}});
}

void build_take_along(model& m) {
    const test_case& c = m.given();
    list d = c.list("d");
    const std::int64_t axis = c.num("axis");
    const rlx_value x = m.typed("a", c.type(0, RLX_F32), plain(d));
    const auto at =
        static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(d.size()) : axis);
    const std::int64_t below = d[at];
    d[at] = c.num("n");
    auto idx = indices(m, ref::count(d), below);
    spoil(m, idx, below);
    m.output(m.add(RLX_OP_TakeAlong, {x, m.ints("idx", plain(d), idx)}, {{RLX_ATTR_axis, axis}}));
}

void list_top_k(sink& s) {
    for (const std::int64_t n : sizes(s.full))
        for (const std::int64_t k : {std::int64_t{0}, std::int64_t{1}, n / 2, n})
            if (k <= n) s.add({{"d", list{3, n}}, {"k", k}});
    for (const char* x : {"ties", "masked", "extreme", "infinite"})
        for (const std::int64_t n : {5, 16, 67})
            for (const char* v : {"none", "perm"})
                s.add({{"d", list{4, n}}, {"k", n / 2 + 1}, {"x", x}, {"view", v}});
    s.add({{"d", list{2, 3, 129}}, {"k", 8}, {"x", "ties"}, {"sym", 1}});
    s.add({{"d", list{0, 9}}, {"k", 2}});
}

void build_top_k(model& m) {
    const rlx_value x = m.operand("a", shape_of(m));
    for (const rlx_value v : m.add_many(RLX_OP_TopK, {x}, {{RLX_ATTR_k, m.given().num("k")}}, 2))
        m.output(v);
}

constexpr op_cases all[] = {
    {"GatherRows", list_gather_rows, build_gather_rows},
    {"TakeAlong", list_take_along, build_take_along},
    {"TopK", list_top_k, build_top_k},
};

} // namespace

std::span<const op_cases> index_cases() {
    return all;
}

} // namespace optest
