// SPDX-License-Identifier: GPL-3.0-only
// rlx-dinov2 and rlx-vision: what comes out of pictures and prepared pixels, in every format,
// equals the references; bad input is an error with its own exit code, and nothing is left
// half-written.
#include "process.hpp"

#include "rlx/formats/npy.hpp"
#include "rlx/formats/safetensors.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace rlx::test {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::json;
using words = std::vector<std::string>;

const std::string goldens = std::string(RLX_SOURCE_DIR) + "/tests/goldens/images/";

std::string read_file(const fs::path& p) {
    std::ifstream f(p, std::ios::binary);
    return {std::istreambuf_iterator<char>(f), {}};
}

void write_file(const fs::path& p, std::string_view text) {
    std::ofstream(p, std::ios::binary) << text;
}

std::string golden(const std::string& name, const std::string& file) {
    return goldens + name + "/" + file;
}

std::span<const std::byte> bytes_of(const std::string& s) {
    return std::as_bytes(std::span(s));
}

// A tensor of the case's expected.safetensors.
npy_array expected(const std::string& name, const std::string& tensor) {
    const std::string file = read_file(golden(name, "expected.safetensors"));
    const auto header = safetensors_parse(bytes_of(file), name);
    npy_array out;
    for (const auto& t : header->tensors) {
        if (t.name != tensor) continue;
        out.shape.assign(t.dims.begin(), t.dims.end());
        out.values.resize(t.n_bytes / sizeof(float));
        std::memcpy(out.values.data(), file.data() + t.offset, t.n_bytes);
    }
    EXPECT_FALSE(out.values.empty()) << name << " has no " << tensor;
    return out;
}

npy_array array_of(const std::string& file) {
    auto out = parse_npy(bytes_of(file), "output");
    EXPECT_TRUE(out.ok()) << (out.ok() ? "" : out.error().message);
    return out.ok() ? std::move(*out) : npy_array{};
}

// Largest difference over the RMS of what is expected.
double error_of(std::span<const float> got, std::span<const float> want) {
    double worst = 0, squares = 0;
    if (got.size() != want.size() || want.empty()) return INFINITY;
    for (std::size_t i = 0; i < want.size(); ++i) {
        worst = std::max(worst, std::abs(double{got[i]} - double{want[i]}));
        squares += double{want[i]} * double{want[i]};
    }
    return std::isnan(worst) ? INFINITY : worst / std::sqrt(squares / double(want.size()));
}

constexpr double tolerance = 3e-5; // f32 against double

class vision : public testing::Test {
protected:
    ~vision() override { fs::remove_all(dir); }

    std::string at(const std::string& name) const { return dir + "/" + name; }

    static words command(const std::string& name, const words& more) {
        words out{
            program(name.starts_with("vision") ? "rlx-vision" : "rlx-dinov2"),
            "--weights",
            goldens + name,
            "--compute",
            "f32"};
        out.insert(out.end(), more.begin(), more.end());
        return out;
    }

    static outcome seen(const std::string& name, words more, const run_options& o = {}) {
        more.push_back("--quiet");
        return run(command(name, more), o);
    }

    std::string pixels(const std::string& name, const std::string& tensor) const {
        return stored(expected(name, tensor));
    }

    std::string stored(const npy_array& a, std::string_view type = "<f4") const {
        std::string file = npy_header(type, a.shape);
        file.append(reinterpret_cast<const char*>(a.values.data()), a.values.size() * 4);
        write_file(at("pixels.npy"), file);
        return at("pixels.npy");
    }

    // How many files a run left in the scratch directory.
    std::size_t left() const {
        return static_cast<std::size_t>(std::distance(fs::directory_iterator(dir), {}));
    }

    const std::string dir = scratch_directory();
    const std::string tall = golden("dinov2", "tall.png"), wide = golden("dinov2", "wide.jpg");
};

TEST_F(vision, a_picture_s_states_are_those_of_the_reference) {
    for (const std::string name : {"dinov2", "vision"})
        for (const std::string file : {"tall.png", "wide.jpg", "grey.png"}) {
            const outcome r =
                seen(name, {golden(name, file), "-f", "last_hidden_state", "--out", at("y.npy")});
            ASSERT_EQ(r.exit_code, 0) << r.err;
            EXPECT_EQ(r.out + r.err, "");
            const npy_array got = array_of(read_file(at("y.npy")));
            const npy_array want = expected(name, "hidden." + file);
            EXPECT_EQ(got.shape, want.shape);
            EXPECT_LT(error_of(got.values, want.values), tolerance) << name << " " << file;
        }
}

