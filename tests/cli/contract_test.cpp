// SPDX-License-Identifier: GPL-3.0-only
// What scripts rely on: streams, JSON documents, commands, exit codes, with the bundled model.
#include "process.hpp"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>

namespace rlx::test {
namespace {

using json = nlohmann::json;

const std::string rlx_run = program("rlx-run");
const std::vector<std::string> prompt{
    "--weights", stories_model(), "--prompt", "Once upon a time,", "--max-tokens", "12"};

std::vector<std::string>
command(std::vector<std::string> head, const std::vector<std::string>& tail) {
    head.insert(head.end(), tail.begin(), tail.end());
    return head;
}

std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> out;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        out.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return out;
}

json run_json(std::vector<std::string> extra = {"--json"}) {
    const outcome r = run(command(command({rlx_run, "run"}, prompt), extra));
    EXPECT_EQ(r.exit_code, 0) << r.err;
    return json::parse(r.out);
}

// A float32 matrix of an .npy file.
struct matrix {
    std::size_t rows = 0, cols = 0;
    std::vector<float> data;
};

matrix read_npy(const std::string& bytes) {
    EXPECT_EQ(bytes.substr(0, 6), "\x93NUMPY");
    std::uint16_t header = 0;
    std::memcpy(&header, bytes.data() + 8, 2);
    const std::string text = bytes.substr(10, header);
    EXPECT_NE(text.find("'descr': '<f4'"), std::string::npos) << text;
    EXPECT_NE(text.find("'fortran_order': False"), std::string::npos) << text;
    EXPECT_EQ((10 + header) % 64, 0);
    matrix m;
    EXPECT_EQ(
        std::sscanf(text.c_str() + text.find("'shape': (") + 10, "%zu, %zu", &m.rows, &m.cols), 2
    );
    EXPECT_EQ(bytes.size(), 10 + header + m.rows * m.cols * 4);
    m.data.resize(m.rows * m.cols);
    std::memcpy(m.data.data(), bytes.data() + 10 + header, m.data.size() * 4);
    return m;
}

std::string read_file(const std::string& path) {
    std::ifstream f(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(f), {}};
}

TEST(run, prints_the_text_alone_on_stdout_and_the_timing_on_stderr) {
    const outcome r = run(command({rlx_run, "run"}, prompt));
    ASSERT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(r.out, run_json()["text"].get<std::string>() + "\n");
    EXPECT_NE(r.err.find("prefill"), std::string::npos) << r.err;
    EXPECT_NE(r.err.find("decode"), std::string::npos) << r.err;
    EXPECT_NE(r.err.find("tok/s"), std::string::npos) << r.err;
}

TEST(run, quiet_leaves_stderr_empty) {
    EXPECT_EQ(run(command({rlx_run, "run", "--quiet"}, prompt)).err, "");
}

TEST(run, json_is_one_document_with_the_promised_members) {
    const json doc = run_json();
    EXPECT_EQ(doc["tokens"].size(), 12u);
    EXPECT_EQ(doc["finish_reason"], "length");
    EXPECT_EQ(doc["usage"]["completion_tokens"], 12);
    EXPECT_GT(doc["usage"]["prompt_tokens"], 0);
    EXPECT_TRUE(doc["timings"].is_object());
    EXPECT_TRUE(doc["fallbacks"].empty());
    ASSERT_TRUE(doc["ran_on"].is_object());
    EXPECT_EQ(doc["ran_on"]["device"], "cpu");
    const std::set<std::string> plugins(
        doc["ran_on"]["plugins"].begin(), doc["ran_on"]["plugins"].end()
    );
    EXPECT_EQ(plugins, (std::set<std::string>{"org.rlx.cpu", "org.rlx.qwen3"}));
}

TEST(run, loads_exactly_one_family_and_one_backend_plugin) {
    const outcome r = run(command({rlx_run, "run"}, prompt), {.environment = {"LD_DEBUG=files"}});
    std::size_t loaded = 0;
    for (const std::string& line : lines(r.err))
        loaded += line.find("calling init: /proc/self/fd/") != std::string::npos;
    EXPECT_EQ(loaded, 2u);
}

TEST(run, jsonl_streams_tokens_and_ends_with_the_result) {
    const outcome r = run(command({rlx_run, "run", "--jsonl"}, prompt));
    ASSERT_EQ(r.exit_code, 0) << r.err;
    const auto rows = lines(r.out);
    ASSERT_EQ(rows.size(), 13u) << r.out;
    std::string text;
    for (std::size_t i = 0; i < 12; i++) {
        const json row = json::parse(rows[i]);
        EXPECT_EQ(row["type"], "token");
        text += row["text"];
    }
    const json last = json::parse(rows[12]);
    EXPECT_EQ(last["type"], "result");
    EXPECT_EQ(last["text"], text);
}

TEST(run, reads_the_prompt_from_stdin_and_as_ids) {
    const json by_text = run_json();
    const outcome by_stdin =
        run({rlx_run,
             "run",
             "--weights",
             stories_model(),
             "--prompt",
             "-",
             "--max-tokens",
             "12",
             "--json"},
            {.input = "Once upon a time,"});
    EXPECT_EQ(json::parse(by_stdin.out)["tokens"], by_text["tokens"]);
    const outcome ids = run(
        {rlx_run,
         "tokenize",
         "--weights",
         stories_model(),
         "--text",
         "Once upon a time,",
         "--json",
         "--add-special"}
    );
    std::string list;
    const json doc = json::parse(ids.out);
    for (int id : doc["ids"])
        list += (list.empty() ? "" : ",") + std::to_string(id);
    const outcome by_ids = run(
        {rlx_run,
         "run",
         "--weights",
         stories_model(),
         "--prompt-ids",
         list,
         "--max-tokens",
         "12",
         "--json"}
    );
    EXPECT_EQ(json::parse(by_ids.out)["tokens"], by_text["tokens"]);
}

TEST(run, is_the_same_through_auto_the_family_command_and_the_family_program) {
    const std::string expected = run(command({rlx_run, "run"}, prompt)).out;
    EXPECT_EQ(run(command({rlx_run, "qwen3"}, prompt)).out, expected);
    EXPECT_EQ(run(command({program("rlx-qwen3")}, prompt)).out, expected);
    const outcome by_auto = run(
        {rlx_run, "auto", stories_model(), "--prompt", "Once upon a time,", "--max-tokens", "12"}
    );
    EXPECT_EQ(by_auto.out, expected);
    EXPECT_NE(by_auto.err.find("qwen3"), std::string::npos) << by_auto.err;
}

TEST(run, samples_reproducibly_with_a_seed) {
    const std::vector<std::string> warm{
        "--json", "--temperature", "1.5", "--top-k", "50", "--seed", "7"};
    const json first = run_json(warm);
    EXPECT_EQ(first["tokens"], run_json(warm)["tokens"]);
    EXPECT_NE(
        first["tokens"],
        run_json({"--json", "--temperature", "1.5", "--top-k", "50", "--seed", "8"})["tokens"]
    );
}

TEST(run, stops_before_a_stop_string_that_spans_tokens) {
    const std::string all = run_json()["text"];
    const std::string stop = all.substr(all.size() / 2, 5);
    const json doc = run_json({"--json", "--stop", stop});
    EXPECT_EQ(doc["finish_reason"], "stop");
    EXPECT_EQ(doc["text"], all.substr(0, all.find(stop)));
}

TEST(run, gives_the_same_answer_for_any_number_of_threads) {
    EXPECT_EQ(
        run_json({"--json", "--threads", "1"})["tokens"],
        run_json({"--json", "--threads", "2"})["tokens"]
    );
}

TEST(run, chat_flag_and_messages_file_render_the_same_prompt) {
    const std::string messages = R"([{"role": "user", "content": "Tell me a story about a fox."}])";
    const outcome file =
        run({rlx_run,
             "run",
             "--weights",
             stories_model(),
             "--messages-json",
             "-",
             "--json",
             "--max-tokens",
             "8"},
            {.input = messages});
    const outcome chat = run(
        {rlx_run,
         "run",
         "--weights",
         stories_model(),
         "--chat",
         "--prompt",
         "Tell me a story about a fox.",
         "--json",
         "--max-tokens",
         "8"}
    );
    ASSERT_EQ(file.exit_code, 0) << file.err;
    EXPECT_EQ(json::parse(file.out)["tokens"], json::parse(chat.out)["tokens"]);
    EXPECT_EQ(json::parse(file.out)["usage"], json::parse(chat.out)["usage"]);
}

TEST(render, prints_the_prompt_bytes_and_nothing_else) {
    const outcome r =
        run({rlx_run, "render", "--weights", stories_model(), "--messages-json", "-"},
            {.input = R"([{"role": "user", "content": "Hi"}])"});
    EXPECT_EQ(r.out, "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
}

TEST(tokenize, reads_text_or_stdin_and_knows_special_tokens_only_when_asked) {
    const std::vector<std::string> base{
        rlx_run, "tokenize", "--weights", stories_model(), "--json"};
    const json plain = json::parse(run(command(base, {"--text", "A fox."})).out);
    EXPECT_EQ(plain.size(), 1u);
    EXPECT_EQ(json::parse(run(command(base, {"-"}), {.input = "A fox."}).out), plain);
    EXPECT_GT(json::parse(run(command(base, {"--text", "<|im_end|>"})).out)["ids"].size(), 1u);
    EXPECT_EQ(
        json::parse(run(command(base, {"--text", "<|im_end|>", "--parse-special"})).out)["ids"],
        json::parse("[2]")
    );
    EXPECT_EQ(json::parse(run(command(base, {"--text", ""})).out)["ids"].size(), 0u);
}

TEST(logits, writes_one_row_per_token_whatever_the_chunk) {
    const std::string dir = scratch_directory();
    const std::vector<std::string> base{
        rlx_run,
        "logits",
        "--weights",
        stories_model(),
        "--prompt-ids",
        "5,6,7,8,9,10,11",
        "--compute",
        "f32"};
    ASSERT_EQ(run(command(base, {"--out", dir + "/all.npy"})).exit_code, 0);
    ASSERT_EQ(run(command(base, {"--out", dir + "/chunks.npy", "--chunk", "3"})).exit_code, 0);
    const matrix all = read_npy(read_file(dir + "/all.npy")),
                 chunks = read_npy(read_file(dir + "/chunks.npy"));
    EXPECT_EQ(all.rows, 7u);
    EXPECT_EQ(all.cols, 1024u);
    ASSERT_EQ(all.data.size(), chunks.data.size());
    for (std::size_t i = 0; i < all.data.size(); i++)
        ASSERT_NEAR(all.data[i], chunks.data[i], 1e-4) << i;
    const outcome piped = run(command(base, {"--out", "-"}));
    EXPECT_EQ(piped.out, read_file(dir + "/all.npy"));
    std::filesystem::remove_all(dir);
}

TEST(check, says_supported_for_the_bundled_model) {
    const outcome r = run({rlx_run, "check", stories_model(), "--json"});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    const json doc = json::parse(r.out);
    EXPECT_EQ(doc["source"], "gguf");
    EXPECT_EQ(doc["arch"], "qwen3");
    EXPECT_EQ(doc["status"], "supported");
    EXPECT_EQ(doc["detail"]["runner"], "qwen3");
    EXPECT_EQ(doc["gguf_fields"]["context_length"], 512);
    EXPECT_EQ(doc["gguf_fields"]["tokenizer_model"], "gpt2");
    EXPECT_EQ(doc["gguf_fields"]["has_tokens"], true);
}

TEST(inspect, prints_one_document_and_is_also_a_program) {
    const outcome a = run({rlx_run, "inspect", stories_model(), "--json"});
    const outcome b = run({program("rlx-inspect"), stories_model(), "--json"});
    EXPECT_EQ(a.exit_code, 0) << a.err;
    EXPECT_EQ(a.out, b.out);
    const json doc = json::parse(a.out);
    EXPECT_EQ(doc["format"], "gguf");
    EXPECT_EQ(doc["runner"], "qwen3");
    EXPECT_EQ(doc["mtp_heads"], 0);
    EXPECT_GT(doc["f32_bytes"], doc["packed_bytes"]);
}

TEST(inspect, scans_folders_and_resolves_a_name) {
    const std::string dir = scratch_directory();
    std::filesystem::copy_file(stories_model(), dir + "/tiny-Q8_0.gguf");
    const json found = json::parse(run({program("rlx-inspect"),
                                        "scan",
                                        "--root",
                                        dir,
                                        "--source",
                                        "extra",
                                        "-q",
                                        "tiny",
                                        "--sniff",
                                        "--json"})
                                       .out);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0]["path"], dir + "/tiny-Q8_0.gguf");
    EXPECT_EQ(found[0]["quant_hint"], "Q8_0");
    EXPECT_EQ(found[0]["arch_hint"], "qwen3");
    EXPECT_EQ(
        run({program("rlx-inspect"), "resolve", "tiny", "--root", dir, "--source", "extra"}).out,
        dir + "/tiny-Q8_0.gguf\n"
    );
    EXPECT_EQ(
        run({program("rlx-inspect"), "resolve", "nothing-like-it", "--root", dir}).exit_code, 3
    );
    for (const char* verb : {"scan", "resolve"})
        EXPECT_EQ(run({program("rlx-inspect"), verb, "--help"}).exit_code, 0);
    std::filesystem::remove_all(dir);
}

