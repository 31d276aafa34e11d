// SPDX-License-Identifier: GPL-3.0-only
// rlx-embed: inputs, formats, and the contract of bulk runs: killed at any moment, nothing is lost
// and nothing is there twice.
#include "process.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

namespace rlx::test {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::json;
using words = std::vector<std::string>;

const std::string goldens = std::string(RLX_SOURCE_DIR) + "/tests/goldens/embedders";

std::string read_file(const fs::path& p) {
    std::ifstream f(p, std::ios::binary);
    return {std::istreambuf_iterator<char>(f), {}};
}

void write_file(const fs::path& p, std::string_view text) {
    std::ofstream(p, std::ios::binary) << text;
}

class embed : public testing::Test {
protected:
    words command(const words& more) const {
        words out{program("rlx-embed"), "--weights", goldens + "/embedder", "--compute", "f32"};
        out.insert(out.end(), more.begin(), more.end());
        return out;
    }

    outcome embedded(const words& more, const run_options& o = {}) const {
        return run(command(more), o);
    }

    static std::vector<json> rows(const std::string& text) {
        std::vector<json> out;
        std::istringstream in(text);
        for (std::string line; std::getline(in, line);)
            out.push_back(json::parse(line));
        return out;
    }

    // n short lines, all different.
    std::string lines(int n) const {
        std::string out;
        for (int i = 0; i < n; ++i)
            out += "the word " + std::to_string(i) + "\n";
        const std::string path = dir + "/lines.txt";
        write_file(path, out);
        return path;
    }

    std::string at(const std::string& name) const { return dir + "/" + name; }

    ~embed() override { fs::remove_all(dir); }

