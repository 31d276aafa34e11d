// SPDX-License-Identifier: GPL-3.0-only
// The CPU's kernels as devices that refuse some ops. Device memory is only readable while the
// device works and begins as NaN, so that a copy the host forgot is a crash or a wrong result.
#include "rlx/sdk/plugin.hpp"
#include "device.hpp"

#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace {

using namespace rlx;
using cpu::fail;
using cpu::result;
using cpu::status;

// What the devices are called and lack, by index.
enum kind : std::uint32_t {
    everything,   // refuses nothing
    products,     // has products of matrices and nothing else
    no_attention, // and no caches
    no_norms,     // neither whole nor Reduce: parts of a norm are no use
    no_glu,       // not whole, but its parts
    contiguous,   // refuses strided operands
    nothing,
    lost,   // every run fails
    small,  // 8 MB of memory of its own
    broken, // cannot be opened
    n_kinds
};

constexpr std::string_view names[n_kinds] = {
    "everything",
    "products",
    "no attention",
    "no norms",
    "no glu",
    "contiguous",
    "nothing",
    "lost",
    "small",
    "broken"};

bool is_one_of(std::uint16_t op, std::initializer_list<int> list) {
    for (const int x : list)
        if (op == x) return true;
    return false;
}

// Makes a buffer readable as long as it lives.
class opened {
public:
    explicit opened(rlx_buffer* b) : buffer_(b ? &cpu::buffer::of(b) : nullptr) {
        protect(buffer_, PROT_READ | PROT_WRITE);
    }

    opened(opened&& o) noexcept : buffer_(std::exchange(o.buffer_, nullptr)) {}

    ~opened() { protect(buffer_, PROT_NONE); }

    static void protect(cpu::buffer* b, int how) {
        if (!b || !b->data()) return;
        const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
        mprotect(b->data(), (std::max<std::uint64_t>(b->bytes, 1) + page - 1) / page * page, how);
    }

private:
    cpu::buffer* buffer_;
};

class device : public cpu::device {
public:
    using program = cpu::program;
    using base = cpu::device;

    static std::uint32_t device_count() { return n_kinds; }

