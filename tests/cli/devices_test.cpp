// SPDX-License-Identifier: GPL-3.0-only
// rlx-run devices, --explain-partition and --fallback, with a backend that lacks ops
// (tests/partial) and one that crashes when it is loaded.
#include "process.hpp"

#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace rlx::test {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::json;

const std::string rlx_run = program("rlx-run");
const std::vector<std::string> with_partial = {"--plugin-dir", RLX_PARTIAL_DIR};

std::vector<std::string> command(std::vector<std::string> head, std::vector<std::string> tail) {
    head.insert(head.begin(), rlx_run);
    head.insert(head.end(), with_partial.begin(), with_partial.end());
    head.insert(head.end(), tail.begin(), tail.end());
    return head;
}

outcome generate(const std::string& device, std::vector<std::string> more) {
    more.insert(more.begin(), {"--weights", stories_model(), "--device", device});
    return run(command({"run"}, more));
}

json find(const json& doc, const std::string& name) {
    for (const json& d : doc["devices"])
        if (d["name"] == name) return d;
    return nullptr;
}

TEST(devices, lists_what_works_with_its_facts) {
    const outcome o = run(command({"devices"}, {"--json"}));
    ASSERT_EQ(o.exit_code, 0) << o.err;
    const json doc = json::parse(o.out);
    EXPECT_EQ(doc["schema"], 1);
    const json cpu = find(doc, "cpu");
    EXPECT_EQ(cpu["available"], true);
    EXPECT_EQ(cpu["own_memory"], false);
    EXPECT_GT(cpu["memory_bytes"], 0);
    EXPECT_TRUE(cpu["tier"].is_string());
    EXPECT_EQ(cpu["plugin"]["id"], "org.rlx.cpu");
    const json expected = {
        {"name", "partial:8"},
        {"backend", "partial"},
        {"available", true},
        {"plugin", {{"id", "org.rlx.test.partial"}, {"version", "0.1.0"}}},
        {"index", 8},
        {"description", "small"},
        {"memory_bytes", 8000000},
        {"own_memory", true},
        {"driver", "partial 1.2"},
        {"tier", "test"},
        {"self_test", "passed"}};
    EXPECT_EQ(find(doc, "partial:8"), expected);
}

TEST(devices, gives_the_reason_for_what_does_not_work) {
    const json doc = json::parse(run(command({"devices"}, {"--json"})).out);
    const json broken = find(doc, "partial:9");
    EXPECT_EQ(broken["available"], false);
    EXPECT_EQ(broken["reason"], "partial: this one never opens");
    for (const char* name : {"metal", "mps", "mlx", "cuda", "rocm", "hip", "gpu", "wgpu", "tpu"}) {
        const json d = find(doc, name);
        ASSERT_TRUE(d.is_object()) << name;
        EXPECT_EQ(d["available"], false) << name;
        EXPECT_FALSE(d["reason"].get<std::string>().empty()) << name;
    }
    const outcome text = run(command({"devices"}, {}));
    EXPECT_EQ(text.exit_code, 0);
    EXPECT_NE(text.out.find("partial:0  everything\n"), std::string::npos) << text.out;
    EXPECT_NE(text.out.find("           self-test passed\n"), std::string::npos) << text.out;
    EXPECT_NE(
        text.out.find("partial:9  not available: partial: this one never opens\n"),
        std::string::npos
    ) << text.out;
    EXPECT_NE(text.out.find("metal      not available: Metal is Apple's"), std::string::npos);
}

