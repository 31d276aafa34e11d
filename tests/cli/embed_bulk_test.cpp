// SPDX-License-Identifier: GPL-3.0-only
// rlx-embed as a worker: what it refuses before it begins, what failed texts mean, what belongs to
// the run that is gone on with.
#include "process.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace rlx::test {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::json;
using words = std::vector<std::string>;

const std::string goldens = std::string(RLX_SOURCE_DIR) + "/tests/goldens/";

std::string read_file(const fs::path& p) {
    std::ifstream f(p, std::ios::binary);
    return {std::istreambuf_iterator<char>(f), {}};
}

void write_file(const fs::path& p, std::string_view text) {
    std::ofstream(p, std::ios::binary) << text;
}

class embed_bulk : public testing::Test {
protected:
    words command(const words& more) const {
        words out{program("rlx-embed"), "--weights", model, "--compute", "f32"};
        out.insert(out.end(), more.begin(), more.end());
        return out;
    }

    outcome embedded(const words& more, const run_options& o = {}) const {
        return run(command(more), o);
    }

    // Refused as `code`, with `part` in the message, and nothing is left behind.
    void refused(words more, int code, std::string_view part) const {
        more.insert(more.end(), {"--out", at("refused.jsonl")});
        const outcome r = embedded(more);
        EXPECT_EQ(r.exit_code, code) << testing::PrintToString(more) << r.err;
        EXPECT_NE(r.err.find(part), std::string::npos) << r.err;
        for (const char* end : {"", ".part", ".journal", ".meta.json"})
            EXPECT_FALSE(fs::exists(at("refused.jsonl") + end)) << end;
    }

    static std::vector<json> rows(const std::string& text) {
        std::vector<json> out;
        std::istringstream in(text);
        for (std::string line; std::getline(in, line);)
            out.push_back(json::parse(line));
        return out;
    }

    std::string file(const std::string& name, std::string_view text) const {
        write_file(at(name), text);
        return at(name);
    }

    // A copy of the checkpoint that a test may change.
    void copy_model() {
        fs::copy(model, at("model"), fs::copy_options::recursive);
        fs::permissions(at("model"), fs::perms::owner_all, fs::perm_options::add);
        model = at("model");
    }

    std::string at(const std::string& name) const { return dir + "/" + name; }

    ~embed_bulk() override { fs::remove_all(dir); }

    const std::string dir = scratch_directory();
    std::string model = goldens + "embedders/embedder";
};

TEST_F(embed_bulk, what_is_wrong_for_every_text_is_said_before_the_first) {
    refused({"--text", "a", "--similarity", "b", "--pooling", "none"}, 2, "row per token");
    refused({"--text", "a", "--dimensions", "9999"}, 2, "vectors have 16");
    refused({"--text", "a", "--prompt-name", "nope"}, 2, "no prompt is called 'nope'");
    refused({"--text", "a", "--similarity", std::string(60, '.')}, 2, "--similarity '...");
    copy_model();
    fs::remove(at("model/tokenizer.json"));
    refused({"--text", "a"}, 3, "tokenizer.json");
    write_file(at("model/tokenizer.json"), "{\"model\":");
    refused({"--text", "a"}, 3, "tokenizer.json");
}

