// SPDX-License-Identifier: GPL-3.0-only
// The generated entry and tables seen from older, newer and broken hosts.
#include "rlx/base/options.hpp"
#include "rlx/base/wall.hpp"
#include "rlx/sdk/plugin.hpp"

#include <cstring>
#include <gtest/gtest.h>

// The samples' entries, as their object libraries name them.
extern "C" rlx_error* rlx_plugin_entry_v1_sample_toy(const rlx_host*, rlx_plugin*);
extern "C" rlx_error* rlx_plugin_entry_v1_sample_init_fails(const rlx_host*, rlx_plugin*);

namespace {

using namespace rlx;

const void* stub_service(void* ctx, rlx_str name, std::uint16_t min_minor) {
    // As long as any table, every member absent.
    static const struct {
        rlx_hdr hdr{sizeof(rlx_graph_v1) + sizeof(rlx_weights_v1), 1, 0};
        char members[sizeof(rlx_graph_v1) + sizeof(rlx_weights_v1)] = {};
    } empty;
    const void* real = host()->iface(ctx, name, min_minor);
    return real ? real : &empty;
}

// This host, but with weights and graph services that nobody calls.
rlx_host full_host() {
    rlx_host h = *host();
    h.iface = stub_service;
    return h;
}

class sdk_entry : public ::testing::Test {
protected:
    sdk_entry() { table.hdr.size = sizeof table; }

    error enter(const rlx_host* h) {
        rlx_error* e = rlx_plugin_entry_v1_sample_toy(h, &table);
        return e ? from_wall(e) : error{RLX_OK, ""};
    }

    rlx_host known = full_host();
    rlx_plugin table{};
};

TEST_F(sdk_entry, fills_id_version_and_negotiated_minor) {
    EXPECT_EQ(enter(&known).code, std::uint32_t{RLX_OK});
    EXPECT_EQ(view(table.id), "org.rlx.test.toy");
    EXPECT_EQ(view(table.version), "1.2.3");
    EXPECT_EQ(table.hdr.major, RLX_ABI_MAJOR);
    EXPECT_EQ(table.hdr.minor, RLX_ABI_MINOR);
}

TEST_F(sdk_entry, reports_its_own_minor_to_a_newer_host_with_a_larger_table) {
    struct newer_host {
        rlx_host known;
        void* later[4];
    } newer{known, {}};

    newer.known.hdr.size = sizeof newer;
    newer.known.hdr.minor = 9;

    struct newer_plugin {
        rlx_plugin known;
        void* later;
    } out{};

    out.known.hdr.size = sizeof out;
    out.later = &out;
    ASSERT_EQ(rlx_plugin_entry_v1_sample_toy(&newer.known, &out.known), nullptr);
    EXPECT_EQ(out.known.hdr.minor, RLX_ABI_MINOR);
    EXPECT_EQ(out.known.hdr.size, sizeof(rlx_plugin)); // what was written
    EXPECT_EQ(out.later, &out);
}

TEST_F(sdk_entry, writes_no_byte_beyond_an_older_hosts_table) {
    rlx_plugin out;
    std::memset(&out, 0x5a, sizeof out);
    out.hdr.size = offsetof(rlx_plugin, quiesce); // a host that does not know quiesce
    ASSERT_EQ(rlx_plugin_entry_v1_sample_toy(&known, &out), nullptr);
    EXPECT_EQ(out.hdr.size, offsetof(rlx_plugin, quiesce));
    std::uintptr_t untouched;
    std::memcpy(
        &untouched, reinterpret_cast<char*>(&out) + offsetof(rlx_plugin, quiesce), sizeof untouched
    );
    EXPECT_EQ(untouched, 0x5a5a5a5a5a5a5a5au);
}

TEST_F(sdk_entry, refuses_a_table_too_small_to_be_of_use) {
    table.hdr.size = offsetof(rlx_plugin, iface);
    const auto e = enter(&known);
    EXPECT_EQ(e.code, std::uint32_t{RLX_VERSION_MISMATCH});
    EXPECT_NE(e.message.find(std::to_string(offsetof(rlx_plugin, iface))), std::string::npos);
}

TEST_F(sdk_entry, refuses_a_foreign_major_naming_both_versions) {
    known.hdr.major = 2;
    known.hdr.minor = 5;
    const auto e = enter(&known);
    EXPECT_EQ(e.code, std::uint32_t{RLX_VERSION_MISMATCH});
    EXPECT_NE(e.message.find("ABI 1.0"), std::string::npos) << e.message;
    EXPECT_NE(e.message.find("speaks 2.5"), std::string::npos) << e.message;
    EXPECT_EQ(table.hdr.major, 0);
}

TEST_F(sdk_entry, leaves_the_table_alone_when_the_host_cannot_take_errors) {
    EXPECT_EQ(rlx_plugin_entry_v1_sample_toy(nullptr, &table), nullptr);
    known.hdr.size = offsetof(rlx_host, error_new);
    EXPECT_EQ(rlx_plugin_entry_v1_sample_toy(&known, &table), nullptr);
    known.hdr.size = sizeof known;
    known.error_new = nullptr;
    EXPECT_EQ(rlx_plugin_entry_v1_sample_toy(&known, &table), nullptr);
    EXPECT_EQ(table.hdr.major, 0);
}

TEST_F(sdk_entry, without_a_plugin_table_is_an_error) {
    rlx_error* e = rlx_plugin_entry_v1_sample_toy(&known, nullptr);
    ASSERT_NE(e, nullptr);
    EXPECT_EQ(from_wall(e).code, std::uint32_t{RLX_INVALID_ARGUMENT});
}

class sdk_tables : public sdk_entry {
protected:
    sdk_tables() {
        EXPECT_EQ(enter(&known).code, std::uint32_t{RLX_OK});
        const std::string_view name = "rlx.family/1";
        family = static_cast<const rlx_family_v1*>(table.iface(table.self, str(name), 0));
    }

