// SPDX-License-Identifier: GPL-3.0-only
// Mode mutate: proves that the cases can fail. A mutant is the oracle with one kernel broken in a
// way kernels break; its results, rounded as a backend's would be, go through the same cases and
// limits. One that no case catches is a hole in the suite.
#include "modes.hpp"

#include "mutants.hpp"

#include "rlx/graph/ops.hpp"

#include <fmt/format.h>
#include <set>

namespace optest {
namespace {

// What a backend would hand over: numbers of the output's type.
void as_stored(outputs& all) {
    for (ref::tensor& t : all)
        for (double& v : t.data)
            v = ref::round_to(t.dtype, v);
}

// A mutant that goes on where the text says error, on a case with such an input.
std::optional<bool> ran_on(model& m, const mutant& mutation) {
    bool met = false; // something the oracle refuses
    const auto run = [&] {
        try {
            (void)oracle(m).run(m.inputs, [&](const ref::call& call) {
                if (call.op != mutation.op) return ref::compute(call);
                try {
                    return ref::compute(call);
                } catch (const ref::bad_input&) {
                    met = true;
                    return mutation.run(call);
                }
            });
        } catch (const ref::bad_input& b) {
            throw session::run_failed{RLX_INVALID_ARGUMENT, b.what()};
        } catch (const ref::no_answer&) {
            // Behind the mutant: a row it should have written is read.
        }
    };
    const bool seen = judge_bad(m, run).what == verdict::failed;
    return met ? std::optional(seen) : std::nullopt;
}

// The unbroken oracle, rounded, must pass: else everything would count as caught.
bool sound(const context& c, const test_case& t) {
    auto m = build_case(t);
    if (m->must_fail) return true;
    const outputs want = oracle(*m).run(m->inputs);
    outputs got = want;
    as_stored(got);
    return compare(*m, got, want, c.opt.how.compute).what == verdict::passed;
}

outcome judge_mutant(const context& c, const mutant& mutation) {
    std::size_t seen = 0;
    for (const test_case& t : list_cases(cases_of(mutation.cases), c.opt.full)) {
        if (!sound(c, t)) return {verdict::failed, "the oracle itself fails " + t.line()};
        const std::optional<bool> r = caught(t, mutation, c.opt.how.compute);
        if (!r) continue;
        ++seen;
        if (*r) return {verdict::passed, "caught by " + t.line()};
    }
    return {verdict::failed, fmt::format("survived {} cases of {}", seen, mutation.cases)};
}

} // namespace

ref::results unnoticed(const ref::call& c) {
    ref::results out;
    for (const auto& [dtype, shape] : c.out)
        out.emplace_back(dtype, shape);
    return out;
}

std::optional<bool> caught(const test_case& t, const mutant& mutation, const std::string& compute) {
    auto m = build_case(t);
    if (m->must_fail != mutation.ignores_errors) return std::nullopt;
    if (m->must_fail) return ran_on(*m, mutation);
    const outputs want = oracle(*m).run(m->inputs);
    bool touched = false;
    outputs got;
    try {
        got = oracle(*m).run(m->inputs, [&](const ref::call& call) {
            if (call.op != mutation.op) return ref::compute(call);
            touched = true;
            return mutation.run(call);
        });
    } catch (const ref::bad_input&) {
        return true;
    } catch (const ref::no_answer&) {
        return std::nullopt;
    }
    if (!touched) return std::nullopt;
    as_stored(got);
    return compare(*m, got, want, compute).what == verdict::failed;
}

void mode_mutate(const context& c) {
    for (const mutant& m : mutants()) {
        if (!c.opt.ops.empty() &&
            std::find(c.opt.ops.begin(), c.opt.ops.end(), m.cases) == c.opt.ops.end())
            continue;
        c.out.add(fmt::format("{}: {}", m.cases, m.what), guarded([&] {
                      return judge_mutant(c, m);
                  }));
    }
    if (!c.opt.ops.empty()) return;
    // Every op with cases has at least one mutant of its own.
    std::set<std::string_view> have;
    for (const mutant& m : mutants())
        have.insert(m.cases);
    for (const op_cases& of : all_cases())
        if (rlx::op_by_name(of.name) && !have.contains(of.name))
            c.out.add(fmt::format("{}: any", of.name), {verdict::failed, "no mutant of this op"});
}

} // namespace optest