TEST(run, verbose_names_the_plugins_and_the_memory) {
    const outcome r = run(command({rlx_run, "run", "--verbose"}, prompt));
    EXPECT_NE(r.err.find("org.rlx.qwen3"), std::string::npos) << r.err;
    EXPECT_NE(r.err.find("memory "), std::string::npos) << r.err;
}

TEST(run, shows_the_memory_plan_to_people_and_as_json) {
    const outcome text = run(command({rlx_run, "run"}, {"--weights", stories_model(), "--plan"}));
    ASSERT_EQ(text.exit_code, 0) << text.err;
    EXPECT_EQ(text.out.substr(0, 8), "weights ");
    EXPECT_NE(text.out.find("total"), std::string::npos) << text.out;
    const outcome r =
        run(command({rlx_run, "run"}, {"--weights", stories_model(), "--plan", "--json"}));
    ASSERT_EQ(r.exit_code, 0) << r.err;
    const json plan = json::parse(r.out);
    EXPECT_EQ(
        plan["total_bytes"].get<std::uint64_t>(),
        plan["weights_bytes"].get<std::uint64_t>() + plan["mapped_bytes"].get<std::uint64_t>() +
            plan["state_bytes"].get<std::uint64_t>() + plan["scratch_bytes"].get<std::uint64_t>()
    );
    EXPECT_TRUE(plan["fits"].get<bool>());
    const outcome tight = run(
        {rlx_run,
         "run",
         "--weights",
         stories_model(),
         "--plan",
         "--json",
         "--max-memory-gb",
         "0.008"}
    );
    EXPECT_EQ(tight.exit_code, 5);
    EXPECT_FALSE(json::parse(tight.out)["fits"].get<bool>());
    EXPECT_NE(tight.err.find("max_seq"), std::string::npos) << tight.err;
}

