// SPDX-License-Identifier: GPL-3.0-only
// --device vulkan as scripts meet it: machines without a driver or without libvulkan, and what the
// tier of the CPU means there.
#include "process.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace rlx::test {
namespace {

using json = nlohmann::json;
using words = std::vector<std::string>;

const std::string rlx_run = program("rlx-run");
const words no_driver = {"VK_ICD_FILENAMES=/dev/null", "VK_DRIVER_FILES=/dev/null"};

outcome generate(words more, words environment) {
    words command = {
        rlx_run,
        "run",
        "--weights",
        stories_model(),
        "--prompt",
        "A fox",
        "--max-tokens",
        "3",
        "--json"};
    command.insert(command.end(), more.begin(), more.end());
    return run(command, {.environment = std::move(environment)});
}

// The reason that the list of devices gives; empty when vulkan works.
std::string listed_reason(words environment) {
    const outcome o = run({rlx_run, "devices", "--json"}, {.environment = std::move(environment)});
    EXPECT_EQ(o.exit_code, 0) << o.err;
    const json doc = json::parse(o.out);
    for (const json& d : doc["devices"])
        if (d["name"] == "vulkan") return d.value("reason", "");
    return "";
}

// Why this machine has none; empty when it has one.
const std::string& missing_here() {
    static const std::string why = listed_reason({});
    return why;
}

TEST(vulkan_device, without_a_driver_the_error_says_so) {
    const outcome o = generate({"--device", "vulkan"}, no_driver);
    EXPECT_EQ(o.exit_code, 4);
    EXPECT_NE(o.err.find("device 'vulkan': vulkan: "), std::string::npos) << o.err;
    EXPECT_NE(o.err.find("driver"), std::string::npos) << o.err;
    EXPECT_NE(listed_reason(no_driver).find("driver"), std::string::npos);
}

TEST(vulkan_device, without_a_loader_the_error_names_the_file_and_the_reason) {
    const std::string dir = scratch_directory();
    std::ofstream(dir + "/libvulkan.so.1"); // found first, and no library
    const words hidden = {"LD_LIBRARY_PATH=" + dir};
    const outcome o = generate({"--device", "vulkan"}, hidden);
    EXPECT_EQ(o.exit_code, 4);
    for (const char* part : {"libvulkan.so.1", "file too short"}) {
        EXPECT_NE(o.err.find(part), std::string::npos) << o.err;
        EXPECT_NE(listed_reason(hidden).find(part), std::string::npos) << part;
    }
}

TEST(vulkan_device, a_machine_without_a_driver_still_runs_on_the_cpu) {
    for (const char* device : {"cpu", "auto"}) {
        const outcome o = generate({"--device", device}, no_driver);
        EXPECT_EQ(o.exit_code, 0) << o.err;
    }
}

TEST(vulkan_device, a_tier_is_refused_as_the_devices_own) {
    if (!missing_here().empty()) GTEST_SKIP() << missing_here();
    const outcome o = generate({"--device", "vulkan", "--tier", "baseline"}, {});
    EXPECT_EQ(o.exit_code, 4);
    EXPECT_NE(o.err.find("tier 'baseline'"), std::string::npos) << o.err;
    EXPECT_NE(o.err.find("RLX_CPU"), std::string::npos) << o.err;
}

// What it means for nodes that run on the CPU: devices_test.cpp.
TEST(vulkan_device, rlx_cpu_leaves_the_device_alone_but_must_be_a_tier) {
    if (!missing_here().empty()) GTEST_SKIP() << missing_here();
    const outcome o = generate({"--device", "vulkan", "--fallback", "deny"}, {"RLX_CPU=baseline"});
    ASSERT_EQ(o.exit_code, 0) << o.err;
    const json devices = json::parse(o.out)["ran_on"]["devices"];
    ASSERT_EQ(devices.size(), 1u);
    EXPECT_EQ(devices[0]["device"], "vulkan:0");
    EXPECT_NE(devices[0]["tier"], "baseline");
    const outcome wrong = generate({"--device", "vulkan"}, {"RLX_CPU=nonsense"});
    EXPECT_EQ(wrong.exit_code, 2);
    EXPECT_NE(wrong.err.find("unknown tier 'nonsense'"), std::string::npos) << wrong.err;
}

} // namespace
} // namespace rlx::test
