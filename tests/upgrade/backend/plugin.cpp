// SPDX-License-Identifier: GPL-3.0-only
#include "scalar.hpp"

#include <cstdlib>

namespace {

using namespace frozen;

const rlx_graph_v1* graphs() {
    return service<rlx_graph_v1>();
}

bool is_view(std::uint16_t op) {
    return op >= RLX_OP_Reshape && op <= RLX_OP_Broadcast;
}

result<node> read_node(const rlx_graph* g, std::uint32_t index) {
    node n;
    n.info.size = sizeof n.info;
    RLX_CHECK(check(graphs()->node(g, index, &n.info)));
    n.in.assign(n.info.in, n.info.in + n.info.n_in);
    n.out.assign(n.info.out, n.info.out + n.info.n_out);
    n.attrs.assign(n.info.attr, n.info.attr + n.info.n_attr);
    return n;
}

result<rlx_value_info> read_value(const rlx_graph* g, rlx_value v) {
    rlx_value_info info{};
    info.size = sizeof info;
    RLX_CHECK(check(graphs()->value(g, v, &info)));
    return info;
}

class device {
public:
    using program = frozen::program;

    static std::uint32_t device_count() { return 1; }

    static status device_info(std::uint32_t index, options_writer out) {
        if (index != 0) return fail(RLX_NOT_FOUND, "device {}: there is one", index);
        return out.set("name", "frozen")
            .set("description", "scalar loops")
            .set("tier", "scalar")
            .done();
    }

    static result<std::unique_ptr<device>> open(std::uint32_t, options_view) {
        return std::make_unique<device>();
    }

    status supports(
        const rlx_graph* g,
        std::span<const std::uint32_t> nodes,
        std::span<std::uint8_t> verdict,
        std::span<rlx_str> reason
    ) {
        for (std::size_t i = 0; i < nodes.size(); i++) {
            const node n = RLX_TRY(read_node(g, nodes[i]));
            const char* why = is_view(n.info.op) ? nullptr : why_not(n);
            verdict[i] = why ? RLX_NO : RLX_YES;
            if (why && !reason.empty()) reason[i] = str(std::string_view(why));
        }
        return {};
    }

    result<rlx_memory> measure(const rlx_compile_args& args) {
        rlx_memory m{};
        const auto p = RLX_TRY(prepare(args, false));
        for (const auto& [v, data] : p->weights)
            m.weights += data.size() * 4;
        return m;
    }

    result<std::unique_ptr<program>> compile(const rlx_compile_args& args) {
        return prepare(args, true);
    }

    status program_info(program&, options_writer out) {
        return out.set("tier", "scalar").set("compute", "f32").set("kv", "f32").done();
    }

    status run(program& p, const rlx_run_args& args);

    result<std::uint64_t> page_bytes(const rlx_compile_args& args, rlx_value state) {
        const rlx_value_info info = RLX_TRY(read_value(args.graph, state));
        return static_cast<std::uint64_t>(
            4 * info.slot.n_heads * (info.slot.k_dim + info.slot.v_dim) * args.page_tokens
        );
    }

    result<rlx_buffer*> alloc(std::uint64_t bytes) {
        void* data = std::calloc(1, static_cast<std::size_t>(bytes) + 1);
        if (!data) return fail(RLX_OUT_OF_MEMORY, "{} bytes", bytes);
        return new rlx_buffer{bytes, data};
    }

    void free(rlx_buffer* b) {
        std::free(b->data);
        delete b;
    }

    status copy(
        rlx_buffer* dst,
        std::uint64_t dst_off,
        rlx_buffer* src,
        std::uint64_t src_off,
        std::uint64_t n
    ) {
        if (dst_off + n > dst->bytes || src_off + n > src->bytes)
            return fail(RLX_INVALID_ARGUMENT, "copy outside a buffer");
        std::memmove(at(dst, dst_off), at(src, src_off), static_cast<std::size_t>(n));
        return {};
    }

    status upload(rlx_buffer* dst, std::uint64_t off, rlx_bytes src) {
        if (off + src.n > dst->bytes)
            return fail(RLX_INVALID_ARGUMENT, "upload outside the buffer");
        if (src.n) std::memcpy(at(dst, off), src.p, static_cast<std::size_t>(src.n));
        return {};
    }

    status download(rlx_buffer* src, std::uint64_t off, void* dst, std::uint64_t n) {
        if (off + n > src->bytes) return fail(RLX_INVALID_ARGUMENT, "download outside the buffer");
        if (n) std::memcpy(dst, at(src, off), static_cast<std::size_t>(n));
        return {};
    }

private:
    static char* at(rlx_buffer* b, std::uint64_t off) { return static_cast<char*>(b->data) + off; }

