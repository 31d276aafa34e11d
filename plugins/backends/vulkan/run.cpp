// SPDX-License-Identifier: GPL-3.0-only
// One run of a program: numbers for the extents, buffers for the bindings, commands recorded when
// either changed, submitted in batches between which a cancel is seen.
#include "buffer.hpp"
#include "kv.hpp"
#include "ops/ops.hpp"
#include "recorder.hpp"

#include <algorithm>

namespace rlx::vulkan {

namespace {

constexpr std::uint64_t flag_bytes = 256; // in front of inputs and outputs; a shader's report
constexpr std::uint32_t most_queries = 8192;

std::uint64_t align256(std::uint64_t n) {
    return (n + 255) & ~std::uint64_t{255};
}

// Elements from the first to the last that a view touches.
std::uint64_t reach(const tensor& t) {
    if (t.count == 0) return 0;
    std::int64_t n = 1;
    for (std::uint32_t i = 0; i < t.rank; ++i)
        n += (t.dim[i] - 1) * t.stride[i];
    return static_cast<std::uint64_t>(n);
}

// Multiplications in one submission: short enough that a cancel is seen soon and no watchdog of a
// display driver bites.
double batch_cost(const gpu_facts& f) {
    return f.is_cpu() ? 3e8 : 5e10;
}

} // namespace

program::~program() {
    for (auto& b : batches_)
        (void)b->wait();
    for (VkDescriptorPool p : pools_)
        g.api().DestroyDescriptorPool(g.handle(), p, nullptr);
    if (queries_) g.api().DestroyQueryPool(g.handle(), queries_, nullptr);
}

status program::add_pool(std::uint32_t sets) {
    const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, sets * max_bindings};
    VkDescriptorPoolCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
    info.maxSets = sets;
    info.poolSizeCount = 1;
    info.pPoolSizes = &size;
    VkDescriptorPool pool = VK_NULL_HANDLE;
    RLX_CHECK(check_vk(
        g.api().CreateDescriptorPool(g.handle(), &info, nullptr, &pool), "making a descriptor pool"
    ));
    pools_.push_back(pool);
    return {};
}

status program::make_queries() {
    if (!profile || queries_ || g.facts().timestamp_bits == 0) return {};
    VkQueryPoolCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO;
    info.queryType = VK_QUERY_TYPE_TIMESTAMP;
    info.queryCount = most_queries;
    RLX_CHECK(check_vk(
        g.api().CreateQueryPool(g.handle(), &info, nullptr, &queries_), "making timestamps"
    ));
    queries_capacity_ = most_queries;
    return {};
}

result<slice> program::at(
    VkBuffer buffer, std::uint64_t first, std::uint64_t bytes, std::uint32_t element
) const {
    slice s;
    if (bytes == 0) return s;
    s.buffer = buffer;
    s.at = first / alignment() * alignment();
    s.first = static_cast<std::uint32_t>((first - s.at) / element);
    s.bytes = (first - s.at + bytes + 15) & ~std::uint64_t{15};
    s.element = element;
    if (s.bytes > g.facts().limits.maxStorageBufferRange)
        return fail(
            RLX_UNSUPPORTED,
            "vulkan: {} binds at most {} bytes at once, {} are needed; use a smaller batch or "
            "context",
            g.facts().name,
            g.facts().limits.maxStorageBufferRange,
            s.bytes
        );
    return s;
}

result<slice> program::at(const tensor& t) const {
    const root& r = roots[t.root];
    const std::uint32_t size = t.plain && r.kind == RLX_VALUE_WEIGHT ? 4 : element_size(t.dtype);
    if (r.kind == RLX_VALUE_STATE) {
        const std::uint64_t page = kv_layout::of(r.slot, cfg).page_words() * 4;
        RLX_CHECK(kv_layout::check_bytes(r.bound_bytes, page, *this));
        return at(r.buffer, r.at, r.bound_bytes, 4);
    }
    const std::uint64_t first = static_cast<std::uint64_t>(t.offset) * size,
                        bytes = reach(t) * size;
    if (t.plain) return at(weights.buffer(t.plain->block), t.plain->at + first, bytes, size);
    return at(r.buffer, r.at + first, bytes, size);
}

