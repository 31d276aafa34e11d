// SPDX-License-Identifier: GPL-3.0-only
// What hosts let pass in a manifest, because a later one may know it, and its author has to hear.
#include "checks.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string_view>

namespace conformance {
namespace {

using nlohmann::json;

constexpr std::string_view top_keys[] = {
    "rlx_manifest", "id", "version", "license", "abi", "platform", "requires", "provides"};
constexpr std::string_view abi_keys[] = {"major", "min_minor", "built_minor"};
constexpr std::string_view platform_keys[] = {"os", "arch", "isa"};
constexpr std::string_view requires_keys[] = {"interfaces", "sonames"};
constexpr std::string_view kinds[] = {
    "family", "backend", "op", "weight_format", "tensor_names", "command"};
constexpr std::string_view entry_keys[] = {
    "kind",
    "name",
    "summary",
    "priority",
    "task",
    "gguf_arches",
    "formats",
    "devices",
    "required_meta",
    "required_config",
    "isa",
    "flag_groups",
    "hf_model_types",
    "unsupported",
    "profile",
    "interface",
    "magic",
    "extensions",
    "arches",
    "implements"};

std::size_t edits(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); i++) {
        std::size_t corner = row[0]++;
        for (std::size_t j = 0; j < b.size(); j++) {
            const std::size_t replaced = corner + (a[i] != b[j]);
            corner = row[j + 1];
            row[j + 1] = std::min({replaced, corner + 1, row[j] + 1});
        }
    }
    return row.back();
}

class lint {
public:
    void
    keys_of(const json& object, const std::string& where, std::span<const std::string_view> known) {
        if (!object.is_object()) return;
        for (const auto& item : object.items()) {
            const std::string& key = item.key();
            if (std::ranges::find(known, key) != known.end()) continue;
            const auto meant = std::ranges::find_if(known, [&](std::string_view k) {
                return edits(key, k) <= 2 && k.size() > 3;
            });
            if (meant != known.end())
                throw failed{
                    where + " has \"" + key + "\", which nobody reads; is \"" +
                    std::string(*meant) + "\" meant?"};
            unread +=
                (unread.empty() ? "not read by this rlx: " : ", ") + where + " \"" + key + "\"";
        }
    }

    void entry(const json& e, const std::string& where) {
        const std::string kind = e.value("kind", ""), name = e.value("name", "");
        if (std::ranges::find(kinds, kind) == std::end(kinds))
            throw failed{
                where + " has the kind \"" + kind +
                "\", expected family, backend, op, weight_format, tensor_names or command"};
        const std::string both = kind + " '" + name + "'";
        if (std::ranges::find(seen_, both) != seen_.end())
            throw failed{where + " offers the " + both + " once more"};
        seen_.push_back(both);
        keys_of(e, where, entry_keys);
    }

    std::string unread;

private:
    std::vector<std::string> seen_;
};

} // namespace

std::string lint_manifest(const std::string& text) {
    const json doc = json::parse(text, nullptr, false);
    lint l;
    if (!doc.is_object()) return {};
    l.keys_of(doc, "the manifest", top_keys);
    l.keys_of(doc.value("abi", json::object()), "abi", abi_keys);
    l.keys_of(doc.value("platform", json::object()), "platform", platform_keys);
    l.keys_of(doc.value("requires", json::object()), "requires", requires_keys);
    int i = 0;
    for (const json& e : doc.value("provides", json::array()))
        l.entry(e, "provides[" + std::to_string(i++) + "]");
    return l.unread;
}

} // namespace conformance
