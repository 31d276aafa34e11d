// SPDX-License-Identifier: GPL-3.0-only
// Compile profiles: every key, every way a file can be wrong, where a profile comes from and what
// it makes of the options of a run.
#include "rlx/profile.hpp"

#include "fake_catalog.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace rlx {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view everything = R"(
[fusion]
policy = "fusable"
target = "cpu"
assert_clean = false
skip = true

[passes]
dce = false
constant_folding = false
verbose = true

[precision]
compute = "f32"
mixed = "none"

[backend.cpu]
skip_fusion = true
unfuse_regions = true
[backend.metal]
skip_fusion = true
[backend.mlx]
unfuse_regions = true
[backend.cuda]
[backend.rocm]
[backend.wgpu]
[backend.vulkan]
[backend.tpu]

[infer]
mode = "parity"
)";

compile_profile parsed(std::string_view text) {
    auto p = parse_profile(text, "x.rlx.toml");
    if (!p) throw std::runtime_error(p.error().message);
    return std::move(*p);
}

lm_options applied(
    std::string_view text,
    explicit_choices given = {},
    lm_options o = {},
    std::string_view device = "cpu"
) {
    const auto done = apply_profile(parsed(text), device, given, o);
    if (!done) throw std::runtime_error(done.error().message);
    return o;
}

TEST(profile, every_key_is_read_with_its_line) {
    const compile_profile p = parsed(everything);
    EXPECT_EQ(p.policy.value, "fusable");
    EXPECT_EQ(p.policy.line, 3);
    EXPECT_EQ(p.target.value, "cpu");
    EXPECT_FALSE(p.assert_clean.value);
    EXPECT_TRUE(p.assert_clean.given());
    EXPECT_TRUE(p.skip.value);
    EXPECT_FALSE(p.dce.value);
    EXPECT_FALSE(p.constant_folding.value);
    EXPECT_TRUE(p.verbose.value);
    EXPECT_EQ(p.compute.value, "f32");
    EXPECT_EQ(p.mixed.value, "none");
    EXPECT_EQ(p.mode.value, "parity");
    EXPECT_EQ(p.backends.size(), 8U);
    EXPECT_TRUE(p.backends.at("cpu").skip_fusion && p.backends.at("cpu").unfuse_regions);
    EXPECT_TRUE(p.backends.at("metal").skip_fusion);
    EXPECT_TRUE(p.from_file());
}

TEST(profile, an_empty_file_is_the_preset_with_another_name) {
    const lm_options a = applied("# nothing\n");
    EXPECT_EQ(a.compute, "auto");
    EXPECT_EQ(a.kv, "auto");
    EXPECT_TRUE(a.fuse && a.finish.composites && a.finish.dce && a.finish.fold);
    EXPECT_FALSE(a.finish.assert_whole || a.finish.verbose);
    EXPECT_EQ(a.profile, "x.rlx.toml");
    EXPECT_EQ(preset_profile("lm").source, "preset lm");
    EXPECT_FALSE(preset_profile("lm").from_file());
}

TEST(profile, the_file_in_the_documents_has_every_key_at_its_default) {
    std::ifstream in(RLX_SOURCE_DIR "/docs/profiles.md");
    const std::string page{std::istreambuf_iterator<char>(in), {}};
    const std::size_t from = page.find("```toml\n"), to = page.find("```", from + 3);
    ASSERT_NE(to, page.npos);
    const compile_profile p = parsed(std::string_view(page).substr(from + 8, to - from - 8));
    for (const bool given :
         {p.policy.given(),
          p.target.given(),
          p.assert_clean.given(),
          p.skip.given(),
          p.dce.given(),
          p.constant_folding.given(),
          p.verbose.given(),
          p.compute.given(),
          p.mixed.given(),
          p.mode.given(),
          p.backends.contains("cpu")})
        EXPECT_TRUE(given);
    const compile_profile preset = preset_profile("lm");
    EXPECT_EQ(p.policy.value, preset.policy.value);
    EXPECT_EQ(p.dce.value, preset.dce.value);
    EXPECT_EQ(p.skip.value, preset.skip.value);
    EXPECT_EQ(p.mode.value, preset.mode.value);
}

struct wrong {
    std::string_view text;
    std::string_view says; // all of it
};

