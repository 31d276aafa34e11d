// SPDX-License-Identifier: GPL-3.0-only
// A catalog of plugins that exist only in the test, and a writer of small GGUF files.
#pragma once

#include "fake_lm.hpp"
#include "rlx/loader/loader.hpp"

#include <filesystem>
#include <list>
#include <variant>

namespace rlx::test {

// One plugin with the fake family "fake" (GGUF architecture "fake") and the fake backend "cpu".
class fake_catalog final : public plugin_catalog {
public:
    explicit fake_catalog(fake_lm& lm);
    ~fake_catalog() override;

    std::span<const rlx::manifest> manifests() const override { return manifests_; }

    std::span<const candidate> candidates() const override { return {}; }

    std::span<const std::filesystem::path> searched() const override { return {}; }

    result<match>
    find_family(std::string_view format, std::string_view architecture) const override;
    result<match> find(std::string_view kind, std::string_view name) const override;
    std::vector<match> all(std::string_view kind) const override;
    result<plugin*> load(const rlx::manifest& m) override;

    std::vector<const rlx::manifest*> loaded() const override { return loaded_; }

    rlx::manifest& family() { return manifests_[0]; }

    rlx::manifest& backend() { return manifests_[1]; }

    // One more, like the first. Before anything is loaded.
    void add_backend(std::string name, std::int64_t priority);
    // A plugin in "/fake/<id>.so" with rules for names of the architecture "fake".
    void add_names(const std::string& id, std::int64_t priority);

private:
    class fake_plugin;

    fake_lm& lm_;
    std::vector<rlx::manifest> manifests_;
    std::vector<const rlx::manifest*> loaded_;
    std::list<fake_plugin> plugins_;
};

using gguf_value = std::variant<std::uint32_t, float, bool, std::string>;

// A temporary GGUF file without tensors, removed by the destructor.
class gguf_file {
public:
    explicit gguf_file(const std::vector<std::pair<std::string, gguf_value>>& metadata);
    gguf_file(const gguf_file&) = delete;
    ~gguf_file();

    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

} // namespace rlx::test
