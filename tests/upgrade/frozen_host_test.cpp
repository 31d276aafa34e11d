// SPDX-License-Identifier: GPL-3.0-only
// Today's plugins on a host of ABI 1.0.
#include "chain.hpp"
#include "frozen_host.hpp"

#include "rlx/graph/graph.hpp"

#include <fstream>

namespace rlx::test {
namespace {

std::vector<std::string> words(const char* list) {
    std::vector<std::string> out;
    std::string word;
    for (const char c : std::string(list) + ":") {
        if (c != ':') {
            word += c;
        } else if (!word.empty()) {
            out.push_back(std::exchange(word, {}));
        }
    }
    return out;
}

frozen_host::plugin load(const std::string& file) {
    graph_table(); // the real host offers all its services first
    weights_table();
    frozen_host::plugin p;
    const std::string why = frozen_host::load(file.c_str(), host(), p);
    EXPECT_EQ(why, "") << file;
    return p;
}

table family(const std::string& name) {
    const auto p = load(std::string(RLX_PLUGIN_DIR) + "/rlx-" + name + ".so");
    return {frozen_host::family(p), p.self};
}

table cpu() {
    const auto p = load(std::string(RLX_PLUGIN_DIR) + "/rlx-cpu.so");
    return {frozen_host::backend(p), p.self};
}

TEST(frozen_host, offers_tables_of_the_frozen_size_and_minor) {
    const auto* h =
        static_cast<const rlx_host*>(frozen_host::host((graph_table(), weights_table(), host())));
    const auto sizes = frozen_host::frozen_sizes();
    EXPECT_EQ(h->hdr.size, sizes.host);
    EXPECT_EQ(h->hdr.minor, 0);

    const struct {
        const char* name;
        std::uint32_t size;
    } services[] = {
        {"rlx.weights/1", sizes.weights},
        {"rlx.graph/1", sizes.graph},
        {"rlx.options/1", sizes.options},
        {"rlx.par/1", sizes.par}};

    for (const auto& s : services) {
        const auto* hdr = static_cast<const rlx_hdr*>(h->iface(h->ctx, str(s.name), 0));
        ASSERT_NE(hdr, nullptr) << s.name;
        EXPECT_EQ(hdr->size, s.size) << s.name;
        EXPECT_EQ(hdr->minor, 0) << s.name;
        EXPECT_EQ(h->iface(h->ctx, str(s.name), 1), nullptr) << s.name;
    }
    for (const char* later : {"rlx.cli/1", "rlx.op/1", "rlx.weight_format/1", "rlx.weights/2", ""})
        EXPECT_EQ(h->iface(h->ctx, str(later), 0), nullptr) << later;
}

TEST(frozen_host, refuses_ops_and_attributes_of_later_date) {
    const auto* h =
        static_cast<const rlx_host*>(frozen_host::host((graph_table(), weights_table(), host())));
    const auto* t = static_cast<const rlx_graph_v1*>(h->iface(h->ctx, str("rlx.graph/1"), 0));
    const auto refused_before = frozen_host::ops_refused();
    const auto g = graph::create(nullptr);
    const std::int64_t four = 4;
    rlx_value x = 0, y = 0;
    ASSERT_TRUE(check_wall(t->input(g->handle(), str("x"), RLX_F32, 1, &four, &x)).ok());
    rlx_attr kind{RLX_ATTR_kind, RLX_ATTR_I64, 1, RLX_UNARY_NEG, 0, nullptr, 0};
    EXPECT_TRUE(check_wall(t->add(g->handle(), RLX_OP_Unary, &x, 1, &kind, 1, &y, 1)).ok());
    for (const std::uint32_t op : {5U, 7U, 2000U}) {
        const auto r = check_wall(t->add(g->handle(), op, &x, 1, &kind, 1, &y, 1));
        ASSERT_FALSE(r.ok()) << op;
        EXPECT_NE(r.error().message.find("op set of ABI 1.0"), std::string::npos);
    }
    kind.key = 999;
    EXPECT_FALSE(check_wall(t->add(g->handle(), RLX_OP_Unary, &x, 1, &kind, 1, &y, 1)).ok());
    EXPECT_EQ(frozen_host::ops_refused(), refused_before + 4);
}

TEST(frozen_host, runs_todays_families_on_todays_cpu_backend) {
    const auto refused_before = frozen_host::ops_refused();
    const table backend = cpu();
    ASSERT_NE(backend.iface, nullptr);
    const table llama = family("llama32");
    ASSERT_NE(llama.iface, nullptr);
    for (const char* name : {"llama-default", "llama-yarn", "qwen2-tied"})
        expect_golden(name, llama, backend);
    const table qwen = family("qwen3");
    for (const char* name : {"qwen3-dense", "qwen3-sliding", "qwen3moe-normalised"})
        expect_golden(name, qwen, backend);
    EXPECT_EQ(frozen_host::ops_refused(), refused_before);
}

std::string manifest_of(const std::string& library) {
    std::ifstream in(library + ".rlx.json");
    return {std::istreambuf_iterator<char>(in), {}};
}

// A plugin that needs more than 1.0 says so in its manifest; every other one starts here.
TEST(frozen_host, starts_every_plugin_of_this_build_that_does_not_ask_for_more) {
    int started = 0;
    for (const std::string& file : words(RLX_ALL_PLUGINS)) {
        const auto doc = nlohmann::json::parse(manifest_of(file));
        frozen_host::plugin p;
        const std::string why =
            frozen_host::load(file.c_str(), (graph_table(), weights_table(), host()), p);
        if (doc["abi"]["min_minor"] != 0) {
            EXPECT_NE(why.find("ABI 1."), std::string::npos)
                << file << " starts on a host it refuses";
            continue;
        }
        EXPECT_EQ(why, "") << file;
        EXPECT_EQ(p.minor, 0) << file;
        EXPECT_LE(p.table_bytes, frozen_host::frozen_sizes().plugin) << file;
        EXPECT_EQ(p.id, doc["id"]) << file;
        for (const auto& entry : doc["provides"]) {
            if (entry["kind"] == "family") {
                EXPECT_NE(frozen_host::family(p), nullptr) << file;
            }
            if (entry["kind"] == "backend") {
                EXPECT_NE(frozen_host::backend(p), nullptr) << file;
            }
        }
        started++;
    }
    EXPECT_GE(started, 3);
}

} // namespace
} // namespace rlx::test
