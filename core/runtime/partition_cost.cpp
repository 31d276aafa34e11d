// SPDX-License-Identifier: GPL-3.0-only
#include "partition_cost.hpp"

#include "rlx/base/options.hpp"
#include "rlx/base/wall.hpp"
#include "rlx/formats/dequant.hpp"
#include "rlx/graph/ops.hpp"

#include <algorithm>
#include <set>

namespace rlx {
namespace {

constexpr std::int64_t typical_extent = 64;

class cost_reader {
public:
    explicit cost_reader(const rlx_graph* g) : t_(graph_table()), g_(g) {}

    result<std::vector<cost_node>> run() {
        RLX_CHECK(choose_extents());
        const std::uint32_t n = t_->node_count(g_);
        out_.resize(n);
        for (std::uint32_t i = 0; i < n; ++i)
            RLX_CHECK(read(i));
        return std::move(out_);
    }

private:
    result<void> choose_extents() {
        const std::uint32_t n = t_->symbol_count(g_);
        std::vector<std::int64_t> most;
        for (std::uint32_t i = 0; i < n; ++i) {
            rlx_str name{};
            std::int64_t low = 0, high = 0;
            RLX_CHECK(check_wall(t_->symbol_at(g_, i, &name, &low, &high)));
            extents_.push_back(std::clamp(typical_extent, low, high));
            most.push_back(high);
        }
        // An extent may have to be a multiple of something; the largest is.
        const std::int64_t probe = 0;
        std::int64_t number = 0;
        rlx_error* e = t_->eval_dims(g_, extents_.data(), n, &probe, 1, &number);
        if (e) {
            host()->error_free(e);
            extents_ = most;
        }
        return {};
    }

    result<rlx_value_info> info(rlx_value v) const {
        rlx_value_info out{};
        out.size = sizeof out;
        RLX_CHECK(check_wall(t_->value(g_, v, &out)));
        return out;
    }

    result<double> elements(const rlx_value_info& v) const {
        std::int64_t dims[RLX_MAX_RANK] = {};
        RLX_CHECK(check_wall(t_->eval_dims(
            g_, extents_.data(), static_cast<std::uint32_t>(extents_.size()), v.dims, v.rank, dims
        )));
        double n = 1;
        for (std::uint32_t a = 0; a < v.rank; ++a)
            n *= static_cast<double>(dims[a]);
        return n;
    }

    result<double> bytes(const rlx_value_info& v) const {
        const dtype_traits* type = dtype_find(v.dtype);
        const double size = type && type->block ? static_cast<double>(type->block_bytes) /
                                                      static_cast<double>(type->block)
                                                : 4.0;
        return RLX_TRY(elements(v)) * size;
    }

    result<void> read(std::uint32_t i) {
        rlx_node_info n{};
        n.size = sizeof n;
        RLX_CHECK(check_wall(t_->node(g_, i, &n)));
        const op_desc* op = op_info(n.op);
        cost_node& out = out_[i];
        out.op = op ? op->name : "?";
        out.origin = view(n.origin);
        out.view = op && op->kind == op_kind::view;
        double rows = 0;
        for (std::uint32_t k = 0; k < n.n_out; ++k) {
            const rlx_value_info v = RLX_TRY(info(n.out[k]));
            if (v.kind == RLX_VALUE_STATE) {
                out.state = v.root;
                continue;
            }
            out.out_bytes += RLX_TRY(bytes(v));
            std::int64_t last = 1;
            if (v.rank > 0)
                RLX_CHECK(check_wall(t_->eval_dims(
                    g_,
                    extents_.data(),
                    static_cast<std::uint32_t>(extents_.size()),
                    &v.dims[v.rank - 1],
                    1,
                    &last
                )));
            rows = RLX_TRY(elements(v)) / static_cast<double>(std::max<std::int64_t>(last, 1));
        }
        out.touched_bytes = out.out_bytes;
        for (std::uint32_t k = 0; k < n.n_in; ++k)
            if (n.in[k]) RLX_CHECK(read_input(i, n.in[k], rows));
        return {};
    }

    result<void> read_input(std::uint32_t i, rlx_value v, double rows) {
        cost_node& out = out_[i];
        const rlx_value_info x = RLX_TRY(info(v));
        const rlx_value_info root = x.root == v ? x : RLX_TRY(info(x.root));
        if (x.kind == RLX_VALUE_STATE || root.kind == RLX_VALUE_STATE) {
            out.state = x.root;
            // The keys and values of a typical context, read once.
            out.touched_bytes += static_cast<double>(
                typical_extent * root.slot.n_heads * (root.slot.k_dim + root.slot.v_dim) * 4
            );
            return {};
        }
        const double size = RLX_TRY(bytes(x));
        if (root.kind == RLX_VALUE_WEIGHT || root.kind == RLX_VALUE_CONSTANT) {
            // A look-up of rows reads what it gives.
            const bool looked_up = out.op == "GatherRows";
            out.weight_bytes += looked_up ? out.out_bytes : size;
            out.touched_bytes += looked_up ? out.out_bytes : size;
            if (x.rank >= 2 && !looked_up) out.flops += 2 * RLX_TRY(elements(x)) * rows;
            return {};
        }
        out.touched_bytes += size;
        if (root.kind != RLX_VALUE_TEMP || root.producer == UINT32_MAX) return {};
        const bool known = std::ranges::any_of(out.in, [&](const cost_node::source& s) {
            return s.root == x.root;
        });
        if (known) return {};
        out.in.push_back({root.producer, x.root, RLX_TRY(bytes(root))});
        if (!out.view) out_[root.producer].users.push_back(i);
        return {};
    }