TEST_F(vision, prepared_pixels_give_the_reference_s_states) {
    const std::pair<std::string, int> cases[] = {
        {"dinov2", 5}, {"dinov2-giant", 5}, {"dinov2-registers", 5}, {"meta", 4}, {"vision", 1}};
    for (const auto& [name, n] : cases)
        for (int k = 0; k < n; ++k) {
            const std::string number = std::to_string(k);
            const outcome r = seen(
                name,
                {"--pixels",
                 pixels(name, "pixels." + number),
                 "--features",
                 "last_hidden_state",
                 "--out",
                 at("y.npy")}
            );
            ASSERT_EQ(r.exit_code, 0) << r.err;
            const npy_array got = array_of(read_file(at("y.npy")));
            const npy_array want = expected(name, "hidden." + number);
            EXPECT_EQ(got.shape, want.shape);
            EXPECT_LT(error_of(got.values, want.values), tolerance) << name << " " << k;
        }
}

TEST_F(vision, every_format_has_the_same_numbers) {
    const auto text = seen("dinov2", {tall, wide});
    ASSERT_EQ(text.exit_code, 0) << text.err;
    std::istringstream lines(text.out);
    std::vector<float> values;
    for (const std::string& file : {tall, wide}) {
        std::string name, row;
        std::getline(lines, name, '\t');
        std::getline(lines, row);
        EXPECT_EQ(name, file);
        std::istringstream numbers(row);
        for (float v = 0; numbers >> v;)
            values.push_back(v);
    }
    ASSERT_EQ(values.size(), 2u * 24);
    double square = 0;
    for (std::size_t i = 0; i < 24; ++i)
        square += double{values[i]} * double{values[i]};
    EXPECT_NEAR(square, 1, 1e-6);

    const auto whole = seen("dinov2", {tall, wide, "--json", "--out", at("x.npy")});
    const json doc = json::parse(whole.out);
    std::vector<float> from_json;
    for (const json& image : doc["images"])
        for (const json& v : image["vector"])
            from_json.push_back(v.get<float>());
    EXPECT_EQ(from_json, values);
    EXPECT_EQ(doc["images"][1]["file"], wide);
    EXPECT_EQ(doc["images"][1]["size"], (json{35, 35}));
    EXPECT_EQ(doc["ran_on"]["family"], "dinov2");
    const npy_array npy = array_of(read_file(at("x.npy")));
    EXPECT_EQ(npy.shape, (std::vector<std::int64_t>{2, 24}));
    EXPECT_EQ(npy.values, values);
    const std::string raw(reinterpret_cast<const char*>(values.data()), values.size() * 4);
    EXPECT_EQ(seen("dinov2", {tall, wide, "--f32"}).out, raw);
    EXPECT_EQ(seen("dinov2", {tall, wide, "--out", "-"}).out, read_file(at("x.npy")));
    ASSERT_EQ(seen("dinov2", {tall, wide, "--out", at("x.f32")}).exit_code, 0);
    EXPECT_EQ(read_file(at("x.f32")), raw);
    EXPECT_EQ(seen("dinov2", {"-", "--f32"}, {.input = read_file(tall)}).out, raw.substr(0, 96));
}

TEST_F(vision, vectors_are_the_class_token_s_and_of_length_1_unless_told) {
    const std::string file = pixels("dinov2", "pixels.0");
    const npy_array hidden = expected("dinov2", "hidden.0"); // [2, 26, 24]
    std::vector<float> want;
    for (const std::ptrdiff_t image : {0, 26 * 24})
        want.insert(want.end(), hidden.values.begin() + image, hidden.values.begin() + image + 24);
    const npy_array as_made =
        array_of(seen("dinov2", {"--pixels", file, "--no-normalize", "--npy"}).out);
    EXPECT_LT(error_of(as_made.values, want), tolerance);
    const npy_array unit = array_of(seen("dinov2", {"--pixels", file, "--npy"}).out);
    for (const std::size_t image : {0u, 24u}) {
        double square = 0;
        for (std::size_t i = image; i < image + 24; ++i)
            square += double{want[i]} * double{want[i]};
        for (std::size_t i = image; i < image + 24; ++i)
            EXPECT_NEAR(unit.values[i], want[i] / std::sqrt(square), 1e-5);
    }
}

