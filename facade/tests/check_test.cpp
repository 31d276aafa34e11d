// SPDX-License-Identifier: GPL-3.0-only
#include "fake_catalog.hpp"

#include "rlx/checkpoint.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace rlx::test {
namespace {

using state = check_report::state;
using metadata = std::vector<std::pair<std::string, gguf_value>>;

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

// The report on a file with this metadata under a manifest entry with these rules.
struct checked {
    check_report report; // its family is gone with the catalog
    std::string family;
    result<void> with_text, without_text;
};

checked check(const metadata& data, const std::vector<std::string>& required, std::string rules) {
    fake_lm lm;
    fake_catalog catalog(lm);
    catalog.family().provides[0].required_meta = required;
    catalog.family().provides[0].json = std::move(rules);
    const gguf_file file(data);
    const auto w = weights::open(file.path());
    EXPECT_TRUE(w) << (w ? "" : w.error().message);
    if (!w) return {};
    auto report = check_weights(**w, catalog);
    EXPECT_TRUE(report) << (report ? "" : report.error().message);
    if (!report) return {};
    EXPECT_TRUE(catalog.loaded().empty()); // metadata only
    const std::string family = report->family.entry ? report->family.entry->name : "";
    return {
        *report,
        family,
        require_supported(*report, **w, true),
        require_supported(*report, **w, false)};
}

const metadata fake_file{
    {"general.architecture", std::string("fake")},
    {"fake.block_count", 2U},
    {"fake.expert_count", 8U}};

} // namespace

TEST(check, a_known_architecture_with_all_metadata_is_supported) {
    const checked c = check(fake_file, {"{arch}.block_count"}, "{}");
    EXPECT_EQ(c.report.status, state::supported);
    EXPECT_EQ(c.report.architecture, "fake");
    EXPECT_EQ(c.family, "fake");
    EXPECT_TRUE(c.with_text);
}

TEST(check, absent_metadata_are_listed_with_the_architecture_filled_in) {
    const checked c = check(
        fake_file, {"{arch}.block_count", "{arch}.context_length", "tokenizer.ggml.model"}, "{}"
    );
    EXPECT_EQ(c.report.status, state::missing_metadata);
    EXPECT_EQ(
        c.report.missing, (std::vector<std::string>{"fake.context_length", "tokenizer.ggml.model"})
    );
    ASSERT_FALSE(c.without_text);
    EXPECT_EQ(c.without_text.error().code, RLX_MISSING_METADATA);
    EXPECT_TRUE(
        contains(c.without_text.error().message, "fake.context_length, tokenizer.ggml.model")
    );
}

TEST(check, a_file_without_a_tokenizer_still_serves_ids) {
    const checked c = check(fake_file, {"tokenizer.ggml.model"}, "{}");
    EXPECT_EQ(c.report.status, state::missing_metadata);
    EXPECT_FALSE(c.with_text);
    EXPECT_TRUE(c.without_text);
}

TEST(check, an_unknown_architecture_says_what_is_known) {
    const checked c = check({{"general.architecture", std::string("mystery")}}, {}, "{}");
    EXPECT_EQ(c.report.status, state::unknown);
    ASSERT_FALSE(c.without_text);
    EXPECT_EQ(c.without_text.error().code, RLX_UNSUPPORTED);
    EXPECT_TRUE(contains(c.without_text.error().message, "known: fake"));
}

TEST(check, weights_without_a_config_have_no_architecture) {
    const std::filesystem::path path = std::filesystem::path(testing::TempDir()) /
                                       ("rlx_bare_" + std::to_string(getpid()) + ".safetensors");
    std::ofstream(path, std::ios::binary) << std::string("\x02\0\0\0\0\0\0\0{}", 10);
    fake_lm lm;
    const fake_catalog catalog(lm);
    const auto w = weights::open(path);
    std::filesystem::remove(path);
    ASSERT_TRUE(w) << w.error().message;
    const auto report = check_weights(**w, catalog);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->status, state::unknown);
    const auto verdict = require_supported(*report, **w, false);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, RLX_MISSING_METADATA);
    EXPECT_TRUE(contains(verdict.error().message, "no config.json")) << verdict.error().message;
}

TEST(check, a_rule_that_holds_makes_it_known_but_unimplemented) {
    const auto status = [](const std::string& when) {
        return check(
                   fake_file,
                   {},
                   R"({"unsupported": [{"when": )" + when +
                       R"(, "note": "experts", "milestone": "M3"}]})"
        )
            .report.status;
    };
    const char* holding[] = {
        R"({"meta": "{arch}.expert_count", "gt": 0})",
        R"({"meta": "{arch}.expert_count", "lt": 9})",
        R"({"meta": "{arch}.expert_count", "equals": 8})",
        R"({"meta": "{arch}.expert_count", "in": [4, 8]})",
        R"({"meta": "{arch}.expert_count", "present": true})",
        R"({"meta": "{arch}.nothing", "present": false})",
        R"({"meta": "general.architecture", "equals": "fake"})",
        R"({"meta": "{arch}.expert_count", "gt": 7, "lt": 9})",
    };
    for (const char* when : holding)
        EXPECT_EQ(status(when), state::known_unimplemented) << when;
    const char* others[] = {
        R"({"meta": "{arch}.expert_count", "gt": 8})",
        R"({"meta": "{arch}.nothing", "gt": 0})",
        R"({"meta": "{arch}.nothing", "equals": null})",
        R"({"meta": "{arch}.expert_count", "in": [4]})",
        R"({"meta": "{arch}.expert_count"})",
        R"({"meta": "{arch}.expert_count", "resembles": 8})",
        R"({"gt": 0})",
        R"("always")",
        R"({"meta": "{arch}.expert_count", "gt": 7, "lt": 8})"};
    for (const char* when : others)
        EXPECT_EQ(status(when), state::supported) << when;
}

TEST(check, the_note_and_the_milestone_are_in_the_message) {
    const checked c = check(
        fake_file,
        {},
        R"({"unsupported": [{"when": {"meta": "{arch}.expert_count", "gt": 0}, "note": "experts", "milestone": "M3"}]})"
    );
    ASSERT_FALSE(c.without_text);
    EXPECT_TRUE(contains(
        c.without_text.error().message,
        "family 'fake' does not do this checkpoint: experts (planned: M3)"
    )) << c.without_text.error().message;
}

} // namespace rlx::test
