// SPDX-License-Identifier: GPL-3.0-only
// Every kind of bad input: the exit code and the words a user needs.
#include "process.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace rlx::test {
namespace {

namespace fs = std::filesystem;

struct bad_input : testing::Test {
    std::string dir = scratch_directory();

    ~bad_input() override { fs::remove_all(dir); }

    // Runs `rlx-run <args>`; the error must carry the code and all the words, and stdout must be
    // empty.
    void expect(
        int code,
        const std::vector<std::string>& words,
        std::vector<std::string> args,
        const run_options& o = {}
    ) {
        args.insert(args.begin(), program("rlx-run"));
        const outcome r = run(args, o);
        EXPECT_EQ(r.exit_code, code) << r.err;
        EXPECT_EQ(r.out, "");
        for (const std::string& w : words)
            EXPECT_NE(r.err.find(w), std::string::npos) << "no '" << w << "' in: " << r.err;
    }

    std::string copy_of_model(const std::string& name, std::size_t bytes = SIZE_MAX) {
        fs::copy_file(stories_model(), dir + "/" + name);
        if (bytes != SIZE_MAX) fs::resize_file(dir + "/" + name, bytes);
        return dir + "/" + name;
    }
};

std::vector<std::string>
ask(const std::string& weights, std::vector<std::string> more = {"--prompt", "Hi"}) {
    std::vector<std::string> args{"run", "--weights", weights};
    args.insert(args.end(), more.begin(), more.end());
    return args;
}

TEST_F(bad_input, missing_file_is_named) {
    expect(3, {dir + "/none.gguf"}, ask(dir + "/none.gguf"));
}

// As under `ulimit -v` or a batch system's limit of address space.
TEST_F(bad_input, weights_that_cannot_be_mapped_are_a_lack_of_memory) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "sanitizers reserve more address space than the limit leaves";
#endif
    const std::string file = dir + "/model.gguf";
    std::ofstream(file) << "none";
    std::error_code failed;
    fs::resize_file(file, std::uintmax_t{64} << 30, failed);
    if (failed) GTEST_SKIP() << "no sparse files here: " << failed.message();
    const auto under = [&](const char* kilobytes) {
        return run(
            {"/bin/sh",
             "-c",
             "ulimit -v \"$1\"; exec \"$2\" run --weights \"$3\" --prompt Hi",
             "sh",
             kilobytes,
             program("rlx-run"),
             file}
        );
    };
    const outcome limited = under("33554432");
    EXPECT_EQ(limited.exit_code, 5) << limited.err;
    EXPECT_EQ(limited.out, "");
    EXPECT_NE(limited.err.find(file + ": cannot map"), std::string::npos) << limited.err;
    EXPECT_EQ(under("unlimited").exit_code, 3); // the file is at fault then
}

TEST_F(bad_input, missing_weights_flag_is_a_usage_error) {
    expect(2, {"--weights"}, {"run", "--prompt", "Hi"});
}

TEST_F(bad_input, directory_with_several_ggufs_lists_them_and_hints_at_the_flags) {
    copy_of_model("a-Q8_0.gguf"), copy_of_model("b-Q4_0.gguf");
    expect(2, {"a-Q8_0.gguf", "b-Q4_0.gguf", "--prefer", "--gguf-index"}, ask(dir));
    EXPECT_EQ(
        run({program("rlx-run"),
             "run",
             "--weights",
             dir,
             "--gguf-index",
             "1",
             "--prompt",
             "Hi",
             "--max-tokens",
             "1"})
            .exit_code,
        0
    );
    EXPECT_EQ(
        run({program("rlx-run"),
             "run",
             "--weights",
             dir,
             "--prefer",
             "Q4_0",
             "--prompt",
             "Hi",
             "--max-tokens",
             "1"})
            .exit_code,
        0
    );
}

TEST_F(bad_input, empty_directory_says_what_was_expected) {
    expect(3, {dir, "model.safetensors"}, ask(dir));
}

TEST_F(bad_input, wrong_family_names_the_right_one) {
    expect(4, {"llama32", "qwen3"}, {"llama32", "--weights", stories_model(), "--prompt", "Hi"});
}

TEST_F(bad_input, truncated_files_are_refused_wherever_they_end) {
    const auto whole = fs::file_size(stories_model());
    for (std::size_t bytes :
         {std::size_t{0},
          std::size_t{3},
          std::size_t{20},
          std::size_t{5000},
          static_cast<std::size_t>(whole / 2),
          static_cast<std::size_t>(whole - 1)}) {
        const std::string name = "cut" + std::to_string(bytes) + ".gguf";
        expect(3, {name}, ask(copy_of_model(name, bytes)));
    }
}