TEST_F(vision, a_folder_s_pictures_come_in_order_of_name_whatever_the_step) {
    fs::create_directories(at("in/sub.png"));
    for (const auto& [name, from] :
         {std::pair{"c.PNG", "tall.png"}, {"a.jpeg", "wide.jpg"}, {"b.png", "grey.png"}})
        fs::copy_file(golden("dinov2", from), at("in") + "/" + name);
    write_file(at("in/notes.txt"), "no picture");
    fs::copy_file(tall, at("in/sub.png/d.png"));
    const words order{at("in/a.jpeg"), at("in/b.png"), at("in/c.PNG")};
    const outcome whole = seen("dinov2", {at("in"), "--json"});
    ASSERT_EQ(whole.exit_code, 0) << whole.err;
    const json images = json::parse(whole.out)["images"];
    ASSERT_EQ(images.size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(images[i]["file"], order[i]);
        const json alone = json::parse(seen("dinov2", {order[i], "--json"}).out);
        EXPECT_EQ(images[i]["vector"], alone["images"][0]["vector"]);
    }
    const outcome steps = seen("dinov2", {at("in"), tall, "--batch", "1", "--json"});
    const json again = json::parse(steps.out)["images"];
    ASSERT_EQ(again.size(), 4u);
    EXPECT_EQ(again[0], images[0]);
    EXPECT_EQ(again[3]["vector"], images[2]["vector"]) << "a file behind the folder";
}

TEST_F(vision, names_the_likeliest_classes) {
    const std::string file = pixels("dinov2-giant", "pixels.1");
    const npy_array scores = expected("dinov2-giant", "scores.1");
    const words names{"tench", "goldfish", "great white shark", "tiger shark", "hammerhead"};
    std::vector<std::size_t> order{0, 1, 2, 3, 4};
    std::ranges::sort(order, std::greater<>(), [&](std::size_t i) { return scores.values[i]; });
    double sum = 0;
    for (const float v : scores.values)
        sum += std::exp(double{v});

    const outcome r = seen("dinov2-giant", {"--pixels", file, "--features", "classes", "--json"});
    ASSERT_EQ(r.exit_code, 0) << r.err;
    const json classes = json::parse(r.out)["images"][0]["classes"];
    ASSERT_EQ(classes.size(), 5u);
    for (std::size_t i = 0; i < 5; ++i) {
        EXPECT_EQ(classes[i]["index"], order[i]);
        EXPECT_EQ(classes[i]["label"], names[order[i]]);
        const double score = scores.values[order[i]];
        EXPECT_NEAR(classes[i]["score"].get<double>(), score, 1e-4);
        EXPECT_NEAR(classes[i]["probability"].get<double>(), std::exp(score) / sum, 1e-5);
    }
    const outcome text = seen("dinov2-giant", {"--pixels", file, "--top", "2"});
    EXPECT_EQ(std::ranges::count(text.out, '\n'), 3) << text.out;
    EXPECT_NE(text.out.find("  " + names[order[0]] + " ("), std::string::npos) << text.out;
    EXPECT_EQ(text.out.find(names[order[2]]), std::string::npos) << text.out;
    const outcome all = seen("dinov2-giant", {"--pixels", file, "--top", "9", "--json"});
    EXPECT_EQ(json::parse(all.out)["images"][0]["classes"].size(), 5u);
    const npy_array raw =
        array_of(seen("dinov2-giant", {"--pixels", file, "-f", "classes", "--npy"}).out);
    EXPECT_EQ(raw.shape, scores.shape);
    EXPECT_LT(error_of(raw.values, scores.values), tolerance);
}

