// SPDX-License-Identifier: GPL-3.0-only
// The manifest's rules about checkpoints, applied to metadata before any plugin is loaded.
#include "rlx/checkpoint.hpp"

#include "rlx/base/log.hpp"
#include "rlx/base/wall.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace rlx {
namespace {

using json = nlohmann::json;

std::string fill_in(std::string key, std::string_view architecture) {
    constexpr std::string_view mark = "{arch}";
    if (const std::size_t at = key.find(mark); at != std::string::npos)
        key.replace(at, mark.size(), architecture);
    return key;
}

bool has_raw(const weights& w, std::string_view key) {
    return w.meta_int(key) || w.meta_string(key) || w.meta_float(key) || w.meta_bool(key) ||
           w.meta_strings(key) || w.meta_ints(key) || w.meta_floats(key);
}

// A GGUF metadata value, null when absent; lists count as present.
json raw_value(const weights& w, std::string_view key) {
    if (const auto i = w.meta_int(key)) return *i;
    if (const auto f = w.meta_float(key)) return *f;
    if (const auto b = w.meta_bool(key)) return *b;
    if (const auto s = w.meta_string(key)) return std::string(*s);
    return has_raw(w, key) ? json::array() : json();
}

// A config.json value of any format, null when absent.
json config_value(const weights& w, std::string_view key) {
    rlx_meta meta{};
    meta.size = sizeof(meta);
    std::uint32_t found = 0;
    // The table takes the handle of an open checkpoint; reading does not change it.
    rlx_weights* handle = const_cast<weights&>(w).handle();
    if (rlx_error* failed = weights_table()->meta(handle, str(key), &meta, &found)) {
        host()->error_free(failed);
        return {};
    }
    if (!found) return {};
    switch (meta.kind) {
    case RLX_META_INT: return meta.i;
    case RLX_META_FLOAT: return meta.f;
    case RLX_META_BOOL: return meta.i != 0;
    case RLX_META_STRING: return std::string(view(meta.s));
    default: return json::array();
    }
}

// Whether a rule's comparison holds; nullopt for one this host does not know.
std::optional<bool> holds(const std::string& op, const json& value, const json& bound) {
    if (op == "present")
        return bound.is_boolean() ? std::optional(!value.is_null() == bound.get<bool>())
                                  : std::nullopt;
    if (op == "equals") return !value.is_null() && value == bound;
    if (op == "in") return bound.is_array() && std::ranges::find(bound, value) != bound.end();
    if (op != "gt" && op != "lt") return std::nullopt;
    if (!value.is_number() || !bound.is_number()) return false;
    return op == "gt" ? value.get<double>() > bound.get<double>()
                      : value.get<double>() < bound.get<double>();
}

// All comparisons of "when" must hold. A rule nobody here understands does not apply, and is
// logged.
bool applies(const json& when, const weights& w, std::string_view architecture) {
    if (!when.is_object()) return false;
    json value;
    bool keyed = false, all = true;
    for (const char* source : {"meta", "config"})
        if (const auto key = when.find(source); key != when.end() && key->is_string()) {
            const std::string name = fill_in(key->get<std::string>(), architecture);
            if (*source == 'm')
                value = w.format() == "gguf" ? raw_value(w, name) : json();
            else
                value = config_value(w, name);
            keyed = true;
        }
    for (const auto& [op, bound] : when.items()) {
        if (op == "meta" || op == "config") continue;
        const auto held = holds(op, value, bound);
        if (!held || !keyed) {
            log_warn(
                "facade",
                fmt::format("a manifest's 'unsupported' rule is not understood: {}", when.dump())
            );
            return false;
        }
        all &= *held;
    }
    return all && when.size() > 1;
}

void find_missing(check_report& report, const json& entry, const weights& w) {
    if (w.format() == "gguf")
        for (const std::string& key : report.family.entry->required_meta) {
            const std::string name = fill_in(key, w.stored_architecture());
            if (!has_raw(w, name)) report.missing.push_back(name);
        }
    const auto config = entry.find("required_config");
    if (config == entry.end() || !config->is_array()) return;
    for (const json& key : *config)
        if (key.is_string() && config_value(w, key.get<std::string>()).is_null())
            report.missing.push_back(key.get<std::string>());
}

bool find_rule(check_report& report, const json& entry, const weights& w) {
    const auto rules = entry.find("unsupported");
    if (rules == entry.end() || !rules->is_array()) return false;
    for (const json& rule : *rules) {
        if (!rule.is_object() || !applies(rule.value("when", json()), w, w.stored_architecture()))
            continue;
        const auto text = [&](const char* key) {
            const auto at = rule.find(key);
            return at != rule.end() && at->is_string() ? at->get<std::string>() : std::string();
        };
        report.milestone = text("milestone");
        report.note = text("note");
        return true;
    }
    return false;
}

} // namespace

result<check_report>
check_weights(const weights& w, const plugin_catalog& catalog, std::string_view family_name) {
    check_report report;
    report.architecture = w.architecture();
    if (report.architecture.empty()) {
        report.reason =
            "nothing says which architecture this is: no config.json lies beside the weights; "
            "give the path of one";
        return report;
    }
    auto family = find_family_of(catalog, w, family_name);
    if (!family) {
        if (!family_name.empty()) return std::move(family.error()).within(w.path().string());
        if (family.error().code != RLX_UNSUPPORTED) return family.error();
        report.reason = family.error().message;
        return report;
    }
    report.family = *family;
    const std::string& name = report.family.entry->name;
    const json entry = json::parse(report.family.entry->json, nullptr, false);
    find_missing(report, entry, w);
    if (find_rule(report, entry, w)) {
        report.status = check_report::state::known_unimplemented;
        report.reason = fmt::format(
            "family '{}' does not do this checkpoint: {}{}",
            name,
            report.note,
            report.milestone.empty() ? "" : " (planned: " + report.milestone + ")"
        );
    } else if (!report.missing.empty()) {
        report.status = check_report::state::missing_metadata;
        report.reason = fmt::format(
            "metadata that family '{}' needs are absent: {}", name, fmt::join(report.missing, ", ")
        );
    } else {
        report.status = check_report::state::supported;
    }
    return report;
}

result<void> require_supported(const check_report& report, const weights& w, bool text) {
    using enum check_report::state;
    const std::string where = w.path().string();
    switch (report.status) {
    case supported: return {};
    case unknown:
        return error{
            report.architecture.empty() ? std::uint32_t{RLX_MISSING_METADATA}
                                        : std::uint32_t{RLX_UNSUPPORTED},
            report.reason}
            .within(where);
    case known_unimplemented: return error{RLX_UNSUPPORTED, report.reason}.within(where);
    case missing_metadata: break;
    }
    const bool only_text = std::ranges::all_of(report.missing, [](const std::string& key) {
        return key.starts_with("tokenizer.");
    });
    if (only_text && !text) return {};
    return error{RLX_MISSING_METADATA, report.reason}.within(where);
}

} // namespace rlx