TEST_F(bad_input, garbage_is_no_model) {
    std::ofstream(dir + "/x.gguf")
        << "this is not a model at all, but it is long enough to hold a header";
    expect(3, {"x.gguf"}, ask(dir + "/x.gguf"));
}

TEST_F(bad_input, pipes_and_empty_files_are_no_models_and_nothing_hangs) {
    ASSERT_EQ(mkfifo((dir + "/pipe.gguf").c_str(), 0600), 0);
    expect(
        2, {"pipe.gguf", "not a regular file"}, ask(dir + "/pipe.gguf"), {.timeout_seconds = 10}
    );
    std::ofstream(dir + "/empty.gguf").close();
    expect(3, {"empty.gguf", "0 bytes"}, ask(dir + "/empty.gguf"));
}

TEST_F(bad_input, flags_that_would_have_no_effect_are_refused) {
    expect(2, {"--chat"}, ask(stories_model(), {"--prompt-ids", "5", "--chat"}));
    expect(2, {"--no-think"}, ask(stories_model(), {"--prompt", "Hi", "--no-think"}));
    expect(
        2,
        {"--no-packed"},
        ask(stories_model(), {"--prompt", "Hi", "--no-packed", "--compute", "auto"})
    );
    expect(2, {"--stop"}, ask(stories_model(), {"--prompt", "Hi", "--stop", ""}));
    expect(2, {"--weights"}, {"run", stories_model(), "--prompt", "Hi"});
}

TEST_F(bad_input, unknown_log_levels_are_refused) {
    expect(2, {"RLX_LOG", "zzz", "debug"}, ask(stories_model()), {.environment = {"RLX_LOG=zzz"}});
}

TEST_F(bad_input, unknown_flag_suggests_the_nearest) {
    expect(
        2,
        {"--max-tokns", "--max-tokens"},
        ask(stories_model(), {"--prompt", "Hi", "--max-tokns", "3"})
    );
    expect(
        2, {"--ctx-size", "--max-seq"}, ask(stories_model(), {"--prompt", "Hi", "--ctx-size", "3"})
    );
}

TEST_F(bad_input, unknown_command_suggests_the_nearest) {
    expect(2, {"tokenise", "tokenize"}, {"tokenise"});
}

TEST_F(bad_input, values_are_checked) {
    expect(
        2, {"--max-tokens", "abc"}, ask(stories_model(), {"--prompt", "Hi", "--max-tokens", "abc"})
    );
    expect(
        2, {"--temperature", "-1"}, ask(stories_model(), {"--prompt", "Hi", "--temperature", "-1"})
    );
    expect(2, {"--top-p", "1.5"}, ask(stories_model(), {"--prompt", "Hi", "--top-p", "1.5"}));
    expect(2, {"--compute", "f33"}, ask(stories_model(), {"--prompt", "Hi", "--compute", "f33"}));
}

// As from a shell variable that is not set: no choice of a file, a device or a number.
TEST_F(bad_input, empty_values_are_refused) {
    for (const std::string flag :
         {"--weights",
          "--config",
          "--tokenizer",
          "--profile",
          "--device",
          "--tier",
          "--compute",
          "--kv",
          "--plugin-dir",
          "--format",
          "--max-tokens"})
        expect(2, {flag}, ask(stories_model(), {"--prompt", "Hi", flag, ""}));
    expect(2, {"empty", "<path>"}, {"inspect", ""});
    std::vector<std::string> any_name = ask(stories_model(), {"--prompt", "Hi", "--prefer", ""});
    any_name.insert(any_name.begin(), program("rlx-run"));
    EXPECT_EQ(run(any_name).exit_code, 0);
}

TEST_F(bad_input, a_folder_that_is_not_searched_is_told_once) {
    const std::string model = stories_model();
    for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
             {"run", "--weights", model, "--prompt", "Hi", "--plan"},
             {"tokenize", "--weights", model, "--text", "Hi"},
             {"logits", "--weights", model, "--prompt-ids", "5", "--out", dir + "/x.npy"},
             {"auto", model, "--plan"},
             {"check", model},
             {"plugins"}}) {
        std::vector<std::string> args = command;
        args.insert(args.begin(), program("rlx-run"));
        args.insert(args.end(), {"--plugin-dir", "here"});
        const std::string said = run(args).err, news = "here is not searched";
        const auto first = said.find(news);
        EXPECT_NE(first, said.npos) << command[0] << ": " << said;
        EXPECT_EQ(said.find(news, first + 1), said.npos) << command[0] << ": " << said;
    }
}