TEST(profile, a_wrong_file_is_an_error_with_its_line_and_what_is_allowed) {
    const wrong cases[] = {
        {"[fusion]\npolicy = \"none\"\n",
         "x.rlx.toml:2: fusion.policy is \"none\", expected \"direct\" or \"fusable\""},
        {"[fusion]\ntarget = \"cup\"\n",
         "x.rlx.toml:2: fusion.target is \"cup\", expected \"auto\" or \"cpu\" or \"cuda\" or "
         "\"metal\" or \"mlx\" or \"rocm\" or \"tpu\" or \"vulkan\" or \"wgpu\""},
        {"\n[fusion]\npolcy = \"direct\"\n",
         "x.rlx.toml:3: unknown key 'fusion.polcy', expected one of policy, target, assert_clean, "
         "skip"},
        {"[fusions]\nskip = true\n",
         "x.rlx.toml:1: unknown key 'fusions', expected one of fusion, passes, precision, backend, "
         "infer"},
        {"[passes]\ndce = 1\n", "x.rlx.toml:2: passes.dce is a number, expected true or false"},
        {"passes = 1\n", "x.rlx.toml:1: passes is a number, expected a table"},
        {"[precision]\n\ncompute = \"int8\"\n",
         "x.rlx.toml:3: precision.compute is \"int8\", expected \"f32\" or \"f16\" or \"bf16\""},
        {"[precision]\nmixed = true\n",
         "x.rlx.toml:2: precision.mixed is a boolean, expected \"none\" or \"auto\""},
        {"[infer]\nmode = \"fast\"\n",
         "x.rlx.toml:2: infer.mode is \"fast\", expected \"production\" or \"parity\""},
        {"[backend.cpuu]\nskip_fusion = true\n",
         "x.rlx.toml:1: unknown key 'backend.cpuu', expected one of cpu, cuda, metal, mlx, rocm, "
         "tpu, "
         "vulkan, wgpu"},
        {"[backend.cpu]\nfuse = true\n",
         "x.rlx.toml:2: unknown key 'backend.cpu.fuse', expected one of skip_fusion, "
         "unfuse_regions"},
        {"[fusion]\nassert_clean = true\nskip = true\n",
         "x.rlx.toml:2: fusion.assert_clean contradicts fusion.skip: every composite is "
         "decomposed"},
        {"[fusion]\nassert_clean = true\npolicy = \"fusable\"\n",
         "x.rlx.toml:2: fusion.assert_clean contradicts fusion.policy = \"fusable\": every "
         "composite "
         "is decomposed"},
        {"[precision]\ncompute = \"bf16\"\n[infer]\nmode = \"parity\"\n",
         "x.rlx.toml:2: precision.compute contradicts infer.mode = \"parity\", which computes in "
         "f32"},
        {"[precision]\nmixed = \"auto\"\n[infer]\nmode = \"parity\"\n",
         "x.rlx.toml:2: precision.mixed contradicts infer.mode = \"parity\", which computes in "
         "f32"},
    };
    for (const wrong& w : cases) {
        const auto p = parse_profile(w.text, "x.rlx.toml");
        ASSERT_FALSE(p.ok()) << w.text;
        EXPECT_EQ(p.error().code, static_cast<std::uint32_t>(RLX_CORRUPT_DATA));
        EXPECT_EQ(p.error().message, w.says);
    }
}

// A profile may come with a downloaded checkpoint: what it says must not reach the terminal raw.
TEST(profile, no_error_carries_control_characters_of_the_file) {
    const auto message = [](std::string_view text) {
        const auto p = parse_profile(text, "x.rlx.toml");
        return p.ok() ? std::string() : p.error().message;
    };
    EXPECT_EQ(
        message("[fusion]\npolicy = \"\\u001B[2Jx\"\n"),
        "x.rlx.toml:2: fusion.policy is \"\\x1b[2Jx\", expected \"direct\" or \"fusable\""
    );
    EXPECT_TRUE(message("[fusion]\n\"\\u001B]0;x\\u0007\" = 1\n")
                    .starts_with("x.rlx.toml:2: unknown key 'fusion.\\x1b]0;x\\x07', expected"));
    for (const std::string_view text :
         {"\x1b[2J", "a = \x1b[2J", "a = \"\x1b[2J\"", "a\x1b[2J = 1"})
        EXPECT_EQ(message(text).find('\x1b'), std::string::npos) << message(text);
    const std::string target = message("[fusion]\ntarget = \"\\u001B[2J\"\n");
    EXPECT_NE(target.find("is \"\\x1b[2J\", expected"), std::string::npos) << target;
}

