// SPDX-License-Identifier: GPL-3.0-only
// The scratch arena: every value a node makes gets bytes for its largest extents, and values that
// are never alive together share them. Outputs and sources are bound by the caller and have no
// place here.
#include "dtype.hpp"
#include "passes.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>

namespace rlx::ir {

namespace {

constexpr std::uint64_t alignment = 64; // a cache line, and the widest vector

std::uint64_t aligned(std::uint64_t n) {
    return (n + alignment - 1) / alignment * alignment;
}

result<std::uint64_t> upper_bytes(module& m, rlx_value id) {
    const value& v = m.at(id);
    const dim elements = RLX_TRY(m.dims.product(v.dims).within(describe(m, id)));
    const dim bytes =
        RLX_TRY(m.dims.mul(elements, layout_of(v.dtype).bytes).within(describe(m, id)));
    return static_cast<std::uint64_t>(m.dims.range(bytes).hi);
}

// A block of the arena: one root value, or several that are written over each other in place.
struct block {
    rlx_value owner;
    std::uint64_t bytes;
    lifetime life;
    std::uint64_t offset = 0;
};

// The lowest offset of the tightest gap between the blocks alive at the same time.
std::uint64_t place(std::span<const block* const> neighbours, std::uint64_t bytes) {
    std::uint64_t best = UINT64_MAX, best_gap = UINT64_MAX, end = 0;
    for (const block* b : neighbours) {
        if (b->offset > end && b->offset - end >= bytes && b->offset - end < best_gap) {
            best = end;
            best_gap = b->offset - end;
        }
        end = std::max(end, aligned(b->offset + b->bytes));
    }
    return best == UINT64_MAX ? end : best;
}

std::uint64_t pack(std::vector<block>& blocks) {
    std::vector<block*> order;
    for (block& b : blocks)
        order.push_back(&b);
    std::sort(order.begin(), order.end(), [](const block* a, const block* b) {
        return a->bytes != b->bytes ? a->bytes > b->bytes : a->owner < b->owner;
    });
    std::uint64_t size = 0;
    std::vector<const block*> placed, neighbours; // placed: by offset
    for (block* b : order) {
        neighbours.clear();
        for (const block* p : placed)
            if (p->life.first <= b->life.last && b->life.first <= p->life.last)
                neighbours.push_back(p);
        b->offset = place(neighbours, b->bytes);
        size = std::max(size, aligned(b->offset + b->bytes));
        const auto by_offset = [](const block* x, const block* y) { return x->offset < y->offset; };
        placed.insert(std::upper_bound(placed.begin(), placed.end(), b, by_offset), b);
    }
    return size;
}

} // namespace

std::vector<lifetime> lifetimes(const module& m) {
    std::vector<lifetime> lives(m.values.size() + 1);
    for (std::size_t i = 0; i < m.nodes.size(); i++) {
        const auto step = static_cast<std::uint32_t>(i);
        for (rlx_value v : m.nodes[i].in)
            if (v != 0 && lives[m.at(v).root].first != no_node) lives[m.at(v).root].last = step;
        for (rlx_value v : m.nodes[i].out) {
            const value& x = m.at(v);
            if (x.kind == RLX_VALUE_TEMP && x.root == v && !x.is_output) lives[v] = {step, step};
        }
    }
    return lives;
}

rlx_value overwritten(const module& m, std::span<const lifetime> lives, std::uint32_t step) {
    const node& n = m.nodes[step];
    switch (n.op) {
    case RLX_OP_Unary:
    case RLX_OP_Binary:
    case RLX_OP_Select:
    case RLX_OP_Clamp:
    case RLX_OP_Affine:
    case RLX_OP_Glu: break;
    default: return 0;
    }
    const value& out = m.at(n.out[0]);
    if (out.is_output) return 0;
    const auto fits = [&](const value& x) {
        return layout_of(x.dtype).bytes == layout_of(out.dtype).bytes && x.dims == out.dims &&
               x.strides == out.strides && x.offset == 0;
    };
    for (rlx_value v : n.in) {
        const rlx_value root = m.at(v).root;
        if (lives[root].first == no_node || lives[root].last != step || !fits(m.at(v))) continue;
        // Every other way the node looks at this memory must be the same element for element.
        const bool safe = std::all_of(n.in.begin(), n.in.end(), [&](rlx_value u) {
            return m.at(u).root != root || fits(m.at(u));
        });
        if (safe) return root;
    }
    return 0;
}

result<void> plan(module& m) {
    const std::vector<lifetime> lives = lifetimes(m);
    std::vector<block> blocks;
    std::vector<std::size_t> block_of(m.values.size() + 1, SIZE_MAX);
    for (std::size_t i = 0; i < m.nodes.size(); i++) {
        for (rlx_value v : m.nodes[i].out) {
            value& x = m.at(v);
            if (x.kind != RLX_VALUE_TEMP || x.root != v) continue;
            x.scratch_bytes = RLX_TRY(upper_bytes(m, v));
            if (x.is_output || x.scratch_bytes == 0) continue;
            const rlx_value over = overwritten(m, lives, static_cast<std::uint32_t>(i));
            if (over != 0 && block_of[over] != SIZE_MAX) {
                block& b = blocks[block_of[v] = block_of[over]];
                b.bytes = std::max(b.bytes, x.scratch_bytes);
                b.life.last = std::max(b.life.last, lives[v].last);
                continue;
            }
            block_of[v] = blocks.size();
            blocks.push_back({v, x.scratch_bytes, lives[v]});
        }
    }
    m.scratch_bytes = pack(blocks);
    for (std::size_t v = 1; v < block_of.size(); v++)
        if (block_of[v] != SIZE_MAX)
            m.at(static_cast<rlx_value>(v)).scratch_offset = blocks[block_of[v]].offset;
    return {};
}

plan_report report(const module& m) {
    plan_report r;
    r.peak = m.scratch_bytes;
    const std::vector<lifetime> lives = lifetimes(m);
    for (std::size_t v = 1; v < lives.size(); v++) {
        const auto id = static_cast<rlx_value>(v);
        const value& x = m.at(id);
        if (lives[v].first == no_node || x.scratch_bytes == 0) continue;
        const node& n = m.nodes[x.producer];
        r.values++;
        r.without_reuse += aligned(x.scratch_bytes);
        r.top.push_back(
            {id,
             x.scratch_bytes,
             x.scratch_offset,
             lives[v].first,
             lives[v].last,
             fmt::format("{}: {}", where(n), describe(m, id))}
        );
    }
    std::stable_sort(r.top.begin(), r.top.end(), [](const auto& a, const auto& b) {
        return a.bytes > b.bytes;
    });
    if (r.top.size() > 10) r.top.resize(10);
    return r;
}

} // namespace rlx::ir

namespace rlx {

std::string plan_report::text() const {
    std::string s = fmt::format(
        "scratch {} bytes for {} values of {} bytes, reuse {:.2f}\n",
        peak,
        values,
        without_reuse,
        reuse()
    );
    for (const entry& e : top)
        s += fmt::format(
            "  {} bytes at {}, steps {} to {}: {}\n", e.bytes, e.offset, e.first, e.last, e.what
        );
    return s;
}

} // namespace rlx
