// SPDX-License-Identifier: GPL-3.0-only
// RopeTable and Rope.
#include "cases.hpp"

namespace optest {
namespace {

using list = std::vector<std::int64_t>;

void list_table(sink& s) {
    for (int scaling = RLX_ROPE_NONE; scaling <= RLX_ROPE_DYNAMIC; ++scaling)
        for (const int factors : {0, 1})
            for (const std::int64_t dim : {4, 64, 66})
                s.add(
                    {{"t", 7}, {"dim", dim}, {"scaling", scaling}, {"factors", factors}, {"sym", 1}}
                );
    for (const std::int64_t t : {0, 1, 33})
        s.add({{"t", t}, {"dim", 32}});
    s.add({{"t", 5}, {"dim", 2}});
    s.add({{"t", 5}, {"dim", 32}, {"scaling", RLX_ROPE_YARN}, {"truncate", 0}});
    s.add({{"t", 5}, {"dim", 32}, {"scaling", RLX_ROPE_YARN}, {"attention", "1.5"}});
    s.add({{"t", 5}, {"dim", 32}, {"attention", "0.5"}});
    s.add({{"t", 9}, {"dim", 64}, {"far", 1}});
}

void build_table(model& m) {
    const test_case& c = m.given();
    const axis t = m.dim("T", c.num("t"));
    std::vector<std::int64_t> at(static_cast<std::size_t>(t.n)), lengths = at;
    for (std::size_t i = 0; i < at.size(); ++i) {
        at[i] = c.num("far") ? m.rng().below(100000) : static_cast<std::int64_t>(i) * 37 % 101;
        lengths[i] = i % 2 ? 20 : 5000;
    }
    if (c.num("far")) m.limit_name = "RopeTable.far";
    const std::int64_t dim = c.num("dim"), scaling = c.num("scaling");
    std::vector<rlx_value> in{m.ints("positions", {t}, at), 0, 0};
    if (c.num("factors")) in[1] = m.weight("factors", RLX_F32, {dim / 2}, numbers::positive);
    if (scaling == RLX_ROPE_DYNAMIC) in[2] = m.ints("lengths", {t}, lengths);
    std::vector<attr> attrs{
        {RLX_ATTR_dim, dim}, {RLX_ATTR_base, 10000.0}, {RLX_ATTR_scaling, scaling}};
    if (scaling != RLX_ROPE_NONE) {
        attrs.emplace_back(RLX_ATTR_factor, 4.0);
        attrs.emplace_back(RLX_ATTR_original_max, 64);
    }
    if (scaling == RLX_ROPE_LLAMA3) {
        attrs.emplace_back(RLX_ATTR_low_freq_factor, 1.0);
        attrs.emplace_back(RLX_ATTR_high_freq_factor, 4.0);
    }
    if (c.has("truncate")) attrs.emplace_back(RLX_ATTR_truncate, c.num("truncate"));
    if (c.has("attention")) attrs.emplace_back(RLX_ATTR_attention_factor, c.real("attention"));
    m.output(m.add(RLX_OP_RopeTable, in, attrs));
}

void list_rope(sink& s) {
    for (const int pairing : {0, 1}) {
        for (const auto& [hd, dim] :
             {std::pair{64, 64}, {66, 64}, {128, 32}, {6, 2}, {34, 34}, {10, 6}})
            s.add({{"t", 5}, {"h", 3}, {"hd", hd}, {"dim", dim}, {"pairing", pairing}, {"sym", 1}});
        for (const char* v : {"perm", "slice", "bcast", "mixed"})
            s.add({{"t", 5}, {"h", 3}, {"hd", 32}, {"dim", 16}, {"pairing", pairing}, {"view", v}});
        for (const int t : {0, 1, 17})
            s.add({{"t", t}, {"h", 1}, {"hd", 16}, {"dim", 16}, {"pairing", pairing}});
    }
}

void build_rope(model& m) {
    const test_case& c = m.given();
    const axis t = m.dim("T", c.num("t"));
    const rlx_value x = m.operand("x", {t, c.num("h"), c.num("hd")});
    const rlx_value table = m.operand("table", {t, c.num("dim")});
    m.output(m.add(RLX_OP_Rope, {x, table}, {{RLX_ATTR_pairing, c.num("pairing")}}));
}

constexpr op_cases all[] = {
    {"RopeTable", list_table, build_table},
    {"Rope", list_rope, build_rope},
};

} // namespace

std::span<const op_cases> rope_cases() {
    return all;
}

} // namespace optest