TEST(devices, survives_a_backend_that_crashes_when_it_is_loaded) {
    const fs::path dir = fs::path(scratch_directory()) / "plugins";
    fs::create_directories(dir);
    fs::permissions(dir, fs::perms::owner_all);
    fs::copy_file(fs::path(RLX_BAD_PLUGINS) / "load_crash.so", dir / "load_crash.so");
    const outcome o =
        run({rlx_run, "devices", "--json", "--plugin-dir", dir.string()},
            {.environment = {"RLX_CACHE_DIR=" + (dir.parent_path() / "cache").string()}});
    ASSERT_EQ(o.exit_code, 0) << o.err;
    const json doc = json::parse(o.out);
    EXPECT_EQ(find(doc, "cpu")["available"], true);
    const json bad = find(doc, "sample");
    EXPECT_EQ(bad["available"], false);
    EXPECT_NE(bad["reason"].get<std::string>().find("crashed"), std::string::npos) << bad;
    fs::remove_all(dir.parent_path());
}

TEST(device_flag, unknown_and_absent_names_list_what_there_is) {
    const outcome absent = generate("metal", {"--prompt-ids", "1"});
    EXPECT_EQ(absent.exit_code, 4);
    const outcome unknown = generate("abacus", {"--prompt-ids", "1"});
    EXPECT_EQ(unknown.exit_code, 2);
    for (const outcome* o : {&absent, &unknown})
        for (const char* part :
             {"; plugins are here for: ",
              "cpu, ",
              "; not available: ",
              "cuda (there is no CUDA plugin)"})
            EXPECT_NE(o->err.find(part), std::string::npos) << part << " in " << o->err;
    EXPECT_EQ(generate("partial:9", {"--prompt-ids", "1"}).exit_code, 1);
    const outcome number = generate("partial:77", {"--prompt-ids", "1"});
    EXPECT_EQ(number.exit_code, 4);
    EXPECT_NE(number.err.find("number 77 was asked for"), std::string::npos) << number.err;
}

TEST(time_ops, counts_every_operation_on_every_device) {
    const outcome o =
        generate("partial:2", {"--time-ops", "--prompt-ids", "5,6", "--max-tokens", "3", "--json"});
    ASSERT_EQ(o.exit_code, 0) << o.err;
    EXPECT_EQ(json::parse(o.out)["ran_on"]["plugins"].back(), "org.rlx.cpu");
    const json devices = json::parse(o.out)["ran_on"]["devices"];
    ASSERT_EQ(devices.size(), 2U);
    const auto calls = [](const json& device, std::string_view op) {
        for (const json& t : device.at("op_times"))
            if (t["op"] == op) {
                EXPECT_GT(t["ms"], 0);
                return t["calls"].get<int>();
            }
        return 0;
    };
    // One prefill and two steps of a model with 6 layers; the device has no attention.
    EXPECT_EQ(calls(devices[0], "RopeTable") + calls(devices[1], "RopeTable"), 3);
    EXPECT_EQ(calls(devices[0], "AttentionState"), 0);
    EXPECT_EQ(calls(devices[1], "AttentionState"), 18);
    EXPECT_GT(calls(devices[0], "MatMul"), 18);
    EXPECT_NE(o.err.find("AttentionState "), std::string::npos) << o.err;
    const outcome plain = generate("cpu", {"--prompt-ids", "5", "--max-tokens", "1", "--json"});
    EXPECT_FALSE(json::parse(plain.out)["ran_on"]["devices"][0].contains("op_times"));
    EXPECT_EQ(plain.err.find("MatMul"), std::string::npos);
}

// Everything up to the first number that depends on the cost of copies.
TEST(explain_partition, says_for_every_node_where_and_why) {
    const outcome o = generate("partial:2", {"--explain-partition", "--json"});
    ASSERT_EQ(o.exit_code, 0) << o.err;
    const json doc = json::parse(o.out);
    EXPECT_EQ(doc["schema"], 1);
    std::uint64_t copied = 0;
    bool refused = false;
    std::size_t counted = 0;
    for (const json& n : doc["nodes"]) {
        for (const char* key : {"node", "op", "origin", "device", "cause", "reason", "program"})
            EXPECT_TRUE(n.contains(key)) << key;
        copied += n["bytes_copied"].get<std::uint64_t>();
        counted += n["cause"] != "view";
        if (n["op"] != "AttentionState") continue;
        refused = true;
        EXPECT_EQ(n["device"], "cpu");
        EXPECT_EQ(n["cause"], "refused");
        EXPECT_EQ(n["reason"], "this device has no attention");
    }
    EXPECT_TRUE(refused);
    std::size_t in_programs = 0;
    for (const json& p : doc["programs"])
        in_programs += p["nodes"].get<std::size_t>();
    EXPECT_EQ(in_programs, counted);
    EXPECT_EQ(doc["bytes_copied"], copied);
}