TEST_F(embed_bulk, flags_that_would_do_nothing_are_refused) {
    const std::string in = file("in.txt", "x\n"), ids = file("ids.json", R"({"ids": [[2, 3]]})");
    for (const words& flags :
         {words{"--text", "x", "--sigmoid"},
          {"--text", "x", "--metric", "dot"},
          {"--text", "x", "--input", "lines"},
          {in, "--input", "bogus"},
          {in, "--max-length", "0"},
          {in, "--batch-tokens", "0"},
          {in, "--max-failures", "-1"},
          {in, "--similarity", "y", "--write-ranges", at("r.npy")},
          {in, "--similarity", "y", "--quantize", "binary"},
          {"--ids-json", ids, "--shard", "0/1"},
          {"--ids-json", ids, "--max-failures", "1"},
          {"--ids-json", ids, "--restart"},
          {"--ids-json", ids, "--query"},
          {"--ids-json", ids, in},
          {"--ids-json", ids}}) // into a .jsonl
        refused(flags, 2, "--");
    const outcome odd = embedded(
        {"--ids-json", file("odd.json", R"({"ids": [[2, 3]], "attention_mask": [[1, 1]]})")}
    );
    EXPECT_EQ(odd.exit_code, 3);
    EXPECT_NE(odd.err.find("'attention_mask' is none of"), std::string::npos) << odd.err;
    model = goldens + "embedders/reranker";
    for (const words& flags :
         {words{"--pooling", "cls"},
          {"--dimensions", "4"},
          {"--normalize"},
          {"--query"},
          {"--write-ranges", at("r.npy")},
          {"--quantize", "binary"},
          {"--metric", "dot"}}) {
        words all{"--rerank", "q", "--text", "x"};
        all.insert(all.end(), flags.begin(), flags.end());
        refused(all, 2, "--rerank has no use for " + flags[0]);
    }
    const outcome none = embedded({"/dev/null", "--write-ranges", at("r.npy")});
    EXPECT_EQ(none.exit_code, 3);
    EXPECT_NE(none.err.find("gave no vectors"), std::string::npos) << none.err;
}

TEST_F(embed_bulk, a_run_with_failed_texts_is_done_unless_there_are_too_many) {
    const std::string in = file("in.txt", "a\n" + std::string(60, '.') + "\nb\n");
    const words flags{in, "--quiet", "--out", at("x.jsonl"), "--resume"};
    for (const char* part : {"", "complete already"}) {
        const outcome r = embedded(flags);
        EXPECT_EQ(r.exit_code, 0) << r.err << part;
        EXPECT_EQ(r.err, "note: 1 of 3 texts failed\n");
    }
    const json meta = json::parse(read_file(at("x.jsonl.meta.json")));
    EXPECT_EQ(meta["failed"], 1);
    EXPECT_EQ(meta["rows"], 3);
    EXPECT_EQ(meta["bytes"], fs::file_size(at("x.jsonl")));
    for (const std::string out : {"x.jsonl", "y.jsonl"}) // complete already, and not begun
        EXPECT_EQ(embedded({in, "--out", at(out), "--resume", "--max-failures", "0"}).exit_code, 3)
            << out;
    EXPECT_EQ(embedded({in, "--max-failures", "1"}).exit_code, 0);
    EXPECT_EQ(embedded({"--text", std::string(60, '.')}).exit_code, 3) << "given by hand";
}

TEST_F(embed_bulk, bytes_that_are_no_utf8_are_an_error_record_that_says_where) {
    const auto lines = rows(embedded({file("in.txt", "ab\xff\nok\n"), "--quiet"}).out);
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(lines[0]["error"]["message"], "the line is not UTF-8 at byte 2");
    EXPECT_TRUE(lines[1].contains("embedding"));
    const auto records = rows(embedded({file(
                                            "in.jsonl",
                                            "{\"id\": [1, {\"a\": 2}], \"text\": \"x\"}\n"
                                            "{\"text\": \"\xfe\"}\n"
                                        ),
                                        "--quiet"})
                                  .out);
    ASSERT_EQ(records.size(), 2u);
    EXPECT_EQ(records[0]["id"], json::parse(R"([1, {"a": 2}])"));
    EXPECT_EQ(records[1]["error"]["message"], "the line is not UTF-8 at byte 10");
    fs::create_directory(at("d"));
    file("d/a.txt", "abc\x80");
    EXPECT_EQ(
        rows(embedded({at("d"), "--quiet"}).out)[0]["error"]["message"],
        "the file is not UTF-8 at byte 3"
    );
    EXPECT_EQ(embedded({at("in.txt"), "--max-failures", "0"}).exit_code, 3);
    EXPECT_EQ(embedded({"--text", "\xc3"}).exit_code, 3);
}

