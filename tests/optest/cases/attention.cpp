// SPDX-License-Identifier: GPL-3.0-only
// Attention, RaggedAttention, AttentionState with KvAppend.
#include "cases.hpp"

#include <numeric>

namespace optest {
namespace {

using list = std::vector<std::int64_t>;

void list_attention(sink& s) {
    for (const auto& q : // B, Tq, Hq, Hkv, Tk, dk, dv
         {list{1, 1, 1, 1, 1, 4, 4},
          list{2, 5, 4, 2, 7, 16, 16},
          list{1, 33, 2, 2, 33, 64, 64},
          list{2, 1, 6, 2, 67, 32, 24},
          list{1, 17, 3, 1, 130, 20, 12},
          list{3, 8, 2, 1, 8, 8, 33},
          list{1, 64, 2, 2, 65, 128, 128}})
        for (const int causal : {0, 1})
            for (const int mask : {0, 1, 2})
                s.add({{"q", q}, {"causal", causal}, {"mask", mask}});
    for (const auto& q :
         {list{2, 0, 2, 2, 5, 8, 8}, list{2, 3, 2, 2, 0, 8, 8}, list{0, 3, 2, 2, 5, 8, 8}})
        s.add({{"q", q}});
    const list q{2, 9, 4, 2, 13, 16, 16};
    for (const int window : {1, 3, 100})
        s.add({{"q", q}, {"causal", 1}, {"window", window}});
    s.add({{"q", q}, {"softcap", "5"}});
    s.add({{"q", q}, {"softcap", "5"}, {"causal", 1}, {"mask", 1}});
    s.add({{"q", q}, {"x", "huge"}});
    for (const int mask : {3, 4, 5})
        s.add({{"q", q}, {"mask", mask}});
    for (const char* v : {"perm", "slice", "mixed", "bcast"})
        for (const int mask : {0, 1})
            s.add({{"q", q}, {"mask", mask}, {"view", v}});
    s.add({{"q", q}, {"mask", 1}, {"sym", 1}});
    for (const int causal : {0, 1}) // several chunks of keys
        s.add({{"q", list{1, 17, 2, 1, 600, 64, 48}}, {"causal", causal}});
    // In a query, in a key and in a value; of a value whose weight is 0 NaN may show or not, so
    // none is hidden here.
    for (const auto& shape : {q, list{1, 33, 2, 2, 70, 64, 64}})
        for (const char* x : {"some_nan", "some_inf"})
            for (const int on : {0, 1, 2})
                for (const int causal : {0, on < 2 ? 1 : 0})
                    s.add({{"q", shape}, {"causal", causal}, {"x", x}, {"on", on}});
    for (const int on : {0, 1}) // chunks of keys without any maximum
        s.add({{"q", list{1, 5, 1, 1, 600, 8, 8}}, {"x", "nan"}, {"on", on}});
    s.add({{"q", q}, {"mask", 1}, {"x", "some_nan"}, {"on", 3}});
    s.add({{"q", q}, {"mask", 1}, {"x", "some_nan"}, {"on", 0}});
    s.add({{"q", q}, {"softcap", "5"}, {"x", "some_nan"}, {"on", 1}});
}

void build_attention(model& m) {
    const test_case& c = m.given();
    const list d = c.list("q");
    const axis b = m.dim("B", d[0]);
    const rlx_value q = m.operand("q", {b, d[1], d[2], d[5]});
    const rlx_value k = m.operand("k", {b, d[4], d[3], d[5]});
    const rlx_value v = m.operand("v", {b, d[4], d[3], d[6]});
    std::vector<rlx_value> in{q, k, v};
    switch (c.num("mask")) {
    case 1: in.push_back(m.operand("mask", {b, d[2], d[1], d[4]}, numbers::masked)); break;
    case 2: in.push_back(m.operand("mask", {d[1], d[4]}, numbers::masked)); break;
    case 3: in.push_back(m.operand("mask", {b, 1, 1, d[4]}, numbers::masked)); break;
    case 4: in.push_back(m.operand("mask", {d[2], 1, d[4]})); break;
    case 5: in.push_back(m.operand("mask", {1})); break;
    default: break;
    }
    m.output(m.add(
        RLX_OP_Attention,
        in,
        {{RLX_ATTR_scale, 0.3},
         {RLX_ATTR_causal, c.num("causal")},
         {RLX_ATTR_window, c.num("window")},
         {RLX_ATTR_softcap, c.real("softcap")}}
    ));
}

void list_ragged(sink& s) {
    const list h{4, 2, 16, 16};
    for (const auto& lengths :
         {list{5},
          list{1},
          list{3, 0, 7, 1},
          list{33, 2, 65},
          list{0, 0},
          list{0},
          list{130, 1},
          list{1, 1, 1, 1, 1}})
        for (const int causal : {0, 1})
            for (const int bias : {0, 4})
                s.add(
                    {{"lengths", lengths}, {"h", h}, {"causal", causal}, {"bias", bias}, {"sym", 1}}
                );
    for (const auto& heads :
         {list{1, 1, 64, 64}, list{6, 2, 20, 12}, list{2, 2, 128, 33}, list{3, 1, 4, 4}})
        s.add({{"lengths", list{17, 3, 40}}, {"h", heads}});
    for (const int window : {1, 4})
        s.add({{"lengths", list{3, 17}}, {"h", h}, {"causal", 1}, {"window", window}});
    s.add({{"lengths", list{3, 17}}, {"h", h}, {"softcap", "3"}});
    s.add({{"lengths", list{3, 17}}, {"h", h}, {"bias", 1}, {"causal", 1}});
    s.add({{"lengths", list{3, 17}}, {"h", h}, {"bias", 1}, {"bias0", 1}});
    s.add({{"lengths", list{9, 4}}, {"h", h}, {"x", "huge"}});
    for (const char* v : {"perm", "slice", "mixed"})
        s.add({{"lengths", list{9, 4}}, {"h", h}, {"view", v}});
    for (const char* x : {"some_nan", "some_inf"})
        for (const int on : {0, 1, 2})
            for (const int causal : {0, on < 2 ? 1 : 0})
                s.add({{"lengths", list{33, 4}}, {"h", h}, {"causal", causal}, {"x", x}, {"on", on}}
                );
    for (const int bad : {1, 2, 3})
        s.add({{"lengths", list{3, 17}}, {"h", h}, {"bad", bad}});
}

// bad=1: falls; bad=2: does not begin at 0; bad=3: ends beyond the tokens.
void spoil(model& m, std::vector<std::int64_t>& cu) {
    switch (m.given().num("bad")) {
    case 1: cu[1] = cu.back() + 1; break;
    case 2: cu[0] = 1; break;
    case 3: cu.back() += 1; break;
    default: return;
    }
    m.must_fail = true;
}

void build_ragged(model& m) {
    const test_case& c = m.given();
    const list lengths = c.list("lengths"), h = c.list("h");
    std::vector<std::int64_t> cu = cuts(lengths);
    const axis t = m.dim("T", cu.back()), b = m.dim("B", static_cast<std::int64_t>(lengths.size()));
    const rlx_value q = m.operand("q", {t, h[0], h[2]});
    const rlx_value k = m.operand("k", {t, h[1], h[2]});
    const rlx_value v = m.operand("v", {t, h[1], h[3]});
    spoil(m, cu);
    std::vector<rlx_value> in{q, k, v, m.ints("cu", {m.dim_op(RLX_DIM_ADD, b, 1)}, cu)};
    if (c.has("bias") && c.num("bias"))
        in.push_back(m.operand("bias", {h[0], c.num("bias0") ? 1 : 2 * c.num("bias") + 1}));
    m.output(m.add(
        RLX_OP_RaggedAttention,
        in,
        {{RLX_ATTR_scale, 0.3},
         {RLX_ATTR_causal, c.num("causal")},
         {RLX_ATTR_window, c.num("window")},
         {RLX_ATTR_softcap, c.real("softcap")}}
    ));
}

void list_state(sink& s) {
    const list h{4, 2, 16, 16};
    // new: tokens of this step per sequence; cached: rows written by steps before it.
    for (const auto& [fresh, cached] :
         {std::pair{list{5}, list{0}},
          {list{1}, list{0}},
          {list{1}, list{33}},
          {list{17}, list{15}},
          {list{3, 1, 5}, list{0, 20, 7}},
          {list{3, 0, 2}, list{4, 9, 0}},
          {list{1, 1, 1, 1}, list{16, 31, 32, 1}},
          {list{67}, list{0}},
          {list{40, 1}, list{3, 70}}}) {
        s.add({{"new", fresh}, {"cached", cached}, {"h", h}, {"sym", 1}});
        s.add({{"new", fresh}, {"cached", cached}, {"h", h}, {"window", 5}});
    }
    for (const auto& heads :
         {list{1, 1, 64, 64}, list{6, 2, 20, 12}, list{8, 1, 128, 128}, list{3, 3, 4, 36}})
        s.add({{"new", list{3, 9}}, {"cached", list{20, 0}}, {"h", heads}});
    s.add({{"new", list{3, 9}}, {"cached", list{20, 0}}, {"h", h}, {"softcap", "4"}});
    s.add({{"new", list{3, 9}}, {"cached", list{20, 0}}, {"h", h}, {"window", 1}});
    s.add({{"new", list{5}}, {"cached", list{30}}, {"h", h}, {"x", "huge"}});
    for (const char* x : {"some_nan", "some_inf"})
        for (const int on : {0, 1, 2})
            for (const auto& fresh : {list{1, on < 2 ? 9 : 1}, list{1, 1}})
                s.add({{"new", fresh}, {"cached", list{20, 37}}, {"h", h}, {"x", x}, {"on", on}});
    s.add(
        {{"new", list{2, 1}},
         {"cached", list{9, 600}},
         {"h", list{1, 1, 8, 8}},
         {"x", "nan"},
         {"on", 0}}
    );
    for (const int bad : {1, 2, 3, 4, 5, 6})
        s.add({{"new", list{3, 9}}, {"cached", list{20, 0}}, {"h", h}, {"bad", bad}});
}

// The graph appends everything, the rows of earlier steps too, and asks only for the new tokens: q
// of the others would need a second run, which state mode does.
void build_state(model& m) {
    const test_case& c = m.given();
    const list fresh = c.list("new"), cached = c.list("cached"), h = c.list("h");
    const std::size_t n = fresh.size();
    std::vector<std::int64_t> cu = cuts(fresh), lengths(n), slots, table;
    std::int64_t most = 1;
    for (std::size_t i = 0; i < n; ++i) {
        lengths[i] = fresh[i] + cached[i];
        most = std::max(most, (lengths[i] + m.page_tokens - 1) / m.page_tokens);
    }
    // Pages of the sequences in turns, from behind, with a page nobody uses.
    m.pages = most * static_cast<std::int64_t>(n) + 1;
    for (std::size_t i = 0; i < n; ++i)
        for (std::int64_t p = 0; p < most; ++p)
            table.push_back(
                m.pages - 1 - (p * static_cast<std::int64_t>(n) + static_cast<std::int64_t>(i))
            );
    for (std::size_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < lengths[i]; ++j)
            slots.push_back(
                table
                        [i * static_cast<std::size_t>(most) +
                         static_cast<std::size_t>(j / m.page_tokens)] *
                    m.page_tokens +
                j % m.page_tokens
            );
    switch (c.num("bad")) {
    case 1: slots[4] = m.pages * m.page_tokens; break;
    case 2: slots[4] = -1; break;
    case 3: table[0] = m.pages; break;
    case 4: lengths[1] = 2; break; // fewer than the tokens of the step
    case 5: cu[1] = cu[2] + 1; break;
    case 6: lengths[0] = most * m.page_tokens + 1; break;
    default: break;
    }
    m.must_fail = c.num("bad") != 0;
    const axis t = m.dim("T", cuts(fresh).back()), b = m.dim("B", static_cast<std::int64_t>(n));
    const axis all = m.dim("S", static_cast<std::int64_t>(slots.size()));
    const rlx_value q = m.operand("q", {t, h[0], h[2]});
    const rlx_value k = m.operand("k", {all, h[1], h[2]});
    const rlx_value v = m.operand("v", {all, h[1], h[3]});
    const rlx_value state = m.add(
        RLX_OP_KvAppend, {m.state("kv", h[1], h[2], h[3]), k, v, m.ints("slots", {all}, slots)}
    );
    const rlx_value y = m.add(
        RLX_OP_AttentionState,
        {q,
         state,
         m.ints("cu", {m.dim_op(RLX_DIM_ADD, b, 1)}, cu),
         m.ints("lengths", {b}, lengths),
         m.ints("table", {b, m.dim("P", most)}, table)},
        {{RLX_ATTR_scale, 0.3},
         {RLX_ATTR_window, c.num("window")},
         {RLX_ATTR_softcap, c.real("softcap")}}
    );
    m.output(y);
    m.tested = {RLX_OP_KvAppend, RLX_OP_AttentionState};
    m.limit_name = "AttentionState";
}

// The same graph judged for the writing side: decode of rows in odd places.
void list_append(sink& s) {
    for (const auto& heads : {list{1, 1, 1, 1}, list{2, 2, 17, 5}, list{4, 4, 64, 64}})
        for (const std::int64_t n : {1, 15, 16, 17, 33})
            s.add({{"new", list{n, 1}}, {"cached", list{0, n}}, {"h", heads}});
    s.add({{"new", list{0}}, {"cached", list{0}}, {"h", list{2, 2, 8, 8}}, {"sym", 1}});
    for (const int bad : {1, 2})
        s.add({{"new", list{3, 9}}, {"cached", list{20, 0}}, {"h", list{2, 2, 8, 8}}, {"bad", bad}}
        );
}

constexpr op_cases all[] = {
    {"Attention", list_attention, build_attention},
    {"RaggedAttention", list_ragged, build_ragged},
    {"AttentionState", list_state, build_state},
    {"KvAppend", list_append, build_state},
};

} // namespace

std::span<const op_cases> attention_cases() {
    return all;
}

} // namespace optest
