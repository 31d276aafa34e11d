// SPDX-License-Identifier: GPL-3.0-only
// For the families' own tests: a fixture's config with one change, opened by the family through its
// entry point, and the error it gives.
#pragma once

#include "files.hpp"

#include "rlx/abi/family.h"
#include "rlx/base/wall.hpp"
#include "rlx/formats/weights.hpp"
#include "rlx/graph/graph.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace rlx::test {

// The linked-in family plugin.
class family_plugin {
public:
    explicit family_plugin(rlx_plugin_entry_fn entry) {
        table_.hdr.size = sizeof table_;
        if (rlx_error* e = entry(host(), &table_)) throw std::runtime_error(from_wall(e).message);
        family_ =
            static_cast<const rlx_family_v1*>(table_.iface(table_.self, str("rlx.family/1"), 0));
        if (family_ == nullptr) throw std::runtime_error("no rlx.family/1");
    }

    // Opens the checkpoint and builds the "lm" graph, as the runtime does; the dump of what was
    // built.
    result<std::string>
    build(const std::filesystem::path& path, std::string_view graph_name) const {
        const auto w = RLX_TRY(weights::open(path));
        const auto g = graph::create(w.get()); // first: it offers rlx.graph/1 to the plugin
        void* model = nullptr;
        RLX_CHECK(check_wall(family_->open(table_.self, w->handle(), nullptr, &model)));
        result<void> built = declare(*g);
        if (built.ok()) {
            built = check_wall(family_->build(table_.self, model, str(graph_name), g->handle()));
        }
        family_->close(table_.self, model);
        RLX_CHECK(built);
        RLX_CHECK(g->verify());
        return g->dump();
    }

private:
    // The inputs that rlx/abi/family.h promises.
    static result<void> declare(graph& g) {
        const rlx_graph_v1& t = *graph_table();
        std::int64_t T = 0, B = 0, P = 0, R = 0, B1 = 0;
        RLX_CHECK(check_wall(t.symbol(g.handle(), str("T"), 1, 64, 1, &T)));
        RLX_CHECK(check_wall(t.symbol(g.handle(), str("B"), 1, 4, 1, &B)));
        RLX_CHECK(check_wall(t.symbol(g.handle(), str("P"), 1, 8, 1, &P)));
        RLX_CHECK(check_wall(t.symbol(g.handle(), str("R"), 1, 64, 1, &R)));
        RLX_CHECK(check_wall(t.dim_op(g.handle(), RLX_DIM_ADD, B, 1, &B1)));
        const std::pair<const char*, std::vector<std::int64_t>> inputs[] = {
            {"tokens", {T}},
            {"positions", {T}},
            {"lengths", {T}},
            {"slots", {T}},
            {"cu_seqlens", {B1}},
            {"kv_lengths", {B}},
            {"block_table", {B, P}},
            {"rows", {R}},
        };
        for (const auto& [name, dims] : inputs) {
            rlx_value v = 0;
            const auto rank = static_cast<std::uint32_t>(dims.size());
            RLX_CHECK(check_wall(t.input(g.handle(), str(name), RLX_I32, rank, dims.data(), &v)));
        }
        return {};
    }

    rlx_plugin table_{};
    const rlx_family_v1* family_ = nullptr;
};

// One wrong config: an RFC 7386 merge patch of the fixture's config.json (null removes a key), and
// what the error must say.
struct bad_config {
    std::string name; // of the test
    std::string fixture;
    std::string patch;
    std::uint32_t code;
    std::vector<std::string> says;
};

inline void PrintTo(const bad_config& b, std::ostream* out) {
    *out << b.fixture << " with " << b.patch;
}

inline result<std::string> build_patched(
    const family_plugin& family, const std::filesystem::path& goldens, const bad_config& b
) {
    hf_checkpoint files = hf_checkpoint::read(goldens / "lm" / b.fixture / "hf");
    files.config.merge_patch(nlohmann::json::parse(b.patch));
    const scratch_dir scratch;
    files.write(scratch.path());
    return family.build(scratch.path(), RLX_GRAPH_LM);
}

// Every value of the fixture's config (nested ones too) replaced by hostile ones, one at a time:
// the family must build a graph or give an error with a text. Returns how many were refused.
inline std::size_t build_hostile(
    const family_plugin& family, const std::filesystem::path& goldens, std::string_view name
) {
    const hf_checkpoint original = hf_checkpoint::read(goldens / "lm" / name / "hf");
    const nlohmann::json values = {
        nullptr,
        true,
        -1,
        0,
        1,
        3,
        4611686018427387904,
        1e300,
        -0.5,
        "",
        "x",
        {1, "y"},
        {{"a", 1}}};
    const nlohmann::json flat = original.config.flatten();
    std::size_t refused = 0;
    for (const auto& [pointer, ignored] : flat.items()) {
        for (const auto& value : values) {
            hf_checkpoint files = original;
            files.config[nlohmann::json::json_pointer(pointer)] = value;
            const scratch_dir scratch;
            files.write(scratch.path());
            const auto built = family.build(scratch.path(), RLX_GRAPH_LM);
            if (built.ok()) continue;
            if (built.error().message.empty() || built.error().code == RLX_INTERNAL ||
                built.error().code == RLX_PLUGIN_THREW) {
                throw std::runtime_error(
                    pointer + " = " + value.dump() + ": " + built.error().message
                );
            }
            ++refused;
        }
    }
    return refused;
}

} // namespace rlx::test
