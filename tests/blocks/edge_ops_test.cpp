// SPDX-License-Identifier: GPL-3.0-only
// What ops.def says happens at the edges: empty axes, infinities, indices outside, sequences cut
// into runs, state pages, any number of threads.
#include "golden.hpp"

#include <cmath>

using namespace rlx;
using namespace rlx::cpu_test;
using rlx::block_test::error_of;

namespace {

using list = std::vector<dim>;
using floats = std::vector<float>;
using ints = std::vector<std::int32_t>;

constexpr float inf = HUGE_VALF;

std::size_t count(const list& dims) {
    std::size_t n = 1;
    for (dim d : dims)
        n *= static_cast<std::size_t>(d);
    return n;
}

struct operand {
    list dims;
    floats v;
    ints ids;
    bool whole = false;
};

operand real(list dims, floats v) {
    return {std::move(dims), std::move(v), {}, false};
}

operand whole(list dims, ints v) {
    return {std::move(dims), {}, std::move(v), true};
}

class op_edges : public block_test::tier_test {
protected:
    // All results of a one-node graph as bits; error: what the run says.
    std::vector<std::vector<std::int32_t>> bits(
        std::uint32_t op,
        const std::vector<operand>& in,
        std::vector<attr> attrs,
        const std::vector<list>& outs
    ) {
        net n;
        std::vector<rlx_value> values;
        for (std::size_t i = 0; i < in.size(); ++i) {
            const std::string name = "in" + std::to_string(i);
            values.push_back(n.in(name, in[i].whole ? RLX_I32 : RLX_F32, in[i].dims));
        }
        const auto made = n.add_all(op, values, std::move(attrs), outs.size());
        std::map<rlx_value, std::size_t> sizes;
        std::vector<rlx_value> named;
        for (std::size_t i = 0; i < made.size(); ++i) {
            named.push_back(n.output("out" + std::to_string(i), made[i]));
            sizes[named.back()] = count(outs[i]);
        }
        session s(n, setup{GetParam()});
        EXPECT_EQ(s.error, "");
        for (std::size_t i = 0; i < in.size(); ++i)
            in[i].whole ? s.set(values[i], in[i].ids) : s.set(values[i], in[i].v);
        error = s.run({}, sizes);
        std::vector<std::vector<std::int32_t>> out;
        for (rlx_value v : named)
            out.push_back(s.i32(v));
        return out;
    }

    floats
    one(std::uint32_t op, const std::vector<operand>& in, std::vector<attr> attrs, const list& out
    ) {
        const auto b = bits(op, in, std::move(attrs), {out});
        EXPECT_EQ(error, "");
        floats v(b[0].size());
        if (!v.empty()) std::memcpy(v.data(), b[0].data(), v.size() * 4);
        return v;
    }

    std::string error;
};

} // namespace

TEST_P(op_edges, rows_of_minus_infinity_have_an_answer) {
    const operand x = real({2, 3}, {-inf, -inf, -inf, 1, inf, inf});
    EXPECT_EQ(one(RLX_OP_LogSumExp, {x}, {{RLX_ATTR_axis, 1}}, {2}), (floats{-inf, inf}));
    const auto arg =
        bits(RLX_OP_ArgReduce, {x}, {{RLX_ATTR_kind, RLX_REDUCE_MAX}, {RLX_ATTR_axis, 1}}, {{2}});
    EXPECT_EQ(arg[0], (ints{0, 1}));
    const auto sorted = bits(RLX_OP_Sort, {x}, {{RLX_ATTR_descending, 1}}, {{2, 3}, {2, 3}});
    EXPECT_EQ(sorted[1], (ints{0, 1, 2, 1, 2, 0}));
}

TEST_P(op_edges, ties_keep_their_order) {
    const operand x = real({7}, {2, -0.0f, 1, 0, 2, 1, -0.0f});
    EXPECT_EQ(bits(RLX_OP_Sort, {x}, {}, {{7}, {7}})[1], (ints{1, 3, 6, 2, 5, 0, 4}));
    EXPECT_EQ(
        bits(RLX_OP_Sort, {x}, {{RLX_ATTR_descending, 1}}, {{7}, {7}})[1],
        (ints{0, 4, 2, 5, 1, 3, 6})
    );
}