TEST_F(embed_bulk, a_line_without_end_is_one_failed_text) {
    std::string text = "a\n" + std::string((std::size_t{64} << 20) + 70000, 'x') + "\nb\n";
    const auto got = rows(embedded({file("in.txt", text), "--quiet"}).out);
    ASSERT_EQ(got.size(), 3u);
    EXPECT_TRUE(got[0].contains("embedding"));
    EXPECT_NE(got[1]["error"]["message"].get<std::string>().find("longer than"), std::string::npos);
    EXPECT_TRUE(got[2].contains("embedding"));
}

TEST_F(embed_bulk, a_complete_file_is_known_by_everything_that_made_it) {
    copy_model();
    const std::string in = file("in.jsonl", "{\"text\": \"a\", \"body\": \"b\"}\n");
    const words flags{in, "--quiet", "--out", at("x.jsonl"), "--resume"};
    const auto again = [&](words more = {}) {
        more.insert(more.begin(), flags.begin(), flags.end());
        return embedded(more);
    };
    const auto different = [&](const outcome& r, std::string_view what) {
        EXPECT_EQ(r.exit_code, 2) << what << r.err;
        EXPECT_NE(r.err.find("other options"), std::string::npos) << what << r.err;
    };
    ASSERT_EQ(again().exit_code, 0);
    const std::string made = read_file(at("x.jsonl"));
    ASSERT_EQ(again().exit_code, 0);
    for (const words& more :
         {words{"--field", "body"}, {"--id-field", "k"}, {"--query"}, {"--prompt-text", ""}})
        different(again(more), more[0]);
    // Every file that decides: each changed, then as it was.
    for (const auto& [name, from, to] : std::vector<std::array<std::string, 3>>{
             {"tokenizer.json", "{", "{ "},
             {"config.json", "{", "{ "},
             {"1_Pooling/config.json", "true", "false"},
             {"config_sentence_transformers.json", ": \"", ": \"x"},
             {"sentence_bert_config.json", "48", "47"}}) {
        const fs::path path = at("model/" + name);
        const std::string before = read_file(path);
        const std::size_t place = before.find(from);
        ASSERT_NE(place, std::string::npos) << name;
        std::string after = before;
        if (name[0] == '1')
            after = R"({"word_embedding_dimension": 24, "pooling_mode_max_tokens": true})";
        else
            after.replace(place, from.size(), to);
        write_file(path, after);
        different(again(), name);
        write_file(path, before);
        EXPECT_EQ(again().exit_code, 0) << name;
    }
    EXPECT_EQ(read_file(at("x.jsonl")), made);
    const words scores{in, "--out", at("s.jsonl"), "--resume", "--similarity", "b", "--metric"};
    words dot = scores, cosine = scores;
    dot.push_back("dot");
    cosine.push_back("cosine");
    ASSERT_EQ(embedded(dot).exit_code, 0);
    different(embedded(cosine), "--metric");
}

TEST_F(embed_bulk, a_complete_file_of_another_input_is_not_complete) {
    const std::string in = file("in.txt", "a\nb\n");
    const words flags{in, "--out", at("x.f32"), "--resume"};
    ASSERT_EQ(embedded(flags).exit_code, 0);
    for (const std::string_view text : {"a\nc\n", "a\n", "a\nb\nc\n"}) {
        write_file(in, text);
        const outcome r = embedded(flags);
        EXPECT_EQ(r.exit_code, 2) << text;
        EXPECT_NE(r.err.find("the input changed"), std::string::npos) << r.err;
    }
    write_file(in, "a\nb\n");
    const outcome same = embedded(flags);
    EXPECT_EQ(same.exit_code, 0);
    EXPECT_NE(same.err.find("complete already"), std::string::npos) << same.err;
    std::ofstream(at("x.f32"), std::ios::app) << "more";
    EXPECT_EQ(embedded(flags).exit_code, 2) << "the file is another one";
}