status program::bind(const rlx_run_args& args, bool* moved) {
    for (const rlx_value v : bound) {
        roots[v].host = nullptr;
        roots[v].buffer = VK_NULL_HANDLE;
        roots[v].bound_bytes = 0;
    }
    for (std::uint64_t i = 0; i < args.n_bind; ++i) {
        const rlx_binding b = sdk::binding_at(args, i);
        if (b.value == 0 || b.value >= roots.size())
            return fail(
                RLX_INVALID_ARGUMENT,
                "vulkan: binding {} names value {}, the graph has {}",
                i,
                b.value,
                roots.size() - 1
            );
        root& r = roots[b.value];
        if (r.where != memory::bound) continue; // a value this program does not touch
        r.host = b.host;
        r.bound_bytes = b.bytes;
        r.at = 0;
        if (!b.buffer) continue;
        const device_buffer& have = device_buffer::of(b.buffer);
        r.host = nullptr;
        r.buffer = have.memory->handle();
        r.serial = have.memory->serial();
        r.bound_bytes =
            std::min<std::uint64_t>(b.bytes ? b.bytes : have.memory->bytes(), have.memory->bytes());
    }
    std::vector<binding_key> now;
    for (const rlx_value v : bound) {
        const root& r = roots[v];
        const tensor& t = tensors[v];
        const bool state = r.kind == RLX_VALUE_STATE;
        const std::uint64_t need =
            state ? 0 : static_cast<std::uint64_t>(t.count) * element_size(t.dtype);
        if (state && !r.buffer)
            return fail(
                RLX_INVALID_ARGUMENT, "vulkan: state '{}' is not bound to device memory", r.name
            );
        if (!r.host && !r.buffer && need)
            return fail(RLX_INVALID_ARGUMENT, "vulkan: '{}' is not bound", r.name);
        if (r.bound_bytes < need)
            return fail(
                RLX_INVALID_ARGUMENT,
                "vulkan: '{}' is bound to {} bytes, {} are needed",
                r.name,
                r.bound_bytes,
                need
            );
        now.push_back(r.buffer ? binding_key{r.serial, r.bound_bytes} : binding_key{});
    }
    const std::uint64_t need = sdk::service<rlx_graph_v1>()->scratch_bytes(graph);
    const memory_block* scratch =
        args.scratch ? device_buffer::of(args.scratch).memory.get() : nullptr;
    if (need && (!scratch || scratch->bytes() < need))
        return fail(
            RLX_INVALID_ARGUMENT,
            "vulkan: scratch buffer of {} bytes, {} are needed",
            scratch ? scratch->bytes() : 0,
            need
        );
    now.push_back(scratch ? binding_key{scratch->serial(), scratch->bytes()} : binding_key{});
    *moved = now != bound_buffers_;
    bound_buffers_ = std::move(now);
    for (root& r : roots) {
        if (r.where != memory::scratch) continue;
        r.buffer = scratch ? scratch->handle() : VK_NULL_HANDLE;
        r.at = r.offset;
    }
    return {};
}

std::uint64_t program::most_io_bytes() const {
    std::uint64_t n = 2 * flag_bytes;
    for (const rlx_value v : bound)
        if (roots[v].kind != RLX_VALUE_STATE)
            n += align256(
                static_cast<std::uint64_t>(tensors[v].count) * element_size(tensors[v].dtype)
            );
    return 2 * n;
}

// Room for values in host memory: the staging memory of both directions and its copy on the device.
status program::place_io() {
    std::uint64_t in = flag_bytes, out = flag_bytes;
    const auto bytes_of = [&](rlx_value v) {
        return align256(
            static_cast<std::uint64_t>(tensors[v].count) * element_size(tensors[v].dtype)
        );
    };
    for (const rlx_value v : bound) { // inputs first
        root& r = roots[v];
        if (r.buffer || r.output) continue;
        r.in_stage = in;
        in += bytes_of(v);
    }
    for (const rlx_value v : bound) {
        root& r = roots[v];
        if (r.buffer || !r.output) continue;
        r.in_stage = out;
        out += bytes_of(v);
    }
    const auto grow = [&](std::unique_ptr<memory_block>& m, std::uint64_t n, placement where
                      ) -> status {
        if (m && m->bytes() >= n) return {};
        m.reset();
        m = RLX_TRY(memory_block::make(g, n, where));
        recorded_ = false;
        return {};
    };
    RLX_CHECK(grow(stage_, in, placement::upload));
    RLX_CHECK(grow(readback_, out, placement::readback));
    RLX_CHECK(grow(io_, in + out, placement::device));
    stage_bytes_ = in;
    out_bytes_ = out;
    for (const rlx_value v : bound) {
        root& r = roots[v];
        if (r.kind == RLX_VALUE_STATE || !r.host) continue;
        r.buffer = io_->handle();
        r.at = r.output ? in + r.in_stage : r.in_stage;
    }
    return {};
}

status program::record() {
    recorded_ = false;
    RLX_CHECK(make_queries());
    recorder r(*this, batch_cost(g.facts()));
    RLX_CHECK(r.begin());
    if (stage_bytes_ > flag_bytes) {
        RLX_CHECK(r.copy(
            io_->handle(), flag_bytes, stage_->handle(), flag_bytes, stage_bytes_ - flag_bytes
        ));
        r.barrier();
    }
    for (std::size_t i = 0; i < steps.size(); ++i) {
        RLX_CHECK(r.next_step(static_cast<std::uint32_t>(i + 1)));
        RLX_CHECK(steps[i]->record(r));
    }
    r.barrier();
    RLX_CHECK(r.copy(readback_->handle(), 0, io_->handle(), 0, 16));
    if (out_bytes_ > flag_bytes)
        RLX_CHECK(r.copy(
            readback_->handle(),
            flag_bytes,
            io_->handle(),
            stage_bytes_ + flag_bytes,
            out_bytes_ - flag_bytes
        ));
    r.barrier();
    RLX_CHECK(r.finish());
    code.save();
    recorded_ = true;
    return {};
}