TEST_P(op_edges, empty_axes_give_sums_of_nothing) {
    const operand none = real({2, 0}, {});
    EXPECT_EQ(one(RLX_OP_LogSumExp, {none}, {{RLX_ATTR_axis, 1}}, {2}), (floats{-inf, -inf}));
    const auto arg = bits(
        RLX_OP_ArgReduce, {none}, {{RLX_ATTR_kind, RLX_REDUCE_MIN}, {RLX_ATTR_axis, 1}}, {{2}}
    );
    EXPECT_EQ(arg[0], (ints{-1, -1}));
    for (const std::int64_t kind : {RLX_RESIZE_NEAREST, RLX_RESIZE_LINEAR, RLX_RESIZE_CUBIC})
        EXPECT_EQ(
            one(RLX_OP_Resize,
                {real({1, 1, 0}, {})},
                {{RLX_ATTR_kind, kind}, {RLX_ATTR_dims, list{2}}},
                {1, 1, 2}),
            (floats{0, 0})
        );
    EXPECT_EQ(one(RLX_OP_CumSum, {none}, {{RLX_ATTR_axis, 1}}, {2, 0}), floats{});
    EXPECT_EQ(
        one(RLX_OP_Gather, {real({3, 2}, floats(6)), whole({0}, {})}, {{RLX_ATTR_axis, 0}}, {0, 2}),
        floats{}
    );
    EXPECT_EQ(
        one(RLX_OP_GridSample,
            {real({1, 2, 0, 0}, {}), real({1, 1, 1, 2}, {0, 0})},
            {{RLX_ATTR_kind, RLX_RESIZE_LINEAR}, {RLX_ATTR_pad, RLX_PAD_REPLICATE}},
            {1, 2, 1, 1}),
        (floats{0, 0})
    );
}

TEST_P(op_edges, an_index_outside_is_an_error) {
    const operand x = real({3, 2}, floats(6));
    (void)bits(RLX_OP_Gather, {x, whole({2}, {0, 3})}, {{RLX_ATTR_axis, 0}}, {{2, 2}});
    EXPECT_NE(error.find("index 3 is outside [0, 3)"), std::string::npos) << error;
    (void)bits(RLX_OP_ScatterRows, {x, whole({1}, {-1}), real({1, 2}, {1, 2})}, {}, {{3, 2}});
    EXPECT_NE(error.find("index -1 is outside [0, 3)"), std::string::npos) << error;
    (void)bits(
        RLX_OP_ScatterAlong,
        {x, whole({3, 1}, {0, 1, 2}), real({3, 1}, {1, 2, 3})},
        {{RLX_ATTR_axis, 1}},
        {{3, 2}}
    );
    EXPECT_NE(error.find("index 2 is outside [0, 2)"), std::string::npos) << error;
}

TEST_P(op_edges, windows_without_an_element_of_x) {
    const operand x = real({1, 1, 2}, {5, -7});
    const std::vector<attr> far = {
        {RLX_ATTR_kernel, list{2}},
        {RLX_ATTR_stride, list{2}},
        {RLX_ATTR_pad_lo, list{2}},
        {RLX_ATTR_pad_hi, list{2}}};
    std::vector<attr> top = far, mean = far;
    top.emplace_back(RLX_ATTR_kind, RLX_POOL_MAX);
    mean.emplace_back(RLX_ATTR_kind, RLX_POOL_AVG);
    EXPECT_EQ(one(RLX_OP_Pool, {x}, top, {1, 1, 3}), (floats{-inf, 5, -inf}));
    EXPECT_EQ(one(RLX_OP_Pool, {x}, mean, {1, 1, 3}), (floats{0, -1, 0}));
}

TEST_P(op_edges, places_far_outside_are_outside) {
    const operand x = real({1, 1, 2, 2}, {1, 2, 3, 4});
    const operand grid = real({1, 1, 3, 2}, {1e30f, 0, -1e30f, -1e30f, inf, 0});
    for (const std::int64_t kind : {RLX_RESIZE_NEAREST, RLX_RESIZE_LINEAR, RLX_RESIZE_CUBIC})
        EXPECT_EQ(
            one(RLX_OP_GridSample,
                {x, grid},
                {{RLX_ATTR_kind, kind}, {RLX_ATTR_pad, RLX_PAD_CONSTANT}},
                {1, 1, 1, 3}),
            (floats{0, 0, 0})
        );
}

// ---- sequences ----