// The last steps of a run, each ended before the next one.
TEST_F(embed_bulk, a_run_that_ended_between_its_names_is_completed) {
    const std::string in = file("in.txt", "a\nb\n");
    const words once{in, "--out", at("x.npy")};
    const words again{in, "--out", at("x.npy"), "--resume"};
    ASSERT_EQ(embedded(once).exit_code, 0);
    const std::string made = read_file(at("x.npy")), meta = read_file(at("x.npy.meta.json"));
    fs::remove(at("x.npy.meta.json"));
    fs::create_directories(at("x.npy.meta.json/in-the-way"));
    EXPECT_EQ(embedded(once).exit_code, 1) << "the meta cannot be written";
    fs::remove_all(at("x.npy.meta.json"));
    ASSERT_TRUE(fs::exists(at("x.npy.journal")));
    const std::string journal = read_file(at("x.npy.journal"));
    EXPECT_EQ(embedded(again).exit_code, 0);
    EXPECT_EQ(read_file(at("x.npy")), made);
    EXPECT_EQ(read_file(at("x.npy.meta.json")), meta);
    EXPECT_FALSE(fs::exists(at("x.npy.journal")));

    // Before the part got its name: an older file and its meta lie there.
    fs::rename(at("x.npy"), at("x.npy.part"));
    write_file(at("x.npy.journal"), journal);
    write_file(at("x.npy"), "older");
    write_file(at("x.npy.meta.json"), "{}");
    EXPECT_EQ(embedded(once).exit_code, 2) << "neither --resume nor --restart";
    const outcome r = embedded(again);
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(read_file(at("x.npy")), made);
    EXPECT_EQ(read_file(at("x.npy.meta.json")), meta);
    for (const char* end : {".part", ".journal"})
        EXPECT_FALSE(fs::exists(at("x.npy") + end)) << end;
}

TEST_F(embed_bulk, an_interrupted_run_keeps_what_it_did_within_about_a_second) {
    std::string text;
    for (int i = 0; i < 20000; ++i)
        text += "A fox and an owl met in the wood and talked about the day " + std::to_string(i) +
                ".\n";
    model = stories_model();
    const words flags{file("in.txt", text), "--quiet", "--out", at("x.f32")};
    std::chrono::steady_clock::time_point begun{};
    const int code = interrupted(command(flags), SIGINT, [&] {
        if (!fs::exists(at("x.f32.part"))) return false;
        const auto now = std::chrono::steady_clock::now();
        if (begun == std::chrono::steady_clock::time_point{}) begun = now;
        return now - begun > std::chrono::seconds(3);
    });
    ASSERT_EQ(code, 130);
    std::istringstream journal(read_file(at("x.f32.journal")));
    std::vector<std::string> lines;
    for (std::string line; std::getline(journal, line);)
        lines.push_back(line);
    ASSERT_GE(lines.size(), 3u) << "heading, nothing done, and what was done since";
    EXPECT_GT(std::stoull(lines.back()), 0u) << lines.back();
    EXPECT_GT(fs::file_size(at("x.f32.part")), 0u);
}

TEST_F(embed_bulk, a_second_process_is_told_that_another_one_writes) {
    std::string line;
    for (const std::string& word : command({"--quiet", "--out", at("x.f32")}))
        line += " '" + word + "'";
    const outcome r = run(
        {"/bin/sh",
         "-c",
         "(echo one; sleep 4; echo two) | " + line + " & n=0; while [ ! -s " + at("x.f32.part") +
             " ] && [ $n -lt 30 ]; do sleep 0.1; n=$((n + 1)); done; for f in '' --resume "
             "--restart; do echo x | " +
             line + " $f; echo $?; done; wait"}
    );
    EXPECT_EQ(r.out, "2\n2\n2\n") << r.err;
    EXPECT_NE(r.err.find("another process is writing"), std::string::npos) << r.err;
    EXPECT_EQ(r.err.find("--restart drops"), std::string::npos) << r.err;
    EXPECT_EQ(fs::file_size(at("x.f32")), 2u * 16 * 4) << "the first one is none the worse";
}

TEST_F(embed_bulk, leftovers_without_a_row_do_not_stand_in_the_way) {
    write_file(at("x.f32.part"), "");
    write_file(at("x.f32.journal"), "rlx-embed 2 0000000000000000\n");
    EXPECT_EQ(embedded({"--text", "a", "--out", at("x.f32")}).exit_code, 0);
    EXPECT_EQ(fs::file_size(at("x.f32")), 16u * 4);
}