    const std::string dir = scratch_directory();
};

TEST_F(embed, gives_a_row_for_every_line_in_order) {
    const outcome r = embedded({"--quiet"}, {.input = "the word\n\nx\r\nlast"});
    ASSERT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(r.err, "");
    const auto got = rows(r.out);
    ASSERT_EQ(got.size(), 4u);
    const words texts{"the word", "", "x", "last"};
    for (std::size_t i = 0; i < got.size(); ++i) {
        EXPECT_EQ(got[i]["index"], i);
        EXPECT_EQ(got[i]["embedding"].size(), 16u);
        const outcome alone = embedded({"--quiet", "--text", texts[i]});
        EXPECT_EQ(rows(alone.out)[0]["embedding"], got[i]["embedding"]) << texts[i];
    }
    EXPECT_EQ(embedded({"--quiet"}, {.input = ""}).out, "");
}

TEST_F(embed, gives_the_vectors_of_the_reference) {
    const json expected = json::parse(read_file(goldens + "/expected.json"));
    words flags{"--quiet"};
    for (const auto& text : expected["texts"])
        flags.insert(flags.end(), {"--text", text.get<std::string>()});
    const auto got = rows(embedded(flags).out);
    ASSERT_EQ(got.size(), expected["texts"].size());
    for (std::size_t i = 0; i < got.size(); ++i)
        for (std::size_t k = 0; k < 16; ++k)
            EXPECT_NEAR(
                got[i]["embedding"][k].get<double>(), expected["vectors"][i][k].get<double>(), 1e-5
            );
}

TEST_F(embed, writes_the_same_numbers_in_every_format) {
    const std::string in = lines(5);
    const auto parsed = rows(embedded({in, "--quiet"}).out);
    ASSERT_EQ(embedded({in, "--quiet", "--out", at("x.npy")}).exit_code, 0);
    ASSERT_EQ(embedded({in, "--quiet", "--f32", "--out", at("x.bin")}).exit_code, 0);
    const std::string npy = read_file(at("x.npy")), raw = read_file(at("x.bin"));
    ASSERT_EQ(raw.size(), 5u * 16 * 4);
    EXPECT_EQ(npy.substr(npy.size() - raw.size()), raw);
    EXPECT_NE(npy.find("'shape': (5, 16)"), std::string::npos) << npy.substr(0, 128);
    EXPECT_EQ(embedded({in, "--quiet", "--f32"}).out, raw);
    for (std::size_t i = 0; i < 80; ++i) {
        float v = 0;
        std::memcpy(&v, raw.data() + 4 * i, 4);
        EXPECT_EQ(parsed[i / 16]["embedding"][i % 16].get<float>(), v);
    }
    EXPECT_FALSE(fs::exists(at("x.npy.part")));
    EXPECT_FALSE(fs::exists(at("x.npy.journal")));
    EXPECT_EQ(json::parse(read_file(at("x.npy.meta.json")))["rows"], 5);
}

TEST_F(embed, reads_records_and_says_which_ones_it_could_not) {
    write_file(
        at("in.jsonl"),
        "{\"id\": 7, \"text\": \"a\"}\n{\"text\": 1}\n\nnot json\n{\"id\": \"q\", \"body\": "
        "\"b\"}\n"
    );
    const outcome r = embedded({at("in.jsonl"), "--quiet"});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(r.err, "note: 3 of 4 texts failed\n");
    const auto got = rows(r.out);
    ASSERT_EQ(got.size(), 4u);
    EXPECT_EQ(got[0]["id"], 7);
    EXPECT_EQ(got[0]["embedding"].size(), 16u);
    for (const std::size_t bad : {1u, 2u, 3u}) {
        EXPECT_EQ(got[bad]["index"], bad);
        EXPECT_EQ(got[bad]["error"]["code"], "RLX_CORRUPT_DATA");
    }
    EXPECT_EQ(got[3]["id"], "q");
    EXPECT_NE(got[3]["error"]["message"].get<std::string>().find("'text'"), std::string::npos);
    EXPECT_EQ(embedded({at("in.jsonl"), "--field", "body", "--quiet"}).exit_code, 0);
    const outcome few = embedded({at("in.jsonl"), "--quiet", "--max-failures", "1"});
    EXPECT_EQ(few.exit_code, 3);
    EXPECT_NE(few.err.find("more than 1 texts failed"), std::string::npos) << few.err;
    ASSERT_EQ(embedded({at("in.jsonl"), "--quiet", "--out", at("x.f32")}).exit_code, 0);
    EXPECT_EQ(read_file(at("x.f32")).size(), 4u * 16 * 4) << "failed rows keep their place";
}

TEST_F(embed, cuts_long_texts_only_when_told_and_says_so) {
    const std::string text(60, '.');
    const outcome refused = embedded({"--text", text, "--quiet"});
    EXPECT_EQ(refused.exit_code, 3);
    EXPECT_NE(refused.err.find("62 tokens, max_length is 48"), std::string::npos) << refused.err;
    const outcome cut = embedded({"--text", text, "--truncate"});
    EXPECT_EQ(cut.exit_code, 0) << cut.err;
    EXPECT_EQ(rows(cut.out)[0]["dropped"], 14);
    EXPECT_NE(cut.err.find("1 texts were cut, 14 tokens left out"), std::string::npos) << cut.err;
}

TEST_F(embed, reads_the_files_of_a_directory_in_order) {
    fs::create_directories(at("docs/b"));
    write_file(at("docs/z.txt"), "the\nword");
    write_file(at("docs/b/a.txt"), "x");
    const auto got = rows(embedded({at("docs"), "--quiet"}).out);
    ASSERT_EQ(got.size(), 2u);
    EXPECT_EQ(got[0]["id"], at("docs/b/a.txt"));
    EXPECT_EQ(got[1]["id"], at("docs/z.txt"));
    EXPECT_EQ(embedded({at("nowhere")}).exit_code, 3);
}

TEST_F(embed, takes_neither_hidden_files_of_a_directory_nor_its_own) {
    fs::create_directories(at("docs/.git"));
    fs::create_directories(at("docs/b"));
    write_file(at("docs/z.txt"), "the word");
    write_file(at("docs/.hidden.txt"), "unseen");
    write_file(at("docs/.git/HEAD"), "unseen");
    write_file(at("docs/b/v.jsonl"), "an input of the name of the output, elsewhere");
    const std::string out = at("docs/v.jsonl");
    write_file(out, "from a run before");
    for (const char* end : {".part", ".journal", ".meta.json", ".meta.json.77.part"})
        write_file(out + end, "left");
    const words ask{at("docs"), "--quiet", "--restart", "--out", out};
    ASSERT_EQ(embedded(ask).exit_code, 0);
    const std::string first = read_file(out);
    const auto got = rows(first);
    ASSERT_EQ(got.size(), 2u) << first;
    EXPECT_EQ(got[0]["id"], at("docs/b/v.jsonl"));
    EXPECT_EQ(got[1]["id"], at("docs/z.txt"));
    // Again, with what it has written there.
    ASSERT_EQ(embedded(ask).exit_code, 0);
    EXPECT_EQ(read_file(out), first);
    // By another name of the folder, too.
    fs::create_directory_symlink(at("docs"), at("link"));
    const outcome linked =
        embedded({at("link"), "--quiet", "--restart", "--out", at("docs/b/../v.jsonl")});
    ASSERT_EQ(linked.exit_code, 0) << linked.err;
    EXPECT_EQ(rows(read_file(out)).size(), 2u);
    // Named outright they are meant.
    EXPECT_EQ(rows(embedded({at("docs/.git"), "--quiet"}).out).size(), 1u);
    EXPECT_EQ(rows(embedded({at("docs/.hidden.txt"), "--quiet"}).out).size(), 1u);
}

TEST_F(embed, resumes_a_directory_that_it_writes_to) {
    fs::create_directories(at("docs"));
    for (int i = 0; i < 9000; ++i)
        write_file(at("docs/") + std::to_string(100000 + i), "text " + std::to_string(i));
    ASSERT_EQ(embedded({at("docs"), "--quiet", "--out", at("whole.jsonl")}).exit_code, 0);
    const std::string out = at("docs/v.jsonl");
    const auto written = [&] { return std::ranges::count(read_file(out + ".journal"), '\n') > 2; };
    words stopped = command({at("docs"), "--quiet", "--out", out});
    const int code = interrupted(stopped, SIGKILL, written);
    if (code == 0) GTEST_SKIP() << "it was done before it could be killed";
    const outcome r = embedded({at("docs"), "--quiet", "--resume", "--out", out});
    ASSERT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(read_file(out), read_file(at("whole.jsonl")));
}

TEST_F(embed, a_binary_file_of_a_directory_is_one_that_failed) {
    fs::create_directories(at("docs"));
    write_file(
        at("docs/a.bin"),
        std::string(
            "\x7f"
            "ELF\0\0\1",
            7
        )
    );
    write_file(at("docs/b.txt"), "the word");
    const outcome r = embedded({at("docs"), "--quiet"});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    const auto got = rows(r.out);
    ASSERT_EQ(got.size(), 2u);
    EXPECT_NE(got[0]["error"]["message"].get<std::string>().find("is no text"), std::string::npos);
    EXPECT_TRUE(got[1].contains("embedding"));
}

TEST_F(embed, computes_what_a_reference_does_with_padded_ids) {
    write_file(
        at("ids.json"),
        R"({"ids": [[2, 60, 61, 3], [2, 3, 0, 0]], "mask": [[1, 1, 1, 1], [1, 1, 0, 0]]})"
    );
    const outcome r =
        embedded({"--ids-json", at("ids.json"), "--pooling", "none", "--out", at("h.npy")});
    ASSERT_EQ(r.exit_code, 0) << r.err;
    const std::string npy = read_file(at("h.npy"));
    EXPECT_NE(npy.find("'shape': (2, 4, 24)"), std::string::npos) << npy.substr(0, 128);
    EXPECT_EQ(npy.substr(npy.size() - 2 * 24 * 4), std::string(2 * 24 * 4, '\0'));
    EXPECT_NE(npy.substr(npy.size() - 4 * 24 * 4, 2 * 24 * 4), std::string(2 * 24 * 4, '\0'));
    for (const char* bad :
         {R"({"ids": [[2, 3]], "mask": [[0, 1]]})",
          R"({"ids": [[2, 3]], "mask": [[1]]})",
          R"({"ids": [[2, 3]], "mask": [[0, 0]]})",
          R"({"ids": [["a"]]})",
          R"({})",
          "["}) {
        write_file(at("bad.json"), bad);
        EXPECT_EQ(embedded({"--ids-json", at("bad.json"), "--out", at("b.npy")}).exit_code, 3)
            << bad;
    }
    EXPECT_FALSE(fs::exists(at("b.npy")));
}

// Killed after its first, second, ... line of the journal, until a run gets to its end.
TEST_F(embed, killed_at_any_moment_and_resumed_nothing_is_lost_or_doubled) {
    const std::string in = lines(20000);
    for (const std::string name : {"x.npy", "x.jsonl"}) {
        ASSERT_EQ(embedded({in, "--quiet", "--out", at("whole-" + name)}).exit_code, 0);
        const words again = command({in, "--quiet", "--resume", "--out", at(name)});
        int kills = 0, code = 128 + SIGKILL;
        for (int tries = 0; code != 0 && tries < 60; ++tries) {
            std::error_code none;
            const auto journal = [&] { return fs::file_size(at(name + ".journal"), none); };
            const auto before = fs::exists(at(name + ".journal")) ? journal() : 0;
            code = interrupted(again, SIGKILL, [&] {
                return fs::exists(at(name + ".journal")) &&
                       journal() != static_cast<std::uintmax_t>(-1) &&
                       journal() > std::max<std::uintmax_t>(before, 100);
            });
            kills += code == 128 + SIGKILL;
        }
        EXPECT_EQ(code, 0);
        EXPECT_GE(kills, 2) << "the test did not interrupt anything";
        EXPECT_EQ(read_file(at(name)), read_file(at("whole-" + name))) << name;
        const outcome done = run(again);
        EXPECT_EQ(done.exit_code, 0) << done.err;
    }
}

TEST_F(embed, a_line_of_the_journal_that_was_cut_short_does_not_count) {
    const std::string in = lines(9000);
    ASSERT_EQ(embedded({in, "--quiet", "--out", at("whole.f32")}).exit_code, 0);
    const words again = command({in, "--quiet", "--resume", "--out", at("x.f32")});
    ASSERT_EQ(
        interrupted(
            again,
            SIGKILL,
            [&] {
                std::error_code none;
                const auto n = fs::file_size(at("x.f32.journal"), none);
                return !none && n > 120;
            }
        ),
        128 + SIGKILL
    );
    write_file(at("x.f32.part"), read_file(at("x.f32.part")) + "half a row");
    std::ofstream(at("x.f32.journal"), std::ios::app) << "8192 8192 0 52";
    ASSERT_EQ(run(again).exit_code, 0);
    EXPECT_EQ(read_file(at("x.f32")), read_file(at("whole.f32")));
}

TEST_F(embed, interrupted_by_the_user_says_how_to_go_on) {
    const std::string in = lines(20000);
    const words once = command({in, "--out", at("x.f32")});
    const auto begun = [&] {
        std::error_code none;
        const auto n = fs::file_size(at("x.f32.part"), none);
        return !none && n > 0;
    };
    EXPECT_EQ(interrupted(once, SIGINT, begun), 130);
    EXPECT_FALSE(fs::exists(at("x.f32")));
    const outcome refused = run(once);
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_NE(refused.err.find("--resume"), std::string::npos) << refused.err;
    ASSERT_EQ(embedded({in, "--out", at("x.f32"), "--resume", "--quiet"}).exit_code, 0);
    EXPECT_EQ(read_file(at("x.f32")).size(), 20000u * 16 * 4);
}

TEST_F(embed, resumes_only_the_run_that_it_is) {
    const std::string in = lines(20000);
    const words once = command({in, "--quiet", "--out", at("x.f32")});
    ASSERT_EQ(
        interrupted(
            once,
            SIGTERM,
            [&] {
                std::error_code none;
                const auto n = fs::file_size(at("x.f32.journal"), none);
                return !none && n > 120;
            }
        ),
        143
    );
    const outcome options =
        embedded({in, "--quiet", "--out", at("x.f32"), "--resume", "--no-normalize"});
    EXPECT_EQ(options.exit_code, 2);
    EXPECT_NE(options.err.find("other options"), std::string::npos) << options.err;
    const outcome texts = embedded({"--text", "x", "--quiet", "--out", at("x.f32"), "--resume"});
    EXPECT_EQ(texts.exit_code, 2);
    EXPECT_NE(texts.err.find("not those of the run"), std::string::npos) << texts.err;
    ASSERT_EQ(embedded({"--text", "x", "--quiet", "--out", at("x.f32"), "--restart"}).exit_code, 0);
    EXPECT_EQ(read_file(at("x.f32")).size(), 16u * 4);
    const outcome other =
        embedded({"--text", "x", "--quiet", "--out", at("x.f32"), "--resume", "--no-normalize"});
    EXPECT_EQ(other.exit_code, 2) << other.err;
}

TEST_F(embed, a_full_disk_is_an_error_that_can_be_resumed) {
    const std::string in = lines(20000);
    ASSERT_EQ(embedded({in, "--quiet", "--out", at("whole.f32")}).exit_code, 0);
    std::string line = "ulimit -f 1000; trap '' XFSZ; exec";
    for (const std::string& word : command({in, "--quiet", "--out", at("x.f32")}))
        line += " '" + word + "'";
    const outcome full = run({"/bin/sh", "-c", line});
    EXPECT_EQ(full.exit_code, 1) << full.err;
    EXPECT_NE(full.err.find("x.f32.part"), std::string::npos) << full.err;
    EXPECT_FALSE(fs::exists(at("x.f32")));
    ASSERT_EQ(embedded({in, "--quiet", "--out", at("x.f32"), "--resume"}).exit_code, 0);
    EXPECT_EQ(read_file(at("x.f32")), read_file(at("whole.f32")));
}

TEST_F(embed, shards_together_are_the_whole) {
    const std::string in = lines(100);
    const auto whole = rows(embedded({in, "--quiet"}).out);
    std::vector<json> merged(100);
    for (const std::string shard : {"0/3", "1/3", "2/3"})
        for (const json& row : rows(embedded({in, "--quiet", "--shard", shard}).out))
            merged[row["index"].get<std::size_t>()] = row;
    EXPECT_EQ(merged, whole);
    for (const std::string bad : {"3/3", "1", "a/2", "1/0", "-1/2", "1/2x"})
        EXPECT_EQ(embedded({in, "--shard", bad}).exit_code, 2) << bad;
}

TEST_F(embed, quantises_with_the_ranges_of_a_calibration_run) {
    const std::string in = lines(50);
    ASSERT_EQ(embedded({in, "--quiet", "--write-ranges", at("r.npy")}).exit_code, 0);
    ASSERT_EQ(
        embedded(
            {in, "--quiet", "--quantize", "int8", "--ranges", at("r.npy"), "--out", at("q.npy")}
        )
            .exit_code,
        0
    );
    const std::string npy = read_file(at("q.npy"));
    EXPECT_NE(npy.find("'|i1'"), std::string::npos);
    EXPECT_NE(npy.find("'shape': (50, 16)"), std::string::npos);
    std::string ranges = read_file(at("r.npy"));
    const float endless = INFINITY;
    std::memcpy(ranges.data() + ranges.size() - 4, &endless, 4);
    write_file(at("bad.npy"), ranges);
    const outcome bad = embedded({in, "--quantize", "int8", "--ranges", at("bad.npy")});
    EXPECT_EQ(bad.exit_code, 3);
    EXPECT_NE(bad.err.find("bad.npy: a range that is not finite"), std::string::npos) << bad.err;
    const auto bits = rows(embedded({in, "--quiet", "--quantize", "ubinary"}).out);
    EXPECT_EQ(bits[0]["embedding"].size(), 2u);
    EXPECT_EQ(embedded({in, "--quantize", "int8"}).exit_code, 2);
    EXPECT_EQ(embedded({in, "--quantize", "ubinary", "--dimensions", "9", "--quiet"}).exit_code, 2);
}

TEST_F(embed, compares_and_ranks) {
    // Prompts that are asked for are the texts'; what they are compared with is a query.
    const auto score = [&](const std::string& text, const words& prompt) {
        words flags{"--text", text, "--similarity", "a word", "--quiet"};
        flags.insert(flags.end(), prompt.begin(), prompt.end());
        const auto got = rows(embedded(flags).out);
        return got.empty() ? -2 : got[0]["scores"][0].get<double>();
    };
    EXPECT_NEAR(score("a word", {"--prompt-text", "query: "}), 1, 1e-6);
    EXPECT_NEAR(score("a word", {"--prompt-name", "query"}), 1, 1e-6);
    EXPECT_NEAR(score("query: a word", {"--prompt-text", ""}), 1, 1e-6);
    EXPECT_LT(score("a word", {"--prompt-text", ""}), 0.999);
    EXPECT_LT(score("a word", {"--prompt-name", "document"}), 0.999);
    const outcome r =
        run({program("rlx-embed"),
             "--weights",
             goldens + "/reranker",
             "--rerank",
             "what was it?",
             "--quiet"},
            {.input = "x\nwhat was it, and for whom?\nnaive\n"});
    ASSERT_EQ(r.exit_code, 0) << r.err;
    const auto ranked = rows(r.out);
    ASSERT_EQ(ranked.size(), 3u);
    EXPECT_GE(ranked[0]["score"], ranked[1]["score"]);
    EXPECT_GE(ranked[1]["score"], ranked[2]["score"]);
    EXPECT_EQ(ranked[0]["text"], "what was it, and for whom?");
    EXPECT_EQ(embedded({"--rerank", "q", "--text", "x"}).exit_code, 4) << "no classification head";
}

TEST_F(embed, is_also_a_familys_program_and_reads_language_models) {
    const std::string expected = embedded({"--text", "x", "--quiet"}).out;
    const words flags{
        "--weights", goldens + "/embedder", "--compute", "f32", "--text", "x", "--quiet"};
    words bert{program("rlx-bert")}, run_bert{program("rlx-run"), "bert"},
        run_embed{program("rlx-run"), "embed"};
    for (words* argv : {&bert, &run_bert, &run_embed}) {
        argv->insert(argv->end(), flags.begin(), flags.end());
        EXPECT_EQ(run(*argv).out, expected) << (*argv)[0];
    }
    EXPECT_EQ(run({program("rlx-bert"), "--weights", stories_model(), "--text", "x"}).exit_code, 4);
    // Two families claim BERT checkpoints; a program takes its own, not the one preferred.
    words clinical{program("rlx-clinicalbert")}, nomic{program("rlx-nomic")};
    clinical.insert(clinical.end(), flags.begin(), flags.end());
    const outcome pinned = run(clinical);
    EXPECT_EQ(pinned.exit_code, 0) << pinned.err;
    EXPECT_EQ(pinned.out, expected);
    EXPECT_EQ(pinned.err, "");
    nomic.insert(nomic.end(), flags.begin(), flags.end());
    const outcome other = run(nomic);
    EXPECT_EQ(other.exit_code, 4);
    EXPECT_NE(other.err.find("belongs to family 'bert', not 'nomic'"), std::string::npos)
        << other.err;
    nomic[2] = std::string(RLX_SOURCE_DIR) + "/tests/goldens/encoders/nomic";
    nomic.resize(5);
    nomic.insert(nomic.end(), {"--ids-json", at("ids.json"), "--pooling", "mean", "--quiet"});
    write_file(at("ids.json"), "{\"ids\": [[2, 3]]}");
    const outcome own = run(nomic);
    EXPECT_EQ(own.exit_code, 0) << own.err;
    const outcome lm =
        run({program("rlx-embed"), "--weights", stories_model(), "--text", "a fox", "--quiet"});
    EXPECT_EQ(lm.exit_code, 0) << lm.err;
    EXPECT_EQ(rows(lm.out).size(), 1u);
    const outcome absent = run({program("rlx-embed"), "--pretrained", "org/none", "--text", "x"});
    EXPECT_EQ(absent.exit_code, 3);
    EXPECT_NE(absent.err.find("nothing is downloaded"), std::string::npos) << absent.err;
}

TEST_F(embed, does_not_hang_on_streams_that_are_gone) {
    std::string line;
    for (const std::string& word : command({"--quiet"}))
        line += " '" + word + "'";
    EXPECT_EQ(run({"/bin/sh", "-c", line + " <&-"}).exit_code, 1);
    ASSERT_EQ(run({"/bin/sh", "-c", "mkfifo " + at("p.f32")}).exit_code, 0);
    EXPECT_EQ(embedded({"--text", "x", "--out", at("p.f32")}).exit_code, 2) << "no file to resume";
    EXPECT_FALSE(fs::exists(at("p.f32.part")));
    const std::string in = lines(20000);
    const outcome r = embedded({in, "--quiet"}, {.close_stdout_early = true});
    EXPECT_EQ(r.exit_code, 128 + SIGPIPE) << r.err;
    EXPECT_EQ(run({"/bin/sh", "-c", line + " --text x > /dev/full"}).exit_code, 1);
}

} // namespace
} // namespace rlx::test
