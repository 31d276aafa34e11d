// SPDX-License-Identifier: GPL-3.0-only
#include "load.hpp"
#include "rlx/base/utf8.hpp"
#include "rlx/formats/weights.hpp"
#include "rlx/loader/loader.hpp"
#include "scan.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <mutex>

namespace rlx {
namespace {

using match = plugin_catalog::match;

bool contains(const std::vector<std::string>& list, std::string_view what) {
    return std::ranges::find(list, what) != list.end();
}

// Architectures an entry claims for a format.
const std::vector<std::string>& arches(const provided& p, std::string_view format) {
    return format == "gguf" ? p.gguf_arches : p.hf_model_types;
}

// A plugin's format is seen by families as safetensors is.
bool reads(const provided& p, std::string_view format) {
    return p.formats.empty() || contains(p.formats, format) ||
           (format != "gguf" && contains(p.formats, "safetensors"));
}

bool handles(const provided& p, std::string_view format, std::string_view architecture) {
    return p.kind == "family" && reads(p, format) && contains(arches(p, format), architecture);
}

std::string owner_name(const match& m) {
    return fmt::format("{} ({})", m.owner->id, m.owner->library.native());
}

} // namespace

result<match> preferred(std::vector<match> found, std::string_view what) {
    std::ranges::stable_sort(found, [](const match& a, const match& b) {
        return a.entry->priority > b.entry->priority;
    });
    if (found.size() > 1 && found[0].entry->priority == found[1].entry->priority) {
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "{} is claimed with equal priority {} by {} and {}; remove one or give one another "
                "\"priority\" in its manifest{}",
                what,
                found[0].entry->priority,
                owner_name(found[0]),
                owner_name(found[1]),
                found[0].entry->kind == "family" ? " or name the family" : ""
            )};
    }
    return found[0];
}

namespace {

// What manifests name a checkpoint by: the pair with its class where one has that.
std::string claimed_as(const plugin_catalog& catalog, const weights& w) {
    const auto classes = w.meta_strings("architectures");
    std::string architecture(w.architecture());
    if (w.format() == "gguf" || !classes || classes->empty()) return architecture;
    std::string pair = fmt::format("{}/{}", architecture, classes->front());
    const auto found = catalog.find_family(w.format(), pair);
    return found || found.error().code != RLX_UNSUPPORTED ? pair : architecture;
}

} // namespace

result<match>
find_family_of(const plugin_catalog& catalog, const weights& w, std::string_view named) {
    const std::string claimed = claimed_as(catalog, w);
    if (named.empty()) return catalog.find_family(w.format(), claimed);
    std::vector<match> found = catalog.all("family");
    std::erase_if(found, [&](const match& m) {
        return m.entry->name != named || !handles(*m.entry, w.format(), claimed);
    });
    if (!found.empty()) return preferred(std::move(found), fmt::format("family '{}'", named));
    const match owner = RLX_TRY(catalog.find_family(w.format(), claimed));
    return error{
        RLX_UNSUPPORTED,
        fmt::format(
            "architecture '{}' belongs to family '{}', not '{}'",
            w.architecture(),
            owner.entry->name,
            named
        )};
}

namespace {

class catalog final : public plugin_catalog {
public:
    explicit catalog(loader::scan_result s) : scan_(std::move(s)) {}

    std::span<const manifest> manifests() const override { return scan_.manifests; }

    std::span<const candidate> candidates() const override { return scan_.candidates; }

    std::span<const std::filesystem::path> searched() const override { return scan_.searched; }

    result<match>
    find_family(std::string_view format, std::string_view architecture) const override {
        auto found = select([&](const provided& p) { return handles(p, format, architecture); });
        if (found.empty()) return no_family(format, architecture);
        return preferred(
            std::move(found), fmt::format("{} architecture '{}'", format, architecture)
        );
    }

    result<match> find(std::string_view kind, std::string_view name) const override {
        auto found = select([&](const provided& p) { return p.kind == kind && p.name == name; });
        if (!found.empty()) return preferred(std::move(found), fmt::format("{} '{}'", kind, name));
        std::vector<std::string_view> names;
        for (const auto& m : all(kind))
            names.emplace_back(m.entry->name);
        return error{
            RLX_NOT_FOUND,
            fmt::format(
                "no plugin provides the {} '{}'; known: {}; {}",
                kind,
                name,
                names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")),
                search_report()
            )};
    }

    std::vector<match> all(std::string_view kind) const override {
        auto found = select([&](const provided& p) { return p.kind == kind; });
        std::ranges::stable_sort(found, [](const match& a, const match& b) {
            if (a.entry->name != b.entry->name) return a.entry->name < b.entry->name;
            return a.entry->priority > b.entry->priority;
        });
        return found;
    }

    result<plugin*> load(const manifest& m) override {
        plugin* p = RLX_TRY(loader::load_plugin(m));
        std::lock_guard lock(mutex_);
        if (std::ranges::find(loaded_, &p->describe()) == loaded_.end()) {
            loaded_.push_back(&p->describe());
        }
        return p;
    }

    std::vector<const manifest*> loaded() const override {
        std::lock_guard lock(mutex_);
        return loaded_;
    }

private:
    template <class Predicate>
    std::vector<match> select(Predicate&& wanted) const {
        std::vector<match> found;
        for (const auto& m : scan_.manifests) {
            for (const auto& p : m.provides) {
                if (wanted(p)) found.push_back({&m, &p});
            }
        }
        return found;
    }

    error no_family(std::string_view format, std::string_view architecture) const {
        std::string known;
        std::string other;
        for (const auto& [owner, entry] : all("family")) {
            const auto& names = arches(*entry, format);
            known += fmt::format("{}{}", known.empty() ? "" : ", ", entry->name);
            if (!names.empty()) known += fmt::format(" ({})", fmt::join(names, " "));
            if (contains(entry->gguf_arches, architecture) ||
                contains(entry->hf_model_types, architecture)) {
                other = fmt::format("; {} knows it, but not in a {} file", entry->name, format);
            }
        }
        return {
            RLX_UNSUPPORTED,
            fmt::format(
                "no plugin handles {} architecture '{}'{}; known families: {}; {}",
                format,
                architecture,
                other,
                known.empty() ? "none" : known,
                search_report()
            )};
    }

    // Where was searched and what was refused, for errors.
    std::string search_report() const {
        std::string out = "searched: ";
        if (scan_.searched.empty()) out += "no directory";
        for (std::size_t i = 0; i < scan_.searched.size(); i++)
            out += fmt::format("{}{}", i ? ", " : "", scan_.searched[i].native());
        bool first = true;
        for (const auto& c : scan_.candidates) {
            if (c.status != "refused") continue;
            out += fmt::format(
                "{}{}: {}", first ? "; refused: " : "; ", printable(c.file.native(), 4096), c.reason
            );
            first = false;
        }
        return out;
    }

    loader::scan_result scan_;
    mutable std::mutex mutex_;
    std::vector<const manifest*> loaded_;
};

} // namespace

result<std::unique_ptr<plugin_catalog>> plugin_catalog::open(const search_options& options) {
    return std::unique_ptr<plugin_catalog>(std::make_unique<catalog>(loader::scan(options)));
}

} // namespace rlx
