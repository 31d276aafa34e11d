// SPDX-License-Identifier: GPL-3.0-only
// Mode support: which ops a backend takes with which element types, found by offering it the graphs
// of the cases. The document holds one table per backend between two markers; the mode compares it,
// or writes it.
#include "modes.hpp"

#include "rlx/base/wall.hpp"
#include "rlx/graph/ops.hpp"

#include <fmt/format.h>
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

// What tells two cases of an op apart for a person: the types of the case.
std::string types_of(const test_case& t) {
    return t.types.empty() ? "f32" : t.op == "Cast" ? t.types[0] : t.types[0];
}

// Empty: the backend takes the ops the case is about.
std::string refusal(const context& c, const test_case& t) {
    try {
        auto m = build_case(t);
        if (m->must_fail) m->must_fail = false;
        session s(c.dev, *m, c.opt.how);
        for (const std::uint16_t op : m->tested) {
            if (s.has_op(op)) continue;
            for (const auto& [refused_op, why] : s.refusals())
                if (refused_op == op) return why;
        }
        return {};
    } catch (const refused& r) {
        return r.why;
    } catch (const broken& b) {
        return b.why;
    } catch (const bad_case& b) {
        return "the case itself: " + b.why;
    }
}

std::string table(const context& c) {
    std::string out = "| op | runs | element types | refused |\n|---|---|---|---|\n";
    for (const rlx::op_desc& op : rlx::op_list()) {
        if (op.id == RLX_OP_Custom) continue;
        if (op.kind == rlx::op_kind::view) continue; // never refused
        row r;
        for (const test_case& t : list_cases(cases_of(op.name), false)) {
            const std::string why = refusal(c, t), type = types_of(t);
            ++r.cases;
            if (why.empty()) {
                ++r.yes;
                r.taken.insert(type);
            } else {
                r.reasons[short_reason(why)].insert(type);
            }
        }
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
        out +=
            fmt::format("| {} | {} | {} | {} |\n", op.name, runs, fmt::join(r.taken, " "), reason);
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
    const std::string now = table(c);
    if (c.opt.docs.empty()) {
        c.out.note(now);
        c.out.add(c.dev.name(), {});
        return;
    }
    std::string doc = read(c.opt.docs);
    const auto [first, last] = section(doc, c.dev.name(), c.opt.docs);
    if (doc.substr(first, last - first) == now) {
        c.out.add(c.opt.docs, {});
    } else if (c.opt.write) {
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