    error open(rlx_weights* w, const rlx_options* o, void** out) {
        rlx_error* e = family->open(table.self, w, o, out);
        return e ? from_wall(e) : error{RLX_OK, ""};
    }

    const rlx_family_v1* family = nullptr;
    options opts;
    rlx_weights* weights = reinterpret_cast<rlx_weights*>(&opts); // never looked at
    void* model = nullptr;
};

TEST_F(sdk_tables, offer_what_the_class_has_and_null_for_the_rest) {
    ASSERT_NE(family, nullptr);
    EXPECT_EQ(family->hdr.size, sizeof(rlx_family_v1));
    EXPECT_NE(family->open, nullptr);
    EXPECT_NE(family->close, nullptr);
    EXPECT_NE(family->info, nullptr);
    EXPECT_EQ(family->build, nullptr); // the toy builds no graph
    EXPECT_EQ(table.quiesce, nullptr);
}

TEST_F(sdk_tables, answer_only_to_known_names_and_minors) {
    EXPECT_EQ(table.iface(table.self, str("rlx.family/1"), 1), nullptr);
    EXPECT_EQ(table.iface(table.self, str("rlx.family/2"), 0), nullptr);
    EXPECT_EQ(table.iface(table.self, str("rlx.backend/1"), 0), nullptr);
    EXPECT_EQ(table.iface(table.self, rlx_str{nullptr, 0}, 0), nullptr);
}

TEST_F(sdk_tables, carry_values_errors_and_exceptions_across) {
    opts.set_int("vocab", 11);
    ASSERT_EQ(open(weights, opts.handle(), &model).code, std::uint32_t{RLX_OK});
    options facts;
    ASSERT_EQ(family->info(table.self, model, facts.handle()), nullptr);
    EXPECT_EQ(facts.get_int("vocab_size"), 11);
    family->close(table.self, model);

    opts.set_int("vocab", 0);
    const auto refused = open(weights, opts.handle(), &model);
    EXPECT_EQ(refused.code, std::uint32_t{RLX_INVALID_ARGUMENT});
    EXPECT_EQ(refused.message, "vocab is 0, expected 1 or more");
    EXPECT_EQ(model, nullptr);

    opts.set_int("vocab", 13);
    EXPECT_EQ(open(weights, opts.handle(), &model).code, std::uint32_t{RLX_PLUGIN_THREW});
    opts.set_string("vocab", "many");
    EXPECT_NE(open(weights, opts.handle(), &model).message.find("vocab"), std::string::npos);
}

TEST_F(sdk_tables, refuse_null_arguments) {
    EXPECT_EQ(open(nullptr, opts.handle(), &model).code, std::uint32_t{RLX_INVALID_ARGUMENT});
    EXPECT_EQ(open(weights, opts.handle(), nullptr).code, std::uint32_t{RLX_INVALID_ARGUMENT});
    EXPECT_EQ(open(weights, nullptr, &model).code, std::uint32_t{RLX_OK}); // options are optional
    rlx_error* e = family->info(table.self, model, nullptr);
    ASSERT_NE(e, nullptr);
    EXPECT_EQ(from_wall(e).code, std::uint32_t{RLX_INVALID_ARGUMENT});
    family->close(table.self, model);
    family->close(table.self, nullptr);
}

TEST(sdk_instance, is_made_again_after_a_failed_init_and_then_kept) {
    rlx_host h = full_host();
    const auto enter = [&](rlx_plugin& out) {
        out = {};
        out.hdr.size = sizeof out;
        rlx_error* e = rlx_plugin_entry_v1_sample_init_fails(&h, &out);
        return e ? from_wall(e) : error{RLX_OK, ""};
    };
    rlx_plugin first;
    rlx_plugin second;
    EXPECT_EQ(enter(first).code, std::uint32_t{RLX_PLUGIN_THREW});
    EXPECT_EQ(enter(first).message, "attempt 2");
    EXPECT_EQ(enter(first).code, std::uint32_t{RLX_OK});
    EXPECT_EQ(enter(second).code, std::uint32_t{RLX_OK});
    EXPECT_EQ(first.self, second.self);
}

} // namespace