TEST_F(vision, paints_the_patches_main_components) {
    ASSERT_EQ(seen("dinov2", {tall, "--pca", at("p.png")}).exit_code, 0);
    const std::string png = read_file(at("p.png"));
    ASSERT_GE(png.size(), 33u);
    EXPECT_EQ(png.substr(1, 3), "PNG");
    // Width and height of the header: 5 patches of 7 pixels, 8 bits of RGB.
    EXPECT_EQ(png.substr(16, 10), std::string("\0\0\0\x23\0\0\0\x23\x08\x02", 10));
    EXPECT_EQ(seen("dinov2", {tall, "--pca", "-"}).out, png);
    EXPECT_EQ(seen("dinov2", {at("p.png"), "--f32"}).out.size(), 96u) << "a picture like others";
    // A side that is no multiple of the patch: the whole patches are painted.
    const outcome odd =
        seen("dinov2", {"--pixels", pixels("dinov2", "pixels.4"), "--pca", at("o.png")});
    ASSERT_EQ(odd.exit_code, 0) << odd.err;
    EXPECT_EQ(read_file(at("o.png")).substr(16, 8), std::string("\0\0\0\x23\0\0\0\x23", 8));
    EXPECT_EQ(seen("dinov2", {tall, wide, "--pca", at("q.png")}).exit_code, 2);
    EXPECT_EQ(seen("dinov2", {tall, "-f", "classes", "--pca", at("q.png")}).exit_code, 2);
    EXPECT_FALSE(fs::exists(at("q.png")));
}

TEST_F(vision, reads_pictures_at_the_size_asked_for) {
    for (const auto& [side, tokens] : {std::pair{"7", 2}, {"49", 50}, {"56", 65}}) {
        const outcome r =
            seen("dinov2", {tall, "--img-size", side, "-f", "last_hidden_state", "--npy"});
        ASSERT_EQ(r.exit_code, 0) << r.err;
        EXPECT_EQ(array_of(r.out).shape, (std::vector<std::int64_t>{1, tokens, 24})) << side;
    }
    const outcome rest = run(command("dinov2", {tall, "--img-size", "38"}));
    EXPECT_EQ(rest.exit_code, 0);
    EXPECT_NE(
        rest.err.find("3 rows and 3 columns of 38 x 38 pixels are not seen"), std::string::npos
    ) << rest.err;
    for (const char* bad : {"0", "6", "65536", "x", "-7", "35.5"}) {
        const outcome r = seen("dinov2", {tall, "--img-size", bad});
        EXPECT_EQ(r.exit_code, 2) << bad << r.err;
        EXPECT_EQ(r.out, "");
    }
    const outcome small = seen("dinov2", {tall, "--img-size", "6"});
    EXPECT_NE(small.err.find("the least is 7 x 7"), std::string::npos) << small.err;
    const outcome odd = seen("meta", {tall, "--img-size", "36"});
    EXPECT_EQ(odd.exit_code, 2);
    EXPECT_NE(odd.err.find("must be multiples of 7"), std::string::npos) << odd.err;
}

// Without a preprocessor_config.json: transformers' processor for its names, PIL's arithmetic, as
// Meta's own code has, for Meta's.
TEST_F(vision, resizes_as_the_reference_of_the_checkpoint_s_names_does) {
    const auto with = [&](const std::string& name, const std::string& kind) {
        write_file(
            at("p.json"),
            R"({"image_processor_type": "BitImageProcessor)" + kind +
                R"(, "size": {"shortest_edge": 256}, "resample": 3, "crop_size": 224,
                "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]})"
        );
        const outcome r = seen(name, {tall, "--f32", "--preprocessor", at("p.json")});
        EXPECT_EQ(r.exit_code, 0) << r.err;
        return r.out;
    };
    for (const auto& [name, pil] : {std::pair{"dinov2-giant", false}, {"meta", true}}) {
        const std::string built_in = seen(name, {tall, "--f32"}).out;
        EXPECT_EQ(built_in.size(), 96u);
        EXPECT_EQ(with(name, "Pil\"") == built_in, pil) << name;
        EXPECT_EQ(with(name, "\", \"use_fast\": false") == built_in, pil) << name;
        EXPECT_EQ(with(name, "\"") == built_in, !pil) << name;
        EXPECT_EQ(with(name, "Fast\"") == built_in, !pil) << name;
    }
}

