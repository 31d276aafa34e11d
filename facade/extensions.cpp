// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/extensions.hpp"

#include "rlx/abi/tensor_names.h"
#include "rlx/base/wall.hpp"
#include "rlx/services.hpp"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <fmt/format.h>

namespace rlx {
namespace {

using match = plugin_catalog::match;

bool contains(const std::vector<std::string>& list, std::string_view what) {
    return std::ranges::find(list, what) != list.end();
}

std::string who(const match& m) {
    return fmt::format("plugin {} {}", m.owner->id, m.owner->version);
}

// A plugin's interface, and the place in it that describes itself with the manifest entry's name.
template <class Table>
struct found_item {
    const Table* table;
    void* self;
    std::uint32_t index;
};

template <class Table>
result<found_item<Table>>
load_item(plugin_catalog& catalog, const match& m, std::string_view interface) {
    offer_services();
    plugin* p = RLX_TRY(catalog.load(*m.owner));
    found_item<Table> out{
        static_cast<const Table*>(RLX_TRY(p->iface(interface))), p->table().self, 0};
    if (!RLX_HAS(out.table, count) || !RLX_HAS(out.table, describe))
        return error{
            RLX_VERSION_MISMATCH,
            fmt::format("{}: its {} lacks count or describe", who(m), interface)};
    const std::uint32_t n = out.table->count(out.self);
    for (; out.index < n; out.index++) {
        rlx_item item{};
        item.size = sizeof item;
        RLX_CHECK(check_wall(out.table->describe(out.self, out.index, &item)).within(who(m)));
        if (view(item.name) == m.entry->name) return out;
    }
    return error{
        RLX_NOT_FOUND,
        fmt::format(
            "{}: its manifest promises the {} '{}', its code has none of that name",
            who(m),
            m.entry->kind,
            m.entry->name
        )};
}

bool has_magic(const provided& p, std::span<const std::byte> head) {
    return std::ranges::any_of(p.magic, [&](const std::string& m) {
        return m.size() <= head.size() && std::memcmp(m.data(), head.data(), m.size()) == 0;
    });
}

bool has_extension(const provided& p, const std::filesystem::path& file) {
    std::string name = file.filename().string();
    std::ranges::transform(name, name.begin(), [](unsigned char c) {
        return static_cast<char>(std::tolower(c));
    });
    return std::ranges::any_of(p.extensions, [&](const std::string& e) {
        return name.ends_with(e);
    });
}

result<std::optional<weight_format>> find_format(
    plugin_catalog& catalog, const std::filesystem::path& file, std::span<const std::byte> head
) {
    std::vector<match> by_magic, by_name;
    for (const match& m : catalog.all("weight_format")) {
        if (has_magic(*m.entry, head)) by_magic.push_back(m);
        if (has_extension(*m.entry, file)) by_name.push_back(m);
    }
    auto& found = by_magic.empty() ? by_name : by_magic;
    if (found.empty()) return std::optional<weight_format>();
    const match m =
        RLX_TRY(preferred(std::move(found), fmt::format("the format of {}", file.string())));
    const auto item = RLX_TRY(
        load_item<rlx_weight_format_v1>(catalog, m, "rlx.weight_format/1").within(file.string())
    );
    return std::optional<weight_format>(weight_format{
        m.entry->name, item.table, item.self, item.index});
}

result<tensor_names> read_rules(
    const found_item<rlx_tensor_names_v1>& item,
    const match& m,
    std::string_view format,
    std::string_view architecture
) {
    tensor_names out;
    out.architecture = m.entry->implements;
    const rlx_name_rule* rules = nullptr;
    std::uint64_t n = 0, stride = 0;
    if (!RLX_HAS(item.table, rules))
        return error{
            RLX_VERSION_MISMATCH, fmt::format("{}: its rlx.tensor_names/1 lacks rules", who(m))};
    RLX_CHECK(
        check_wall(item.table->rules(
                       item.self, item.index, str(architecture), str(format), &rules, &n, &stride
                   ))
            .within(who(m))
    );
    constexpr std::uint64_t smallest = offsetof(rlx_name_rule, param) + sizeof(rlx_str);
    if (n > 100'000 || (n && (!rules || stride < smallest)))
        return error{
            RLX_INTERNAL,
            fmt::format(
                "{}: {} name rules of {} bytes, expected at least {}", who(m), n, stride, smallest
            )};
    for (std::uint64_t i = 0; i < n; i++) {
        rlx_name_rule r{};
        std::memcpy(&r, reinterpret_cast<const std::byte*>(rules) + i * stride, smallest);
        out.rules.push_back(
            {std::string(view(r.hf)),
             std::string(view(r.gguf)),
             r.transform,
             std::string(view(r.param))}
        );
    }
    return out;
}

result<tensor_names>
find_names(plugin_catalog& catalog, std::string_view format, std::string_view architecture) {
    std::vector<match> found;
    for (const match& m : catalog.all("tensor_names"))
        if (contains(m.entry->arches, architecture) &&
            (m.entry->formats.empty() || contains(m.entry->formats, format)))
            found.push_back(m);
    if (found.empty()) return tensor_names{};
    const match m = RLX_TRY(preferred(
        std::move(found), fmt::format("tensor names of {} architecture '{}'", format, architecture)
    ));
    const auto item = RLX_TRY(load_item<rlx_tensor_names_v1>(catalog, m, "rlx.tensor_names/1"));
    return read_rules(item, m, format, architecture);
}

} // namespace

open_options with_plugins(open_options options, plugin_catalog& catalog) {
    options.find_format = [&catalog](const auto& file, std::span<const std::byte> head) {
        return find_format(catalog, file, head);
    };
    options.find_names = [&catalog](std::string_view format, std::string_view architecture) {
        return find_names(catalog, format, architecture);
    };
    return options;
}

custom_op_finder op_finder(plugin_catalog& catalog) {
    return [&catalog](std::string_view name) -> result<custom_op> {
        auto m = catalog.find("op", name);
        if (!m) {
            error e = std::move(m.error());
            if (e.code == RLX_NOT_FOUND) e.code = RLX_UNSUPPORTED;
            return e;
        }
        offer_services();
        plugin* p = RLX_TRY(catalog.load(*m->owner));
        const auto* table = static_cast<const rlx_op_v1*>(RLX_TRY(p->iface("rlx.op/1")));
        return custom_op_of(table, p->table().self, name, who(*m));
    };
}

std::vector<std::pair<std::string, std::string>> format_extensions(const plugin_catalog& catalog) {
    std::vector<std::pair<std::string, std::string>> out;
    for (const match& m : catalog.all("weight_format"))
        for (const std::string& e : m.entry->extensions)
            out.emplace_back(e, m.entry->name);
    return out;
}

} // namespace rlx
