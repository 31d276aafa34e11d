// SPDX-License-Identifier: GPL-3.0-only
#include "weights.hpp"

#include "pack.hpp"
#include "transfer.hpp"

#include <algorithm>
#include <atomic>

namespace rlx::vulkan {

namespace {

constexpr std::uint64_t block_goal = std::uint64_t{256} << 20; // small weights share allocations
constexpr std::uint64_t ring_goal = std::uint64_t{8} << 20;

std::uint64_t align256(std::uint64_t n) { // the largest offset alignment the standard allows
    return (n + 255) & ~std::uint64_t{255};
}

} // namespace

weight_store::place weight_store::reserve(std::uint64_t bytes) {
    const std::uint64_t goal = std::min(block_goal, gpu_.facts().max_allocation);
    if (sizes_.empty() || sizes_.back() + bytes > goal) sizes_.push_back(0);
    const place out{static_cast<std::uint32_t>(sizes_.size() - 1), sizes_.back()};
    sizes_.back() += align256(bytes);
    return out;
}

matrix_weight* weight_store::add(const matrix_weight& w) {
    for (matrix_weight& have : matrices_)
        if (have.root == w.root && have.first_row == w.first_row && have.rows == w.rows)
            return &have;
    matrix_weight& m = matrices_.emplace_back(w);
    const std::uint64_t most = std::min<std::uint64_t>(
        gpu_.facts().limits.maxStorageBufferRange, gpu_.facts().max_allocation
    );
    const auto step =
        static_cast<std::int64_t>(
            std::max<std::uint64_t>(1, most / std::max<std::uint64_t>(1, m.group_bytes()))
        ) *
        group_rows;
    for (std::int64_t at = 0; at < m.rows; at += step) {
        matrix_part part;
        part.first_row = at;
        part.rows = std::min(step, m.rows - at);
        part.bytes =
            static_cast<std::uint64_t>((part.rows + group_rows - 1) / group_rows) * m.group_bytes();
        const place p = reserve(part.bytes);
        part.block = p.block;
        part.at = p.at;
        m.parts.push_back(part);
    }
    return &m;
}

plain_weight* weight_store::add(const plain_weight& w) {
    for (plain_weight& have : plains_)
        if (w.root && have.root == w.root) return &have;
    plain_weight& p = plains_.emplace_back(w);
    const place at = reserve(p.bytes);
    p.block = at.block;
    p.at = at.at;
    return &p;
}

std::uint64_t weight_store::bytes() const {
    std::uint64_t n = 0;
    for (const std::uint64_t b : sizes_)
        n += b;
    return n;
}

status weight_store::load_matrix(const rlx_weights* w, const matrix_weight& m, upload_ring& ring) {
    const auto* api = sdk::service<rlx_weights_v1>();
    const matrix_format& f = *m.format;
    std::uint64_t row_bytes = static_cast<std::uint64_t>(m.cols / f.file_elements) * f.file_bytes;
    bool widen = false;
    const char* in_place = m.constant;
    if (!m.constant) {
        rlx_tensor_desc d{};
        d.size = sizeof d;
        std::uint32_t found = 0;
        RLX_CHECK(sdk::check(api->find(w, m.name, &d, &found)));
        widen = found && d.dtype == RLX_F64;
        rlx_bytes view{nullptr, 0};
        if (!widen) RLX_CHECK(sdk::check(api->view(w, m.name, &view)));
        in_place = static_cast<const char*>(view.p);
    }
    if (in_place) in_place += static_cast<std::uint64_t>(m.first_row) * row_bytes;
    std::vector<char> rows(in_place ? 0 : row_bytes * group_rows);
    for (const matrix_part& part : m.parts) {
        for (std::int64_t at = 0; at < part.rows; at += group_rows) {
            const std::int64_t n = std::min(group_rows, part.rows - at),
                               first = part.first_row + at;
            const char* from =
                in_place ? in_place + static_cast<std::uint64_t>(first) * row_bytes : rows.data();
            const auto file_row = static_cast<std::uint64_t>(m.first_row + first),
                       count = static_cast<std::uint64_t>(n);
            if (widen)
                RLX_CHECK(sdk::check(
                    api->read_f32(w, m.name, file_row, count, reinterpret_cast<float*>(rows.data()))
                ));
            else if (!in_place)
                RLX_CHECK(sdk::check(
                    api->read_rows(w, m.name, file_row, count, rows.data(), count * row_bytes)
                ));
            const std::uint64_t to =
                part.at + static_cast<std::uint64_t>(at / group_rows) * m.group_bytes();
            char* words = RLX_TRY(ring.reserve(buffer(part.block), to, m.group_bytes()));
            pack_group(f, from, row_bytes, n, m.cols, reinterpret_cast<std::uint32_t*>(words));
        }
    }
    if (!m.constant && RLX_HAS(api, release)) api->release(w, m.name);
    return {};
}

status weight_store::load_plain(const rlx_weights* w, const plain_weight& p, upload_ring& ring) {
    if (p.bytes == 0) return {};
    if (p.constant.p)
        return ring.write(buffer(p.block), p.at, p.constant.p, std::min(p.constant.n, p.bytes));
    const auto* api = sdk::service<rlx_weights_v1>();
    const auto step =
        std::max<std::int64_t>(1, (std::int64_t{1} << 18) / std::max<std::int64_t>(1, p.cols));
    std::vector<float> rows;
    for (std::int64_t at = 0; at < p.rows; at += step) {
        const std::int64_t n = std::min(step, p.rows - at);
        rows.resize(static_cast<std::size_t>(n * p.cols));
        RLX_CHECK(sdk::check(api->read_f32(
            w, p.name, static_cast<std::uint64_t>(at), static_cast<std::uint64_t>(n), rows.data()
        )));
        RLX_CHECK(ring.write(
            buffer(p.block),
            p.at + static_cast<std::uint64_t>(at * p.cols) * 4,
            rows.data(),
            rows.size() * 4
        ));
    }
    return {};
}

status weight_store::load(const rlx_weights* checkpoint, const rlx_compile_args& args) {
    std::uint64_t half = ring_goal, done = 0;
    for (const matrix_weight& m : matrices_)
        half = std::max(half, m.group_bytes());
    if (sizes_.empty()) return {};
    for (const std::uint64_t n : sizes_)
        blocks_.push_back(RLX_TRY(memory_block::make(gpu_, n, placement::device)));
    const auto ring = RLX_TRY(upload_ring::make(gpu_, half));
    const auto step = [&](std::uint64_t n) -> status {
        done += n;
        if (args.progress) args.progress(args.progress_ctx, done, bytes());
        if (sdk::cancelled(args.cancel))
            return fail(RLX_CANCELLED, "vulkan: cancelled while loading weights");
        return {};
    };
    for (const matrix_weight& m : matrices_) {
        RLX_CHECK(load_matrix(checkpoint, m, *ring));
        std::uint64_t n = 0;
        for (const matrix_part& part : m.parts)
            n += part.bytes;
        RLX_CHECK(step(n));
    }
    for (const plain_weight& p : plains_) {
        RLX_CHECK(load_plain(checkpoint, p, *ring));
        RLX_CHECK(step(p.bytes));
    }
    return ring->finish();
}

} // namespace rlx::vulkan
