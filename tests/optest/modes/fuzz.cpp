// SPDX-License-Identifier: GPL-3.0-only
// Mode fuzz: random small graphs of ops that keep their digits, on the device against the oracle. A
// graph is its seed and the steps that are kept, so what fails is made smaller by leaving steps out
// and extents small, and printed as one line: Fuzz(seed=12,steps=0x3x7,rows=2,width=5).
#include "modes.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <fmt/format.h>
#include <iterator>

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

    // The last value, and in longer graphs the one before it.
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

} // namespace

std::string failure_kind(const std::string& why) {
    // "[output N: ]GOT at [..] of [..], expected WANT": what stands in no place is another fault
    // than a number that is off.
    const std::size_t at = why.find(" at ["), expected = why.find(", expected ");
    if (at != why.npos && expected != why.npos) {
        const auto odd = [](std::string_view number) {
            return number.find("nan") != number.npos || number.find("inf") != number.npos;
        };
        std::string_view got(why.data(), at), want(why);
        want = want.substr(expected + 11);
        want = want.substr(0, want.find(';'));
        return odd(got) || odd(want) ? "a number that is none" : "a number";
    }
    if (why.starts_with("nmse") || why.find(": nmse") != why.npos) return "a number";
    std::string kind;
    std::copy_if(why.begin(), why.end(), std::back_inserter(kind), [](unsigned char c) {
        return !std::isdigit(c);
    });
    return kind;
}

std::pair<outputs, std::vector<double>> with_noise(const model& m, std::uint16_t unit) {
    // Twice the half of a unit in the last place, as a part of the number it belongs to.
    const double part = unit == RLX_BF16 ? 0x1p-8 : 0x1p-23;
    // Backends round more often than once a node (terms of sums, polynomials).
    constexpr double often = 16;
    double peak = 0;
    const outputs want = oracle(m).run(m.inputs, [&](const ref::call& c) {
        ref::results y = ref::compute(c);
        for (const ref::tensor& t : y)
            if (!ref::is_integer(t.dtype))
                for (const double v : t.data)
                    if (std::isfinite(v)) peak = std::max(peak, std::abs(v));
        return y;
    });
    const outputs rounded = oracle(m).run(m.inputs, [&](const ref::call& c) {
        ref::results y = ref::compute(c);
        for (ref::tensor& t : y)
            if (!ref::is_integer(t.dtype))
                for (double& v : t.data)
                    v = ref::round_to(unit, v);
        return y;
    });
    std::vector<double> noise;
    for (std::size_t i = 0; i < want.size(); ++i) {
        // At least what one term of the largest size loses, should the rounding above have met
        // exact numbers only.
        double most = part * peak / often;
        for (std::size_t k = 0; k < want[i].size(); ++k)
            if (const double e = std::abs(rounded[i].data[k] - want[i].data[k]); std::isfinite(e))
                most = std::max(most, e);
        noise.push_back(often * most);
    }
    return {want, noise};
}

namespace {

std::unique_ptr<model> grown(const recipe& r) {
    test_case t;
    t.op = "Fuzz";
    t.seed = r.seed;
    t.set("sym", static_cast<std::int64_t>(r.seed % 2));
    auto m = std::make_unique<model>(t);
    grower g(*m, r);
    g.begin();
    for (const std::int64_t s : r.steps)
        g.step(r.seed, s);
    g.end();
    m->limit_name = "Model";
    return m;
}

outcome run_recipe(const context& c, const recipe& r) {
    return guarded([&]() -> outcome {
        const auto built = grown(r);
        model& m = *built;
        const auto [want, noise] = with_noise(m, c.opt.how.compute == "f32" ? RLX_F32 : RLX_BF16);
        setup how = c.opt.how;
        how.fuse = r.seed % 3 != 0;
        session s(c.dev, m, how);
        return compare(m, s.run(m.inputs), want, how.compute, noise);
    });
}

// Leaves out what the failure does not need, one thing at a time, until nothing more can go. What
// is left fails in the same way, and not by a tenth as much: else it would be another fault.
recipe smaller(const context& c, recipe r, const outcome& found) {
    const std::string kind = failure_kind(found.why);
    const auto fails = [&](const recipe& x) {
        const outcome o = run_recipe(c, x);
        return o.what == verdict::failed && failure_kind(o.why) == kind && o.off >= found.off / 10;
    };
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
    constexpr std::string_view all[] = {"steps", "rows", "width"};
    check_arguments(t, all);
    for (const std::string_view key : all)
        if (!t.has(key)) throw usage{fmt::format("Fuzz: argument '{}' is missing", key)};
    const recipe r{t.seed, t.list("steps"), t.num("rows"), t.num("width")};
    for (const std::int64_t s : r.steps)
        if (s < 0 || s >= most_steps)
            throw usage{fmt::format(
                "Fuzz: argument 'steps' names {}, expected 0 to {}", s, most_steps - 1
            )};
    for (const auto& [key, n] : {std::pair{"rows", r.rows}, {"width", r.width}})
        if (n < 1 || n > 4096)
            throw usage{fmt::format("Fuzz: argument '{}' is {}, expected 1 to 4096", key, n)};
    return r;
}

} // namespace

std::unique_ptr<model> fuzz_model(const std::string& line) {
    return grown(parse(line));
}

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
        const recipe least = smaller(c, r, o);
        c.out.add(
            least.line(),
            {o.what, fmt::format("{} (found as {})", run_recipe(c, least).why, r.line())}
        );
    }
}

} // namespace optest