namespace {

operand random_of(list dims, std::uint32_t seed, float lo = -1, float hi = 1) {
    const std::size_t n = count(dims);
    return real(std::move(dims), numbers(n, seed, lo, hi));
}

// Rows [from, to) of the first axis.
operand rows(const operand& x, dim from, dim to) {
    operand r = x;
    const auto each = static_cast<std::ptrdiff_t>(
        x.dims[0] ? count(x.dims) / static_cast<std::size_t>(x.dims[0]) : 0
    );
    r.dims[0] = to - from;
    r.v.assign(x.v.begin() + from * each, x.v.begin() + to * each);
    return r;
}

operand from_bits(list dims, const ints& b) {
    operand r = real(std::move(dims), floats(b.size()));
    std::memcpy(r.v.data(), b.data(), b.size() * 4);
    return r;
}

// An op with a state as last input and output; cu stands at `cu` among the inputs, which are cut
// along their tokens where tokens[i] says so.
struct recurrent {
    std::uint32_t op;
    std::vector<operand> in; // without cu and the state
    std::vector<bool> tokens;
    std::size_t cu;
    list y, state;
};

std::vector<recurrent> all_recurrent() {
    const dim t = 7;
    return {
        {RLX_OP_CausalConv1d,
         {random_of({t, 3}, 1), random_of({3, 4}, 2), random_of({3}, 3)},
         {true, false, false},
         2,
         {t, 3},
         {1, 3, 3}},
        {RLX_OP_SelectiveScan,
         {random_of({t, 3}, 1),
          random_of({t, 3}, 2, 0, 1),
          random_of({3, 2}, 3, -1, 0),
          random_of({t, 2}, 4),
          random_of({t, 2}, 5),
          random_of({3}, 6)},
         {true, true, false, true, true, false},
         5,
         {t, 3},
         {1, 3, 2}},
        {RLX_OP_SsdScan,
         {random_of({t, 2, 3}, 1),
          random_of({t, 2}, 2, 0, 1),
          random_of({2}, 3, -1, 0),
          random_of({t, 1, 5}, 4),
          random_of({t, 1, 5}, 5),
          random_of({2}, 6)},
         {true, true, false, true, true, false},
         5,
         {t, 2, 3},
         {1, 2, 3, 5}},
        {RLX_OP_GatedDeltaRule,
         {random_of({t, 1, 4}, 1),
          random_of({t, 1, 4}, 2),
          random_of({t, 2, 3}, 3),
          random_of({t, 2}, 4, -1, 0),
          random_of({t, 2}, 5, 0, 1)},
         {true, true, true, true, true},
         5,
         {t, 2, 3},
         {1, 2, 4, 3}},
        {RLX_OP_LinearAttention,
         {random_of({t, 1, 4}, 1),
          random_of({t, 1, 4}, 2),
          random_of({t, 2, 3}, 3),
          random_of({t, 2}, 4, -1, 0)},
         {true, true, true, true},
         3,
         {t, 2, 3},
         {1, 2, 4, 3}},
    };
}

} // namespace

TEST_P(op_edges, a_sequence_in_pieces_gives_the_bits_of_the_whole) {
    for (const recurrent& r : all_recurrent()) {
        SCOPED_TRACE(r.op);
        const auto run = [&](dim from, dim to, const operand& state) {
            std::vector<operand> in;
            for (std::size_t i = 0; i < r.in.size(); ++i)
                in.push_back(r.tokens[i] ? rows(r.in[i], from, to) : r.in[i]);
            const auto n = static_cast<std::int32_t>(to - from);
            in.insert(in.begin() + static_cast<std::ptrdiff_t>(r.cu), whole({2}, {0, n}));
            in.push_back(state);
            list y = r.y;
            y[0] = to - from;
            auto out = bits(r.op, in, {}, {y, r.state});
            EXPECT_EQ(error, "");
            return out;
        };
        const operand start = random_of(r.state, 9);
        const auto all = run(0, 7, start);
        ints pieces;
        operand state = start;
        for (const auto& [from, to] : {std::pair<dim, dim>{0, 3}, {3, 3}, {3, 4}, {4, 7}}) {
            const auto part = run(from, to, state);
            pieces.insert(pieces.end(), part[0].begin(), part[0].end());
            state = from_bits(r.state, part[1]);
        }
        EXPECT_EQ(pieces, all[0]);
        EXPECT_EQ(state.v, from_bits(r.state, all[1]).v);
    }
}

