// SPDX-License-Identifier: GPL-3.0-only
// Reading <family>.rlx.toml. What the values do: apply_profile() at the end.
#include "rlx/profile.hpp"

#include "rlx/base/mmap.hpp"
#include "rlx/base/utf8.hpp"

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
// toml++ 3.3 asserts (and lets clang assume) what a hostile file can break, where going on would
// end in an ordinary parse error: "[\xff" for one. No asserts, no assumptions.
#include <toml++/impl/preprocessor.h>
#undef TOML_ASSERT
#undef TOML_ASSUME
#undef TOML_ASSERT_ASSUME
#define TOML_ASSERT(expr) static_assert(true)
#define TOML_ASSUME(...) static_assert(true)
#define TOML_ASSERT_ASSUME(expr) static_assert(true)
#include <toml++/toml.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <system_error>

namespace rlx {
namespace {

constexpr std::uint64_t max_file = 1 << 20;

// Backends the field has profiles for; a section of one that is not here has no effect.
constexpr std::string_view field_backends[] = {
    "cpu", "cuda", "metal", "mlx", "rocm", "tpu", "vulkan", "wgpu"};

int line_of(const toml::source_region& region) {
    return static_cast<int>(region.begin.line);
}

// One table of the file, read key by key; what was not read is unknown.
class section {
public:
    section(const toml::table* table, std::string name, const std::string& file)
        : table_(table), name_(std::move(name)), file_(file) {}

    result<void> flag(std::string_view key, profile_value<bool>& out) {
        const toml::node* node = take(key);
        if (!node) return {};
        const auto* value = node->as_boolean();
        if (!value) return wrong(*node, key, "true or false");
        out = {value->get(), line_of(node->source())};
        return {};
    }

    result<void> flag(std::string_view key, bool& out) {
        profile_value<bool> value{out};
        RLX_CHECK(flag(key, value));
        out = value.value;
        return {};
    }

    result<void> word(
        std::string_view key,
        profile_value<std::string>& out,
        const std::vector<std::string>& allowed
    ) {
        const toml::node* node = take(key);
        if (!node) return {};
        const std::string expected = fmt::format("\"{}\"", fmt::join(allowed, "\" or \""));
        const auto* value = node->as_string();
        if (!value) return wrong(*node, key, expected);
        if (std::ranges::find(allowed, value->get()) == allowed.end())
            return error{
                RLX_CORRUPT_DATA,
                fmt::format(
                    "{}:{}: {} is \"{}\", expected {}",
                    file_,
                    line_of(node->source()),
                    path(key),
                    printable(value->get()),
                    expected
                )};
        out = {value->get(), line_of(node->source())};
        return {};
    }

    result<const toml::table*> table(std::string_view key) {
        const toml::node* node = take(key);
        if (!node) return nullptr;
        if (!node->is_table()) return wrong(*node, key, "a table");
        return node->as_table();
    }

    // RLX_CORRUPT_DATA for the first key that nobody read, with those that exist.
    result<void> finish() const {
        if (!table_) return {};
        for (const auto& [key, node] : *table_) {
            if (std::ranges::find(known_, key.str()) != known_.end()) continue;
            return error{
                RLX_CORRUPT_DATA,
                fmt::format(
                    "{}:{}: unknown key '{}', expected one of {}",
                    file_,
                    line_of(key.source()),
                    printable(path(key.str())),
                    fmt::join(known_, ", ")
                )};
        }
        return {};
    }

private:
    const toml::node* take(std::string_view key) {
        known_.emplace_back(key);
        return table_ ? table_->get(key) : nullptr;
    }

    std::string path(std::string_view key) const {
        return name_.empty() ? std::string(key) : fmt::format("{}.{}", name_, key);
    }

    error wrong(const toml::node& node, std::string_view key, std::string_view expected) const {
        std::string kind = "a value of another kind";
        if (node.is_table())
            kind = "a table";
        else if (node.is_string())
            kind = "a string";
        else if (node.is_boolean())
            kind = "a boolean";
        else if (node.is_number())
            kind = "a number";
        else if (node.is_array())
            kind = "an array";
        return {
            RLX_CORRUPT_DATA,
            fmt::format(
                "{}:{}: {} is {}, expected {}",
                file_,
                line_of(node.source()),
                path(key),
                kind,
                expected
            )};
    }

