// SPDX-License-Identifier: GPL-3.0-only
// Loading and running programs, and the copies between them.
#include "program.hpp"

#include "rlx/base/wall.hpp"
#include "rlx/formats/dequant.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <new>
#include <utility>

namespace rlx {

graph_program::loaded::loaded(loaded&& o) noexcept
    : program(std::exchange(o.program, nullptr)), device(std::move(o.device)),
      facts(std::move(o.facts)), bind(std::move(o.bind)), io(std::move(o.io)) {}

graph_program::loaded& graph_program::loaded::operator=(loaded&& o) noexcept {
    std::swap(program, o.program);
    std::swap(device, o.device);
    std::swap(facts, o.facts);
    std::swap(bind, o.bind);
    std::swap(io, o.io);
    return *this;
}

graph_program::loaded::~loaded() {
    if (program) device.backend->program_free(device.device, program);
}

namespace {

constexpr std::align_val_t host_alignment{64};

} // namespace

void graph_program::host_memory::operator()(std::byte* p) const {
    ::operator delete(p, host_alignment);
}

result<graph_program> graph_program::load(
    const program_plan& plan,
    const model_parts& p,
    const progress_function& progress,
    const std::atomic<std::uint32_t>* cancel
) {
    graph_program out;
    out.plan_ = &plan;
    out.devices_ = devices_of(p);
    RLX_CHECK(out.compile(progress, cancel));
    RLX_CHECK(out.allocate());
    return out;
}

result<void> graph_program::compile(
    const progress_function& progress, const std::atomic<std::uint32_t>* cancel
) {
    const std::size_t n = plan_->parts_.size();
    std::uint64_t before = 0, expected = 0;
    for (const std::uint64_t bytes : plan_->part_weights_)
        expected += bytes;
    // One bar over all programs; each counts its own bytes.
    const progress_function shared = [&](std::uint64_t done, std::uint64_t total) {
        if (progress) progress(before + done, std::max(expected, before + total));
    };
    const progress_function& report = n == 1 ? progress : shared;
    for (std::size_t i = 0; i < n; ++i) {
        const program_part& part = plan_->parts_[i];
        const options o = plan_->compile_options(part.where);
        rlx_compile_args args = plan_->compile_args(part, o);
        args.progress = report_progress;
        args.progress_ctx = const_cast<progress_function*>(&report);
        args.cancel = plain(cancel);
        loaded& l = parts_.emplace_back();
        l.device = devices_[part.where];
        const rlx_backend_v1* b = l.device.backend;
        RLX_CHECK(check_wall(b->compile(l.device.device, &args, &l.program)));
        if (RLX_HAS(b, program_info))
            RLX_CHECK(check_wall(b->program_info(l.device.device, l.program, l.facts.handle())));
        before += plan_->part_weights_[i];
    }
    return {};
}

result<void> graph_program::allocate() {
    for (const side s : {side_device, side_second})
        if (plan_->used_[s])
            scratch_[s] = RLX_TRY(
                device_buffer::make(devices_[s], plan_->g_->scratch_bytes() + plan_->workspace_[s])
            );
    device_slots_.resize(plan_->slots_.size());
    host_slots_.resize(plan_->slots_.size());
    for (std::size_t i = 0; i < plan_->slots_.size(); ++i) {
        const auto& slot = plan_->slots_[i];
        const std::uint64_t bytes = std::max<std::uint64_t>(slot.bytes, 1);
        if (slot.where == side_device) {
            device_slots_[i] = RLX_TRY(device_buffer::make(devices_[side_device], bytes));
            continue;
        }
        auto* memory = static_cast<std::byte*>(::operator new(bytes, host_alignment, std::nothrow));
        if (!memory)
            return error{
                RLX_OUT_OF_MEMORY,
                fmt::format("no memory for {} bytes that cross between devices", bytes)};
        host_slots_[i].reset(memory);
    }
    output_at_.assign(plan_->crossings_.size(), SIZE_MAX);
    bytes_.resize(plan_->crossings_.size());
    for (const crossing& c : plan_->crossings_) {
        rlx_value_info info{};
        info.size = sizeof info;
        RLX_CHECK(check_wall(graph_table()->value(plan_->g_->handle(), c.value, &info)));
        handles_.insert(handles_.end(), info.dims, info.dims + info.rank);
        ranks_.push_back(info.rank);
        const dtype_traits* type = dtype_find(info.dtype);
        sizes_.push_back(type ? type->block_bytes : 1);
    }
    numbers_.resize(handles_.size());
    return {};
}

// Bytes of the crossing values at these extents.
result<void> graph_program::resize(std::span<const std::int64_t> extents) {
    if (std::ranges::equal(extents, extents_)) return {};
    extents_.clear();
    RLX_CHECK(check_wall(graph_table()->eval_dims(
        plan_->g_->handle(),
        extents.data(),
        static_cast<std::uint32_t>(extents.size()),
        handles_.data(),
        static_cast<std::uint32_t>(handles_.size()),
        numbers_.data()
    )));
    const std::int64_t* at = numbers_.data();
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
        bytes_[i] = sizes_[i];
        for (std::uint32_t a = 0; a < ranks_[i]; ++a)
            bytes_[i] *= static_cast<std::uint64_t>(*at++);
    }
    extents_.assign(extents.begin(), extents.end());
    return {};
}

