// SPDX-License-Identifier: GPL-3.0-only
#include "args.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cxxopts.hpp>
#include <fmt/format.h>
#include <numeric>

namespace rlx::cli {

namespace {

error usage(std::string message) {
    return {RLX_INVALID_ARGUMENT, std::move(message)};
}

template <class T>
std::optional<T> parse_number(std::string_view s) {
    T value{};
    auto [end, code] = std::from_chars(s.data(), s.data() + s.size(), value);
    if (code != std::errc() || end != s.data() + s.size()) return std::nullopt;
    return value;
}

const flag* find_flag(const command_spec& spec, std::string_view name) {
    for (const flag_group& g : spec.groups)
        for (const flag& f : g.flags)
            if (f.name == name || (name.size() == 1 && f.letter == name[0])) return &f;
    return nullptr;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); i++) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); j++) {
            const std::size_t changed = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row.back();
}

error unknown_flag(const command_spec& spec, std::string_view given) {
    std::string_view name = given.substr(0, given.find('='));
    name.remove_prefix(std::min(name.find_first_not_of('-'), name.size()));
    for (const absent_flag& a : absent_flags())
        if (a.name == name) return usage(fmt::format("{}: {}", given, a.why));
    std::vector<std::string_view> names;
    for (const flag_group& g : spec.groups)
        for (const flag& f : g.flags)
            names.push_back(f.name);
    if (auto close = nearest(name, names))
        return usage(fmt::format("unknown flag '{}'; did you mean '--{}'?", given, *close));
    return usage(fmt::format("unknown flag '{}'; --help lists the flags", given));
}

result<void> check_value(const flag& f, const std::string& value) {
    if (f.kind == flag_kind::integer) {
        auto n = parse_number<std::int64_t>(value);
        if (!n || *n < 0)
            return usage(fmt::format("--{}: '{}' is no whole number of 0 or more", f.name, value));
    } else if (f.kind == flag_kind::number) {
        auto x = parse_number<double>(value);
        if (!x || !std::isfinite(*x) || *x < 0)
            return usage(fmt::format("--{}: '{}' is no number of 0 or more", f.name, value));
    } else if (f.kind == flag_kind::text && value.empty() && f.value != "TEXT") {
        // Only a text may be empty; an unset shell variable is no choice of a file or device.
        return usage(fmt::format("--{}: is empty, expected {}", f.name, f.value));
    }
    return {};
}

cxxopts::Options options_of(const command_spec& spec) {
    cxxopts::Options options(spec.name);
    options.allow_unrecognised_options();
    auto add = options.add_options();
    for (const flag_group& g : spec.groups)
        for (const flag& f : g.flags) {
            std::string names =
                f.letter ? fmt::format("{},{}", f.letter, f.name) : std::string(f.name);
            if (f.kind == flag_kind::toggle)
                add(names, std::string(f.help));
            else
                add(names, std::string(f.help), cxxopts::value<std::string>());
        }
    return options;
}

} // namespace

std::optional<std::string_view>
nearest(std::string_view word, std::span<const std::string_view> candidates) {
    std::optional<std::string_view> best;
    std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
    for (std::string_view c : candidates) {
        std::size_t d = edit_distance(word, c);
        if (word.size() >= 3 && c.starts_with(word)) d = 1;
        if (d < best_distance) best = c, best_distance = d;
    }
    return best;
}

result<arguments> arguments::parse(const command_spec& spec, std::span<const std::string> args) {
    arguments out;
    std::vector<const char*> argv{spec.name.c_str()};
    for (const std::string& a : args)
        argv.push_back(a.c_str());
    std::vector<std::string> unmatched;
    try {
        cxxopts::Options options = options_of(spec);
        auto parsed = options.parse(static_cast<int>(argv.size()), argv.data());
        for (const auto& kv : parsed.arguments()) {
            const flag* f = find_flag(spec, kv.key());
            if (!f) return unknown_flag(spec, kv.key());
            RLX_CHECK(check_value(*f, kv.value()));
            out.values_[std::string(f->alias_of.empty() ? f->name : f->alias_of)].push_back(
                kv.value()
            );
        }
        unmatched = parsed.unmatched();
    } catch (const std::exception& e) {
        return usage(std::string(e.what()));
    }
    for (std::string& u : unmatched) {
        if (u.size() > 1 && u[0] == '-') return unknown_flag(spec, u);
        if (u.empty())
            return usage(fmt::format("an argument is empty, expected {}", spec.positional));
        out.positional_.push_back(std::move(u));
    }
    const bool many = spec.positional.ends_with("...");
    const std::size_t most = spec.positional.empty() ? 0 : many ? out.positional_.size() : 1;
    if (out.positional_.size() > most && !out.has("help"))
        return usage(fmt::format(
            "unexpected argument '{}'{}",
            out.positional_[most],
            find_flag(spec, "weights") ? "; a model is given with --weights" : ""
        ));
    return out;
}

std::string arguments::text(std::string_view flag, std::string_view fallback) const {
    auto it = values_.find(flag);
    return it == values_.end() ? std::string(fallback) : it->second.back();
}

std::int64_t arguments::integer(std::string_view flag, std::int64_t fallback) const {
    auto it = values_.find(flag);
    return it == values_.end() ? fallback
                               : parse_number<std::int64_t>(it->second.back()).value_or(fallback);
}

double arguments::number(std::string_view flag, double fallback) const {
    auto it = values_.find(flag);
    return it == values_.end() ? fallback
                               : parse_number<double>(it->second.back()).value_or(fallback);
}

std::vector<std::string> arguments::all(std::string_view flag) const {
    auto it = values_.find(flag);
    return it == values_.end() ? std::vector<std::string>{} : it->second;
}

void arguments::set(std::string_view flag, std::string value) {
    values_[std::string(flag)] = {std::move(value)};
}

std::string help_text(std::string_view program, const command_spec& spec) {
    std::string out = fmt::format(
        "{}\n\nusage: {}{}{} [flags]\n",
        spec.summary,
        program,
        spec.positional.empty() ? "" : " ",
        spec.positional
    );
    for (const subcommand& sub : spec.subcommands)
        out += fmt::format("       {} {:<8} {}\n", program, sub.name, sub.summary);
    for (const flag_group& g : spec.groups) {
        out += fmt::format("\n{}:\n", g.title);
        for (const flag& f : g.flags) {
            if (!f.alias_of.empty()) continue;
            std::string left = f.letter ? fmt::format("-{}, --{}", f.letter, f.name)
                                        : fmt::format("    --{}", f.name);
            if (!f.value.empty()) left += fmt::format(" {}", f.value);
            std::string right(f.help);
            for (const flag& a : g.flags)
                if (a.alias_of == f.name) right += fmt::format("; also --{}", a.name);
            if (!f.fallback.empty()) right += fmt::format(" [{}]", f.fallback);
            if (left.size() > 28) left += fmt::format("\n{:30}", "");
            out += fmt::format("  {:<28}  {}\n", left, right);
        }
    }
    if (!spec.notes.empty()) out += fmt::format("\n{}\n", spec.notes);
    return out;
}

} // namespace rlx::cli