    const toml::table* table_;
    std::string name_;
    const std::string& file_;
    std::vector<std::string> known_;
};

// Backends that a profile may name: those of the field and `more`.
std::vector<std::string> backend_names(std::span<const std::string> more) {
    std::vector<std::string> names(std::begin(field_backends), std::end(field_backends));
    for (const std::string& name : more)
        if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    std::ranges::sort(names);
    return names;
}

result<void> read_fusion(section s, std::vector<std::string> backends, compile_profile& p) {
    RLX_CHECK(s.word("policy", p.policy, {"direct", "fusable"}));
    backends.insert(backends.begin(), "auto");
    RLX_CHECK(s.word("target", p.target, backends));
    RLX_CHECK(s.flag("assert_clean", p.assert_clean));
    RLX_CHECK(s.flag("skip", p.skip));
    return s.finish();
}

result<void> read_passes(section s, compile_profile& p) {
    RLX_CHECK(s.flag("dce", p.dce));
    RLX_CHECK(s.flag("constant_folding", p.constant_folding));
    RLX_CHECK(s.flag("verbose", p.verbose));
    return s.finish();
}

result<void> read_precision(section s, compile_profile& p) {
    RLX_CHECK(s.word("compute", p.compute, {"f32", "f16", "bf16"}));
    RLX_CHECK(s.word("mixed", p.mixed, {"none", "auto"}));
    return s.finish();
}

result<void> read_infer(section s, compile_profile& p) {
    RLX_CHECK(s.word("mode", p.mode, {"production", "parity"}));
    return s.finish();
}

result<void>
read_backends(const toml::table* table, const std::vector<std::string>& names, compile_profile& p) {
    section all(table, "backend", p.source);
    for (const std::string& name : names) {
        const toml::table* t = RLX_TRY(all.table(name));
        if (!t) continue;
        section s(t, "backend." + name, p.source);
        compile_profile::backend_section& out = p.backends[name];
        RLX_CHECK(s.flag("skip_fusion", out.skip_fusion));
        RLX_CHECK(s.flag("unfuse_regions", out.unfuse_regions));
        RLX_CHECK(s.finish());
    }
    return all.finish();
}

error contradiction(
    const compile_profile& p, int line, std::string_view asked, std::string_view against
) {
    return {
        RLX_CORRUPT_DATA, fmt::format("{}:{}: {} contradicts {}", p.source, line, asked, against)};
}

// Pairs of values that cannot both be done.
result<void> check_together(const compile_profile& p) {
    if (p.assert_clean.value && p.skip.value)
        return contradiction(
            p,
            p.assert_clean.line,
            "fusion.assert_clean",
            "fusion.skip: every composite is decomposed"
        );
    if (p.assert_clean.value && p.policy.value == "fusable")
        return contradiction(
            p,
            p.assert_clean.line,
            "fusion.assert_clean",
            "fusion.policy = \"fusable\": every composite is decomposed"
        );
    if (p.mode.value != "parity") return {};
    if (p.compute.given() && p.compute.value != "f32")
        return contradiction(
            p, p.compute.line, "precision.compute", "infer.mode = \"parity\", which computes in f32"
        );
    if (p.mixed.value == "auto")
        return contradiction(
            p, p.mixed.line, "precision.mixed", "infer.mode = \"parity\", which computes in f32"
        );
    return {};
}

// The file a family's manifest names, by default <family>.rlx.toml.
result<std::string> profile_name(const provided& family) {
    const auto doc = nlohmann::json::parse(family.json, nullptr, false);
    if (!doc.is_object() || !doc.contains("profile")) return family.name + ".rlx.toml";
    const auto& name = doc["profile"];
    const std::string text = name.is_string() ? name.get<std::string>() : std::string();
    if (text.empty() || text.starts_with('.') || text.find('/') != text.npos)
        return error{
            RLX_CORRUPT_DATA,
            fmt::format("manifest of family '{}': \"profile\" is no plain file name", family.name)};
    return text;
}

result<compile_profile>
load_profile(const std::filesystem::path& file, const plugin_catalog& catalog) {
    std::vector<std::string> backends;
    for (const auto& m : catalog.all("backend"))
        backends.push_back(m.entry->name);
    const std::string text = RLX_TRY(read_text_file(file, max_file).within("compile profile"));
    return parse_profile(text, file.string(), backends);
}

} // namespace

result<compile_profile>
parse_profile(std::string_view text, std::string file, std::span<const std::string> backends) {
    const toml::parse_result parsed = toml::parse(text, file);
    if (!parsed)
        return error{
            RLX_CORRUPT_DATA,
            fmt::format(
                "{}:{}: {}",
                file,
                line_of(parsed.error().source()),
                printable(parsed.error().description(), 512)
            )};
    compile_profile p;
    p.source = std::move(file);
    section root(&parsed.table(), "", p.source);
    const auto part = [&](std::string_view name) -> result<section> {
        return section(RLX_TRY(root.table(name)), std::string(name), p.source);
    };
    const std::vector<std::string> names = backend_names(backends);
    RLX_CHECK(read_fusion(RLX_TRY(part("fusion")), names, p));
    RLX_CHECK(read_passes(RLX_TRY(part("passes")), p));
    RLX_CHECK(read_precision(RLX_TRY(part("precision")), p));
    RLX_CHECK(read_backends(RLX_TRY(root.table("backend")), names, p));
    RLX_CHECK(read_infer(RLX_TRY(part("infer")), p));
    RLX_CHECK(root.finish());
    RLX_CHECK(check_together(p));
    return p;
}

compile_profile preset_profile(std::string_view task) {
    compile_profile p;
    p.source = fmt::format("preset {}", task.empty() ? "default" : task);
    return p;
}

result<compile_profile> find_profile(
    const provided& family,
    const std::filesystem::path& weights,
    std::string_view choice,
    const plugin_catalog& catalog
) {
    if (choice == "none") return preset_profile(family.task);
    if (!choice.empty()) return load_profile(choice, catalog);
    std::error_code ec;
    const bool folder = std::filesystem::is_directory(weights, ec);
    const std::filesystem::path file =
        (folder ? weights : weights.parent_path()) / RLX_TRY(profile_name(family));
    // Only "not there" means the preset; what cannot be looked at is reported by the reading.
    if (std::filesystem::symlink_status(file, ec).type() == std::filesystem::file_type::not_found)
        return preset_profile(family.task);
    result<compile_profile> found = load_profile(file, catalog);
    // Nobody gave this file as an argument: a directory or a pipe of its name is a bad input file.
    if (!found.ok() && found.error().code == RLX_INVALID_ARGUMENT)
        found.error().code = RLX_CORRUPT_DATA;
    return found;
}

result<void> apply_profile(
    const compile_profile& p,
    std::string_view device,
    const explicit_choices& given,
    lm_options& options
) {
    if (p.target.value != "auto" && p.target.value != device)
        return error{
            RLX_UNSUPPORTED,
            fmt::format(
                "{}:{}: fusion.target is \"{}\" but the device is '{}': the rules of another "
                "backend cannot be tried on it; allowed are \"auto\" and \"{}\"",
                p.source,
                p.target.line,
                printable(p.target.value),
                device,
                device
            )};
    const auto at = p.backends.find(std::string(device));
    const auto own = at == p.backends.end() ? compile_profile::backend_section{} : at->second;
    options.finish = {
        .dce = p.dce.value,
        .fold = p.constant_folding.value,
        .composites = p.policy.value == "direct" && !p.skip.value && !own.unfuse_regions,
        .assert_whole = p.assert_clean.value,
        .verbose = p.verbose.value};
    options.fuse = !p.skip.value && !own.skip_fusion;
    options.infer_mode = p.mode.value;
    options.profile = p.source;
    const bool parity = p.mode.value == "parity";
    if (!given.kv && parity) options.kv = "f32";
    if (given.compute) return {};
    if (p.compute.value == "f16" || p.compute.value == "bf16")
        options.compute = p.compute.value;
    else if (p.mixed.value == "auto")
        options.compute = "auto";
    else if (p.compute.given() || p.mixed.given() || parity)
        options.compute = "f32";
    return {};
}

} // namespace rlx
