// SPDX-License-Identifier: GPL-3.0-only
#include "family_graph.hpp"

#include "partition.hpp"

#include "rlx/base/wall.hpp"
#include "rlx/runtime/memory.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <utility>

namespace rlx {

namespace {

// A device with memory of its own says so ("discrete" = 1 beside "memory"); 0 for others.
std::uint64_t own_memory(const compute_device& d) {
    if (!RLX_HAS(d.backend, device_info)) return 0;
    options info;
    rlx_error* failed = d.backend->device_info(d.backend_self, d.device_index, info.handle());
    if (failed) {
        host()->error_free(failed);
        return 0;
    }
    const auto memory = info.get_int("memory").value_or(0);
    return info.get_int("discrete").value_or(0) == 1 && memory > 0
               ? static_cast<std::uint64_t>(memory)
               : 0;
}

std::uint64_t saturating_sum(std::uint64_t a, std::uint64_t b) {
    std::uint64_t out = 0;
    return __builtin_add_overflow(a, b, &out) ? UINT64_MAX : out;
}

} // namespace

device_memory together(std::span<const device_memory> devices) {
    device_memory out;
    for (const device_memory& d : devices) {
        out.device += (out.device.empty() ? "" : " and ") + d.device;
        out.weights = saturating_sum(out.weights, d.weights);
        out.mapped = saturating_sum(out.mapped, d.mapped);
        out.state = saturating_sum(out.state, d.state);
        out.scratch = saturating_sum(out.scratch, d.scratch);
    }
    return out;
}

bool memory_limit::exceeded() const {
    std::uint64_t total = 0;
    for (const std::uint64_t part : {need.weights, need.mapped, need.state, need.scratch})
        if (__builtin_add_overflow(total, part, &total)) return true;
    return total > bytes;
}

std::vector<memory_limit>
memory_limits(const model_parts& p, std::span<const device_memory> devices, double max_memory_gb) {
    std::vector<memory_limit> out;
    std::vector<device_memory> shared;
    const auto known = devices_of(p);
    for (const device_memory& need : devices) {
        const auto d = std::ranges::find(known, need.device, &compute_device::name);
        const std::uint64_t own = d == known.end() ? 0 : own_memory(*d);
        if (own > 0)
            out.push_back(
                {need,
                 own,
                 devices.size() > 1 ? "device " + need.device + " has" : "the device has"}
            );
        else
            shared.push_back(need);
    }
    if (!shared.empty()) {
        const available_memory machine = memory_available();
        out.push_back(
            {together(shared),
             machine.bytes,
             fmt::format("the machine has available (by {})", machine.limited_by)}
        );
    }
    const double asked = max_memory_gb * 1e9;
    if (asked > 0)
        out.insert(
            out.begin(),
            {together(devices), static_cast<std::uint64_t>(asked), "max_memory_gb allows"}
        );
    std::ranges::stable_sort(out, {}, &memory_limit::bytes);
    return out;
}

error lacks_member(std::string_view table, std::string_view member) {
    return {
        RLX_VERSION_MISMATCH,
        fmt::format("the {} plugin's table has no member '{}'", table, member)};
}

result<void> check_tables(const model_parts& p) {
    if (!RLX_HAS(p.family, open)) return lacks_member("family", "open");
    if (!RLX_HAS(p.family, close)) return lacks_member("family", "close");
    if (!RLX_HAS(p.family, info)) return lacks_member("family", "info");
    if (!RLX_HAS(p.family, build)) return lacks_member("family", "build");
    for (const rlx_backend_v1* b : {p.backend, p.second.backend}) {
        if (!b && b == p.second.backend && p.backend) continue; // there need not be a second one
        if (!RLX_HAS(b, supports)) return lacks_member("backend", "supports");
        if (!RLX_HAS(b, measure)) return lacks_member("backend", "measure");
        if (!RLX_HAS(b, compile)) return lacks_member("backend", "compile");
        if (!RLX_HAS(b, program_free)) return lacks_member("backend", "program_free");
        if (!RLX_HAS(b, run)) return lacks_member("backend", "run");
        if (!RLX_HAS(b, alloc)) return lacks_member("backend", "alloc");
        if (!RLX_HAS(b, free)) return lacks_member("backend", "free");
    }
    return {};
}

result<family_model> family_model::open(const model_parts& p, options& asked) {
    void* model = nullptr;
    RLX_CHECK(check_wall(
        p.family->open(p.family_self, p.w ? p.w->handle() : nullptr, asked.handle(), &model)
    ));
    return family_model(p, model);
}

family_model::family_model(family_model&& other) noexcept
    : parts_(other.parts_), model_(std::exchange(other.model_, nullptr)),
      open_(std::exchange(other.open_, false)) {}

family_model::~family_model() {
    if (open_) parts_->family->close(parts_->family_self, model_);
}

result<options> family_model::info() const {
    options out;
    RLX_CHECK(check_wall(parts_->family->info(parts_->family_self, model_, out.handle())));
    return out;
}

result<void> family_model::build(std::string_view name, rlx_graph* g) const {
    return check_wall(parts_->family->build(parts_->family_self, model_, str(name), g));
}

result<void> find_symbols(
    const graph& g,
    std::span<const std::string_view> names,
    std::span<std::uint32_t> places,
    std::vector<std::int64_t>& extents
) {
    const rlx_graph_v1* t = graph_table();
    extents.assign(t->symbol_count(g.handle()), 0);
    for (std::uint32_t i = 0; i < extents.size(); ++i) {
        rlx_str name{};
        std::int64_t low = 0, high = 0;
        RLX_CHECK(check_wall(t->symbol_at(g.handle(), i, &name, &low, &high)));
        const auto known = std::ranges::find(names, view(name));
        extents[i] = low;
        if (known != names.end())
            places[static_cast<std::size_t>(known - names.begin())] = i;
        else if (low != high)
            return error{
                RLX_UNSUPPORTED,
                fmt::format(
                    "the family's graph has a symbol '{}' that the host knows no value for",
                    view(name)
                )};
    }
    return {};
}

result<device_buffer> device_buffer::make(const compute_device& d, std::uint64_t bytes) {
    device_buffer out;
    RLX_CHECK(check_wall(d.backend->alloc(d.device, std::max<std::uint64_t>(bytes, 1), &out.buffer_)
    ));
    out.backend_ = d.backend;
    out.device_ = d.device;
    return out;
}

device_buffer::device_buffer(device_buffer&& other) noexcept
    : backend_(other.backend_), device_(other.device_),
      buffer_(std::exchange(other.buffer_, nullptr)) {}

device_buffer& device_buffer::operator=(device_buffer&& other) noexcept {
    std::swap(backend_, other.backend_);
    std::swap(device_, other.device_);
    std::swap(buffer_, other.buffer_);
    return *this;
}

device_buffer::~device_buffer() {
    if (buffer_) backend_->free(device_, buffer_);
}

void report_progress(void* function, std::uint64_t done, std::uint64_t total) {
    const auto& progress = *static_cast<const progress_function*>(function);
    if (progress) progress(done, total);
}

const volatile std::uint32_t* plain(const std::atomic<std::uint32_t>* flag) {
    static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));
    static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
    return reinterpret_cast<const volatile std::uint32_t*>(flag);
}

std::string unused_tensors(const weights& w, std::initializer_list<std::string_view> expected) {
    constexpr std::size_t listed = 8;
    std::vector<std::string> names = w.unused();
    std::erase_if(names, [&](const std::string& name) {
        return std::ranges::find(expected, name) != expected.end();
    });
    if (names.empty()) return {};
    const std::size_t n = names.size();
    names.resize(std::min(n, listed));
    return fmt::format(
        "{} tensor{} of {} {} not used by the model: {}{}",
        n,
        n == 1 ? "" : "s",
        w.path().string(),
        n == 1 ? "is" : "are",
        fmt::join(names, ", "),
        n > listed ? ", ..." : ""
    );
}

} // namespace rlx
