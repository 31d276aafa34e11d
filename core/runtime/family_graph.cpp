// SPDX-License-Identifier: GPL-3.0-only
#include "family_graph.hpp"

#include "rlx/base/wall.hpp"
#include "rlx/runtime/memory.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <utility>

namespace rlx {

namespace {

// A device with memory of its own says so ("discrete" = 1 beside "memory").
memory_limit hardware_limit(const model_parts& p) {
    if (RLX_HAS(p.backend, device_info)) {
        options info;
        rlx_error* failed = p.backend->device_info(p.backend_self, p.device_index, info.handle());
        if (failed) host()->error_free(failed);
        const auto memory = info.get_int("memory");
        if (!failed && info.get_int("discrete").value_or(0) == 1 && memory.value_or(0) > 0)
            return {static_cast<std::uint64_t>(*memory), "the device has"};
    }
    const available_memory machine = memory_available();
    return {machine.bytes, fmt::format("the machine has available (by {})", machine.limited_by)};
}

} // namespace

memory_limit limit_of(const model_parts& p, double max_memory_gb) {
    memory_limit limit = hardware_limit(p);
    const double own = max_memory_gb * 1e9;
    if (own > 0 && own < static_cast<double>(limit.bytes))
        limit = {static_cast<std::uint64_t>(own), "max_memory_gb allows"};
    return limit;
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
    if (!RLX_HAS(p.backend, supports)) return lacks_member("backend", "supports");
    if (!RLX_HAS(p.backend, measure)) return lacks_member("backend", "measure");
    if (!RLX_HAS(p.backend, compile)) return lacks_member("backend", "compile");
    if (!RLX_HAS(p.backend, program_free)) return lacks_member("backend", "program_free");
    if (!RLX_HAS(p.backend, run)) return lacks_member("backend", "run");
    if (!RLX_HAS(p.backend, alloc)) return lacks_member("backend", "alloc");
    if (!RLX_HAS(p.backend, free)) return lacks_member("backend", "free");
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

result<void> finish_graph(graph& g, const model_parts& p, const finish_options& options) {
    const graph::claim_fn claims = [&](std::span<const std::uint32_t> nodes,
                                       std::span<std::uint8_t> verdict,
                                       std::span<std::string> reason) -> result<void> {
        std::vector<rlx_str> why(nodes.size());
        RLX_CHECK(check_wall(p.backend->supports(
            p.device, g.handle(), nodes.data(), nodes.size(), verdict.data(), why.data()
        )));
        for (std::size_t i = 0; i < why.size(); ++i)
            if (verdict[i] == RLX_NO) reason[i] = view(why[i]);
        return {};
    };
    return g.finish(claims, options);
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

result<device_buffer> device_buffer::make(const model_parts& p, std::uint64_t bytes) {
    device_buffer out;
    RLX_CHECK(check_wall(p.backend->alloc(p.device, std::max<std::uint64_t>(bytes, 1), &out.buffer_)
    ));
    out.backend_ = p.backend;
    out.device_ = p.device;
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