TEST_F(vision, pictures_of_several_sizes_need_no_one_array) {
    // Only resized, so sizes stay different.
    write_file(
        at("p.json"),
        R"({"image_processor_type": "BitImageProcessor", "do_resize": true, "resample": 3,
            "size": {"shortest_edge": 14}, "do_center_crop": false, "do_rescale": true,
            "rescale_factor": 0.00392156862745098, "do_normalize": true,
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]})"
    );
    const words both{"--preprocessor", at("p.json"), tall, wide, tall};
    const auto with = [&](words more) {
        more.insert(more.end(), both.begin(), both.end());
        return run(command("dinov2", more));
    };
    const outcome r = with({"--json"});
    ASSERT_EQ(r.exit_code, 0) << r.err;
    const json images = json::parse(r.out)["images"];
    EXPECT_NE(images[0]["size"], images[1]["size"]);
    EXPECT_EQ(images[0]["vector"], images[2]["vector"]);
    EXPECT_NE(r.err.find("3 images of several sizes"), std::string::npos) << r.err;
    const outcome states = with({"-f", "last_hidden_state", "--out", at("y.npy")});
    EXPECT_EQ(states.exit_code, 2);
    EXPECT_NE(states.err.find("--img-size"), std::string::npos) << states.err;
    EXPECT_FALSE(fs::exists(at("y.npy")));
}

TEST_F(vision, pictures_it_cannot_read_are_named_with_what_is_wrong) {
    const auto refused = [&](const std::string& name, std::string_view data, int code) {
        write_file(at(name), data);
        const outcome r = seen("dinov2", {at(name), "--out", at("x.npy")});
        EXPECT_EQ(r.exit_code, code) << name << ": " << r.err;
        EXPECT_NE(r.err.find(at(name)), std::string::npos) << r.err;
        EXPECT_FALSE(fs::exists(at("x.npy")));
        // With others it is one that failed.
        const outcome two = seen("dinov2", {at(name), tall, "--json"});
        EXPECT_EQ(two.exit_code, 3) << two.err;
        EXPECT_EQ(two.err, "");
        const json doc = json::parse(two.out);
        EXPECT_NE(
            r.err.find(doc["images"][0]["error"]["message"].get<std::string>()), std::string::npos
        ) << doc["images"][0];
        EXPECT_FALSE(doc["images"][0].contains("vector"));
        EXPECT_EQ(doc["images"][1]["vector"].size(), 24U);
        EXPECT_EQ(doc["failed"], 1);
        return r.err;
    };
    const std::string png = read_file(tall), jpeg = read_file(wide);
    EXPECT_NE(refused("cut.png", png.substr(0, 300), 3).find("at byte 300"), std::string::npos);
    EXPECT_NE(refused("cut.jpg", jpeg.substr(0, 300), 3).find("ends early"), std::string::npos);
    EXPECT_NE(refused("empty.png", "", 3).find("empty"), std::string::npos);
    EXPECT_NE(
        refused("text.png", "These are words.", 4).find("neither PNG nor JPEG"), std::string::npos
    );
    EXPECT_NE(refused("a.gif", "GIF89a", 4).find("a.gif"), std::string::npos);
    std::string huge = png;
    huge.replace(16, 8, "\0\1\0\0\0\1\0\0", 8);
    refused("huge.png", huge, 3);
    const outcome absent = seen("dinov2", {at("none.png")});
    EXPECT_EQ(absent.exit_code, 3);
    EXPECT_NE(absent.err.find("none.png: no such file"), std::string::npos) << absent.err;
    fs::create_directory(at("folder"));
    EXPECT_EQ(seen("dinov2", {at("folder")}).exit_code, 3);
    EXPECT_EQ(seen("dinov2", {}).exit_code, 2) << "no picture named";
    const outcome nothing = seen("dinov2", {"-"}, {.input = ""});
    EXPECT_EQ(nothing.exit_code, 3);
    EXPECT_NE(nothing.err.find("standard input"), std::string::npos) << nothing.err;
}