TEST_F(bad_input, too_long_a_prompt_is_refused_with_both_counts) {
    expect(
        2,
        {"7 tokens", "4"},
        ask(stories_model(), {"--prompt-ids", "5,6,7,8,9,10,11", "--max-seq", "4"})
    );
}

TEST_F(bad_input, token_ids_are_checked) {
    expect(2, {"1024", "1023"}, ask(stories_model(), {"--prompt-ids", "5,1024"}));
    expect(2, {"-1"}, ask(stories_model(), {"--prompt-ids", "5,-1"}));
    expect(2, {"5,x"}, ask(stories_model(), {"--prompt-ids", "5,x"}));
}

TEST_F(bad_input, empty_prompts_are_refused) {
    expect(2, {"empty"}, ask(stories_model(), {"--prompt", ""}));
    expect(2, {"empty"}, ask(stories_model(), {"--prompt-ids", ""}));
    expect(2, {"--prompt"}, ask(stories_model(), {}));
}

TEST_F(bad_input, conflicting_prompts_are_refused) {
    expect(
        2,
        {"--prompt", "--prompt-ids"},
        ask(stories_model(), {"--prompt", "Hi", "--prompt-ids", "1"})
    );
}

TEST_F(bad_input, broken_messages_are_refused) {
    expect(
        2,
        {"role"},
        ask(stories_model(), {"--messages-json", "-"}),
        {.input = R"([{"content": "Hi"}])"}
    );
    expect(2, {"JSON"}, ask(stories_model(), {"--messages-json", "-"}), {.input = "[{"});
    expect(3, {dir + "/m.json"}, ask(stories_model(), {"--messages-json", dir + "/m.json"}));
}

TEST_F(bad_input, memory_plan_refuses_before_loading_with_the_numbers) {
    // 1 MB is not enough for anything; 8 MB is, for a shorter sequence.
    expect(
        5,
        {"the plan needs", "1.0 MB", "weights"},
        ask(stories_model(), {"--prompt", "Hi", "--max-memory-gb", "0.001"})
    );
    expect(
        5,
        {"the plan needs", "8.0 MB", "max_seq"},
        ask(stories_model(), {"--prompt", "Hi", "--max-memory-gb", "0.008"})
    );
}

TEST_F(bad_input, unknown_devices_list_the_known_ones) {
    expect(2, {"cpu", "quantum"}, ask(stories_model(), {"--prompt", "Hi", "--device", "quantum"}));
    expect(4, {"cuda", "cpu"}, ask(stories_model(), {"--prompt", "Hi", "--device", "cuda"}));
}

TEST_F(bad_input, unknown_tier_is_refused_never_replaced) {
    expect(2, {"avx9000", "avx2"}, ask(stories_model(), {"--prompt", "Hi", "--tier", "avx9000"}));
}

TEST_F(bad_input, no_plugin_for_the_architecture_says_what_was_searched) {
    std::ofstream(dir + "/config.json") << R"({"model_type": "moonshot9"})";
    const std::string header = R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
    std::ofstream f(dir + "/model.safetensors", std::ios::binary);
    const std::uint64_t n = header.size();
    f.write(reinterpret_cast<const char*>(&n), 8) << header << std::string(4, '\0');
    f.close();
    expect(4, {"moonshot9", "rlx/plugins", "qwen3"}, ask(dir));
}

TEST_F(bad_input, unwritable_cache_is_no_obstacle) {
    const outcome r = run(
        {program("rlx-run"),
         "run",
         "--weights",
         stories_model(),
         "--prompt",
         "Hi",
         "--max-tokens",
         "1"},
        {.environment = {"RLX_CACHE_DIR=/proc/no/such/place", "XDG_CACHE_HOME=/proc/no/such/place"}}
    );
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_NE(r.err.find("/proc/no/such/place"), std::string::npos) << r.err;
}

TEST_F(bad_input, unwritable_output_is_an_error_and_leaves_nothing) {
    expect(
        1,
        {"/proc/nowhere.npy"},
        {"logits", "--weights", stories_model(), "--prompt-ids", "5", "--out", "/proc/nowhere.npy"}
    );
}

TEST_F(bad_input, full_disk_on_stdout_is_an_error) {
    const outcome r = run(
        {"/bin/sh",
         "-c",
         program("rlx-run") + " run --weights " + stories_model() +
             " --prompt Hi --max-tokens 2 >/dev/full"}
    );
    EXPECT_EQ(r.exit_code, 1) << r.err;
    EXPECT_NE(r.err.find("standard output"), std::string::npos) << r.err;
}

} // namespace
} // namespace rlx::test
