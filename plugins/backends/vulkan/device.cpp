// SPDX-License-Identifier: GPL-3.0-only
#include "device.hpp"

#include "buffer.hpp"
#include "kv.hpp"
#include "ops/ops.hpp"

#include <cstring>
#include <map>
#include <mutex>

namespace rlx::vulkan {

namespace {

// Facts of all usable devices, and why others are not.
struct survey {
    std::vector<gpu_facts> usable;
    std::string reason; // when there is none
};

result<survey> look() {
    survey out;
    const auto instance = RLX_TRY(instance::create(validation::none));
    for (gpu_facts& f : RLX_TRY(instance->devices())) {
        f.handle = VK_NULL_HANDLE;
        if (f.missing.empty())
            out.usable.push_back(std::move(f));
        else
            out.reason += sdk::format("'{}': {}; ", f.name, f.missing);
    }
    if (out.reason.empty())
        out.reason = "libvulkan finds no device; is the card's driver installed?";
    return out;
}

std::string_view type_name(VkPhysicalDeviceType t) {
    switch (t) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return "discrete GPU";
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return "integrated GPU";
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return "virtual GPU";
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return "software";
    default: return "other";
    }
}

// What this process found out about each device, for device_info.
class verdicts {
public:
    void set(std::uint32_t index, std::string what) {
        const std::lock_guard lock(mutex_);
        of_[index] = std::move(what);
    }

    std::string get(std::uint32_t index) {
        const std::lock_guard lock(mutex_);
        const auto at = of_.find(index);
        return at == of_.end() ? "not run" : at->second;
    }

private:
    std::mutex mutex_;
    std::map<std::uint32_t, std::string> of_;
};

verdicts tested;

status range(rlx_buffer* b, std::uint64_t off, std::uint64_t n) {
    const std::uint64_t have = device_buffer::of(b).memory->bytes();
    if (off <= have && n <= have - off) return {};
    return fail(RLX_INVALID_ARGUMENT, "vulkan: {} bytes at {} of a buffer of {}", n, off, have);
}

VkBuffer handle(rlx_buffer* b) {
    return device_buffer::of(b).memory->handle();
}

} // namespace

std::uint32_t device::device_count() {
    auto found = look();
    if (!found.ok()) {
        sdk::log(RLX_LOG_INFO, "vulkan", "{}", found.error().message);
        return 0;
    }
    if (found->usable.empty())
        sdk::log(RLX_LOG_INFO, "vulkan", "no usable device: {}", found->reason);
    return static_cast<std::uint32_t>(found->usable.size());
}

status device::device_info(std::uint32_t index, sdk::options_writer out) {
    const survey found = RLX_TRY(look());
    if (index >= found.usable.size())
        return fail(RLX_NOT_FOUND, "vulkan: device {} of {}", index, found.usable.size());
    const gpu_facts& f = found.usable[index];
    return out.set("name", sdk::format("vulkan:{}", index))
        .set("description", f.name)
        .set("tier", type_name(f.type))
        .set("driver", f.driver)
        .set("self_test", tested.get(index))
        .set("memory", static_cast<std::int64_t>(f.memory))
        .set("discrete", std::int64_t{f.type == VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU})
        .set("software", std::int64_t{f.is_cpu()})
        .done();
}

result<std::unique_ptr<device>> device::open(std::uint32_t index, sdk::options_view options) {
    const std::string_view tier = RLX_TRY(options.text_or("tier", ""));
    if (!tier.empty() && tier != "auto")
        return fail(
            RLX_UNSUPPORTED,
            "vulkan: tier '{}': a Vulkan device has one tier only; RLX_CPU sets the tier of what "
            "runs on the CPU",
            tier
        );
    auto d = std::make_unique<device>();
    const std::int64_t validate = RLX_TRY(options.i64_or("validate", 0));
    if (validate < 0 || validate > 2)
        return fail(RLX_INVALID_ARGUMENT, "vulkan: validate {}, expected 0, 1 or 2", validate);
    d->profile_ = RLX_TRY(options.i64_or("time_ops", 0)) != 0;
    d->gpu_ = RLX_TRY(gpu::open(index, static_cast<validation>(validate)));
    const std::int64_t most = RLX_TRY(options.i64_or("max_binding", 0));
    if (most < 0 || most > d->gpu_->facts().limits.maxStorageBufferRange)
        return fail(
            RLX_INVALID_ARGUMENT,
            "vulkan: max_binding {}, the device binds {} bytes",
            most,
            d->gpu_->facts().limits.maxStorageBufferRange
        );
    d->gpu_->limit_bindings(static_cast<std::uint64_t>(most));
    std::string cache(RLX_TRY(options.text_or("cache_dir", "")));
    if (!cache.empty()) cache += "/vulkan";
    d->moves_ = std::make_unique<transfers>(*d->gpu_);
    d->code_ = RLX_TRY(pipelines::make(*d->gpu_, cache));
    d->test_ = std::make_unique<self_test>(
        *d->gpu_, *d->code_, cache, std::string(RLX_TRY(options.text_or("fault", "")))
    );
    if (RLX_TRY(options.i64_or("self_test", 0)) != 0) {
        RLX_CHECK(d->test_->check_all());
        tested.set(index, "passed");
    }
    return d;
}