TEST_P(op_edges, sequences_that_do_not_cover_the_tokens_are_an_error) {
    for (const ints& cu : {ints{0, 6}, ints{1, 7}, ints{0, 5, 3, 7}}) {
        const auto n = static_cast<dim>(cu.size());
        (void)bits(
            RLX_OP_CausalConv1d,
            {random_of({7, 3}, 1), random_of({3, 4}, 2), whole({n}, cu)},
            {},
            {{7, 3}, {n - 1, 3, 3}}
        );
        EXPECT_NE(error.find("cu_seqlens must rise from 0 to the 7 tokens"), std::string::npos)
            << error;
    }
}

TEST_P(op_edges, threads_change_no_bit) {
    const auto all = [&](std::uint32_t threads) {
        (void)set_threads(threads);
        std::vector<std::vector<ints>> out;
        out.push_back(bits(
            RLX_OP_Random,
            {whole({2}, {1, 2}), whole({2}, {3, 0})},
            {{RLX_ATTR_dims, list{1001}}, {RLX_ATTR_kind, RLX_RANDOM_NORMAL}},
            {{1001}}
        ));
        out.push_back(bits(
            RLX_OP_Col2Im,
            {random_of({1, 1, 64, 100}, 1)},
            {{RLX_ATTR_dims, list{64 + 99 * 16}},
             {RLX_ATTR_kernel, list{64}},
             {RLX_ATTR_stride, list{16}}},
            {{1, 1, 64 + 99 * 16}}
        ));
        out.push_back(bits(
            RLX_OP_ScatterRows,
            {random_of({50, 4}, 1), whole({200}, ints(200, 7)), random_of({200, 4}, 2)},
            {{RLX_ATTR_accumulate, 1}},
            {{50, 4}}
        ));
        out.push_back(bits(
            RLX_OP_Resize,
            {random_of({2, 3, 17, 19}, 1)},
            {{RLX_ATTR_kind, RLX_RESIZE_CUBIC},
             {RLX_ATTR_dims, list{31, 7}},
             {RLX_ATTR_antialias, 1}},
            {{2, 3, 31, 7}}
        ));
        return out;
    };
    const auto first = all(1);
    EXPECT_EQ(first, all(2));
    EXPECT_EQ(first, all(3));
}

// ---- states ----

TEST_P(op_edges, a_stored_page_is_loaded_again) {
    net n;
    const rlx_state_slot slot{sizeof slot, RLX_STATE_TENSOR, 2, 3, 5};
    rlx_value state = 0;
    ASSERT_EQ(n.api->state(n.g->handle(), str("s"), &slot, &state), nullptr);
    const dim b = n.sym("B", 4, 1);
    const rlx_value x = n.in("x", RLX_F32, {b, 2, 3, 5}), pages = n.in("pages", RLX_I32, {b});
    const rlx_value read = n.in("read", RLX_I32, {b});
    const rlx_value after = n.add(RLX_OP_StateStore, {state, x, pages});
    const rlx_value y = n.output("y", n.add(RLX_OP_StateLoad, {after, read}));
    session s(n, setup{GetParam()});
    ASSERT_EQ(s.error, "");
    s.pages(state, 6);
    const floats data = numbers(60, 1);
    s.set(x, data).set(pages, ints{5, 0}).set(read, ints{0, 5});
    ASSERT_EQ(s.run({{"B", 2}}, {{y, 60}}), "");
    floats swapped(data.begin() + 30, data.end());
    swapped.insert(swapped.end(), data.begin(), data.begin() + 30);
    EXPECT_EQ(s.f32(y), swapped);
    s.set(x, numbers(30, 2)).set(pages, ints{1}).set(read, ints{5});
    ASSERT_EQ(s.run({{"B", 1}}, {{y, 30}}), "");
    EXPECT_EQ(s.f32(y), floats(data.begin(), data.begin() + 30));
    s.set(pages, ints{6});
    EXPECT_NE(
        s.run({{"B", 1}}, {{y, 30}}).find("state page 6 is outside [0, 6)"), std::string::npos
    );
}

INSTANTIATE_TEST_SUITE_P(
    tiers,
    op_edges,
    testing::Values("baseline", "avx2", "avx512", "avx512_vnni", "amx"),
    [](const auto& p) { return std::string(p.param); }
);
