// SPDX-License-Identifier: GPL-3.0-only
// Entries of a manifest that add something to the host: ops, weight formats, tensor names,
// commands.
#include "manifest_json.hpp"

#include <gtest/gtest.h>

namespace rlx::loader {
namespace {

result<manifest> with(const std::string& entry) {
    return manifest_from_text(
        R"({"rlx_manifest": 1, "id": "a.b", "version": "1", "abi": {"major": 1, "min_minor": 1}, "provides": [)" +
        entry + "]}"
    );
}

TEST(manifest_entries, of_every_kind_are_read) {
    const auto format = with(
        R"({"kind": "weight_format", "name": "toy", "extensions": [".toy"], "magic": ["544f5931"]})"
    );
    ASSERT_TRUE(format.ok()) << format.error().message;
    EXPECT_EQ(format->provides[0].extensions, std::vector<std::string>{".toy"});
    EXPECT_EQ(format->provides[0].magic, std::vector<std::string>{"TOY1"});
    const auto names = with(
        R"({"kind": "tensor_names", "name": "acme", "arches": ["acme-llama"], "implements": "llama"})"
    );
    ASSERT_TRUE(names.ok());
    EXPECT_EQ(names->provides[0].arches, std::vector<std::string>{"acme-llama"});
    EXPECT_EQ(names->provides[0].implements, "llama");
    EXPECT_TRUE(with(R"({"kind": "op", "name": "org.example.swirl"})").ok());
    EXPECT_TRUE(with(R"({"kind": "command", "name": "of-a-family"})").ok());
    const auto command = with(R"({"kind": "command", "name": "words", "interface": "rlx.cli/1"})");
    ASSERT_TRUE(command.ok());
    EXPECT_EQ(command->provides[0].interface, "rlx.cli/1");
}

TEST(manifest_entries, that_make_no_sense_are_refused_naming_what) {
    const struct {
        const char *entry, *why;
    } cases[] = {
        {R"({"kind": "op", "name": "swirl"})", "needs a name like"},
        {R"({"kind": "command", "name": "x", "interface": "rlx.cli/2"})", "expected \"rlx.cli/1\""},
        {R"({"kind": "tensor_names", "name": "x"})", "has no \"arches\""},
        {R"({"kind": "weight_format", "name": "x"})", "neither \"extensions\" nor \"magic\""},
        {R"({"kind": "weight_format", "name": "gguf", "extensions": [".x"]})",
         "reads that format itself"},
        {R"({"kind": "weight_format", "name": "x", "extensions": ["toy"]})",
         "is none like \".toy\""},
        {R"({"kind": "weight_format", "name": "x", "extensions": [".TOY"]})",
         "is none like \".toy\""},
        {R"({"kind": "weight_format", "name": "x", "extensions": [".gguf"]})", "rlx reads itself"},
        {R"({"kind": "weight_format", "name": "x", "magic": ["4g4f"]})", "is no hex"},
        {R"({"kind": "weight_format", "name": "x", "magic": ["47"]})", "is no hex"},
        {R"({"kind": "weight_format", "name": "x", "magic": ["47475546"]})", "rlx reads itself"},
    };

    for (const auto& c : cases) {
        const auto m = with(c.entry);
        ASSERT_FALSE(m.ok()) << c.entry;
        EXPECT_NE(m.error().message.find(c.why), std::string::npos) << m.error().message;
    }
}

} // namespace
} // namespace rlx::loader
