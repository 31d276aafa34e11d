// SPDX-License-Identifier: GPL-3.0-only
// Mode support: which ops a backend takes with which element types, found by offering it the graphs
// of the cases. The document holds one table per backend between two markers; the mode compares it,
// or writes it.
#include "modes.hpp"

#include "rlx/base/wall.hpp"
#include "rlx/graph/ops.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fstream>
#include <set>
#include <sstream>

namespace optest {
namespace {

struct row {
    std::set<std::string> taken;                          // element types
    std::map<std::string, std::set<std::string>> reasons; // and the types of the cases
    int cases = 0, yes = 0;
};

// What tells two cases of an op apart for a person: the first type of the case.
std::string types_of(const test_case& t) {
    return t.types.empty() ? "f32" : t.types[0];
}

// Passed: the backend takes the ops the case is about. Skipped: it refuses them. Anything else it
// does at this point is a fault, which no table may call a refusal.
outcome offered(const context& c, const test_case& t) {
    return guarded([&]() -> outcome {
        auto m = build_case(t);
        m->must_fail = false;
        session s(c.dev, *m, c.opt.how);
        for (const std::uint16_t op : m->tested) {
            if (s.has_op(op)) continue;
            for (const auto& [refused_op, why] : s.refusals())
                if (refused_op == op) return {verdict::skipped, why};
        }
        return {};
    });
}

std::string line_of(const rlx::op_desc& op, const row& r) {
    std::string reason;
    for (const auto& [why, types] : r.reasons) {
        reason += (reason.empty() ? "" : "; ") + why;
        // Types that are refused whatever else the case is.
        std::vector<std::string> never;
        for (const std::string& type : types)
            if (r.yes && !r.taken.contains(type)) never.push_back(type);
        if (!never.empty()) reason += fmt::format(" ({})", fmt::join(never, " "));
    }
    const bool composite = op.kind == rlx::op_kind::composite;
    const char* runs = r.yes == r.cases ? "yes"
                       : r.yes          ? "partly"
                       : composite      ? "taken apart"
                                        : "no";
    return fmt::format("| {} | {} | {} | {} |\n", op.name, runs, fmt::join(r.taken, " "), reason);
}

// One line per op. Faults are reported here; ops too where `each` is set.
std::string table(const context& c, bool each) {
    std::string out = "| op | runs | element types | refused |\n|---|---|---|---|\n";
    for (const rlx::op_desc& op : rlx::op_list()) {
        if (op.id == RLX_OP_Custom) continue;
        if (op.kind == rlx::op_kind::view) continue; // never refused
        if (!c.opt.ops.empty() &&
            std::find(c.opt.ops.begin(), c.opt.ops.end(), op.name) == c.opt.ops.end())
            continue;
        row r;
        bool sound = true;
        for (const test_case& t : list_cases(cases_of(op.name), false)) {
            const outcome o = offered(c, t);
            if (o.what == verdict::failed) {
                c.out.add(t.line(), o);
                sound = false;
                continue;
            }
            ++r.cases;
            if (o.what == verdict::passed) {
                ++r.yes;
                r.taken.insert(types_of(t));
            } else {
                r.reasons[short_reason(o.why)].insert(types_of(t));
            }
        }
        out += line_of(op, r);
        if (!each || !sound) continue;
        const outcome refused{
            verdict::skipped, r.reasons.empty() ? "no case" : r.reasons.begin()->first};
        c.out.add(std::string(op.name), r.yes ? outcome{} : refused);
    }
    return out;
}

std::string read(const std::string& file) {
    std::ifstream in(file);
    if (!in) throw usage{file + " cannot be read"};
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

// The part between the markers of a backend, which it may replace.
std::pair<std::size_t, std::size_t>
section(const std::string& doc, const std::string& name, const std::string& file) {
    const std::string begin = fmt::format("<!-- begin {} -->\n", name),
                      end = fmt::format("<!-- end {} -->", name);
    const std::size_t first = doc.find(begin), last = doc.find(end);
    if (first == doc.npos || last == doc.npos || last < first)
        throw usage{
            fmt::format("{} has no '{}' and '{}'", file, begin.substr(0, begin.size() - 1), end)};
    return {first + begin.size(), last};
}

} // namespace

void mode_support(const context& c) {
    if (!c.opt.docs.empty() && !c.opt.ops.empty())
        throw usage{"--docs is about the whole table: leave --op out"};
    const std::string now = table(c, c.opt.docs.empty());
    if (c.opt.docs.empty()) return c.out.note(now);
    std::string doc = read(c.opt.docs);
    const auto [first, last] = section(doc, c.dev.name(), c.opt.docs);
    if (doc.substr(first, last - first) == now) {
        c.out.add(c.opt.docs, {});
    } else if (c.opt.write && c.out.failed() == 0) {
        std::ofstream out(c.opt.docs);
        out << doc.replace(first, last - first, now);
        c.out.add(
            c.opt.docs, out.flush() ? outcome{} : outcome{verdict::failed, "cannot be written"}
        );
    } else {
        c.out.add(
            c.opt.docs,
            {verdict::failed,
             fmt::format(
                 "the table of {} is out of date; rlx-optest support --docs {} --write makes it",
                 c.dev.name(),
                 c.opt.docs
             )}
        );
    }
}

} // namespace optest
