// SPDX-License-Identifier: GPL-3.0-only
// Mode fuzz: random small graphs of ops that keep their digits, on the device against the oracle. A
// graph is its seed and the steps that are kept, so what fails is made smaller by leaving steps out
// and extents small, and printed as one line: Fuzz(seed=12,steps=0x3x7,rows=2,width=5).
#include "modes.hpp"

#include <fmt/format.h>

namespace optest {
namespace {

struct recipe {
    std::uint64_t seed = 0;
    std::vector<std::int64_t> steps; // numbers of those that are made
    std::int64_t rows = 0, width = 0;

    std::string line() const {
        return fmt::format(
            "Fuzz(seed={},steps={},rows={},width={})", seed, list_text(steps), rows, width
        );
    }
};

constexpr std::int64_t most_steps = 14;

recipe drawn(std::uint64_t seed) {
    random_numbers rng(seed);
    recipe r{seed, {}, 1 + rng.below(9), 1 + rng.below(40)};
    const std::int64_t n = 2 + rng.below(most_steps - 1);
    for (std::int64_t i = 0; i < n; ++i)
        r.steps.push_back(i);
    return r;
}

// The graph's values are [rows, width] or [width, rows]; a step takes what it needs from those that
// are there.
class grower {
public:
    grower(model& m, const recipe& r) : m_(m), rows_(m.dim("N", r.rows)), width_(r.width) {}

    void begin() {
        for (const char* name : {"a", "b"})
            values_.push_back({m_.operand(name, {rows_, width_}), false});
    }

    // Step numbers have a generator each: leaving one out changes no other.
    void step(std::uint64_t seed, std::int64_t number) {
        random_numbers rng(seed * 7919 + static_cast<std::uint64_t>(number) + 1);
        const entry x = pick(rng);
        const std::int64_t kind = rng.below(14);
        const auto numbered = [&](const char* what) { return what + std::to_string(number); };
        switch (kind) {
        case 0: return keep(unary(rng, x.v), x.turned);
        case 1: return binary(rng, x);
        case 2:
            return keep(
                m_.add(RLX_OP_Affine, {x.v}, {{RLX_ATTR_scale, 0.7}, {RLX_ATTR_shift, 0.1}}),
                x.turned
            );
        case 3:
            return keep(
                m_.add(RLX_OP_Clamp, {x.v}, {{RLX_ATTR_lo, -1.5}, {RLX_ATTR_hi, 1.5}}), x.turned
            );
        case 4:
            return keep(m_.add(RLX_OP_Softmax, {x.v}, {{RLX_ATTR_axis, rng.below(2)}}), x.turned);
        case 5:
            return keep(
                m_.add(RLX_OP_Permute, {x.v}, {{RLX_ATTR_perm, std::vector<std::int64_t>{1, 0}}}),
                !x.turned
            );
        case 6: return keep(m_.add(RLX_OP_Copy, {x.v}), x.turned);
        case 7: return halves(rng, x);
        case 8: return mean(x);
        case 9: return square(x, numbered("w"));
        case 10:
            if (x.turned) return keep(m_.add(RLX_OP_Copy, {x.v}), true);
            return keep(
                m_.add(
                    RLX_OP_RmsNorm,
                    {x.v, m_.weight(numbered("n"), RLX_F32, {width_}, numbers::positive)},
                    {{RLX_ATTR_eps, 0.1}}
                ),
                false
            );
        case 11: {
            const entry y = like(rng, x);
            return keep(
                m_.add(RLX_OP_Glu, {x.v, y.v}, {{RLX_ATTR_kind, 1 + rng.below(5)}}), x.turned
            );
        }
        case 12: return turned_about(x);
        default: return select(rng, x);
        }
    }

    // The last two values, and the first if it is read by nobody.
    void end() {
        m_.output(values_.back().v);
        if (values_.size() > 3) m_.output(values_[values_.size() - 2].v);
    }

private:
    struct entry {
        rlx_value v;
        bool turned; // [width, rows]
    };

    void keep(rlx_value v, bool turned) { values_.push_back({v, turned}); }

    entry pick(random_numbers& rng) {
        // Mostly one of the newest: graphs get deep.
        const auto n = static_cast<std::int64_t>(values_.size());
        return values_[static_cast<std::size_t>(
            rng.below(3) ? n - 1 - rng.below(std::min<std::int64_t>(n, 3)) : rng.below(n)
        )];
    }

    entry like(random_numbers& rng, const entry& x) {
        for (int i = 0; i < 4; ++i)
            if (const entry y = pick(rng); y.turned == x.turned) return y;
        return x;
    }

    axes shape(bool turned) const { return turned ? axes{width_, rows_} : axes{rows_, width_}; }

    rlx_value unary(random_numbers& rng, rlx_value x) {
        constexpr int kinds[] = {
            RLX_UNARY_NEG,
            RLX_UNARY_ABS,
            RLX_UNARY_TANH,
            RLX_UNARY_SIGMOID,
            RLX_UNARY_SILU,
            RLX_UNARY_GELU,
            RLX_UNARY_GELU_TANH,
            RLX_UNARY_RELU};
        return m_.add(RLX_OP_Unary, {x}, {{RLX_ATTR_kind, kinds[rng.below(std::size(kinds))]}});
    }

    void binary(random_numbers& rng, const entry& x) {
        constexpr int kinds[] = {
            RLX_BINARY_ADD, RLX_BINARY_SUB, RLX_BINARY_MUL, RLX_BINARY_MAX, RLX_BINARY_MIN};
        const entry y = like(rng, x);
        const rlx_value z = m_.add(
            RLX_OP_Binary, {x.v, y.v}, {{RLX_ATTR_kind, kinds[rng.below(std::size(kinds))]}}
        );
        // Products of products would leave f32 behind.
        keep(m_.add(RLX_OP_Clamp, {z}, {{RLX_ATTR_lo, -3.0}, {RLX_ATTR_hi, 3.0}}), x.turned);
    }

