// SPDX-License-Identifier: GPL-3.0-only
#include "backend_graph.hpp"

#include "rlx/base/wall.hpp"

#include <cmath>
#include <cstring>

namespace conformance {
namespace {

using rlx::str;

constexpr std::int64_t width = 16, heads = 4, kv_heads = 2, head_dim = 4, rows = 3;

class builder {
public:
    builder(sample_graph& s) : s_(s), t_(rlx::graph_table()), g_(s.g->handle()) {
        of_host(t_->symbol(g_, str("T"), 1, 4, 1, &rows_));
    }

    rlx_value
    input(const char* name, std::uint32_t dtype, std::vector<std::int64_t> dims, std::size_t n) {
        host_tensor t;
        of_host(t_->input(
            g_, str(name), dtype, static_cast<std::uint32_t>(dims.size()), dims.data(), &t.value
        ));
        t.bytes.resize(n * 4);
        for (std::size_t i = 0; i < n && dtype == RLX_F32; i++)
            put(t, i, 0.25F * static_cast<float>(i % 7) - 0.5F);
        s_.tensors.push_back(std::move(t));
        s_.n_inputs = s_.tensors.size();
        return s_.tensors.back().value;
    }

    rlx_value
    ints(const char* name, std::vector<std::int64_t> dims, std::vector<std::int32_t> numbers) {
        const rlx_value v = input(name, RLX_I32, std::move(dims), numbers.size());
        std::memcpy(s_.tensors.back().bytes.data(), numbers.data(), numbers.size() * 4);
        return v;
    }

    void output(const char* name, rlx_value v, std::size_t n) {
        of_host(t_->output(g_, str(name), v));
        host_tensor t;
        t.bytes.resize(n * 4, std::byte{0xff}); // NaN until it is written
        s_.tensors.push_back(std::move(t));
    }

    rlx_value weight(const char* name, std::vector<std::int64_t> dims) {
        rlx_value v = 0;
        of_host(
            t_->weight(g_, str(name), static_cast<std::uint32_t>(dims.size()), dims.data(), 0, &v)
        );
        return v;
    }

    rlx_value state(std::int64_t n_heads, std::int64_t dim) {
        rlx_state_slot slot{sizeof slot, RLX_STATE_KV, n_heads, dim, dim};
        rlx_value v = 0;
        of_host(t_->state(g_, str("kv"), &slot, &v));
        return v;
    }

    rlx_value op(std::uint32_t id, std::vector<rlx_value> in, std::vector<rlx_attr> attrs = {}) {
        rlx_value v = 0;
        of_host(t_->add(
            g_,
            id,
            in.data(),
            static_cast<std::uint32_t>(in.size()),
            attrs.data(),
            static_cast<std::uint32_t>(attrs.size()),
            &v,
            1
        ));
        return v;
    }

    static rlx_attr i64(std::uint16_t key, std::int64_t n) {
        return {key, RLX_ATTR_I64, 1, n, 0, nullptr, 0};
    }

    static rlx_attr f64(std::uint16_t key, double x) {
        return {key, RLX_ATTR_F64, 1, 0, x, nullptr, 0};
    }

    rlx_value reshape(rlx_value x, std::vector<std::int64_t> dims) {
        return op(
            RLX_OP_Reshape, {x}, {{RLX_ATTR_dims, RLX_ATTR_LIST, 1, 0, 0, dims.data(), dims.size()}}
        );
    }

    std::int64_t rows_dim() const { return rows_; }

private:
    static void put(host_tensor& t, std::size_t i, float x) {
        std::memcpy(t.bytes.data() + i * 4, &x, 4);
    }

    sample_graph& s_;
    const rlx_graph_v1* t_;
    rlx_graph* g_;
    std::int64_t rows_ = 0;
};

rlx_value linear(builder& b, rlx_value x) {
    const rlx_value norm = b.weight("model.norm.weight", {width});
    x = b.op(RLX_OP_RmsNorm, {x, norm}, {builder::f64(RLX_ATTR_eps, 1e-5)});
    x = b.op(
        RLX_OP_MatMul, {x, b.weight("model.layers.0.self_attn.q_proj.weight", {width, width})}
    );
    return b.op(RLX_OP_Unary, {x}, {builder::i64(RLX_ATTR_kind, RLX_UNARY_SILU)});
}

void build_attention(builder& b) {
    const std::int64_t t = b.rows_dim();
    const rlx_value x = b.input("x", RLX_F32, {t, width}, rows * width);
    const rlx_value slots = b.ints("slots", {t}, {0, 1, 2});
    const rlx_value cu = b.ints("cu_seqlens", {2}, {0, rows});
    const rlx_value lengths = b.ints("kv_lengths", {1}, {rows});
    const rlx_value pages = b.ints("block_table", {1, 1}, {0});
    const rlx_value q = b.reshape(linear(b, x), {t, heads, head_dim});
    const auto kv = [&](const char* name) {
        return b.reshape(
            b.op(RLX_OP_MatMul, {x, b.weight(name, {kv_heads * head_dim, width})}),
            {t, kv_heads, head_dim}
        );
    };
    const rlx_value k = kv("model.layers.0.self_attn.k_proj.weight");
    const rlx_value v = kv("model.layers.0.self_attn.v_proj.weight");
    const rlx_value state = b.op(RLX_OP_KvAppend, {b.state(kv_heads, head_dim), k, v, slots});
    const rlx_value y = b.op(
        RLX_OP_AttentionState, {q, state, cu, lengths, pages}, {builder::f64(RLX_ATTR_scale, 0.5)}
    );
    b.output("y", b.reshape(y, {t, width}), rows * width);
}

} // namespace

sample_graph make_sample_graph(int which, rlx::weights* w) {
    static constexpr const char* names[] = {"attention", "linear", "add"};
    sample_graph s{
        .name = names[which],
        .g = rlx::graph::create(w),
        .tensors = {},
        .nodes = {},
        .extents = {}};
    builder b(s);
    const std::size_t n = rows * width;
    if (which == 0) build_attention(b);
    if (which == 1) {
        const rlx_value x = b.input("x", RLX_F32, {b.rows_dim(), width}, n);
        b.output("y", linear(b, x), n);
    }
    if (which == 2) {
        const rlx_value x = b.input("x", RLX_F32, {b.rows_dim(), width}, n);
        const rlx_value y =
            b.op(RLX_OP_Binary, {x, x}, {builder::i64(RLX_ATTR_kind, RLX_BINARY_ADD)});
        b.output("y", y, n);
        s.output_is_twice_input = true;
    }
    s.extents = {rows};
    return s;
}

void sample_graph::check_results() const {
    for (std::size_t k = n_inputs; k < tensors.size(); k++) {
        for (std::size_t i = 0; i < tensors[k].bytes.size() / 4; i++) {
            float y = 0, x = 0;
            std::memcpy(&y, tensors[k].bytes.data() + i * 4, 4);
            std::memcpy(&x, tensors[0].bytes.data() + i * 4, 4);
            if (!std::isfinite(y))
                throw failed{std::string("graph '") + name + "': a result is no number"};
            if (output_is_twice_input && y != 2 * x)
                throw failed{
                    std::string("graph '") + name + "': " + std::to_string(x) + " + itself gave " +
                    std::to_string(y)};
        }
    }
}

} // namespace conformance
