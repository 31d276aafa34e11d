// SPDX-License-Identifier: GPL-3.0-only
#include "modes.hpp"

#include <fmt/core.h>

namespace optest {
namespace {

const char* word(verdict v) {
    return v == verdict::passed ? "passed" : v == verdict::failed ? "FAILED" : "skipped";
}

} // namespace

std::string short_reason(const std::string& why) {
    const std::size_t at = why.rfind("): ");
    return at == why.npos ? why : why.substr(at + 3);
}

report::report(const options& o) : options_(o) {}

void report::add(const std::string& line, const outcome& o, nlohmann::json more) {
    if (o.what == verdict::none) return;
    (o.what == verdict::passed ? passed_ : o.what == verdict::failed ? failed_ : skipped_)++;
    decomposed_ += o.decomposed && o.what != verdict::skipped;
    if (o.what == verdict::skipped)
        ++skips_[{line.substr(0, line.find_first_of("(:")), short_reason(o.why)}];
    if (options_.as_json) {
        nlohmann::json j = {
            {"case", line},
            {"status", o.what == verdict::failed ? "failed" : word(o.what)},
            {"reason", o.why},
            {"decomposed", o.decomposed}};
        if (!more.is_null()) j.update(more);
        cases_.push_back(std::move(j));
        return;
    }
    // Skips are many where a backend is young: each one on request, the sum by reason at the end.
    if (o.what == verdict::failed || options_.verbose)
        fmt::print("{:<7}  {}{}{}\n", word(o.what), line, o.why.empty() ? "" : ": ", o.why);
    std::fflush(stdout);
}

void report::note(const std::string& line, nlohmann::json data) {
    if (options_.as_json) {
        notes_.push_back(data.is_null() ? nlohmann::json(line) : std::move(data));
        return;
    }
    fmt::print("{}\n", line);
    std::fflush(stdout);
}

int report::end() {
    if (options_.as_json) {
        const nlohmann::json doc = {
            {"schema", 1},
            {"mode", options_.mode},
            {"backend", options_.device.backend},
            {"compute", options_.how.compute},
            {"cases", cases_},
            {"notes", notes_},
            {"passed", passed_},
            {"failed", failed_},
            {"skipped", skipped_},
            {"decomposed", decomposed_}};
        fmt::print("{}\n", doc.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    } else {
        for (const auto& [what, n] : skips_)
            fmt::print("skipped  {} of {}: {}\n", n, what.first, what.second);
        if (decomposed_)
            fmt::print(
                "decomposed: {} cases ran a composite that the backend refuses taken apart\n",
                decomposed_
            );
        fmt::print(
            "{} passed, {} failed{}\n",
            passed_,
            failed_,
            skipped_ ? fmt::format(", {} skipped", skipped_) : ""
        );
    }
    if (failed_) return 1;
    // Nothing was judged: no success.
    return passed_ == 0 ? 4 : 0;
}

void context::each_case(const std::function<outcome(const test_case&)>& f) const {
    if (!opt.cases.empty()) {
        for (const test_case& t : opt.cases) {
            outcome o = f(t);
            if (o.what == verdict::none) o.what = verdict::skipped;
            out.add(t.line(), o);
        }
        return;
    }
    for (const op_cases& of : all_cases()) {
        if (!opt.ops.empty() && std::find(opt.ops.begin(), opt.ops.end(), of.name) == opt.ops.end())
            continue;
        for (const test_case& t : list_cases(of, opt.full))
            out.add(t.line(), f(t));
    }
}

} // namespace optest
