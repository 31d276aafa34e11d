// SPDX-License-Identifier: GPL-3.0-only
// Modes test, fuse and det: cases on the device against the oracle, against themselves taken apart,
// and twice.
#include "modes.hpp"

#include "rlx/graph/ops.hpp"

#include <cmath>
#include <cstring>
#include <fmt/format.h>

namespace optest {

oracle::oracle(const model& m) : m_(m) {
    for (const rlx_value v : m.states) {
        const rlx_state_slot slot = m.info(v).slot;
        states_[v] = {slot.n_heads, slot.k_dim, slot.v_dim, m.page_tokens, m.pages, {}};
    }
}

outputs oracle::run(const feed& f, const ref::node_function& node) {
    ref::environment env;
    env.values = m_.weights;
    for (const auto& [v, t] : f.inputs)
        env.values[v] = t;
    env.states = std::move(states_);
    try {
        ref::evaluate(m_.graph(), m_.extents(f), env, node);
    } catch (...) {
        states_ = std::move(env.states);
        throw;
    }
    states_ = std::move(env.states);
    outputs out;
    for (const rlx_value v : m_.outputs)
        out.push_back(std::move(env.values.at(v)));
    return out;
}

outcome guarded(const std::function<outcome()>& f) {
    try {
        return f();
    } catch (const refused& r) {
        return {verdict::skipped, r.why};
    } catch (const broken& b) {
        return {verdict::failed, b.why};
    } catch (const session::run_failed& r) {
        return {verdict::failed, fmt::format("run: {} (status {})", r.why, r.code)};
    } catch (const bad_case& b) {
        return {verdict::failed, "the case itself: " + b.why};
    } catch (const ref::no_answer& n) {
        return {verdict::failed, std::string("the oracle: ") + n.what()};
    } catch (const ref::bad_input& n) {
        return {verdict::failed, std::string("the oracle calls this input an error: ") + n.what()};
    }
}

outcome compare(
    const model& m,
    const outputs& got,
    const outputs& want,
    const std::string& compute,
    const std::vector<double>& noise
) {
    const limit& l = limit_for(m.limit_name, m.packed, compute);
    for (std::size_t i = 0; i < want.size(); ++i) {
        const distance d = judge(got.at(i), want[i], l, noise.empty() ? 0 : noise.at(i));
        if (d.why.empty()) continue;
        const double off = l.max > 0 ? std::max(d.max / l.max, d.nmse / l.nmse) : INFINITY;
        return {
            verdict::failed,
            want.size() > 1 ? fmt::format("output {}: {}", i, d.why) : d.why,
            false,
            off};
    }
    return {};
}

namespace {

// The remark for a case whose composite the backend refused, which the graph then took apart as it
// does for the runtime; empty: what the case is about ran as it is. (A refused op without a
// decomposition ends the session's constructor.)
std::string taken_apart(const session& s, const model& m) {
    for (const std::uint16_t op : m.tested) {
        if (s.has_op(op)) continue;
        for (const auto& [refused_op, why] : s.refusals())
            if (refused_op == op) return decomposed_mark + why;
    }
    return {};
}

} // namespace

// Inputs that the text calls an error: the oracle must see it so too, and the backend must say no
// without harm.
outcome judge_bad(model& m, const std::function<void()>& run) {
    bool known = false;
    try {
        (void)oracle(m).run(m.inputs);
    } catch (const ref::bad_input&) {
        known = true;
    }
    if (!known) return {verdict::failed, "the case itself: the oracle sees no error in its inputs"};
    try {
        run();
    } catch (const session::run_failed& r) {
        if (r.code == RLX_INTERNAL)
            return {
                verdict::failed, "an error of the input is reported as an internal one: " + r.why};
        return {};
    }
    return {verdict::failed, "ran with inputs that are an error"};
}

outcome run_case(const context& c, const test_case& t, const setup& how) {
    return guarded([&]() -> outcome {
        auto m = build_case(t);
        // The oracle reads the graph as it was built, before anything was taken apart.
        std::optional<outputs> want;
        if (!m->must_fail) want = oracle(*m).run(m->inputs);
        session s(c.dev, *m, how);
        outcome o = want ? compare(*m, s.run(m->inputs), *want, how.compute)
                         : judge_bad(*m, [&] { (void)s.run(m->inputs); });
        const std::string remark = how.composites ? taken_apart(s, *m) : "";
        if (!remark.empty()) o.why = o.why.empty() ? remark : o.why + " (" + remark + ")";
        o.decomposed = !remark.empty();
        return o;
    });
}

void mode_test(const context& c) {
    c.each_case([&](const test_case& t) { return run_case(c, t, c.opt.how); });
}

// Composites whole, taken apart, and without fusion of neighbours: all three against the oracle.
void mode_fuse(const context& c) {
    c.each_case([&](const test_case& t) -> outcome {
        const rlx::op_desc* op = rlx::op_by_name(t.op);
        if (op && op->kind != rlx::op_kind::composite)
            return {verdict::none, "no composite and no pattern"};
        setup apart = c.opt.how, alone = c.opt.how;
        apart.composites = false;
        alone.fuse = false;
        outcome worst{verdict::passed, {}};
        for (const auto& [name, how] :
             {std::pair{"whole", c.opt.how}, {"taken apart", apart}, {"not fused", alone}}) {
            const outcome o = run_case(c, t, how);
            if (o.what == verdict::failed) return {o.what, fmt::format("{}: {}", name, o.why)};
            if (o.what == verdict::skipped) worst = {o.what, fmt::format("{}: {}", name, o.why)};
        }
        return worst;
    });
}

// Two runs of one program and one of a second, memory dirty in different ways: bit for bit the
// same.
void mode_det(const context& c) {
    const auto bits = [](const outputs& o) {
        std::vector<std::vector<char>> out;
        for (const ref::tensor& t : o)
            out.push_back(ref::encode(t.dtype, t.data));
        return out;
    };
    c.each_case([&](const test_case& t) {
        return guarded([&]() -> outcome {
            auto m = build_case(t), again = build_case(t);
            if (m->must_fail) return {verdict::none, "its inputs are an error"};
            setup dirty = c.opt.how, clean = c.opt.how;
            dirty.state_stain = 0xff; // NaN, in every float type
            clean.state_stain = 0x00;
            session s(c.dev, *m, dirty), other(c.dev, *again, clean);
            const auto first = bits(s.run(m->inputs, 0xff));
            if (first != bits(s.run(m->inputs, 0x3c)))
                return {verdict::failed, "two runs of a program differ"};
            if (first != bits(other.run(again->inputs, 0x00)))
                return {verdict::failed, "two programs of a graph differ"};
            const std::string remark = taken_apart(s, *m);
            return {verdict::passed, remark, !remark.empty()};
        });
    });
}

} // namespace optest
