// SPDX-License-Identifier: GPL-3.0-only
// rlx-embed with an image encoder: the vectors of rlx-dinov2, and the contract of bulk runs.
#include "process.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace rlx::test {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::json;
using words = std::vector<std::string>;

const std::string goldens = std::string(RLX_SOURCE_DIR) + "/tests/goldens/";
const std::string pictures = goldens + "images/dinov2/";

std::string read_file(const fs::path& p) {
    std::ifstream f(p, std::ios::binary);
    return {std::istreambuf_iterator<char>(f), {}};
}

void write_file(const fs::path& p, std::string_view text) {
    std::ofstream(p, std::ios::binary) << text;
}

class embed_images : public testing::Test {
protected:
    ~embed_images() override { fs::remove_all(dir); }

    static words command(const words& more) {
        words out{program("rlx-embed"), "--weights", goldens + "images/dinov2", "--compute", "f32"};
        out.insert(out.end(), more.begin(), more.end());
        return out;
    }

    static outcome embedded(words more, const run_options& o = {}) {
        more.push_back("--quiet");
        return run(command(more), o);
    }

    static std::vector<json> rows(const std::string& text) {
        std::vector<json> out;
        std::istringstream in(text);
        for (std::string line; std::getline(in, line);)
            out.push_back(json::parse(line));
        return out;
    }

    // What the family's own program makes of a picture.
    static json vector_of(const std::string& file) {
        const outcome r = run(
            {program("rlx-dinov2"),
             "--weights",
             goldens + "images/dinov2",
             "--compute",
             "f32",
             "--json",
             "--quiet",
             file}
        );
        return json::parse(r.out)["images"][0]["vector"];
    }

    // A folder of n pictures, three different ones in turn.
    std::string folder(int n) const {
        fs::create_directories(at("in/sub"));
        const words from{"tall.png", "wide.jpg", "grey.png"};
        for (int i = 0; i < n; ++i) {
            const std::string& file = from[static_cast<std::size_t>(i) % 3];
            std::ostringstream name;
            name.fill('0');
            name.width(5);
            name << i;
            fs::create_symlink(
                pictures + file, at("in/sub/") + name.str() + fs::path(file).extension().string()
            );
        }
        return at("in");
    }

    std::string at(const std::string& name) const { return dir + "/" + name; }

    const std::string dir = scratch_directory();
    const std::string tall = pictures + "tall.png", wide = pictures + "wide.jpg";
};

TEST_F(embed_images, gives_the_vectors_of_the_family_s_program_in_order) {
    const outcome r = embedded({wide, tall, wide, "--batch", "2"});
    ASSERT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(r.err, "");
    const auto got = rows(r.out);
    const words order{wide, tall, wide};
    ASSERT_EQ(got.size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(got[i]["index"], i);
        EXPECT_EQ(got[i]["id"], order[i]);
        EXPECT_FALSE(got[i].contains("tokens"));
        const json want = vector_of(order[i]);
        ASSERT_EQ(got[i]["embedding"].size(), 24u);
        for (std::size_t k = 0; k < 24; ++k)
            EXPECT_EQ(got[i]["embedding"][k].get<float>(), want[k].get<float>());
    }
    const auto as_made = rows(embedded({tall, "--no-normalize"}).out);
    EXPECT_NE(as_made[0]["embedding"], got[1]["embedding"]);
    const auto large = rows(embedded({tall, "--img-size", "49"}).out);
    EXPECT_NE(large[0]["embedding"], got[1]["embedding"]);
}

TEST_F(embed_images, takes_folders_and_lists_of_paths) {
    const auto from_folder = rows(embedded({folder(7)}).out);
    ASSERT_EQ(from_folder.size(), 7u);
    EXPECT_EQ(from_folder[4]["id"], at("in/sub/00004.jpg"));
    EXPECT_EQ(from_folder[6]["embedding"], from_folder[0]["embedding"]);
    const auto lines = rows(embedded({}, {.input = tall + "\n" + wide + "\n"}).out);
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(lines[1]["embedding"], from_folder[1]["embedding"]);
    write_file(
        at("list.jsonl"),
        json{{"id", 7}, {"image", wide}}.dump() + "\n" + json{{"image", tall}}.dump() + "\n"
    );
    const auto records = rows(embedded({at("list.jsonl")}).out);
    ASSERT_EQ(records.size(), 2u);
    EXPECT_EQ(records[0]["id"], 7);
    EXPECT_EQ(records[0]["embedding"], from_folder[1]["embedding"]);
    EXPECT_EQ(records[1]["embedding"], from_folder[0]["embedding"]);
}