TEST(profile, syntax_errors_name_the_line) {
    for (const std::string_view text :
         {"[fusion\n",
          "[fusion]\nskip = \n",
          "[fusion]\nskip = true\nskip = false\n",
          "\xff\xfe"}) {
        const auto p = parse_profile(text, "f");
        ASSERT_FALSE(p.ok()) << text;
        EXPECT_TRUE(p.error().message.starts_with("f:")) << p.error().message;
    }
    const std::string deep(100000, '[');
    EXPECT_FALSE(parse_profile("a = " + deep, "f").ok());
}

// Hostile files: every byte replaced in turn, cut short at every place.
TEST(profile, no_damaged_file_does_worse_than_an_error) {
    std::size_t refused = 0;
    for (std::size_t i = 0; i < everything.size(); i++) {
        for (const char c : {'\0', '\n', '"', '[', '=', '\xff', 'x'}) {
            std::string text(everything);
            text[i] = c;
            const auto p = parse_profile(text, "f");
            if (p.ok()) continue;
            refused++;
            EXPECT_TRUE(p.error().message.starts_with("f:")) << p.error().message;
        }
        (void)parse_profile(everything.substr(0, i), "f");
    }
    EXPECT_GT(refused, everything.size());
}

TEST(profile, installed_backends_have_sections_too) {
    const std::string names[] = {"toy"};
    const auto p = parse_profile("[backend.toy]\nskip_fusion = true\n", "f", names);
    ASSERT_TRUE(p.ok()) << p.error().message;
    EXPECT_TRUE(p->backends.at("toy").skip_fusion);
}

TEST(profile, fusion_keys_choose_what_is_offered_whole_and_what_the_backend_may_fuse) {
    EXPECT_FALSE(applied("[fusion]\npolicy = \"fusable\"\n").finish.composites);
    EXPECT_TRUE(applied("[fusion]\npolicy = \"fusable\"\n").fuse);
    EXPECT_FALSE(applied("[fusion]\nskip = true\n").finish.composites);
    EXPECT_FALSE(applied("[fusion]\nskip = true\n").fuse);
    EXPECT_TRUE(applied("[fusion]\nassert_clean = true\n").finish.assert_whole);
    EXPECT_FALSE(applied("[backend.cpu]\nskip_fusion = true\n").fuse);
    EXPECT_TRUE(applied("[backend.cpu]\nskip_fusion = true\n").finish.composites);
    EXPECT_FALSE(applied("[backend.cpu]\nunfuse_regions = true\n").finish.composites);
    const lm_options other =
        applied("[backend.vulkan]\nskip_fusion = true\nunfuse_regions = true\n");
    EXPECT_TRUE(other.fuse && other.finish.composites)
        << "a section of another backend has no effect";
}

TEST(profile, passes_reach_the_graph) {
    const lm_options o =
        applied("[passes]\ndce = false\nconstant_folding = false\nverbose = true\n");
    EXPECT_FALSE(o.finish.dce);
    EXPECT_FALSE(o.finish.fold);
    EXPECT_TRUE(o.finish.verbose);
}

TEST(profile, precision_says_how_to_compute_unless_a_flag_does) {
    EXPECT_EQ(applied("[precision]\ncompute = \"f32\"\n").compute, "f32");
    EXPECT_EQ(applied("[precision]\nmixed = \"none\"\n").compute, "f32");
    EXPECT_EQ(applied("[precision]\ncompute = \"f32\"\nmixed = \"auto\"\n").compute, "auto");
    EXPECT_EQ(applied("[precision]\ncompute = \"f16\"\n").compute, "f16");
    EXPECT_EQ(applied("[precision]\ncompute = \"bf16\"\nmixed = \"auto\"\n").compute, "bf16");
    lm_options flag;
    flag.compute = "auto";
    EXPECT_EQ(applied("[precision]\ncompute = \"f32\"\n", {.compute = true}, flag).compute, "auto");
}

