// SPDX-License-Identifier: GPL-3.0-only
// Compile profiles seen from the command line: found, named in every result, obeyed or refused.
#include "process.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace rlx::test {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::json;

const std::string rlx_run = program("rlx-run");

class profile_cli : public testing::Test {
protected:
    profile_cli() { fs::create_symlink(stories_model(), model); }

    ~profile_cli() override { fs::remove_all(dir); }

    void write(std::string_view text, const std::string& name = "qwen3.rlx.toml") const {
        std::ofstream(dir / name, std::ios::binary) << text;
    }

    outcome generate(std::vector<std::string> more = {}) const {
        std::vector<std::string> argv{
            rlx_run,
            "run",
            "--weights",
            model,
            "--prompt",
            "Once upon a time,",
            "--max-tokens",
            "8"};
        argv.insert(argv.end(), more.begin(), more.end());
        return run(argv);
    }

    json document(std::vector<std::string> more = {}) const {
        more.push_back("--json");
        const outcome r = generate(more);
        EXPECT_EQ(r.exit_code, 0) << r.err;
        return json::parse(r.out, nullptr, false);
    }

    fs::path dir = scratch_directory();
    fs::path model = dir / "stories.gguf";
    std::string file = (dir / "qwen3.rlx.toml").string();
};

TEST_F(profile_cli, the_result_says_which_profile_was_used) {
    EXPECT_EQ(document()["ran_on"]["profile"], "preset lm");
    write("[precision]\ncompute = \"f32\"\n");
    const json doc = document();
    EXPECT_EQ(doc["ran_on"]["profile"], file);
    EXPECT_EQ(doc["ran_on"]["compute"], "f32");
    EXPECT_EQ(document({"--profile", "none"})["ran_on"]["profile"], "preset lm");
    write("", "other.toml");
    const std::string other = (dir / "other.toml").string();
    EXPECT_EQ(document({"--profile", other})["ran_on"]["profile"], other);
}

TEST_F(profile_cli, a_flag_beats_the_profile) {
    write("[precision]\ncompute = \"f16\"\n[infer]\nmode = \"production\"\n");
    EXPECT_EQ(generate().exit_code, 4);
    EXPECT_EQ(document({"--compute", "f32"})["ran_on"]["compute"], "f32");
    write("[infer]\nmode = \"parity\"\n");
    EXPECT_EQ(document()["ran_on"]["kv"], "f32");
    EXPECT_EQ(document({"--kv", "f16"})["ran_on"]["kv"], "f16");
    EXPECT_NE(document({"--compute", "auto"})["ran_on"]["compute"], "f32");
}

TEST_F(profile_cli, every_setting_of_fusion_and_passes_gives_the_same_ids_in_exact_mode) {
    const json want = document({"--compute", "f32"})["tokens"];
    for (const std::string_view text :
         {"[fusion]\npolicy = \"fusable\"\n",
          "[fusion]\nskip = true\n",
          "[fusion]\ntarget = \"cpu\"\nassert_clean = true\n",
          "[passes]\ndce = false\n",
          "[passes]\nconstant_folding = false\n",
          "[backend.cpu]\nskip_fusion = true\n",
          "[backend.cpu]\nunfuse_regions = true\n",
          "[backend.cuda]\nskip_fusion = true\n"}) {
        write(text);
        EXPECT_EQ(document({"--compute", "f32"})["tokens"], want) << text;
    }
}

TEST_F(profile_cli, verbose_passes_show_what_they_did) {
    EXPECT_EQ(generate({"--verbose"}).err.find("folded"), std::string::npos);
    write("[passes]\nverbose = true\n");
    const outcome whole = generate({"--verbose"});
    EXPECT_NE(whole.err.find("nodes built"), std::string::npos) << whole.err;
    EXPECT_NE(whole.err.find("0 composites decomposed"), std::string::npos) << whole.err;
    write("[passes]\nverbose = true\n[fusion]\npolicy = \"fusable\"\n");
    EXPECT_EQ(generate({"--verbose"}).err.find(" 0 composites decomposed"), std::string::npos);
}

TEST_F(profile_cli, check_and_plan_name_it_and_find_its_mistakes) {
    const auto check = [&](std::vector<std::string> more = {}) {
        std::vector<std::string> argv{rlx_run, "check", model};
        argv.insert(argv.end(), more.begin(), more.end());
        return run(argv);
    };
    EXPECT_NE(check().out.find("profile: preset lm"), std::string::npos);
    write("");
    EXPECT_NE(check().out.find("profile: " + file), std::string::npos);
    EXPECT_EQ(json::parse(check({"--json"}).out)["profile"], file);
    EXPECT_EQ(json::parse(generate({"--plan", "--json"}).out)["profile"], file);
    EXPECT_NE(generate({"--plan"}).out.find(file), std::string::npos);
    write("\n[fusion]\nskp = true\n");
    for (const outcome& r : {check(), generate(), generate({"--plan"})}) {
        EXPECT_EQ(r.exit_code, 3);
        EXPECT_NE(r.err.find(file + ":3: unknown key 'fusion.skp'"), std::string::npos) << r.err;
    }
    EXPECT_EQ(generate({"--profile", "none"}).exit_code, 0);
}

TEST_F(profile_cli, what_the_backend_cannot_do_is_refused_with_the_line) {
    write("[fusion]\ntarget = \"metal\"\n");
    const outcome target = generate();
    EXPECT_EQ(target.exit_code, 4);
    EXPECT_NE(target.err.find(":2: fusion.target is \"metal\""), std::string::npos) << target.err;
    write("[precision]\n\ncompute = \"bf16\"\n");
    const outcome type = generate();
    EXPECT_EQ(type.exit_code, 4);
    EXPECT_NE(type.err.find("compute 'bf16'"), std::string::npos) << type.err;
    EXPECT_NE(type.err.find(file + ":3"), std::string::npos) << type.err;
    EXPECT_EQ(generate({"--profile", (dir / "nowhere.toml").string()}).exit_code, 3);
}

} // namespace
} // namespace rlx::test