result<program_config> device::configure(const rlx_compile_args& args) const {
    const sdk::options_view options(args.options);
    program_config c;
    const std::string_view compute = RLX_TRY(options.text_or("compute", "auto"));
    if (compute == "f16" || compute == "bf16")
        return fail(
            RLX_UNSUPPORTED,
            "vulkan: compute '{}': products are in f32 here; auto and f32 are offered",
            compute
        );
    if (compute != "auto" && compute != "f32")
        return fail(RLX_INVALID_ARGUMENT, "vulkan: compute '{}', expected auto or f32", compute);
    const std::string_view kv = RLX_TRY(options.text_or("kv", compute == "f32" ? "f32" : "f16"));
    if (kv != "f16" && kv != "f32")
        return fail(RLX_INVALID_ARGUMENT, "vulkan: kv '{}', expected f16 or f32", kv);
    c.kv_f16 = kv == "f16";
    c.page_tokens = args.page_tokens;
    return c;
}

status device::supports(
    const rlx_graph* g,
    std::span<const std::uint32_t> nodes,
    std::span<std::uint8_t> verdict,
    std::span<rlx_str> reason
) {
    program p(*gpu_, *code_);
    std::vector<node> list;
    RLX_CHECK(p.read(g, nodes, list));
    for (std::size_t i = 0; i < list.size(); ++i) {
        const char* why = why_not(list[i], p);
        verdict[i] = why ? RLX_NO : RLX_YES;
        if (i < reason.size())
            reason[i] = why ? rlx_str{why, std::strlen(why)} : rlx_str{nullptr, 0};
    }
    return {};
}

result<std::unique_ptr<program>> device::prepare(const rlx_compile_args& args) {
    auto p = std::make_unique<program>(*gpu_, *code_);
    p->cfg = RLX_TRY(configure(args));
    p->profile = profile_;
    RLX_CHECK(p->build(args));
    return p;
}

result<rlx_memory> device::measure(const rlx_compile_args& args) {
    const auto p = RLX_TRY(prepare(args));
    rlx_memory m{};
    m.size = sizeof m;
    // Staging memory is the program's own; `scratch` would ask the caller for it.
    m.weights = p->weights.bytes() + p->most_io_bytes();
    return m;
}

result<std::unique_ptr<program>> device::compile(const rlx_compile_args& args) {
    auto p = RLX_TRY(prepare(args));
    RLX_CHECK(test_->check(*p));
    RLX_CHECK(p->weights.load(sdk::graph_reader(args.graph).weights(), args));
    RLX_CHECK(gpu_->complaints());
    return p;
}

status device::program_info(program& p, sdk::options_writer out) {
    out.set("tier", gpu_->facts().name)
        .set("driver", gpu_->facts().driver)
        .set("compute", "f32")
        .set("kv", p.cfg.kv_f16 ? "f16" : "f32")
        .set("self_test", sdk::format("{} ops passed", test_->passed()))
        .set("steps", static_cast<std::int64_t>(p.steps.size()))
        .set("dispatches", static_cast<std::int64_t>(p.dispatches))
        .set("barriers", static_cast<std::int64_t>(p.barriers));
    for (const program::timing& t : p.timings)
        out.set("ms." + t.name, t.ms).set("calls." + t.name, static_cast<std::int64_t>(t.calls));
    return out.done();
}

status device::run(program& p, const rlx_run_args& args) {
    return p.run(args);
}

result<std::uint64_t> device::page_bytes(const rlx_compile_args& args, rlx_value state) {
    const program_config c = RLX_TRY(configure(args));
    const rlx_value_info info = RLX_TRY(sdk::graph_reader(args.graph).value(state));
    return kv_layout::of(info.slot, c).page_words() * 4;
}

result<rlx_buffer*> device::alloc(std::uint64_t bytes) {
    auto b = std::make_unique<device_buffer>();
    b->memory = RLX_TRY(memory_block::make(*gpu_, bytes, placement::device));
    return reinterpret_cast<rlx_buffer*>(b.release());
}

void device::free(rlx_buffer* b) {
    delete &device_buffer::of(b);
}

status device::copy(
    rlx_buffer* dst, std::uint64_t dst_off, rlx_buffer* src, std::uint64_t src_off, std::uint64_t n
) {
    RLX_CHECK(range(dst, dst_off, n));
    RLX_CHECK(range(src, src_off, n));
    if (dst != src || dst_off + n <= src_off || src_off + n <= dst_off)
        return moves_->copy(handle(dst), dst_off, handle(src), src_off, n);
    const auto between = RLX_TRY(memory_block::make(*gpu_, n, placement::device)); // they overlap
    RLX_CHECK(moves_->copy(between->handle(), 0, handle(src), src_off, n));
    return moves_->copy(handle(dst), dst_off, between->handle(), 0, n);
}

status device::upload(rlx_buffer* dst, std::uint64_t off, rlx_bytes src) {
    RLX_CHECK(range(dst, off, src.n));
    return moves_->upload(handle(dst), off, src.p, src.n);
}

status device::download(rlx_buffer* src, std::uint64_t off, void* dst, std::uint64_t n) {
    RLX_CHECK(range(src, off, n));
    return moves_->download(handle(src), off, dst, n);
}

} // namespace rlx::vulkan