status program::execute(const volatile std::uint32_t* cancel) {
    for (std::size_t i = 0; i < n_batches_; ++i) {
        if (i >= 2) RLX_CHECK(batches_[i - 2]->wait()); // two in flight
        if (sdk::cancelled(cancel)) {
            for (std::size_t j = 0; j < i; ++j)
                RLX_CHECK(batches_[j]->wait());
            return fail(RLX_CANCELLED, "vulkan: cancelled during the run");
        }
        RLX_CHECK(batches_[i]->submit());
    }
    for (std::size_t i = 0; i < n_batches_; ++i)
        RLX_CHECK(batches_[i]->wait());
    return {};
}

status program::copy_in() {
    for (const rlx_value v : bound) {
        const root& r = roots[v];
        if (!r.host || r.output || r.kind == RLX_VALUE_STATE) continue;
        const std::uint64_t n =
            static_cast<std::uint64_t>(tensors[v].count) * element_size(tensors[v].dtype);
        if (n) std::memcpy(stage_->data() + r.in_stage, r.host, n);
    }
    return {};
}

status program::copy_out() {
    for (const rlx_value v : bound) {
        const root& r = roots[v];
        if (!r.host || !r.output) continue;
        const std::uint64_t n =
            static_cast<std::uint64_t>(tensors[v].count) * element_size(tensors[v].dtype);
        if (n) std::memcpy(r.host, readback_->data() + r.in_stage, n);
    }
    return {};
}

// What shaders found wrong with the data they were given (flags.glsl).
status program::check_flags() {
    std::uint32_t flags[4];
    std::memcpy(flags, readback_->data(), sizeof flags);
    if (flags[0] == 0 || flags[0] > steps.size()) return {};
    const node& n = steps[flags[0] - 1]->n;
    return fail(
        RLX_INVALID_ARGUMENT,
        "vulkan: node {} ('{}'): {} {} is not below {}",
        n.index,
        n.view.info.origin,
        std::string_view(
            flags[1] == 1   ? "index"
            : flags[1] == 2 ? "cache position"
                            : "table entry"
        ),
        static_cast<std::int32_t>(flags[2]),
        flags[3]
    );
}

status program::read_timings() {
    if (untimed_ && !std::exchange(warned_, true))
        sdk::log(
            RLX_LOG_WARN,
            "vulkan",
            "{} of {} dispatches are not timed: {}",
            untimed_,
            dispatches,
            std::string_view(
                queries_ ? "more than fit the timestamps of a run" : "the device has no timestamps"
            )
        );
    if (!profile || !queries_ || query_names_.empty()) return {};
    std::vector<std::uint64_t> ticks(query_names_.size() * 2);
    RLX_CHECK(check_vk(
        g.api().GetQueryPoolResults(
            g.handle(),
            queries_,
            0,
            static_cast<std::uint32_t>(ticks.size()),
            ticks.size() * 8,
            ticks.data(),
            8,
            VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT
        ),
        "reading timestamps"
    ));
    const std::uint32_t bits = g.facts().timestamp_bits;
    const std::uint64_t valid = bits < 64 ? (std::uint64_t{1} << bits) - 1 : ~std::uint64_t{0};
    for (std::size_t i = 0; i < query_names_.size(); ++i) {
        auto at = std::find_if(timings.begin(), timings.end(), [&](const timing& t) {
            return t.name == query_names_[i];
        });
        if (at == timings.end()) at = timings.insert(timings.end(), {query_names_[i], 0, 0});
        const std::uint64_t passed = (ticks[2 * i + 1] - ticks[2 * i]) & valid; // they wrap around
        at->ms += static_cast<double>(passed) *
                  static_cast<double>(g.facts().limits.timestampPeriod) * 1e-6;
        ++at->calls;
    }
    return {};
}

status program::run(const rlx_run_args& args) {
    if ((args.n_extents && !args.extents) || (args.n_bind && !args.bind))
        return fail(RLX_INVALID_ARGUMENT, "vulkan: run: extents or bindings are NULL");
    const bool same = args.n_extents == extents.size() && !numbers.empty() && recorded_ &&
                      std::equal(extents.begin(), extents.end(), args.extents);
    if (!same) {
        recorded_ = false;
        RLX_CHECK(size_tensors(args.extents, args.n_extents));
        extents.assign(args.extents, args.extents + args.n_extents);
    }
    bool moved = false;
    RLX_CHECK(bind(args, &moved));
    if (moved) recorded_ = false;
    return run_bound(args.cancel);
}

status program::run_bound(const volatile std::uint32_t* cancel) {
    RLX_CHECK(place_io());
    if (sdk::cancelled(cancel)) return fail(RLX_CANCELLED, "vulkan: cancelled before the run");
    if (!recorded_) RLX_CHECK(record());
    RLX_CHECK(copy_in());
    RLX_CHECK(execute(cancel));
    RLX_CHECK(readback_->fetch());
    RLX_CHECK(check_flags());
    RLX_CHECK(copy_out());
    RLX_CHECK(read_timings());
    return g.complaints();
}

} // namespace rlx::vulkan