TEST_F(vision, one_bad_picture_does_not_end_the_others) {
    write_file(at("bad.png"), read_file(tall).substr(0, 300));
    const words list{at("bad.png"), tall, at("bad.png"), wide, tall};
    const auto with = [&](const words& more, bool quiet = true) {
        words all = list;
        all.insert(all.end(), more.begin(), more.end());
        return quiet ? seen("dinov2", all) : run(command("dinov2", all));
    };
    const outcome text = with({});
    EXPECT_EQ(text.exit_code, 3);
    EXPECT_EQ(text.out, seen("dinov2", {tall, wide, tall}).out);
    EXPECT_TRUE(text.err.starts_with("rlx-dinov2: error: " + at("bad.png"))) << text.err;
    EXPECT_EQ(std::ranges::count(text.err, '\n'), 2) << text.err;
    EXPECT_NE(with({}, false).err.find("note: 2 of 5 images failed\n"), std::string::npos);

    for (const std::string head : {"pooled", "last_hidden_state"}) {
        const auto good = array_of(seen("dinov2", {tall, wide, "-f", head, "--npy"}).out);
        ASSERT_EQ(with({"-f", head, "--out", at("x.npy")}).exit_code, 3);
        const npy_array all = array_of(read_file(at("x.npy")));
        EXPECT_EQ(all.shape[0], 5);
        const std::size_t n = all.values.size() / 5;
        ASSERT_EQ(good.values.size(), 2 * n);
        for (std::size_t i = 0; i < n; ++i) {
            EXPECT_TRUE(std::isnan(all.values[i]) && std::isnan(all.values[2 * n + i]));
            EXPECT_EQ(all.values[n + i], good.values[i]);
            EXPECT_EQ(all.values[3 * n + i], good.values[n + i]);
        }
    }
    ASSERT_EQ(with({"--batch", "1", "--out", at("x.f32")}).exit_code, 3);
    EXPECT_EQ(read_file(at("x.f32")).size(), 5U * 24 * 4);

    // None at all.
    const words none{at("bad.png"), at("bad.png")};
    const outcome rows = seen("dinov2", {none[0], none[1], "--npy"});
    EXPECT_EQ(rows.exit_code, 3);
    EXPECT_EQ(array_of(rows.out).shape, (std::vector<std::int64_t>{2, 24}));
    const outcome states =
        seen("dinov2", {none[0], none[1], "-f", "last_hidden_state", "--out", at("n.npy")});
    EXPECT_EQ(states.exit_code, 3);
    EXPECT_NE(states.err.find("none of 2 images"), std::string::npos) << states.err;
    EXPECT_FALSE(fs::exists(at("n.npy")));
    // A path that is not there is said before anything is computed.
    const outcome absent = seen("dinov2", {tall, at("absent.png")});
    EXPECT_EQ(absent.exit_code, 3);
    EXPECT_EQ(absent.out, "");
    EXPECT_EQ(left(), 3U) << "bad.png and two arrays";
}

// What is done is out before the rest is read: the last picture comes through a pipe that nobody
// fills until the first one's vector is there.
TEST_F(vision, a_result_is_written_when_it_is_there) {
    std::string line = "cd '" + dir +
                       "'; { for i in $(seq 300); do test -s out && break; sleep 0.1; done; "
                       "wc -l < out > early; cat '" +
                       tall + "'; } |";
    for (const std::string& word : command("dinov2", {tall, wide, "-", "--batch", "1", "--quiet"}))
        line += " '" + word + "'";
    const outcome r = run({"/bin/sh", "-c", line + " > out"});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(read_file(at("early")), "1\n");
    const std::string all = read_file(at("out"));
    EXPECT_EQ(std::ranges::count(all, '\n'), 3);
}