TEST_F(embed_images, writes_the_same_numbers_in_every_format) {
    const auto parsed = rows(embedded({tall, wide}).out);
    ASSERT_EQ(embedded({tall, wide, "--out", at("x.npy")}).exit_code, 0);
    const std::string npy = read_file(at("x.npy")), raw = embedded({tall, wide, "--f32"}).out;
    ASSERT_EQ(raw.size(), 2u * 24 * 4);
    EXPECT_EQ(npy.substr(npy.size() - raw.size()), raw);
    EXPECT_NE(npy.find("'shape': (2, 24)"), std::string::npos) << npy.substr(0, 128);
    for (std::size_t i = 0; i < 48; ++i) {
        float v = 0;
        std::memcpy(&v, raw.data() + 4 * i, 4);
        EXPECT_EQ(parsed[i / 24]["embedding"][i % 24].get<float>(), v);
    }
    const json meta = json::parse(read_file(at("x.npy.meta.json")));
    EXPECT_EQ(meta["rows"], 2);
    EXPECT_EQ(meta["items_read"], 2);
    const auto bits = rows(embedded({tall, "--quantize", "ubinary"}).out);
    EXPECT_EQ(bits[0]["embedding"].size(), 3u);
    ASSERT_EQ(embedded({tall, wide, "--write-ranges", at("r.npy")}).exit_code, 0);
    EXPECT_EQ(
        embedded({tall, "--quantize", "int8", "--ranges", at("r.npy"), "--out", at("q.npy")})
            .exit_code,
        0
    );
}

TEST_F(embed_images, a_picture_that_fails_keeps_its_place) {
    write_file(at("cut.png"), read_file(tall).substr(0, 300));
    write_file(at("text.png"), "words");
    const words given{tall, at("cut.png"), wide, at("text.png")};
    const outcome r = embedded(given);
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(r.err, "note: 2 of 4 images failed\n");
    const auto got = rows(r.out);
    ASSERT_EQ(got.size(), 4u);
    EXPECT_EQ(got[1]["error"]["code"], "RLX_CORRUPT_DATA");
    EXPECT_EQ(got[3]["error"]["code"], "RLX_UNSUPPORTED");
    EXPECT_EQ(got[1]["id"], at("cut.png"));
    EXPECT_EQ(got[2]["embedding"], rows(embedded({wide}).out)[0]["embedding"]);
    words array = given;
    array.insert(array.end(), {"--out", at("x.f32")});
    EXPECT_EQ(embedded(array).exit_code, 0);
    EXPECT_EQ(read_file(at("x.f32")).size(), 4u * 24 * 4);
    words few = given;
    few.insert(few.end(), {"--max-failures", "1"});
    const outcome ended = embedded(few);
    EXPECT_EQ(ended.exit_code, 3);
    EXPECT_NE(ended.err.find("more than 1 images failed"), std::string::npos) << ended.err;
    EXPECT_EQ(embedded({at("none.png")}).exit_code, 3);
    const auto list = rows(embedded({}, {.input = at("none.png") + "\n"}).out);
    EXPECT_EQ(list[0]["error"]["code"], "RLX_NOT_FOUND");
}

TEST_F(embed_images, pictures_of_several_sizes_keep_the_order) {
    write_file(
        at("p.json"),
        R"({"image_processor_type": "BitImageProcessor", "do_resize": true, "resample": 3,
            "size": {"shortest_edge": 14}, "do_center_crop": false, "do_rescale": true,
            "rescale_factor": 0.00392156862745098, "do_normalize": true,
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]})"
    );
    write_file(at("cut.png"), "");
    const words order{tall, wide, wide, at("cut.png"), tall, tall, wide};
    words given{"--preprocessor", at("p.json")};
    given.insert(given.end(), order.begin(), order.end());
    const auto got = rows(embedded(given).out);
    ASSERT_EQ(got.size(), order.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        EXPECT_EQ(got[i]["index"], i);
        EXPECT_EQ(got[i]["id"], order[i]);
        if (i != 3) {
            EXPECT_EQ(got[i]["embedding"], got[order[i] == tall ? 0 : 1]["embedding"]) << i;
        }
    }
}

