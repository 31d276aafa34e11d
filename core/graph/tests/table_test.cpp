// SPDX-License-Identifier: GPL-3.0-only
// "rlx.graph/1" as a plugin sees it: info structs of other sizes, bad ids, weights, the dump.
#include "net.hpp"

#include "rlx/formats/weights.hpp"

#include <cstring>

namespace rlx::test {

namespace {

// A checkpoint with a few tensors behind a table of our own.
struct fake_tensor {
    std::string name;
    std::uint16_t dtype;
    std::vector<std::int64_t> dims;
    int required = 0;
};

std::vector<fake_tensor>& tensors() {
    static std::vector<fake_tensor> list;
    return list;
}

fake_tensor* lookup(rlx_str name) {
    for (fake_tensor& t : tensors())
        if (t.name == view(name)) return &t;
    return nullptr;
}

void describe_to(const fake_tensor& t, rlx_tensor_desc* out) {
    out->dtype = t.dtype;
    out->rank = static_cast<std::uint16_t>(t.dims.size());
    std::copy(t.dims.begin(), t.dims.end(), out->dim);
}

rlx_error* fake_find(const rlx_weights*, rlx_str name, rlx_tensor_desc* out, uint32_t* found) {
    const fake_tensor* t = lookup(name);
    *found = t != nullptr;
    if (t) describe_to(*t, out);
    return nullptr;
}

rlx_error* fake_require(rlx_weights*, rlx_str name, rlx_tensor_desc* out) {
    fake_tensor* t = lookup(name);
    if (!t) return to_wall({RLX_NOT_FOUND, std::string(view(name)) + ": not in the file"});
    t->required++;
    describe_to(*t, out);
    return nullptr;
}

const rlx_weights_v1 fake_table = [] {
    rlx_weights_v1 t{};
    t.hdr = {sizeof t, 1, 0};
    t.find = fake_find;
    t.require = fake_require;
    return t;
}();

// Only handle() is used by the graph.
class fake_weights final : public weights {
public:
    std::string_view format() const override { return {}; }

    std::string_view architecture() const override { return {}; }

    const std::filesystem::path& path() const override { return path_; }

    std::span<const tensor_info> tensors() const override { return {}; }

    std::uint64_t file_bytes() const override { return 0; }

    std::optional<std::string_view> meta_string(std::string_view) const override { return {}; }

    std::optional<std::int64_t> meta_int(std::string_view) const override { return {}; }

    std::optional<double> meta_float(std::string_view) const override { return {}; }

    std::optional<bool> meta_bool(std::string_view) const override { return {}; }

    std::optional<std::vector<std::string_view>> meta_strings(std::string_view) const override {
        return {};
    }

    std::optional<std::vector<double>> meta_floats(std::string_view) const override { return {}; }

    std::optional<std::vector<std::int64_t>> meta_ints(std::string_view) const override {
        return {};
    }

    std::vector<std::string> meta_keys() const override { return {}; }

    result<std::optional<std::string>> sidecar(std::string_view) const override {
        return std::optional<std::string>();
    }

    std::vector<std::string> unused() const override { return {}; }

