// SPDX-License-Identifier: GPL-3.0-only
// Lines that people type: held against the cases that are listed, which say what an op takes.
#include "cases.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <new>
#include <stdexcept>

namespace optest {
namespace {

constexpr std::string_view common[] = {"view", "x", "on", "sym"};

// What the listed cases give for one argument.
struct known_arg {
    std::size_t in_cases = 0;
    bool text = false;
    std::vector<std::string> words;          // when text
    std::size_t fewest = SIZE_MAX, most = 0; // entries of a list; 1 for a number
    std::vector<double> least;               // by place in the list
};

bool as_numbers(std::string_view text, std::vector<double>& out) {
    out.clear();
    if (text == "-") return true;
    for (std::size_t at = 0, end; at <= text.size(); at = end + 1) {
        end = std::min(text.find('x', at), text.size());
        double v = 0;
        const auto [stop, code] = std::from_chars(text.data() + at, text.data() + end, v);
        if (code != std::errc{} || stop != text.data() + end) return false;
        out.push_back(v);
    }
    return true;
}

void learn(known_arg& a, const std::string& value) {
    ++a.in_cases;
    std::vector<double> numbers;
    if (!as_numbers(value, numbers)) {
        a.text = true;
        a.words.push_back(value);
        return;
    }
    a.fewest = std::min(a.fewest, numbers.size());
    a.most = std::max(a.most, numbers.size());
    if (a.least.size() < numbers.size()) a.least.resize(numbers.size(), 1);
    for (std::size_t i = 0; i < numbers.size(); ++i)
        a.least[i] = std::min(a.least[i], numbers[i]);
}

[[noreturn]] void wrong(const test_case& t, std::string_view key, const std::string& why) {
    throw usage{fmt::format("{}: argument '{}' {}", t.op, key, why)};
}

void check_value(
    const test_case& t, std::string_view key, const std::string& value, const known_arg& a
) {
    std::vector<double> numbers;
    if (!as_numbers(value, numbers)) {
        if (!a.text)
            wrong(t, key, fmt::format("is '{}', expected a number or a list like 3x5", value));
        if (std::find(a.words.begin(), a.words.end(), value) == a.words.end())
            wrong(t, key, fmt::format("is '{}', which no case has", value));
        return;
    }
    if (a.most == 0 && a.text) wrong(t, key, fmt::format("is '{}', expected a word", value));
    if (numbers.size() < a.fewest || numbers.size() > a.most)
        wrong(
            t,
            key,
            a.fewest == a.most
                ? fmt::format("has {} entries, expected {}", numbers.size(), a.most)
                : fmt::format("has {} entries, expected {} to {}", numbers.size(), a.fewest, a.most)
        );
    // Below 1 only what a listed case has too; at one place of a list of fixed length, anywhere
    // else.
    const double any = a.least.empty() ? 1 : *std::min_element(a.least.begin(), a.least.end());
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const double least = a.fewest == a.most ? a.least[i] : any;
        if (numbers[i] < least)
            wrong(t, key, fmt::format("is {}, expected no entry below {}", value, least));
        if (numbers[i] > 1 << 24 && numbers[i] < 1e300)
            wrong(t, key, fmt::format("is {}, expected at most {}", value, 1 << 24));
    }
}

void check_common(const test_case& t) {
    const std::string view = t.text("view", "none");
    if (view != "none" && std::find(std::begin(views), std::end(views), view) == std::end(views))
        wrong(t, "view", fmt::format("is '{}', expected none, {}", view, fmt::join(views, ", ")));
    if (const std::int64_t sym = t.num("sym"); sym != 0 && sym != 1)
        wrong(t, "sym", fmt::format("is {}, expected 0 or 1", sym));
    if (t.num("on") < 0) wrong(t, "on", "counts operands from 0");
}

} // namespace

void check_case(const test_case& t) {
    std::map<std::string, known_arg, std::less<>> known;
    std::size_t cases = 0, fewest = SIZE_MAX, most = 0;
    for (const test_case& c : list_cases(cases_of(t.op), true)) {
        ++cases;
        fewest = std::min(fewest, c.types.size());
        most = std::max(most, c.types.size());
        for (const auto& [key, value] : c.args)
            learn(known[key], value);
    }
    const auto is_common = [](std::string_view key) {
        return std::find(std::begin(common), std::end(common), key) != std::end(common);
    };
    for (const auto& [key, value] : t.args) {
        if (is_common(key)) continue;
        const auto it = known.find(key);
        if (it == known.end()) {
            std::vector<std::string_view> names(std::begin(common), std::end(common));
            for (const auto& [name, a] : known)
                if (!is_common(name)) names.push_back(name);
            wrong(t, key, fmt::format("is unknown, it takes {}", fmt::join(names, ", ")));
        }
        check_value(t, key, value, it->second);
    }
    for (const auto& [key, a] : known)
        if (a.in_cases == cases && !is_common(key) && !t.has(key)) wrong(t, key, "is missing");
    if (t.types.size() < fewest || t.types.size() > most)
        throw usage{fmt::format(
            "{}: {} element types are given, expected {}{}",
            t.op,
            t.types.size(),
            fewest,
            most > fewest ? fmt::format(" to {}", most) : ""
        )};
    check_common(t);
    try {
        (void)build_case(t);
    } catch (const bad_case& b) {
        throw usage{fmt::format("{}: {}", t.line(), b.why)};
    } catch (const ref::bad_input& e) {
        throw usage{fmt::format("{}: {}", t.line(), e.what())};
    } catch (const std::bad_alloc&) {
        throw usage{t.line() + ": too large for this machine's memory"};
    } catch (const std::logic_error& e) { // an entry that a list lacks, a size beyond any memory
        throw usage{fmt::format("{}: {}", t.line(), e.what())};
    }
}

void check_arguments(const test_case& t, std::span<const std::string_view> allowed) {
    for (const auto& [key, value] : t.args)
        if (std::find(allowed.begin(), allowed.end(), key) == allowed.end())
            wrong(t, key, fmt::format("is unknown, it takes {}, seed", fmt::join(allowed, ", ")));
}

} // namespace optest