TEST(chat, answers_every_line_of_a_pipe_and_nothing_else_reaches_stdout) {
    const outcome r =
        run({rlx_run, "chat", "--weights", stories_model(), "--max-tokens", "8"},
            {.input = "Tell me a story about a fox.\nTell me a story about a bear.\n"});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(lines(r.out).size(), 2u) << r.out;
}

TEST(help, exists_for_every_documented_command_and_loads_no_plugin) {
    for (const char* name :
         {"auto",
          "run",
          "chat",
          "check",
          "inspect",
          "plugins",
          "devices",
          "env",
          "tokenize",
          "render",
          "logits",
          "help",
          "qwen3",
          "llama32"}) {
        const outcome r = run({rlx_run, name, "--help"}, {.environment = {"LD_DEBUG=files"}});
        EXPECT_EQ(r.exit_code, 0) << name;
        EXPECT_NE(r.out.find("usage: "), std::string::npos) << name;
        EXPECT_EQ(r.err.find("/proc/self/fd/"), std::string::npos) << name;
    }
    const outcome top = run({rlx_run, "--help"});
    EXPECT_EQ(top.exit_code, 0);
    for (const char* name : {"auto", "chat", "qwen3", "llama32"})
        EXPECT_NE(top.out.find(name), std::string::npos) << name;
    EXPECT_EQ(run({rlx_run, "--version"}).exit_code, 0);
}

TEST(plugins, lists_families_and_explains_where_it_looked) {
    const json doc = json::parse(run({rlx_run, "plugins", "--json", "--why"}).out);
    std::set<std::string> ids;
    for (const json& p : doc["plugins"])
        ids.insert(p["id"]);
    EXPECT_TRUE(
        ids.contains("org.rlx.cpu") && ids.contains("org.rlx.qwen3") &&
        ids.contains("org.rlx.llama32")
    );
    EXPECT_FALSE(doc["searched"].empty());
    EXPECT_FALSE(doc["files"].empty());
}

TEST(env, lists_every_variable_with_its_value) {
    const json doc =
        json::parse(run({rlx_run, "env", "--json"}, {.environment = {"RLX_THREADS=1"}}).out);
    bool found = false;
    for (const json& row : doc)
        found |= row["name"] == "RLX_THREADS" && row["value"] == "1";
    EXPECT_TRUE(found);
}

} // namespace
} // namespace rlx::test
