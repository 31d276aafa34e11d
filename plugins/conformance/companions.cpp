// SPDX-License-Identifier: GPL-3.0-only
#include "companions.hpp"

#include "rlx/formats/weights.hpp"
#include "rlx/graph/graph.hpp"
#include "rlx/services.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace conformance {
namespace {

namespace fs = std::filesystem;
using rlx::error;
using rlx::manifest;
using rlx::plugin_catalog;
using rlx::result;

// The loader's catalog of the files' folders, without the files that nobody named.
class companions final : public plugin_catalog {
public:
    companions(std::unique_ptr<plugin_catalog> folders, std::vector<const manifest*> named)
        : folders_(std::move(folders)), named_(std::move(named)) {}

    std::span<const manifest> manifests() const override { return folders_->manifests(); }

    std::span<const rlx::candidate> candidates() const override { return folders_->candidates(); }

    std::span<const fs::path> searched() const override { return folders_->searched(); }

    result<match> find_family(std::string_view, std::string_view) const override {
        return error{RLX_UNSUPPORTED, "plugins of --with are asked for ops alone"};
    }

    result<match> find(std::string_view kind, std::string_view name) const override {
        std::vector<match> found = all(kind);
        std::string known;
        for (const match& m : found)
            known += fmt::format("{}{}", known.empty() ? "" : ", ", m.entry->name);
        std::erase_if(found, [&](const match& m) { return m.entry->name != name; });
        if (!found.empty()) return preferred(std::move(found), fmt::format("{} '{}'", kind, name));
        return error{
            RLX_NOT_FOUND,
            fmt::format(
                "it needs the {} '{}' of another plugin; name that one with --with PLUGIN.so{}",
                kind,
                name,
                known.empty() ? "" : "; those named provide " + known
            )};
    }

    std::vector<match> all(std::string_view kind) const override {
        std::vector<match> found = folders_->all(kind);
        std::erase_if(found, [&](const match& m) {
            return std::ranges::find(named_, m.owner) == named_.end();
        });
        return found;
    }

    result<rlx::plugin*> load(const manifest& m) override { return folders_->load(m); }

    std::vector<const manifest*> loaded() const override { return folders_->loaded(); }

private:
    std::unique_ptr<plugin_catalog> folders_;
    std::vector<const manifest*> named_;
};

bool same_file(const fs::path& a, const fs::path& b) {
    std::error_code code;
    return fs::equivalent(a, b, code);
}

result<const manifest*>
named_by(const plugin_catalog& folders, const fs::path& file, const manifest& checked) {
    for (const manifest& m : folders.manifests()) {
        if (!same_file(m.library, file)) continue;
        if (m.id == checked.id)
            return error{RLX_INVALID_ARGUMENT, "it is the plugin that is checked"};
        if (std::ranges::none_of(m.provides, [](const auto& p) { return p.kind == "op"; }))
            return error{RLX_INVALID_ARGUMENT, "it provides no op"};
        return &m;
    }
    for (const rlx::candidate& c : folders.candidates())
        if (same_file(c.file, file) || same_file(c.file, file.parent_path()))
            return error{RLX_INVALID_ARGUMENT, c.reason};
    return error{RLX_INVALID_ARGUMENT, "it is no file whose name ends in .so"};
}

} // namespace

result<std::unique_ptr<plugin_catalog>>
open_companions(const std::vector<fs::path>& files, const manifest& checked) {
    rlx::search_options options{
        .use_environment = false, .use_defaults = false, .use_index = false};
    for (const fs::path& file : files)
        options.plugin_dirs.push_back(file.parent_path());
    auto folders = RLX_TRY(plugin_catalog::open(options));
    std::vector<const manifest*> named;
    for (const fs::path& file : files)
        named.push_back(RLX_TRY(named_by(*folders, file, checked).within("--with " + file.native()))
        );
    return std::unique_ptr<plugin_catalog>(
        std::make_unique<companions>(std::move(folders), std::move(named))
    );
}

} // namespace conformance

// What this host has for the plugins that op_finder loads.
void rlx::offer_services() {
    graph_table();
    weights_table();
}