TEST_F(vision, pixels_that_are_no_batch_of_images_are_named_with_what_is_wrong) {
    const npy_array good = expected("dinov2", "pixels.0"); // [2, 3, 35, 35]
    const auto refused = [&](const std::string& file, int code) {
        const outcome r = seen("dinov2", {"--pixels", file, "--out", at("y.npy")});
        EXPECT_EQ(r.exit_code, code) << r.err;
        EXPECT_NE(r.err.find(file), std::string::npos) << r.err;
        EXPECT_FALSE(fs::exists(at("y.npy")));
        return r.err;
    };
    const auto shaped = [&](std::vector<std::int64_t> shape) {
        return stored({std::move(shape), good.values});
    };
    EXPECT_NE(
        refused(shaped({6, 35, 35}), 3)
            .find("shape (6, 35, 35), expected (batch, 3, height, width)"),
        std::string::npos
    );
    refused(shaped({2, 35, 35, 3}), 3);
    refused(shaped({2, 3, 35, 35, 1}), 3);
    refused(shaped({2 * 3 * 35 * 35}), 3);
    refused(stored({{0, 3, 35, 35}, {}}), 3);
    EXPECT_NE(refused(shaped({2, 3, 35, 36}), 3).find("needs 30240 bytes"), std::string::npos);
    // Too small for a patch; a size that this checkpoint's model does not read.
    refused(stored({{1, 3, 5, 5}, std::vector<float>(75)}), 2);
    EXPECT_NE(refused(stored(good, "<f8"), 3).find("expected float32"), std::string::npos);
    std::string fortran = read_file(stored(good));
    fortran.replace(fortran.find("False"), 5, "True ");
    write_file(at("pixels.npy"), fortran);
    EXPECT_NE(refused(at("pixels.npy"), 3).find("Fortran order"), std::string::npos);
    write_file(at("pixels.npy"), fortran.substr(0, 1000));
    refused(at("pixels.npy"), 3);
    write_file(at("pixels.npy"), "not an array");
    refused(at("pixels.npy"), 3);
    refused(at("none.npy"), 3);
    const std::string file = stored(good);
    EXPECT_EQ(seen("dinov2", {"--pixels", file, tall}).exit_code, 2);
    EXPECT_EQ(seen("dinov2", {"--pixels", file, "--img-size", "49"}).exit_code, 2);
}

TEST_F(vision, wrong_flags_and_checkpoints_are_errors_of_their_own) {
    const std::pair<words, int> cases[] = {
        {{tall, "--bogus"}, 2},
        {{tall, "--features", "attention"}, 2},
        {{tall, "--features", "last_hidden_state"}, 2}, // without --out
        {{tall, "--features", "classes"}, 4},           // no classification head
        {{tall, "--features", "pooled", "--top", "2"}, 2},
        {{tall, "--top", "0"}, 2},
        {{tall, "--batch", "0"}, 2},
        {{tall, "--json", "--out", "-"}, 2},
        {{tall, "--npy", "--f32"}, 2},
        {{tall, "--pca", "-", "--out", "-"}, 2},
        {{tall, "--progress", "loud"}, 2},
        {{tall, "--device", "toaster"}, 2},
        {{tall, "--tier", "mmx"}, 2},
        {{tall, "--compute", "f8"}, 2},
        {{tall, "--max-memory-gb", "0.000001"}, 5},
        {{tall, "--preprocessor", at("none.json")}, 3},
        {{tall, "--preprocessor", golden("dinov2", "config.json")}, 3},
        {{tall, "--weights", at("nowhere")}, 3},
        {{tall, "--weights", stories_model()}, 4},
        {{tall, "--weights", goldens + "vision"}, 4}, // of another family
        {{tall, "--out", at("no/such/folder/x.npy")}, 1},
    };
    for (const auto& [flags, code] : cases) {
        const outcome r = seen("dinov2", flags);
        EXPECT_EQ(r.exit_code, code) << flags[1] << ": " << r.err;
        EXPECT_EQ(r.out, "");
        EXPECT_TRUE(r.err.starts_with("rlx-dinov2: error: ")) << r.err;
        EXPECT_LE(std::ranges::count(r.err, '\n'), 2) << r.err;
    }
    // The message says what there is instead.
    EXPECT_NE(
        seen("dinov2", {tall, "--weights", goldens + "vision"}).err.find("family 'vision'"),
        std::string::npos
    );
    EXPECT_EQ(left(), 0u);
}

TEST_F(vision, the_plan_reads_neither_weights_nor_pictures) {
    const outcome r = seen("dinov2", {"--plan", "--json"});
    ASSERT_EQ(r.exit_code, 0) << r.err;
    const json plan = json::parse(r.out);
    EXPECT_EQ(
        plan["total_bytes"],
        plan["weights_bytes"].get<std::int64_t>() + plan["mapped_bytes"].get<std::int64_t>() +
            plan["scratch_bytes"].get<std::int64_t>()
    );
    const outcome large = seen("dinov2", {"--plan", "--json", "--img-size", "350"});
    EXPECT_GT(json::parse(large.out)["scratch_bytes"], plan["scratch_bytes"]);
    EXPECT_NE(seen("dinov2", {"--plan"}).out.find("scratch"), std::string::npos);
}