// Where each program's values stand in io.
result<void> graph_program::match(std::span<const rlx_binding> io) {
    if (std::ranges::equal(io, io_, {}, &rlx_binding::value)) return {};
    const auto find = [&](rlx_value v) -> result<std::size_t> {
        for (std::size_t i = 0; i < io.size(); ++i)
            if (io[i].value == v) return i;
        return error{RLX_INTERNAL, fmt::format("value {} of the graph is not bound", v)};
    };
    io_.clear();
    for (std::size_t i = 0; i < parts_.size(); ++i) {
        const program_part& part = plan_->parts_[i];
        loaded& l = parts_[i];
        l.io.clear();
        for (const rlx_value v : part.bound)
            l.io.push_back(RLX_TRY(find(v)));
        l.bind.resize(part.bound.size() + part.crossings.size());
    }
    for (std::size_t c = 0; c < output_at_.size(); ++c)
        if (plan_->crossings_[c].output) output_at_[c] = RLX_TRY(find(plan_->crossings_[c].value));
    for (const rlx_binding& b : io)
        io_.push_back(b.value);
    return {};
}

void* graph_program::host_place(std::size_t c, std::span<const rlx_binding> io) const {
    const crossing& x = plan_->crossings_[c];
    return x.output ? io[output_at_[c]].host : host_slots_[x.slot[side_second]].get();
}

result<void> graph_program::transfer(std::size_t c, side to, std::span<const rlx_binding> io) {
    const compute_device& d = devices_[side_device];
    rlx_buffer* buffer = device_slots_[plan_->crossings_[c].slot[side_device]].get();
    void* host_side = host_place(c, io);
    if (bytes_[c] == 0) return {};
    copied_ += bytes_[c];
    if (to == side_second)
        return check_wall(d.backend->download(d.device, buffer, 0, host_side, bytes_[c]));
    return check_wall(d.backend->upload(d.device, buffer, 0, {host_side, bytes_[c]}));
}

result<void>
graph_program::run_part(std::size_t i, rlx_run_args& args, std::span<const rlx_binding> io) {
    const program_part& part = plan_->parts_[i];
    loaded& l = parts_[i];
    for (const std::size_t c : part.copied_in)
        RLX_CHECK(transfer(c, part.where, io));
    std::size_t n = 0;
    for (const std::size_t at : l.io)
        l.bind[n++] = io[at];
    for (const std::size_t c : part.crossings) {
        const crossing& x = plan_->crossings_[c];
        if (part.where == side_device)
            l.bind[n++] = {
                x.value, 0, nullptr, device_slots_[x.slot[side_device]].get(), bytes_[c]};
        else
            l.bind[n++] = {x.value, 0, host_place(c, io), nullptr, bytes_[c]};
    }
    args.bind = l.bind.data();
    args.n_bind = n;
    args.scratch = scratch_[part.where].get();
    RLX_CHECK(check_wall(l.device.backend->run(l.device.device, l.program, &args)));
    for (const std::size_t c : part.copied_out)
        RLX_CHECK(transfer(c, side_second, io));
    return {};
}