TEST(explain_partition, text_of_one_device_is_one_program) {
    const outcome o = run({rlx_run, "run", "--weights", stories_model(), "--explain-partition"});
    ASSERT_EQ(o.exit_code, 0) << o.err;
    EXPECT_EQ(o.out.find("program 0 on cpu: "), 0U) << o.out;
    EXPECT_EQ(o.out.find("program 1"), std::string::npos);
    EXPECT_NE(o.out.find("only device  model.layers.0"), std::string::npos) << o.out;
    EXPECT_NE(o.out.find("0 bytes copied in one run, at most\n"), std::string::npos);
    for (const char* command : {"logits", "chat"})
        EXPECT_EQ(
            run({rlx_run, command, "--weights", stories_model(), "--explain-partition"}).out, o.out
        ) << command;
}

TEST(fallback_flag, warn_allow_and_deny_differ_in_what_they_say) {
    const std::vector<std::string> ask = {"--prompt-ids", "1,2,3", "--max-tokens", "6", "--json"};
    const json plain = json::parse(generate("cpu", ask).out);
    EXPECT_TRUE(plain["fallbacks"].empty());
    for (const std::string policy : {"warn", "allow"}) {
        std::vector<std::string> all = ask;
        all.insert(all.end(), {"--fallback", policy, "--quiet"});
        const outcome o = generate("partial:2", all);
        ASSERT_EQ(o.exit_code, 0) << o.err;
        const json doc = json::parse(o.out);
        EXPECT_EQ(doc["tokens"], plain["tokens"]);
        ASSERT_EQ(doc["fallbacks"].size(), 1U);
        EXPECT_EQ(doc["fallbacks"][0]["what"], "partial:2");
        EXPECT_EQ(doc["ran_on"]["devices"].back()["device"], "cpu");
    }
    std::vector<std::string> deny = ask;
    deny.insert(deny.end(), {"--fallback", "deny"});
    const outcome o = generate("partial:2", deny);
    EXPECT_EQ(o.exit_code, 4);
    EXPECT_NE(o.err.find("KvAppend in model.layers.0"), std::string::npos) << o.err;
    EXPECT_EQ(generate("partial:0", deny).exit_code, 0);
    EXPECT_EQ(generate("cpu", {"--prompt-ids", "1", "--fallback", "maybe"}).exit_code, 2);
}

TEST(fallback_flag, what_runs_on_the_cpu_runs_in_the_tier_of_rlx_cpu) {
    const outcome o =
        run(command(
                {"run"},
                {"--weights",
                 stories_model(),
                 "--device",
                 "partial:3",
                 "--prompt",
                 "A fox",
                 "--max-tokens",
                 "2",
                 "--json"}
            ),
            {.environment = {"RLX_CPU=baseline"}});
    ASSERT_EQ(o.exit_code, 0) << o.err;
    const json devices = json::parse(o.out)["ran_on"]["devices"];
    ASSERT_EQ(devices.size(), 2U);
    EXPECT_EQ(devices[1]["device"], "cpu");
    EXPECT_EQ(devices[1]["tier"], "baseline");
}