    const rlx_graph_v1* t_;
    const rlx_graph* g_;
    std::vector<std::int64_t> extents_;
    std::vector<cost_node> out_;
};

// A run of nodes on one device.
struct stretch {
    std::size_t first, last;
};

class dissolver {
public:
    dissolver(
        std::span<const cost_node> nodes,
        const cost_model& costs,
        std::span<side> where,
        std::span<const char> fixed
    )
        : nodes_(nodes), costs_(costs), where_(where), fixed_(fixed) {}

    std::vector<island> run() {
        // Every pass that moves something leaves fewer stretches.
        while (pass()) {
        }
        return std::move(out_);
    }

private:
    std::vector<stretch> stretches() const {
        std::vector<stretch> out;
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            if (nodes_[i].view) continue;
            if (out.empty() || where_[out.back().last] != where_[i])
                out.push_back({i, i});
            else
                out.back().last = i;
        }
        return out;
    }

    bool pass() {
        std::vector<stretch> all = stretches();
        if (all.size() < 2) return false;
        std::vector<std::size_t> order(all.size());
        for (std::size_t i = 0; i < order.size(); ++i)
            order[i] = i;
        std::ranges::stable_sort(order, {}, [&](std::size_t i) {
            return all[i].last - all[i].first;
        });
        for (const std::size_t i : order) {
            const int neighbours = (i > 0) + (i + 1 < all.size());
            if (try_move(all[i], neighbours)) return true;
        }
        return false;
    }

    // The copies of one value: one to the other side when anybody there reads it.
    double copies_of(std::size_t producer) const {
        const side made = where_[producer];
        const bool crosses = std::ranges::any_of(nodes_[producer].users, [&](std::size_t u) {
            return where_[u] != made;
        });
        return crosses ? costs_.copy(nodes_[producer].out_bytes) : 0;
    }

    double copies_around(const std::set<std::size_t>& producers) const {
        double sum = 0;
        for (const std::size_t p : producers)
            sum += copies_of(p);
        return sum;
    }

    bool try_move(const stretch& s, int neighbours) {
        std::set<std::size_t> producers;
        double there = 0, here = 0;
        std::size_t n = 0;
        const side was = where_[s.first];
        for (std::size_t i = s.first; i <= s.last; ++i) {
            if (nodes_[i].view) continue;
            if (fixed_[i]) return false;
            ++n;
            there += costs_.node(nodes_[i], was);
            here += costs_.node(nodes_[i], other(was));
            producers.insert(i);
            for (const auto& in : nodes_[i].in)
                producers.insert(in.node);
        }
        const double before = copies_around(producers);
        flip(s);
        const double copies = before - copies_around(producers);
        const double starts = neighbours * costs_.program;
        if (here < there + copies + starts) {
            out_.push_back({s.first, s.last, n, was, there, copies + starts, here});
            return true;
        }
        flip(s);
        return false;
    }

    void flip(const stretch& s) {
        for (std::size_t i = s.first; i <= s.last; ++i)
            if (!nodes_[i].view) where_[i] = other(where_[i]);
    }

    std::span<const cost_node> nodes_;
    const cost_model& costs_;
    std::span<side> where_;
    std::span<const char> fixed_;
    std::vector<island> out_;
};

} // namespace

result<std::vector<cost_node>> read_cost_nodes(const rlx_graph* g) {
    return cost_reader(g).run();
}

// Round numbers of a card on its bus, of one that shares the machine's memory, and of a processor;
// only their relations matter. A device somebody asked for is taken to be the faster one.
result<cost_model> cost_model::make(std::span<const compute_device> devices) {
    constexpr rates processor{1e11, 2e10, 1e-6}, card{5e12, 4e11, 5e-6}, shared{4e11, 6e10, 2e-6};
    cost_model out{{shared, processor}, 8e9, 1e-5, 2e-5};
    const compute_device& d = devices[side_device];
    if (!RLX_HAS(d.backend, device_info)) return out;
    options info;
    RLX_CHECK(check_wall(d.backend->device_info(d.backend_self, d.device_index, info.handle())));
    if (info.get_int("discrete").value_or(0) != 1) return out;
    out.run[side_device] = card;
    out.copy_latency = 3e-5;
    out.program = 5e-5;
    return out;
}

double cost_model::node(const cost_node& n, side s) const {
    if (n.view) return 0;
    return run[s].launch + std::max(n.flops / run[s].flops, n.touched_bytes / run[s].bytes);
}

std::vector<island> dissolve_islands(
    std::span<const cost_node> nodes,
    const cost_model& costs,
    std::span<side> where,
    std::span<const char> fixed
) {
    return dissolver(nodes, costs, where, fixed).run();
}

} // namespace rlx