    // The two parts of x change places: views and a Concat.
    void halves(random_numbers& rng, const entry& x) {
        const std::int64_t axis = x.turned ? 0 : 1, cut = rng.below(width_ + 1);
        const auto part = [&](std::int64_t from, std::int64_t to) {
            return m_.add(
                RLX_OP_Slice,
                {x.v},
                {{RLX_ATTR_axis, axis}, {RLX_ATTR_start, from}, {RLX_ATTR_stop, to}}
            );
        };
        keep(
            m_.add(RLX_OP_Concat, {part(cut, width_), part(0, cut)}, {{RLX_ATTR_axis, axis}}),
            x.turned
        );
    }

    // x - mean(x), which broadcasts back.
    void mean(const entry& x) {
        const rlx_value y = m_.add(
            RLX_OP_Reduce,
            {x.v},
            {{RLX_ATTR_kind, RLX_REDUCE_MEAN},
             {RLX_ATTR_axis, x.turned ? 0 : 1},
             {RLX_ATTR_keep, 1}}
        );
        keep(m_.add(RLX_OP_Binary, {x.v, y}, {{RLX_ATTR_kind, RLX_BINARY_SUB}}), x.turned);
    }

    void square(const entry& x, const std::string& name) {
        if (x.turned) return keep(m_.add(RLX_OP_Copy, {x.v}), true);
        const rlx_value y =
            m_.add(RLX_OP_MatMul, {x.v, m_.weight(name, RLX_F32, {width_, width_})});
        keep(m_.add(RLX_OP_Unary, {y}, {{RLX_ATTR_kind, RLX_UNARY_TANH}}), false);
    }

    // Reshape of a view: [rows, width] -> [rows width] -> back.
    void turned_about(const entry& x) {
        const axis flat = m_.dim_op(RLX_DIM_MUL, rows_, width_);
        keep(m_.reshape(m_.reshape(x.v, {flat}), shape(!x.turned)), !x.turned);
    }

    // Where an input, exact on both sides, is positive.
    void select(random_numbers& rng, const entry& x) {
        const rlx_value zero = m_.add(
            RLX_OP_Fill,
            {},
            {{RLX_ATTR_dims, std::vector<std::int64_t>{}},
             {RLX_ATTR_dtype, RLX_F32},
             {RLX_ATTR_value, 0.0}}
        );
        rlx_value a = values_[0].v;
        if (x.turned)
            a = m_.add(RLX_OP_Permute, {a}, {{RLX_ATTR_perm, std::vector<std::int64_t>{1, 0}}});
        const rlx_value cond = m_.add(RLX_OP_Compare, {a, zero}, {{RLX_ATTR_kind, RLX_COMPARE_GT}});
        keep(m_.add(RLX_OP_Select, {cond, x.v, like(rng, x).v}), x.turned);
    }

    model& m_;
    axis rows_;
    std::int64_t width_;
    std::vector<entry> values_;
};

outcome run_recipe(const context& c, const recipe& r) {
    return guarded([&]() -> outcome {
        test_case t;
        t.op = "Fuzz";
        t.seed = r.seed;
        t.set("sym", static_cast<std::int64_t>(r.seed % 2));
        model m(t);
        grower g(m, r);
        g.begin();
        for (const std::int64_t s : r.steps)
            g.step(r.seed, s);
        g.end();
        m.limit_name = "Model";
        const outputs want = oracle(m).run(m.inputs);
        setup how = c.opt.how;
        how.fuse = r.seed % 3 != 0;
        session s(c.dev, m, how);
        return compare(m, s.run(m.inputs), want, how.compute);
    });
}

// Leaves out what the failure does not need, one thing at a time, until nothing more can go.
recipe smaller(const context& c, recipe r) {
    const auto fails = [&](const recipe& x) { return run_recipe(c, x).what == verdict::failed; };
    for (bool better = true; better;) {
        better = false;
        for (std::size_t i = r.steps.size(); i-- > 0;) {
            recipe x = r;
            x.steps.erase(x.steps.begin() + static_cast<std::ptrdiff_t>(i));
            if (fails(x)) r = x, better = true;
        }
        for (std::int64_t recipe::*extent : {&recipe::rows, &recipe::width})
            for (const std::int64_t n : {std::int64_t{1}, r.*extent / 2, r.*extent - 1}) {
                recipe x = r;
                x.*extent = n;
                if (n >= 1 && n < r.*extent && fails(x)) {
                    r = x, better = true;
                    break;
                }
            }
    }
    return r;
}

recipe parse(const std::string& line) {
    const test_case t = parse_case(line);
    return {t.seed, t.list("steps"), t.num("rows", 1), t.num("width", 1)};
}

} // namespace

void mode_fuzz(const context& c) {
    if (!c.opt.replay.empty()) {
        const recipe r = parse(c.opt.replay);
        c.out.add(r.line(), run_recipe(c, r));
        return;
    }
    const std::int64_t n = c.opt.count ? c.opt.count : c.opt.full ? 20000 : 400;
    for (std::int64_t i = 0; i < n; ++i) {
        const recipe r = drawn(c.opt.seed + static_cast<std::uint64_t>(i));
        const outcome o = run_recipe(c, r);
        if (o.what != verdict::failed) {
            c.out.add(r.line(), o);
            continue;
        }
        const recipe least = smaller(c, r);
        c.out.add(
            least.line(),
            {o.what, fmt::format("{} (found as {})", run_recipe(c, least).why, r.line())}
        );
    }
}

} // namespace optest