TEST(fallback_flag, results_name_both_devices_and_what_they_ran) {
    const json doc = json::parse(
        generate("partial:4", {"--prompt-ids", "1,2,3", "--max-tokens", "2", "--json"}).out
    );
    EXPECT_EQ(doc["ran_on"]["device"], "partial:4");
    EXPECT_EQ(doc["ran_on"]["plugins"].size(), 2U) << "the cpu ran nothing";
    ASSERT_EQ(doc["ran_on"]["devices"].size(), 1U);
    EXPECT_EQ(doc["ran_on"]["devices"][0]["device"], "partial:4");
    EXPECT_EQ(doc["ran_on"]["devices"][0]["tier"], "test");
    EXPECT_EQ(doc["ran_on"]["devices"][0]["programs"], 1);
}

// Text encoders go through the same partition as language models.
TEST(fallback_flag, goes_for_vectors_of_texts_too) {
    const auto embed = [](const std::string& device, std::vector<std::string> more) {
        const std::string weights =
            std::string(RLX_SOURCE_DIR) + "/tests/goldens/embedders/embedder";
        more.insert(more.begin(), {"--weights", weights, "--device", device, "--text", "a fox"});
        return run(command({"embed"}, more));
    };
    const auto numbers = [](const outcome& o) {
        return json::parse(o.out)["embedding"].get<std::vector<double>>();
    };
    const outcome plain = embed("cpu", {"--compute", "f32", "--quiet"});
    ASSERT_EQ(plain.exit_code, 0) << plain.err;
    const outcome o = embed("partial:2", {"--compute", "f32"});
    ASSERT_EQ(o.exit_code, 0) << o.err;
    EXPECT_NE(o.err.find("note: partial:2: "), std::string::npos) << o.err;
    const auto expected = numbers(plain), got = numbers(o);
    ASSERT_EQ(got.size(), expected.size());
    for (std::size_t i = 0; i < got.size(); ++i)
        EXPECT_NEAR(got[i], expected[i], 1e-5);
    const outcome denied = embed("partial:2", {"--fallback", "deny"});
    EXPECT_EQ(denied.exit_code, 4);
    EXPECT_NE(denied.err.find("this device has no attention"), std::string::npos) << denied.err;
    const outcome explained = embed("partial:2", {"--explain-partition", "--json"});
    ASSERT_EQ(explained.exit_code, 0) << explained.err;
    const json doc = json::parse(explained.out);
    const bool refused = std::ranges::any_of(doc["nodes"], [](const json& n) {
        return n["reason"] == "this device has no attention" && n["device"] == "cpu";
    });
    EXPECT_TRUE(refused) << explained.out;
}

// So do image encoders, in the family's own program and in rlx-embed.
class image_devices : public testing::TestWithParam<std::string> {
protected:
    static outcome seen(const std::string& device, std::vector<std::string> more, bool bulk) {
        const std::string images = std::string(RLX_SOURCE_DIR) + "/tests/goldens/images/";
        std::vector<std::string> all{
            "--weights", images + GetParam(), "--device", device, "--compute", "f32"};
        all.insert(all.end(), more.begin(), more.end());
        if (!contains(more, "--explain-partition")) all.push_back(images + "dinov2/tall.png");
        return run(command({bulk ? "embed" : GetParam()}, all));
    }

    static bool contains(const std::vector<std::string>& all, std::string_view word) {
        return std::ranges::find(all, word) != all.end();
    }
};