    rlx_weights* handle() override { return reinterpret_cast<rlx_weights*>(this); }

private:
    std::filesystem::path path_;
};

} // namespace

TEST(table, weights_come_from_the_checkpoint_with_their_shape_checked) {
    host_provide("rlx.weights/1", &fake_table);
    tensors() = {{"embed", RLX_Q8_0, {100, 64}}, {"norm", RLX_BF16, {64}}, {"strange", 999, {4}}};
    fake_weights w;
    net n(&w);
    const auto weight =
        [&](std::string_view name, std::vector<std::int64_t> expect, std::uint32_t flags = 0) {
            rlx_value v = 0;
            n.check(n.api->weight(
                n.g->handle(),
                str(name),
                static_cast<std::uint32_t>(expect.size()),
                expect.data(),
                flags,
                &v
            ));
            return v;
        };
    const rlx_value e = weight("embed", {-1, 64});
    ASSERT_EQ(n.error, "");
    EXPECT_EQ(n.shape(e), "[100, 64]");
    EXPECT_TRUE(n.at(e).strides.empty()) << "packed rows have no element strides";
    EXPECT_EQ(weight("embed", {100, -1}), e);
    EXPECT_EQ(tensors()[0].required, 1);
    weight("embed", {100, 63});
    EXPECT_EQ(n.error, "weight 'embed' is q8_0 [100, 64], expected [100, 63]");
    EXPECT_EQ(n.code, static_cast<std::uint32_t>(RLX_CORRUPT_DATA));
    weight("norm", {64, 1});
    EXPECT_EQ(n.error, "weight 'norm' is bf16 [64], expected [64, 1]");
    weight("gone", {-1});
    EXPECT_EQ(n.error, "gone: not in the file");
    EXPECT_EQ(n.code, static_cast<std::uint32_t>(RLX_NOT_FOUND));
    EXPECT_EQ(weight("gone", {-1}, RLX_WEIGHT_OPTIONAL), 0u);
    EXPECT_EQ(n.error, "");
    EXPECT_NE(weight("norm", {64}, RLX_WEIGHT_OPTIONAL), 0u);
    EXPECT_EQ(tensors()[1].required, 2) << "found optional weights count as used";
    weight("strange", {4});
    EXPECT_EQ(n.error, "weight 'strange' has the unknown dtype 999");
    EXPECT_EQ(n.api->weights(n.g->handle()), w.handle());
    net none;
    rlx_value v = 0;
    none.check(none.api->weight(none.g->handle(), str("embed"), 0, nullptr, 0, &v));
    EXPECT_EQ(none.error, "weight 'embed': the graph has no checkpoint");
}

TEST(table, is_a_host_service) {
    net n;
    EXPECT_EQ(host()->iface(host()->ctx, str("rlx.graph/1"), 0), graph_table());
    EXPECT_TRUE(RLX_HAS(n.api, dim_range));
}

TEST(table, smaller_info_structs_of_older_callers_are_filled_as_far_as_they_go) {
    net n;
    const rlx_value x = n.f32("x", {3});
    rlx_value_info info;
    std::memset(&info, 0x5a, sizeof info);
    info.size = offsetof(rlx_value_info, name);
    ASSERT_TRUE(n.check(n.api->value(n.g->handle(), x, &info)));
    EXPECT_EQ(info.size, offsetof(rlx_value_info, name));
    EXPECT_EQ(info.kind, RLX_VALUE_INPUT);
    EXPECT_EQ(info.dims[0], 3);
    EXPECT_EQ(info.name.n, 0x5a5a5a5a5a5a5a5au) << "beyond the caller's struct";
    info.size = sizeof info + 100; // a newer caller
    ASSERT_TRUE(n.check(n.api->value(n.g->handle(), x, &info)));
    EXPECT_EQ(view(info.name), "x");
    info.size = 0;
    EXPECT_FALSE(n.check(n.api->value(n.g->handle(), x, &info)));
}

TEST(table, reads_nodes_values_and_symbols_in_bulk) {
    net n;
    const dim t = n.sym("T", 1, 9);
    const rlx_value x = n.f32("x", {t, 4});
    n.at_module("a.b");
    const rlx_value y = n.reshape(x, {t, 2, 2});
    rlx_node_info node{};
    node.size = sizeof node;
    ASSERT_TRUE(n.check(n.api->node(n.g->handle(), 0, &node)));
    EXPECT_EQ(node.op, RLX_OP_Reshape);
    EXPECT_EQ(view(node.origin), "a.b");
    ASSERT_EQ(node.n_attr, 1u);
    EXPECT_EQ(node.attr[0].key, RLX_ATTR_dims);
    EXPECT_EQ(node.attr[0].n, 3u);
    EXPECT_EQ(node.attr[0].list[0], t);
    EXPECT_EQ(node.out[0], y);
    EXPECT_FALSE(n.check(n.api->node(n.g->handle(), 1, &node)));
    EXPECT_EQ(n.error, "node 1 of a graph with 1 nodes");
    rlx_str name;
    std::int64_t lo = 0, hi = 0;
    ASSERT_TRUE(n.check(n.api->symbol_at(n.g->handle(), 0, &name, &lo, &hi)));
    EXPECT_EQ(view(name), "T");
    EXPECT_EQ(hi, 9);
    EXPECT_FALSE(n.check(n.api->symbol_at(n.g->handle(), 1, &name, &lo, &hi)));
    const std::int64_t extents[] = {7}, dims[] = {t, 5, n.calc(RLX_DIM_MUL, t, t)};
    std::int64_t out[3];
    ASSERT_TRUE(n.check(n.api->eval_dims(n.g->handle(), extents, 1, dims, 3, out)));
    EXPECT_EQ(out[2], 49);
    const std::int64_t outside[] = {10};
    EXPECT_FALSE(n.check(n.api->eval_dims(n.g->handle(), outside, 1, dims, 3, out)));
    ASSERT_TRUE(n.check(n.api->dim_range(n.g->handle(), dims, 3, nullptr, out)));
    EXPECT_EQ(out[2], 81);
}

TEST(table, bad_calls_are_errors) {
    net n;
    const rlx_value x = n.f32("x", {3});
    rlx_value out[2];
    EXPECT_FALSE(n.check(n.api->add(n.g->handle(), RLX_OP_Copy, &x, 1, nullptr, 0, out, 2)));
    EXPECT_EQ(n.error, "Copy: 2 outputs asked for, the op has 1");
    EXPECT_FALSE(n.check(n.api->add(n.g->handle(), RLX_OP_Copy, nullptr, 1, nullptr, 0, out, 1)));
    rlx_attr bad{RLX_ATTR_dims, RLX_ATTR_LIST, 1, 0, 0, nullptr, 3};
    EXPECT_FALSE(n.check(n.api->add(n.g->handle(), RLX_OP_Reshape, &x, 1, &bad, 1, out, 1)));
    rlx_value_info info{};
    info.size = sizeof info;
    EXPECT_FALSE(n.check(n.api->value(n.g->handle(), 0, &info)));
    EXPECT_FALSE(n.check(n.api->value(n.g->handle(), 99, &info)));
    EXPECT_FALSE(n.check(n.api->output(n.g->handle(), str("y"), 99)));
    EXPECT_TRUE(n.output("y", x));
    EXPECT_FALSE(n.output("y", x));
    EXPECT_EQ(n.error, "output 'y' given twice");
}

TEST(ops, the_table_knows_every_op_and_attribute) {
    EXPECT_EQ(op_info(0), nullptr);
    EXPECT_EQ(op_by_name("Nothing"), nullptr);
    std::size_t attrs = 0;
    for (const op_desc& op : op_list()) {
        EXPECT_EQ(op_info(op.id), &op);
        EXPECT_EQ(op_by_name(op.name), &op);
        EXPECT_LE(op.min_inputs, op.max_inputs);
        EXPECT_GE(op.n_outputs, 1u);
        for (const attr_desc& a : op.attrs)
            EXPECT_EQ(attr_name(a.key), a.name);
        attrs += op.attrs.size();
    }
    EXPECT_GE(attrs, 40u);
    const op_desc& rope = *op_by_name("RopeTable");
    EXPECT_EQ(rope.kind, op_kind::primitive);
    EXPECT_EQ(rope.attrs.size(), 11u);
    EXPECT_TRUE(rope.attrs[0].required);
    EXPECT_FALSE(rope.attrs[2].required);
    EXPECT_TRUE(op_by_name("Copy")->attrs.empty());
}

TEST(dump, is_stable_and_readable) {
    net n;
    const dim t = n.sym("T", 1, 64), b = n.sym("B", 1, 4), p = n.sym("P", 8, 64, 8);
    const rlx_value x = n.f32("x", {t, 16}), pos = n.i32("pos", {t}), slots = n.i32("slots", {t});
    const rlx_value cu = n.i32("cu", {n.calc(RLX_DIM_ADD, b, 1)}), len = n.i32("len", {b});
    const rlx_value pages = n.i32("pages", {b, n.calc(RLX_DIM_DIV, p, 8)});
    const rlx_value w = n.weight("qkv.weight", RLX_Q8_0, {48, 32});
    const rlx_value kv = n.state("kv.0", 2, 8, 8);
    n.at_module("layers.0");
    const rlx_value wide = n.op(RLX_OP_Concat, {x, x}, {{RLX_ATTR_axis, 1}});
    const rlx_value qkv = n.op(RLX_OP_MatMul, {wide, w});
    const auto head = [&](dim i) {
        return n.reshape(n.slice(qkv, 1, i * 16, i * 16 + 16), {t, 2, 8});
    };
    const rlx_value table =
        n.op(RLX_OP_RopeTable, {pos}, {{RLX_ATTR_dim, 8}, {RLX_ATTR_base, 10000.0}});
    const rlx_value q = n.op(RLX_OP_Rope, {head(0), table});
    const rlx_value k = head(1), v = head(2);
    const rlx_value next = n.op(RLX_OP_KvAppend, {kv, k, v, slots});
    const rlx_value y =
        n.op(RLX_OP_AttentionState, {q, next, cu, len, pages}, {{RLX_ATTR_scale, 0.25}});
    n.at_module("");
    n.output("y", n.reshape(y, {t, 16}));
    ASSERT_EQ(n.error, "");
    ASSERT_TRUE(is_ok(n.g->finish({})));
    EXPECT_EQ(n.g->dump(), R"(symbol T 1 to 64
symbol B 1 to 4
symbol P 8 to 64 step 8
input %1 'x' f32 [T, 16]
input %2 'pos' i32 [T]
input %3 'slots' i32 [T]
input %4 'cu' i32 [B + 1]
input %5 'len' i32 [B]
input %6 'pages' i32 [B, P/8]
weight %7 'qkv.weight' q8_0 [48, 32]
state %8 'kv.0' kv state 2 x (8 + 8)
%9 f32 [T, 32] = Concat(%1, %1, axis=1) @layers.0 #12288+8192
%10 f32 [T, 48] = MatMul(%9, %7) @layers.0 #0+12288
%11 f32 [T, 8] = RopeTable(%2, dim=8, base=10000) @layers.0 #16384+2048
%12 f32 [T, 16] view %10 offset 0 strides [48, 1] = Slice(%10, axis=1, start=0, stop=16) @layers.0
%13 f32 [T, 2, 8] view %10 offset 0 strides [48, 8, 1] = Reshape(%12, dims=[T, 2, 8]) @layers.0
%14 f32 [T, 2, 8] = Rope(%13, %11) @layers.0 #12288+4096
%15 f32 [T, 16] view %10 offset 16 strides [48, 1] = Slice(%10, axis=1, start=16, stop=32) @layers.0
%16 f32 [T, 2, 8] view %10 offset 16 strides [48, 8, 1] = Reshape(%15, dims=[T, 2, 8]) @layers.0
%17 f32 [T, 16] view %10 offset 32 strides [48, 1] = Slice(%10, axis=1, start=32, stop=48) @layers.0
%18 f32 [T, 2, 8] view %10 offset 32 strides [48, 8, 1] = Reshape(%17, dims=[T, 2, 8]) @layers.0
%19 kv state 2 x (8 + 8) alias %8 = KvAppend(%8, %16, %18, %3) @layers.0
%20 f32 [T, 2, 8] = AttentionState(%14, %19, %4, %5, %6, scale=0.25) @layers.0 #0+4096
%21 f32 [T, 16] view %20 offset 0 strides [16, 1] = Reshape(%20, dims=[T, 16])
%22 f32 [T, 16] = Copy(%21)
output 'y' %22
scratch 20480
)");
}

} // namespace rlx::test
