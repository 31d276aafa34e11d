// SPDX-License-Identifier: GPL-3.0-only
// Bad arguments and bad luck.
#include "checks.hpp"
#include "driver.hpp"

#include <algorithm>
#include <chrono>
#include <functional>

namespace conformance {
namespace {

using clock = std::chrono::steady_clock;

// The places to put a fault, 1..n: all of them while the time lasts, those far apart first.
class places {
public:
    // loops: how many such walks a check makes over every interface of the plugin.
    places(std::uint64_t n, const target& t, int loops)
        : end_(
              clock::now() + std::chrono::duration_cast<clock::duration>(
                                 std::chrono::duration<double>(share * t.timeout_s / loops) /
                                 std::max<std::size_t>(claimed(t.manifest).size(), 1)
                             )
          ) {
        for (std::uint64_t step = 64; step > 0; step /= 2)
            for (std::uint64_t i = step; i <= n; i += step)
                if (step == 64 || i % (2 * step) != 0) order_.push_back(i);
    }

    // 0: all were tried, or the time is up.
    std::uint64_t next() {
        if (tried_ == order_.size() || clock::now() >= end_) return 0;
        return order_[tried_++];
    }

    std::uint64_t tried() const { return tried_; }

private:
    static constexpr double share = 0.7; // of the check's time

    std::vector<std::uint64_t> order_;
    std::size_t tried_ = 0;
    clock::time_point end_;
};

// "626 allocations", or how many of them there was time for.
std::string tried_of(std::uint64_t tried, std::uint64_t all, const char* what) {
    if (tried >= all) return std::to_string(all) + " " + what;
    return std::to_string(tried) + " of " + std::to_string(all) + " " + what +
           ", the time for more was up (--timeout)";
}

// Runs fn for every driver; skipped when none could be driven, else why the others could not.
std::string each_driver(const subject& s, const std::function<void(driver&)>& fn) {
    std::string reasons;
    int driven = 0;
    for (const auto& d : drivers_of(s)) {
        if (!d->missing_members().empty())
            throw failed{d->name() + " lacks" + d->missing_members()};
        try {
            if (opens_libraries(s.about())) d->while_open(pin_libraries);
            fn(*d);
            driven++;
        } catch (const skipped& skip) {
            reasons += (reasons.empty() ? "" : "; ") + d->name() + ": " + skip.why;
        }
        check_host();
    }
    if (driven == 0)
        throw skipped{reasons.empty() ? "it offers no interface that can be driven" : reasons};
    return reasons;
}

void expect_life(driver& d, const std::string& after) {
    const life_result r = d.life();
    if (!r.ok())
        throw failed{
            d.name() + " does not work any more after " + after + ": " + r.where + ": " +
            r.error.message};
}

// The entry with its n-th allocation failing, until none fails.
std::uint64_t starve_entry(const target& t) {
    subject s(t);
    for (std::uint64_t n = 1; n < 10000; n++) {
        stage("calling the entry with allocation " + std::to_string(n) + " failing");
        count_allocations(n);
        const returned_error e = s.enter({.one_thread = true});
        const bool hit = allocation_failed();
        count_allocations();
        if (e.code && !hit) throw failed{"the entry refuses today's host: " + e.message};
        if (e.code && e.code != RLX_OUT_OF_MEMORY)
            throw failed{
                "the entry without memory gives code " + std::to_string(e.code) + " (" + e.message +
                "), expected RLX_OUT_OF_MEMORY"};
        if (!hit) return n - 1;
    }
    return 10000;
}

struct faults {
    std::uint64_t tried = 0, all = 0; // lives with one fault; calls of a life without