TEST_P(image_devices, fall_back_as_the_flag_says) {
    for (const bool bulk : {false, true}) {
        const auto vector = [&](const outcome& o) {
            const json doc = json::parse(o.out);
            return (bulk ? doc["embedding"] : doc["images"][0]["vector"])
                .get<std::vector<double>>();
        };
        const outcome plain = seen("cpu", {"--json", "--quiet"}, bulk);
        ASSERT_EQ(plain.exit_code, 0) << plain.err;
        for (const std::string policy : {"warn", "allow"}) {
            const outcome o = seen("partial:3", {"--json", "--fallback", policy}, bulk);
            ASSERT_EQ(o.exit_code, 0) << o.err;
            EXPECT_NE(o.err.find("note: partial:3: "), std::string::npos) << o.err;
            const auto want = vector(plain), got = vector(o);
            ASSERT_EQ(got.size(), want.size());
            for (std::size_t i = 0; i < got.size(); ++i)
                EXPECT_NEAR(got[i], want[i], 1e-5);
        }
        const outcome denied = seen("partial:3", {"--fallback", "deny"}, bulk);
        EXPECT_EQ(denied.exit_code, 4);
        EXPECT_EQ(denied.out, "");
        EXPECT_NE(denied.err.find("this device has no norms"), std::string::npos) << denied.err;
        EXPECT_EQ(seen("partial:0", {"--fallback", "deny"}, bulk).exit_code, 0);
        EXPECT_EQ(seen("cpu", {"--fallback", "maybe"}, bulk).exit_code, 2);
    }
}

TEST_P(image_devices, explain_the_partition_without_pictures) {
    for (const bool bulk : {false, true}) {
        const outcome o = seen("partial:3", {"--explain-partition", "--json"}, bulk);
        ASSERT_EQ(o.exit_code, 0) << o.err;
        const json doc = json::parse(o.out);
        const bool refused = std::ranges::any_of(doc["nodes"], [](const json& n) {
            return n["reason"] == "this device has no norms" && n["device"] == "cpu";
        });
        EXPECT_TRUE(refused) << o.out;
        EXPECT_EQ(doc["programs"].back()["device"], "cpu");
        const outcome text = seen("cpu", {"--explain-partition"}, bulk);
        EXPECT_EQ(text.out.find("program 0 on cpu: "), 0U) << text.out;
    }
}

TEST_P(image_devices, time_every_operation_in_the_document_of_all_commands) {
    const outcome o = seen("partial:3", {"--json", "--time-ops"}, false);
    ASSERT_EQ(o.exit_code, 0) << o.err;
    const json ran_on = json::parse(o.out)["ran_on"];
    // A model this small may run on the CPU whole where its norms do.
    EXPECT_EQ(ran_on["devices"].back()["device"], "cpu");
    for (const json& d : ran_on["devices"])
        EXPECT_GT(d["op_times"].size(), 0U) << d;
    EXPECT_NE(o.err.find("MatMul "), std::string::npos) << o.err;
    const json text =
        json::parse(generate("cpu", {"--prompt-ids", "5", "--max-tokens", "1", "--json"}).out
        )["ran_on"];
    for (const auto& [key, value] : text.items())
        EXPECT_TRUE(ran_on.contains(key)) << key;
    EXPECT_EQ(ran_on.size(), text.size());
    const outcome bulk = seen("partial:3", {"--time-ops"}, true);
    EXPECT_NE(bulk.err.find("MatMul "), std::string::npos) << bulk.err;
    const json plain = json::parse(seen("cpu", {"--json"}, false).out)["ran_on"];
    EXPECT_FALSE(plain["devices"][0].contains("op_times"));
}

INSTANTIATE_TEST_SUITE_P(
    families,
    image_devices,
    testing::Values("dinov2", "vision"),
    [](const auto& i) { return i.param; }
);

TEST(plan_flag, counts_both_devices) {
    const json doc = json::parse(generate("partial:3", {"--plan", "--json"}).out);
    EXPECT_EQ(doc["schema"], 1);
    EXPECT_EQ(generate("partial:3", {"--plan", "--explain-partition"}).exit_code, 2);
    std::uint64_t sum = 0;
    for (const json& d : doc["devices"])
        for (const char* key : {"weights_bytes", "mapped_bytes", "state_bytes", "scratch_bytes"})
            sum += d[key].get<std::uint64_t>();
    EXPECT_EQ(sum, doc["total_bytes"].get<std::uint64_t>());
}

} // namespace
} // namespace rlx::test