TEST_F(embed_bulk, models_of_the_hub_cache_are_found_by_branch_and_by_commit) {
    const std::string commit(40, 'a'), of_model = "hub/models--org--words/";
    fs::create_directories(at(of_model + "refs"));
    fs::create_directories(at(of_model + "snapshots"));
    const auto opened = [&](const std::string& name) {
        return run(
            {program("rlx-embed"),
             "--pretrained",
             name,
             "--text",
             "x",
             "--quiet",
             "--compute",
             "f32"},
            {.environment = {"HF_HUB_CACHE=" + at("hub")}}
        );
    };
    const auto missing = [&](const std::string& name, std::string_view why) {
        const outcome r = opened(name);
        EXPECT_EQ(r.exit_code, 3) << name << r.err;
        EXPECT_NE(r.err.find(why), std::string::npos) << r.err;
    };
    missing("org/words", "no revision 'main'"); // neither a branch nor a commit
    file(of_model + "refs/main", commit);
    missing("org/words", "no revision 'main'"); // a branch, but what it names was not fetched
    fs::copy(model, at(of_model + "snapshots/" + commit), fs::copy_options::recursive);
    const outcome branch = opened("org/words");
    EXPECT_EQ(branch.exit_code, 0) << branch.err;
    EXPECT_EQ(branch.out, embedded({"--text", "x", "--quiet"}).out);
    EXPECT_EQ(opened("org/words@" + commit).out, branch.out);
    EXPECT_EQ(opened("org/words@main").out, branch.out);
    missing("org/words@v9", "no revision 'v9'");
    missing("org/other", "no such model");
}

TEST_F(embed_bulk, what_does_not_fit_is_refused_by_plan_and_by_opening) {
    // Tokens are limited before the machine is: a step of a tiny text encoder fits everywhere.
    const std::vector<std::tuple<std::string, words, std::string>> cases{
        {"embedders/embedder", {"--max-memory-gb", "0.0001"}, "max_memory_gb allows"},
        {"images/dinov2", {"--max-memory-gb", "0.0001"}, "max_memory_gb allows"},
        {"images/dinov2",
         {"--batch", "65536", "--img-size", "700"},
         "the machine has available"}};
    for (const auto& [checkpoint, flags, why] : cases) {
        model = goldens + checkpoint;
        words plan = flags;
        plan.push_back("--plan");
        const outcome planned = embedded(plan);
        EXPECT_EQ(planned.exit_code, 5) << planned.err;
        EXPECT_NE(planned.out.find("scratch"), std::string::npos) << "the numbers all the same";
        for (const std::string& part : {std::string("the plan needs"), why})
            EXPECT_NE(planned.err.find(part), std::string::npos) << planned.err;
        words open = flags;
        open.push_back(checkpoint[0] == 'e' ? file("in.txt", "x\n") : model + "/tall.png");
        refused(open, 5, why);
    }
}

TEST_F(embed_bulk, image_checkpoints_name_the_flags_they_have_no_use_for) {
    model = goldens + "images/dinov2";
    const std::string picture = model + "/tall.png";
    for (const words& flags :
         {words{"--profile", "none"}, {"--pooling", "mean"}, {"--max-length", "9"}})
        refused({picture, flags[0], flags[1]}, 2, flags[0] + ": ");
    const std::string snapshot =
        "hub/models--org--eyes/snapshots/0123456789012345678901234567890123456789";
    fs::create_directories(at("hub/models--org--eyes/refs"));
    file("hub/models--org--eyes/refs/main", "0123456789012345678901234567890123456789");
    fs::create_directories(at(snapshot));
    for (const char* name : {"config.json", "model.safetensors", "preprocessor_config.json"})
        fs::create_symlink(model + "/" + name, at(snapshot) + "/" + name);
    const outcome r =
        run({program("rlx-embed"), "--pretrained", "org/eyes", picture},
            {.environment = {"HF_HUB_CACHE=" + at("hub")}});
    EXPECT_EQ(r.exit_code, 4) << r.err;
    EXPECT_EQ(r.out, "");
}

} // namespace
} // namespace rlx::test
