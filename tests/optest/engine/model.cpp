// SPDX-License-Identifier: GPL-3.0-only
#include "model.hpp"

#include "rlx/base/wall.hpp"

#include <cmath>
#include <limits>

namespace optest {
namespace {

const rlx_graph_v1& api() {
    return *rlx::graph_table();
}

std::vector<std::int64_t> handles(const axes& dims) {
    std::vector<std::int64_t> out;
    for (const axis& a : dims)
        out.push_back(a.handle);
    return out;
}

ref::dims numbers_of(const axes& dims) {
    ref::dims out;
    for (const axis& a : dims)
        out.push_back(a.n);
    return out;
}

numbers named(const std::string& name, numbers otherwise) {
    constexpr std::pair<std::string_view, numbers> all[] = {
        {"usual", numbers::usual},
        {"positive", numbers::positive},
        {"wide", numbers::wide},
        {"ties", numbers::ties},
        {"extreme", numbers::extreme},
        {"masked", numbers::masked},
        {"huge", numbers::huge},
        {"far", numbers::far},
        {"infinite", numbers::infinite},
        {"nan", numbers::nan},
        {"some_nan", numbers::some_nan},
        {"some_inf", numbers::some_inf}};
    if (name.empty()) return otherwise;
    for (const auto& [text, how] : all)
        if (text == name) return how;
    throw usage{"'x=" + name + "' is no way to draw numbers"};
}

double extreme(random_numbers& rng) {
    constexpr double some[] = {
        0.0, -0.0, 1e-42, -3e-40, 1.2e-38, -1e-30, 1e-20, 1e30, -1e30, 1, -1, 1e-3};
    return some[rng.below(std::size(some))];
}

// Where a packed block keeps its halves, which must not be random bits.
std::vector<std::size_t> halves_of(std::uint16_t dtype) {
    switch (dtype) {
    case RLX_Q4_1:
    case RLX_Q5_1:
    case RLX_Q4_K:
    case RLX_Q5_K: return {0, 2};
    case RLX_Q2_K: return {80, 82};
    case RLX_Q3_K: return {108};
    case RLX_Q6_K: return {208};
    default: return {0};
    }
}

std::vector<char> random_blocks(random_numbers& rng, std::uint16_t dtype, std::size_t n) {
    const std::size_t block = ref::bytes_of(dtype, 32) ? 32 : 256,
                      size = ref::bytes_of(dtype, block);
    if (n % block != 0) throw bad_case{"a packed row must be whole blocks"};
    std::vector<char> out(n / block * size);
    // Weights well below 1, whatever the scales of super-blocks multiply by.
    const double size_of = block == 32 ? 0.004 : 0.0001;
    for (char& b : out)
        b = static_cast<char>(rng.bits());
    for (std::size_t i = 0; i < n / block; ++i)
        for (const std::size_t at : halves_of(dtype)) {
            const auto half = ref::encode(RLX_F16, {rng.in(-size_of, size_of)});
            out[i * size + at] = half[0];
            out[i * size + at + 1] = half[1];
        }
    return out;
}

// Small numbers, and now and then one of the type's whole range.
double whole_number(random_numbers& rng, std::uint16_t dtype) {
    if (dtype == RLX_BOOL) return static_cast<double>(rng.below(2));
    if (dtype == RLX_U8) return static_cast<double>(rng.below(256));
    if (rng.below(4)) return static_cast<double>(rng.below(100) - 50);
    const int bits = dtype == RLX_I8 ? 8 : dtype == RLX_I16 ? 16 : dtype == RLX_I32 ? 32 : 50;
    return static_cast<double>(
        rng.below(std::int64_t{1} << bits) - (std::int64_t{1} << (bits - 1))
    );
}

} // namespace

void must(rlx_error* e) {
    if (e) throw bad_case{rlx::from_wall(e).message};
}

axes plain(const std::vector<std::int64_t>& dims) {
    return {dims.begin(), dims.end()};
}

model::model(test_case c)
    : limit_name(c.op), case_(std::move(c)), rng_(case_.seed + hash_of(case_.op)),
      graph_(rlx::graph::create(&checkpoint_)) {}

axis model::dim(const char* name, std::int64_t n) {
    if (!case_.num("sym")) return n;
    std::int64_t d = 0;
    must(api().symbol(graph_->handle(), rlx::str(name), 0, n + 5, 1, &d));
    for (const auto& [have, number] : inputs.extents)
        if (have == name) return {d, number};
    inputs.extents.emplace_back(name, n);
    return {d, n};
}

axis model::dim_op(std::uint32_t op, axis a, axis b) {
    std::int64_t d = 0;
    must(api().dim_op(graph_->handle(), op, a.handle, b.handle, &d));
    const std::int64_t extents[] = {
        a.n + b.n,
        a.n - b.n,
        a.n * b.n,
        b.n ? a.n / b.n : 0,
        b.n ? (a.n + b.n - 1) / b.n : 0,
        std::min(a.n, b.n),
        std::max(a.n, b.n)};
    return {d, extents[op - RLX_DIM_ADD]};
}

std::vector<double> model::draw(std::size_t n, std::size_t row, numbers how, bool exact) {
    std::vector<double> out(n);
    for (std::size_t i = 0; i < n; ++i) {
        double v = rng_.in(-1, 1);
        const bool rare = rng_.below(5) == 0;
        switch (how) {
        case numbers::usual: break;
        case numbers::positive: v = rng_.in(0.1, 2); break;
        case numbers::wide: v *= 8; break;
        case numbers::ties: v = static_cast<double>(rng_.below(3) - 1); break;
        case numbers::extreme: v = extreme(rng_); break;
        case numbers::masked:
            // Every third row is all -inf.
            if (rare || (row && i / row % 3 == 1)) v = -std::numeric_limits<double>::infinity();
            break;
        case numbers::far: v += 1000; break;
        case numbers::huge: v = v < 0 ? v - 1e4 : v + 1e4; break;
        case numbers::infinite:
            if (rare) v = v < 0 ? -INFINITY : INFINITY;
            break;
        case numbers::nan:
            if (rare) v = std::numeric_limits<double>::quiet_NaN();
            break;
        case numbers::some_nan:
        case numbers::some_inf:
            // Three at least: at the front, in the middle, at the end.
            if (i == 0 || i == n / 2 || i + 1 == n || rng_.below(200) == 0)
                v = how == numbers::some_nan ? std::numeric_limits<double>::quiet_NaN()
                    : v < 0                  ? -INFINITY
                                             : INFINITY;
            break;
        }
        out[i] = exact ? v : static_cast<float>(v);
    }
    return out;
}

rlx_value
model::input(const std::string& name, std::uint16_t dtype, axes dims, std::vector<double> data) {
    rlx_value v = 0;
    const auto h = handles(dims);
    must(api().input(
        graph_->handle(), rlx::str(name), dtype, static_cast<std::uint32_t>(h.size()), h.data(), &v
    ));
    ref::tensor t(dtype, numbers_of(dims));
    if (data.size() != t.size())
        throw bad_case{"input " + name + " has other sizes than its numbers"};
    for (std::size_t i = 0; i < data.size(); ++i)
        t.data[i] = ref::is_integer(dtype) ? data[i] : ref::round_to(dtype, data[i]);
    inputs.inputs[v] = std::move(t);
    return v;
}

rlx_value model::ints(const std::string& name, axes dims, const std::vector<std::int64_t>& data) {
    return input(name, RLX_I32, std::move(dims), {data.begin(), data.end()});
}

// The same elements through a view: what `view` of the case says, "mixed" takes turns.
rlx_value
model::viewed(const std::string& name, std::uint16_t dtype, const axes& dims, numbers how) {
    std::string kind = case_.text("view", "none");
    if (kind == "mixed") {
        constexpr const char* kinds[] = {"perm", "slice", "none", "offset", "bcast"};
        kind = kinds[n_viewed_++ % 5];
    }
    const auto whole = [&](std::size_t n) {
        std::vector<double> out(n);
        for (double& v : out)
            v = whole_number(rng_, dtype);
        return out;
    };
    const auto source = [&](const axes& d) {
        const ref::dims n = numbers_of(d);
        const std::size_t row = n.empty() ? 0 : static_cast<std::size_t>(n.back());
        return input(
            name,
            dtype,
            d,
            ref::is_integer(dtype) ? whole(ref::count(n))
                                   : draw(ref::count(n), row, how, dtype == RLX_F64)
        );
    };
    if (dims.empty() || kind == "none") return source(dims);
    if (kind == "perm") {
        // Stored with the axes reversed.
        axes back(dims.rbegin(), dims.rend());
        std::vector<std::int64_t> perm;
        for (std::size_t i = dims.size(); i-- > 0;)
            perm.push_back(static_cast<std::int64_t>(i));
        return add(RLX_OP_Permute, {source(back)}, {{RLX_ATTR_perm, perm}});
    }
    if (kind == "bcast") {
        axes one = dims;
        one[0] = 1;
        return add(RLX_OP_Broadcast, {source(one)}, {{RLX_ATTR_dims, handles(dims)}});
    }
    // slice: gaps behind every row and an offset; offset: rows in front only.
    const std::size_t axis_cut = kind == "slice" ? dims.size() - 1 : 0;
    axes larger = dims;
    larger[axis_cut] = dim_op(RLX_DIM_ADD, dims[axis_cut], 3);
    const axis stop = dim_op(RLX_DIM_ADD, dims[axis_cut], 1);
    return add(
        RLX_OP_Slice,
        {source(larger)},
        {{RLX_ATTR_axis, static_cast<std::int64_t>(axis_cut)},
         {RLX_ATTR_start, 1},
         {RLX_ATTR_stop, stop.handle}}
    );
}

rlx_value model::operand(const std::string& name, axes dims, numbers how) {
    return typed(name, RLX_F32, std::move(dims), how);
}

rlx_value model::typed(const std::string& name, std::uint16_t dtype, axes dims, numbers how) {
    const bool chosen = static_cast<std::int64_t>(inputs.inputs.size()) == case_.num("on");
    return viewed(name, dtype, dims, chosen ? named(case_.text("x"), how) : how);
}

rlx_value
model::weight(const std::string& name, std::uint16_t dtype, const ref::dims& dims, numbers how) {
    stored_tensor t{dtype, dims, {}};
    const std::size_t n = ref::count(dims);
    if (ref::is_packed(dtype)) {
        packed = true;
        t.bytes = random_blocks(rng_, dtype, n);
    } else {
        t.bytes = ref::encode(
            dtype, draw(n, dims.empty() ? 0 : static_cast<std::size_t>(dims.back()), how)
        );
    }
    ref::tensor exact(dtype, dims);
    exact.data = ref::decode(dtype, t.bytes.data(), n);
    checkpoint_.stored[name] = std::move(t);
    rlx_value v = 0;
    must(api().weight(
        graph_->handle(),
        rlx::str(name),
        static_cast<std::uint32_t>(dims.size()),
        dims.data(),
        0,
        &v
    ));
    weights[v] = std::move(exact);
    return v;
}

rlx_value model::state(
    const std::string& name, std::int64_t heads, std::int64_t k, std::int64_t v, std::uint32_t kind
) {
    const rlx_state_slot slot{sizeof slot, kind, heads, k, v};
    rlx_value out = 0;
    must(api().state(graph_->handle(), rlx::str(name), &slot, &out));
    states.push_back(out);
    return out;
}

std::vector<rlx_value> model::add_many(
    std::uint32_t op, std::vector<rlx_value> in, std::vector<attr> attrs, std::size_t n_out
) {
    std::vector<rlx_attr> raw;
    for (attr& a : attrs) {
        a.raw.list = a.list.data();
        raw.push_back(a.raw);
    }
    std::vector<rlx_value> out(n_out);
    must(api().add(
        graph_->handle(),
        op,
        in.data(),
        static_cast<std::uint32_t>(in.size()),
        raw.data(),
        static_cast<std::uint32_t>(raw.size()),
        out.data(),
        static_cast<std::uint32_t>(n_out)
    ));
    return out;
}

rlx_value model::add(std::uint32_t op, std::vector<rlx_value> in, std::vector<attr> attrs) {
    return add_many(op, std::move(in), std::move(attrs), 1)[0];
}

rlx_value model::reshape(rlx_value x, const axes& dims) {
    return add(RLX_OP_Reshape, {x}, {{RLX_ATTR_dims, handles(dims)}});
}

void model::output(rlx_value v) {
    const std::string name = "y" + std::to_string(outputs.size());
    must(api().output(graph_->handle(), rlx::str(name), v));
    outputs.push_back(graph_->find_output(name));
}

std::vector<std::int64_t> model::extents(const feed& f) const {
    std::vector<std::pair<std::string_view, std::int64_t>> named;
    for (const auto& [name, n] : f.extents)
        named.emplace_back(name, n);
    auto out = graph_->extents(named);
    if (!out.ok()) throw bad_case{out.error().message};
    return *out;
}

rlx_value_info model::info(rlx_value v) const {
    rlx_value_info out{};
    out.size = sizeof out;
    must(api().value(graph_->handle(), v, &out));
    return out;
}

} // namespace optest