    static status device_info(std::uint32_t index, sdk::options_writer out) {
        if (index >= n_kinds)
            return fail(RLX_NOT_FOUND, "partial: device {} of {}", index, +n_kinds);
        const bool own = index == small;
        return out.set("name", "partial")
            .set("description", names[index])
            .set("driver", "partial 1.2")
            .set("self_test", "passed")
            .set("tier", "test")
            .set("memory", std::int64_t{own ? 8'000'000 : 1'000'000'000})
            .set("discrete", std::int64_t{own})
            .done();
    }

    static result<std::unique_ptr<device>> open(std::uint32_t index, sdk::options_view options) {
        if (index >= n_kinds)
            return fail(RLX_NOT_FOUND, "partial: device {} of {}", index, +n_kinds);
        if (index == broken) return fail(RLX_DEVICE_LOST, "partial: this one never opens");
        const auto found = RLX_TRY(base::open(0, options));
        auto d = std::make_unique<device>();
        d->features = found->features;
        d->isa = found->isa;
        d->time_ops = found->time_ops;
        d->kind_ = static_cast<kind>(index);
        return d;
    }

    status supports(
        const rlx_graph* g,
        std::span<const std::uint32_t> nodes,
        std::span<std::uint8_t> verdict,
        std::span<rlx_str> reason
    ) {
        RLX_CHECK(base::supports(g, nodes, verdict, reason));
        const sdk::graph_reader graph(g);
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            const sdk::node_view n = RLX_TRY(graph.node(nodes[i]));
            const char* why = RLX_TRY(why_not(graph, n));
            if (!why) continue;
            verdict[i] = RLX_NO;
            if (i < reason.size()) reason[i] = {why, std::strlen(why)};
        }
        return {};
    }

    status run(program& p, const rlx_run_args& args) {
        if (kind_ == lost) return fail(RLX_DEVICE_LOST, "partial: the device is gone");
        std::vector<opened> memory;
        memory.emplace_back(args.scratch);
        for (std::uint64_t i = 0; i < args.n_bind; ++i)
            memory.emplace_back(sdk::binding_at(args, i).buffer);
        return base::run(p, args);
    }

    status program_info(program& p, sdk::options_writer out) {
        RLX_CHECK(base::program_info(p, out));
        return out.set("tier", "test").done();
    }

    result<rlx_buffer*> alloc(std::uint64_t bytes) {
        rlx_buffer* b = RLX_TRY(base::alloc(bytes));
        std::memset(cpu::buffer::of(b).data(), 0xff, bytes);
        opened::protect(&cpu::buffer::of(b), PROT_NONE);
        return b;
    }

    status copy(
        rlx_buffer* dst,
        std::uint64_t dst_off,
        rlx_buffer* src,
        std::uint64_t src_off,
        std::uint64_t n
    ) {
        const opened to(dst), from(src == dst ? nullptr : src);
        return base::copy(dst, dst_off, src, src_off, n);
    }

    status upload(rlx_buffer* dst, std::uint64_t off, rlx_bytes src) {
        const opened to(dst);
        return base::upload(dst, off, src);
    }

    status download(rlx_buffer* src, std::uint64_t off, void* dst, std::uint64_t n) {
        const opened from(src);
        return base::download(src, off, dst, n);
    }

private:
    result<const char*> why_not(const sdk::graph_reader& graph, const sdk::node_view& n) const {
        const std::uint16_t op = n.info.op;
        if (is_one_of(op, {RLX_OP_Reshape, RLX_OP_Permute, RLX_OP_Slice, RLX_OP_Broadcast}))
            return static_cast<const char*>(nullptr);
        const bool product = is_one_of(op, {RLX_OP_MatMul, RLX_OP_GroupedMatMul});
        const bool attends = is_one_of(
            op, {RLX_OP_KvAppend, RLX_OP_AttentionState, RLX_OP_RaggedAttention, RLX_OP_Attention}
        );
        const bool norm =
            is_one_of(op, {RLX_OP_RmsNorm, RLX_OP_LayerNorm, RLX_OP_GroupNorm, RLX_OP_Reduce});
        if (kind_ == nothing) return "this device has nothing";
        if (kind_ == products && !product) return "this device has products only";
        if (kind_ == no_attention && attends) return "this device has no attention";
        if (kind_ == no_norms && norm) return "this device has no norms";
        if (kind_ == no_glu && op == RLX_OP_Glu) return "this device has no gated units";
        if (kind_ == contiguous && op != RLX_OP_Copy && RLX_TRY(strided(graph, n)))
            return "this device wants rows without gaps";
        return static_cast<const char*>(nullptr);
    }

    static result<bool> strided(const sdk::graph_reader& graph, const sdk::node_view& n) {
        const auto extents = RLX_TRY(graph.upper_bounds());
        for (const rlx_value v : n.in()) {
            if (v == 0) continue;
            const rlx_value_info x = RLX_TRY(graph.value(v));
            if (x.kind == RLX_VALUE_STATE || !x.strides) continue;
            std::int64_t dims[RLX_MAX_RANK], strides[RLX_MAX_RANK], expected = 1;
            RLX_CHECK(graph.eval(extents, {x.dims, x.rank}, {dims, x.rank}));
            RLX_CHECK(graph.eval(extents, {x.strides, x.rank}, {strides, x.rank}));
            for (std::uint32_t a = x.rank; a-- > 0; expected *= dims[a])
                if (dims[a] != 1 && strides[a] != expected) return true;
        }
        return false;
    }

    kind kind_ = everything;
};

struct plugin {
    using backend = device;
};

} // namespace

RLX_PLUGIN(plugin)