TEST(profile, parity_is_exact_in_every_part) {
    const lm_options o = applied("[infer]\nmode = \"parity\"\n");
    EXPECT_EQ(o.compute, "f32");
    EXPECT_EQ(o.kv, "f32");
    EXPECT_EQ(o.infer_mode, "parity");
    lm_options flag;
    flag.kv = "f16";
    EXPECT_EQ(applied("[infer]\nmode = \"parity\"\n", {.kv = true}, flag).kv, "f16");
}

TEST(profile, the_rules_of_another_backend_are_refused) {
    EXPECT_EQ(applied("[fusion]\ntarget = \"cpu\"\n").profile, "x.rlx.toml");
    lm_options o;
    const auto r = apply_profile(parsed("[fusion]\ntarget = \"metal\"\n"), "cpu", {}, o);
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.error().code, static_cast<std::uint32_t>(RLX_UNSUPPORTED));
    EXPECT_EQ(
        r.error().message,
        "x.rlx.toml:2: fusion.target is \"metal\" but the device is 'cpu': the rules of another "
        "backend cannot be tried on it; allowed are \"auto\" and \"cpu\""
    );
}

// -- where a profile comes from

class profile_file : public testing::Test {
protected:
    profile_file() {
        fs::create_directories(dir);
        family.name = "qwen3";
        family.task = "lm";
        family.json = "{}";
    }

    ~profile_file() override { fs::remove_all(dir); }

    void write(const fs::path& name, std::string_view text) const {
        std::ofstream(dir / name, std::ios::binary) << text;
    }

    result<compile_profile> find(std::string_view choice = "") const {
        return find_profile(family, dir / "model.gguf", choice, *catalog);
    }

    fs::path dir =
        fs::temp_directory_path() / ("rlx_profile_" + std::to_string(getpid()) + "_" +
                                     testing::UnitTest::GetInstance()->current_test_info()->name());
    test::fake_lm lm;
    std::unique_ptr<plugin_catalog> catalog = std::make_unique<test::fake_catalog>(lm);
    provided family;
};

TEST_F(profile_file, without_one_the_preset_of_the_task_is_used) {
    EXPECT_EQ(find()->source, "preset lm");
    EXPECT_EQ(find("none")->source, "preset lm");
    family.task = "embed";
    EXPECT_EQ(find()->source, "preset embed");
}

TEST_F(profile_file, beside_the_weights_it_is_found_by_the_family_or_the_manifest_name) {
    write("qwen3.rlx.toml", "[passes]\nverbose = true\n");
    EXPECT_EQ(find()->source, (dir / "qwen3.rlx.toml").string());
    EXPECT_TRUE(find()->verbose.value);
    EXPECT_EQ(find("none")->source, "preset lm");
    EXPECT_EQ(find_profile(family, dir, "", *catalog)->source, (dir / "qwen3.rlx.toml").string());
    family.json = R"({"profile": "own.toml"})";
    EXPECT_EQ(find()->source, "preset lm");
    write("own.toml", "");
    EXPECT_EQ(find()->source, (dir / "own.toml").string());
    family.json = R"({"profile": "../own.toml"})";
    EXPECT_FALSE(find().ok());
}

TEST_F(profile_file, a_damaged_or_unreadable_one_is_never_replaced_by_the_preset) {
    write("qwen3.rlx.toml", "[passes\n");
    EXPECT_FALSE(find().ok());
    fs::remove(dir / "qwen3.rlx.toml");
    fs::create_directory(dir / "qwen3.rlx.toml");
    const auto folder = find();
    ASSERT_FALSE(folder.ok());
    EXPECT_EQ(folder.error().code, std::uint32_t{RLX_CORRUPT_DATA}) << "nobody's argument";
    fs::remove(dir / "qwen3.rlx.toml");
    fs::create_symlink(dir / "nowhere", dir / "qwen3.rlx.toml");
    EXPECT_FALSE(find().ok()) << "a dangling link is somebody's mistake";
}

TEST_F(profile_file, a_file_that_was_asked_for_must_exist) {
    const auto r = find((dir / "other.toml").string());
    ASSERT_FALSE(r.ok());
    EXPECT_NE(r.error().message.find("other.toml"), std::string::npos);
}

} // namespace
} // namespace rlx