TEST_F(vision, is_also_a_command_of_rlx_run) {
    const words flags{"--weights", goldens + "dinov2", "--compute", "f32", tall, "--quiet"};
    words argv{program("rlx-run"), "dinov2"};
    argv.insert(argv.end(), flags.begin(), flags.end());
    EXPECT_EQ(run(argv).out, seen("dinov2", {tall}).out);
    const outcome help = run({program("rlx-dinov2"), "--help"});
    EXPECT_EQ(help.exit_code, 0);
    for (const char* flag : {"--features", "--pca", "--pixels", "--img-size", "--f32"})
        EXPECT_NE(help.out.find(flag), std::string::npos) << flag;
}

TEST_F(vision, without_a_terminal_nothing_is_drawn_and_progress_is_asked_for) {
    const outcome r = run(command("dinov2", {tall}));
    EXPECT_EQ(r.exit_code, 0);
    EXPECT_EQ(r.err.find('\x1b'), std::string::npos) << r.err;
    EXPECT_EQ(r.err.find('\r'), std::string::npos) << r.err;
    EXPECT_EQ(std::ranges::count(r.err, '\n'), 1) << r.err;
    const outcome told = run(command("dinov2", {tall, wide, "--progress", "json", "--batch", "1"}));
    std::istringstream lines(told.err);
    json last;
    for (std::string line; std::getline(lines, line) && line.starts_with('{');)
        last = json::parse(line);
    EXPECT_EQ(last["stage"], "images") << told.err;
    EXPECT_EQ(last["done"], 2);
    EXPECT_EQ(last["total"], 2);
    EXPECT_EQ(run(command("dinov2", {tall, "--quiet"})).err, "");
}

TEST_F(vision, interrupted_at_any_stage_it_leaves_nothing_behind) {
    words slow = command(
        "dinov2", {"--img-size", "350", "--batch", "1", "--progress", "json", "--out", at("x.npy")}
    );
    for (int i = 0; i < 400; ++i)
        slow.push_back(tall);
    std::string line = "exec";
    for (const std::string& word : slow)
        line += " '" + word + "'";
    line += " 2> '" + at("err") + "'";
    for (const auto& [signal, code] : {std::pair{SIGINT, 130}, {SIGTERM, 143}}) {
        const auto at_work = [&] {
            return read_file(at("err")).find("\"images\"") != std::string::npos;
        };
        EXPECT_EQ(interrupted({"/bin/sh", "-c", line}, signal, at_work), code)
            << read_file(at("err"));
        EXPECT_EQ(left(), 1u) << "only the messages";
        EXPECT_NE(read_file(at("err")).find("rlx-dinov2: error: "), std::string::npos);
        fs::remove(at("err"));
    }
}

TEST_F(vision, does_not_hang_on_streams_that_are_gone) {
    words many;
    for (int i = 0; i < 600; ++i)
        many.push_back(tall);
    const outcome r = seen("dinov2", many, {.close_stdout_early = true});
    EXPECT_EQ(r.exit_code, 128 + SIGPIPE) << r.err;
    EXPECT_EQ(r.err, "");
    std::string line;
    for (const std::string& word : command("dinov2", {"--quiet"}))
        line += " '" + word + "'";
    for (const char* lost : {" > /dev/full", " >&-"}) {
        const outcome full = run({"/bin/sh", "-c", line + " " + tall + lost});
        EXPECT_EQ(full.exit_code, 1);
        EXPECT_NE(full.err.find("standard output"), std::string::npos) << full.err;
    }
    EXPECT_EQ(run({"/bin/sh", "-c", line + " - <&-"}).exit_code, 1);
    // A pipe stays one, and gets the array.
    const std::string cat = "cd " + dir + " && mkfifo p && { cat p > got & } && ";
    const std::string after = " --f32 --out p " + tall + "; code=$?; wait; test -p p && exit $code";
    const outcome piped = run({"/bin/sh", "-c", cat + line + after});
    EXPECT_EQ(piped.exit_code, 0) << piped.err;
    EXPECT_EQ(read_file(at("got")).size(), 96u);
}

} // namespace
} // namespace rlx::test