TEST_F(embed_images, killed_at_any_moment_and_resumed_nothing_is_lost_or_doubled) {
    const std::string in = folder(240);
    const words flags{in, "--quiet", "--img-size", "210", "--batch", "4"};
    words whole = flags, again = flags;
    whole.insert(whole.end(), {"--out", at("whole.npy")});
    again.insert(again.end(), {"--resume", "--out", at("x.npy")});
    ASSERT_EQ(run(command(whole)).exit_code, 0);
    // The journal's first lines are written at once, the next a second later.
    int kills = 0, code = 128 + SIGKILL;
    for (int tries = 0; code != 0 && tries < 60; ++tries) {
        std::error_code none;
        const auto before = fs::exists(at("x.npy.part")) ? fs::file_size(at("x.npy.part")) : 0;
        code = interrupted(command(again), SIGKILL, [&] {
            const auto now = fs::file_size(at("x.npy.part"), none);
            return !none && now > before + (before == 0 ? 200 : 0);
        });
        kills += code == 128 + SIGKILL;
    }
    EXPECT_EQ(code, 0);
    EXPECT_GE(kills, 1) << "the test did not interrupt anything";
    EXPECT_EQ(read_file(at("x.npy")), read_file(at("whole.npy")));
    EXPECT_EQ(run(command(again)).exit_code, 0);
}

TEST_F(embed_images, interrupted_by_the_user_says_how_to_go_on) {
    words once = command({folder(400), "--img-size", "210", "--out", at("x.f32"), "--batch", "4"});
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
    once.push_back("--resume");
    words other = once;
    other.push_back("--no-normalize");
    EXPECT_EQ(run(other).exit_code, 2) << "another run's leftovers";
    ASSERT_EQ(run(once).exit_code, 0);
    EXPECT_EQ(read_file(at("x.f32")).size(), 400u * 24 * 4);
}

TEST_F(embed_images, shards_together_are_the_whole) {
    const std::string in = folder(20);
    const auto whole = rows(embedded({in}).out);
    std::vector<json> merged(20);
    for (const std::string shard : {"0/3", "1/3", "2/3"})
        for (const json& row : rows(embedded({in, "--shard", shard}).out))
            merged[row["index"].get<std::size_t>()] = row;
    EXPECT_EQ(merged, whole);
}

TEST_F(embed_images, the_wrong_kind_of_checkpoint_is_named_as_such) {
    const std::string reader = goldens + "embedders/embedder";
    for (const std::string& given : {tall, folder(1)}) {
        const outcome r = run({program("rlx-embed"), "--weights", reader, given});
        EXPECT_EQ(r.exit_code, 4) << r.err;
        EXPECT_NE(r.err.find("is a picture, but the checkpoint reads text"), std::string::npos)
            << r.err;
        EXPECT_EQ(r.out, "");
    }
    EXPECT_EQ(run({program("rlx-bert"), "--weights", reader, tall}).exit_code, 4);
    const outcome side =
        run({program("rlx-embed"), "--weights", reader, "--text", "x", "--img-size", "35"});
    EXPECT_EQ(side.exit_code, 2);
    EXPECT_NE(side.err.find("reads no images"), std::string::npos) << side.err;
    for (const words& flags :
         {words{"--text", "x"}, {tall, "--pooling", "mean"}, {tall, "--rerank", "q"}}) {
        const outcome r = embedded(flags);
        EXPECT_EQ(r.exit_code, 2) << r.err;
        EXPECT_NE(r.err.find("reads images"), std::string::npos) << r.err;
    }
    write_file(at("texts.txt"), "a text\n");
    const outcome text = embedded({at("texts.txt")});
    EXPECT_EQ(text.exit_code, 0) << text.err;
    EXPECT_EQ(rows(text.out)[0]["error"]["code"], "RLX_NOT_FOUND") << "a list of paths";
}

TEST_F(embed_images, plans_and_shows_progress) {
    const json plan = json::parse(embedded({"--plan", "--json"}).out);
    EXPECT_GT(plan["scratch_bytes"], 0);
    const outcome r = run(command({tall, wide}));
    EXPECT_EQ(r.exit_code, 0);
    EXPECT_NE(r.err.find("2 images in"), std::string::npos) << r.err;
    EXPECT_EQ(embedded({tall}, {.close_stdout_early = true}).exit_code, 0) << "one short row";
}

} // namespace
} // namespace rlx::test