    static result<std::unique_ptr<program>> prepare(const rlx_compile_args& args, bool read);
    static status load_weight(program& p, const rlx_value_info& root, rlx_value id, bool read);
};

status device::load_weight(program& p, const rlx_value_info& root, rlx_value id, bool read) {
    if (p.weights.count(id)) return {};
    std::uint64_t rows = 1, width = 1;
    for (std::uint32_t i = 0; i < root.rank; i++)
        (i + 1 < root.rank ? rows : width) *= static_cast<std::uint64_t>(root.dims[i]);
    std::vector<float> data(static_cast<std::size_t>(rows * width));
    if (read) {
        RLX_CHECK(check(service<rlx_weights_v1>()->read_f32(
            graphs()->weights(p.graph), root.name, 0, rows, data.data()
        )));
    }
    p.weights[id] = std::move(data);
    return {};
}

result<std::unique_ptr<program>> device::prepare(const rlx_compile_args& args, bool read) {
    auto p = std::make_unique<program>();
    p->graph = args.graph;
    p->page_tokens = args.page_tokens;
    for (std::uint64_t i = 0; i < args.n_nodes; i++) {
        p->nodes.push_back(RLX_TRY(read_node(args.graph, args.nodes[i])));
        for (const rlx_value v : p->nodes.back().in) {
            if (v == 0) continue;
            const rlx_value_info info = RLX_TRY(read_value(args.graph, v));
            const rlx_value_info root = RLX_TRY(read_value(args.graph, info.root));
            if (root.kind == RLX_VALUE_WEIGHT) RLX_CHECK(load_weight(*p, root, info.root, read));
        }
    }
    return p;
}

// Where the root's memory is in this run.
result<void*>
root_data(const program& p, const rlx_run_args& args, rlx_value id, const rlx_value_info& root) {
    for (std::uint64_t i = 0; i < args.n_bind; i++) {
        const auto b = read_element(args.bind, args.bind_stride, i);
        if (b.value == id) return b.host ? b.host : b.buffer->data;
    }
    if (root.kind == RLX_VALUE_CONSTANT) return const_cast<void*>(root.data.p);
    if (const auto w = p.weights.find(id); w != p.weights.end())
        return static_cast<void*>(const_cast<float*>(w->second.data()));
    if (root.kind == RLX_VALUE_TEMP && args.scratch)
        return static_cast<void*>(static_cast<char*>(args.scratch->data) + root.scratch_offset);
    return fail(RLX_INVALID_ARGUMENT, "value {} is not bound", id);
}

result<tensor> resolve(const program& p, const rlx_run_args& args, rlx_value v) {
    tensor t;
    t.info = RLX_TRY(read_value(p.graph, v));
    const rlx_value_info root = RLX_TRY(read_value(p.graph, t.info.root));
    t.info.slot = root.slot;
    if (root.kind != RLX_VALUE_STATE) {
        std::vector<std::int64_t> handles(t.info.dims, t.info.dims + t.info.rank);
        const bool has_strides = t.info.strides != nullptr;
        if (has_strides)
            handles.insert(handles.end(), t.info.strides, t.info.strides + t.info.rank);
        handles.push_back(t.info.offset);
        std::vector<std::int64_t> numbers(handles.size());
        RLX_CHECK(check(graphs()->eval_dims(
            p.graph,
            args.extents,
            args.n_extents,
            handles.data(),
            static_cast<std::uint32_t>(handles.size()),
            numbers.data()
        )));
        t.dims.assign(numbers.begin(), numbers.begin() + t.info.rank);
        t.strides.assign(t.info.rank, 1);
        for (std::size_t i = t.info.rank; i-- > 0;) {
            const std::int64_t contiguous =
                i + 1 < t.info.rank ? t.strides[i + 1] * t.dims[i + 1] : 1;
            t.strides[i] = has_strides ? numbers[t.info.rank + i] : contiguous;
        }
        t.offset = numbers.back();
    }
    t.data = RLX_TRY(root_data(p, args, t.info.root, root));
    return t;
}

status device::run(program& p, const rlx_run_args& args) {
    run_state s{p, std::span(args.extents, args.n_extents), {}};
    for (const node& n : p.nodes) {
        if (args.cancel && *args.cancel) return fail(RLX_CANCELLED, "cancelled");
        if (is_view(n.info.op)) continue;
        for (const auto* list : {&n.in, &n.out}) {
            for (const rlx_value v : *list)
                if (v != 0) s.values[v] = RLX_TRY(resolve(p, args, v));
        }
        RLX_CHECK(run_node(n, s));
    }
    return {};
}

struct frozen_backend {
    using backend = device;
};

} // namespace

RLX_PLUGIN(frozen_backend)