result<void> graph_program::run(
    std::span<const rlx_binding> io,
    std::span<const std::int64_t> extents,
    const std::atomic<std::uint32_t>* cancel
) {
    RLX_CHECK(plan_->g_->check_extents(extents));
    rlx_run_args args{};
    args.size = sizeof args;
    args.n_extents = static_cast<std::uint32_t>(extents.size());
    args.extents = extents.data();
    args.bind_stride = sizeof(rlx_binding);
    args.cancel = plain(cancel);
    if (parts_.size() == 1) {
        args.bind = io.data();
        args.n_bind = io.size();
        args.scratch = scratch_[plan_->parts_[0].where].get();
        const loaded& l = parts_[0];
        return check_wall(l.device.backend->run(l.device.device, l.program, &args));
    }
    RLX_CHECK(match(io));
    RLX_CHECK(resize(extents));
    copied_ = 0;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
        if (cancel && cancel->load(std::memory_order_relaxed) != 0)
            return error{RLX_CANCELLED, "cancelled"};
        if (result<void> ran = run_part(i, args, io); !ran)
            return std::move(ran.error())
                .within(fmt::format("program {} on {}", i, parts_[i].device.name));
    }
    return {};
}

result<device_buffer> graph_program::make_state(rlx_value state, std::uint64_t bytes) const {
    return device_buffer::make(devices_[plan_->side_of(state)], bytes);
}

result<void> graph_program::copy_state(
    rlx_value state, rlx_buffer* buffer, std::uint64_t to, std::uint64_t from, std::uint64_t n
) const {
    const compute_device& d = devices_[plan_->side_of(state)];
    return check_wall(d.backend->copy(d.device, buffer, to, buffer, from, n));
}

std::string graph_program::fact(std::string_view key, rlx_value state) const {
    const loaded* best = nullptr;
    std::uint64_t most = 0;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
        if (state && plan_->parts_[i].where != plan_->side_of(state)) continue;
        if (best && plan_->part_weights_[i] <= most) continue;
        best = &parts_[i];
        most = plan_->part_weights_[i];
    }
    return best ? std::string(best->facts.get_string(key).value_or("")) : "";
}

namespace {

// Adds what a program says of its ops: "ms.<op>" and "calls.<op>".
void add_times(const compute_device& d, void* program, std::vector<device_facts::op_time>& out) {
    constexpr std::string_view prefix = "ms.";
    options info;
    if (!RLX_HAS(d.backend, program_info) ||
        !check_wall(d.backend->program_info(d.device, program, info.handle())).ok())
        return;
    for (const std::string_view key : info.keys()) {
        if (!key.starts_with(prefix)) continue;
        const std::string op(key.substr(prefix.size()));
        auto at = std::ranges::find(out, op, &device_facts::op_time::op);
        if (at == out.end()) at = out.insert(out.end(), {op, 0, 0});
        at->ms += info.get_float(key).value_or(0);
        at->calls += static_cast<std::uint64_t>(info.get_int("calls." + op).value_or(0));
    }
}

} // namespace

std::vector<device_facts> graph_program::facts() const {
    std::vector<device_facts> out;
    for (const side s : {side_device, side_second}) {
        if (!plan_->used_[s]) continue;
        device_facts f{devices_[s].name, {}, {}, {}, 0, 0, {}};
        std::uint64_t most = 0;
        for (std::size_t i = 0; i < parts_.size(); ++i) {
            if (plan_->parts_[i].where != s) continue;
            f.nodes += plan_->report_.programs[i].nodes;
            add_times(parts_[i].device, parts_[i].program, f.times);
            if (f.programs++ > 0 && plan_->part_weights_[i] <= most) continue;
            most = plan_->part_weights_[i];
            f.tier = parts_[i].facts.get_string("tier").value_or("");
            f.compute = parts_[i].facts.get_string("compute").value_or("");
            f.kv = parts_[i].facts.get_string("kv").value_or("");
        }
        std::ranges::sort(f.times, std::greater<>(), &device_facts::op_time::ms);
        out.push_back(std::move(f));
    }
    return out;
}

} // namespace rlx