    void operator+=(const faults& more) {
        tried += more.tried;
        all += more.all;
    }
};

// Lives of d with one allocation failing each, or all from one on.
faults starve(driver& d, const target& t, int loops, bool onwards) {
    expect_life(d, "nothing");
    count_allocations();
    expect_life(d, "nothing");
    const std::uint64_t n = allocations_counted();
    places where(n, t, loops);
    while (const std::uint64_t at = where.next()) {
        count_allocations(at, onwards);
        const life_result r = d.life();
        count_allocations();
        if (!r.ok() && r.error.code != RLX_OUT_OF_MEMORY)
            throw failed{
                d.name() + " " + r.where + " with allocation " + std::to_string(at) +
                " failing gives code " + std::to_string(r.error.code) + " (" + r.error.message +
                "), expected RLX_OUT_OF_MEMORY"};
    }
    expect_life(d, "failed allocations");
    return {where.tried(), n};
}

// Lives with every n-th host call failing.
faults contradict(driver& d, const target& t, int loops) {
    expect_life(d, "nothing");
    fail_host_call(0);
    expect_life(d, "nothing");
    places each(host_calls(), t, loops);
    const std::uint64_t n = host_calls();
    while (const std::uint64_t at = each.next()) {
        fail_host_call(at);
        const life_result r = d.life();
        const bool hit = host_call_failed();
        fail_host_call(0);
        if (!r.ok() && !hit) throw failed{d.name() + " " + r.where + ": " + r.error.message};
    }
    expect_life(d, "failed host calls");
    return {each.tried(), n};
}

} // namespace

std::string check_null_arguments(const target& t) {
    subject s(t);
    s.start();
    each_driver(s, [](driver& d) { d.null_arguments(); });
    return {};
}

std::string check_short_structs(const target& t) {
    subject s(t);
    s.start();
    each_driver(s, [](driver& d) { d.short_structs(); });
    return {};
}

std::string check_cancel(const target& t) {
    subject s(t);
    s.start();
    bool any = false;
    each_driver(s, [&](driver& d) {
        const auto r = d.cancelled();
        if (!r) return;
        any = true;
        if (r->error.code != RLX_CANCELLED)
            throw failed{
                d.name() + " " + r->where + " with its cancel flag raised gives code " +
                std::to_string(r->error.code) + " (" + r->error.message +
                "), expected RLX_CANCELLED"};
    });
    if (!any) throw skipped{"no call of its interfaces takes a cancel flag"};
    return {};
}

std::string check_host_errors(const target& t) {
    subject s(t);
    s.start();
    faults sum;
    each_driver(s, [&](driver& d) { sum += contradict(d, t, 1); });
    return tried_of(sum.tried, sum.all, "host calls");
}

std::string check_out_of_memory(const target& t) {
    if (!allocations_are_seen()) throw skipped{"this build has a sanitizer's malloc"};
    const std::uint64_t of_entry = starve_entry(t);
    subject s(t);
    s.start();
    faults sum{of_entry, of_entry};
    std::string untested;
    try {
        untested = each_driver(s, [&](driver& d) {
            const faults one = starve(d, t, 2, false), onwards = starve(d, t, 2, true);
            sum += one.tried < onwards.tried ? one : onwards;
        });
    } catch (const skipped& skip) {
        // Surviving the entry is no more than a beginning.
        throw skipped{
            skip.why + " (the entry stands each of its " + std::to_string(of_entry) +
            " allocations failing)"};
    }
    return tried_of(sum.tried, sum.all, "allocations") +
           (opens_libraries(t) ? ", its own alone" : "") +
           (untested.empty() ? "" : "; not tested: " + untested);
}

std::string check_exceptions(const target& t) {
    subject s(t);
    s.start();
    each_driver(s, [&](driver& d) {
        d.life();
        d.null_arguments();
        contradict(d, t, 2);
        if (allocations_are_seen()) starve(d, t, 2, false);
    });
    s.quiesce();
    return {};
}

std::string check_memory(const target& t) {
    if (!allocations_are_seen()) throw skipped{"this build has a sanitizer's malloc"};
    subject s(t);
    s.start();
    each_driver(s, [&](driver& d) {
        contradict(d, t, 2); // whatever is kept for ever is there now
        const std::int64_t before = live_blocks();
        for (int i = 0; i < 4; i++)
            expect_life(d, "nothing");
        if (live_blocks() > before)
            throw failed{
                d.name() + ": 4 lives leave " + std::to_string(live_blocks() - before) +
                " blocks of memory behind"};
        fail_host_call(0);
        expect_life(d, "nothing");
        places each(host_calls(), t, 2);
        while (const std::uint64_t at = each.next()) {
            fail_host_call(at);
            d.life();
            const std::string where = last_host_call();
            fail_host_call(0);
            if (live_blocks() > before)
                throw failed{d.name() + ": a failing " + where + " leaves memory behind"};
        }
    });
    return {};
}

std::string check_errors(const target& t) {
    subject s(t);
    s.start();
    each_driver(s, [&](driver& d) {
        expect_life(d, "nothing");
        if (live_errors())
            throw failed{
                d.name() + ": a life leaves " + std::to_string(live_errors()) +
                " errors that are not freed"};
        fail_host_call(0);
        expect_life(d, "nothing");
        places each(host_calls(), t, 1);
        while (const std::uint64_t at = each.next()) {
            fail_host_call(at);
            d.life();
            fail_host_call(0);
            if (live_errors())
                throw failed{
                    d.name() +
                    ": the error of a failing call is neither freed nor returned (call " +
                    std::to_string(at) + ")"};
        }
    });
    return {};
}

} // namespace conformance
