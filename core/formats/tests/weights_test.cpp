// SPDX-License-Identifier: GPL-3.0-only
// Checkpoints as callers see them: which files are opened, and tensors under the checkpoint's own
// names with what a GGUF converter did undone.
#include "rlx/formats/weights.hpp"

#include "build_files.hpp"
#include "rlx/base/wall.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>
#include <thread>

namespace {

using namespace rlx_test;
namespace fs = std::filesystem;

std::unique_ptr<rlx::weights> open(const fs::path& p, const rlx::open_options& o = {}) {
    auto w = rlx::weights::open(p, o);
    EXPECT_TRUE(w.ok()) << w.error().message;
    return w.ok() ? std::move(*w) : nullptr;
}

rlx::error refused(const fs::path& p, const rlx::open_options& o = {}) {
    auto w = rlx::weights::open(p, o);
    EXPECT_FALSE(w.ok()) << p << " was opened";
    return w.ok() ? rlx::error{RLX_OK, ""} : w.error();
}

bool says(const rlx::error& e, std::string_view part) {
    return e.message.find(part) != std::string::npos;
}

std::string named_gguf(const std::string& name) {
    gguf_builder b;
    return b.text("general.architecture", "llama").text("general.name", name).build();
}

// -- which file --

TEST(Locate, ADirectoryWithOneGgufIsThatFile) {
    temp_dir d;
    d.write("only.gguf", named_gguf("x"));
    auto w = open(d.path());
    EXPECT_EQ(w->path(), d.path() / "only.gguf");
    EXPECT_EQ(w->format(), "gguf");
    EXPECT_EQ(w->architecture(), "llama");
}

TEST(Locate, SeveralGgufsAreListedWithAHint) {
    temp_dir d;
    for (const char* n : {"m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-F16.gguf"})
        d.write(n, named_gguf(n));
    rlx::error e = refused(d.path());
    EXPECT_EQ(e.code, std::uint32_t{RLX_INVALID_ARGUMENT});
    for (const char* part :
         {"[0] m-F16.gguf", "[1] m-Q4_K_M.gguf", "[2] m-Q8_0.gguf", "--prefer", "--gguf-index"}) {
        EXPECT_TRUE(says(e, part)) << e.message;
    }
    EXPECT_EQ(open(d.path(), {.prefer = "q4_k"})->meta_string("general.name"), "m-Q4_K_M.gguf");
    EXPECT_EQ(open(d.path(), {.gguf_index = 2})->meta_string("general.name"), "m-Q8_0.gguf");
    rlx::error none = refused(d.path(), {.prefer = "IQ1"});
    EXPECT_EQ(none.code, std::uint32_t{RLX_NOT_FOUND});
    EXPECT_TRUE(says(none, "'IQ1'") && says(none, "[2]")) << none.message;
    EXPECT_TRUE(says(refused(d.path(), {.prefer = "Q"}), "2 GGUF files match 'Q'"));
    EXPECT_TRUE(says(refused(d.path(), {.gguf_index = 3}), "number 3"));
}

TEST(Locate, ChildDirectoriesAreSearchedOneLevelDeep) {
    temp_dir d;
    d.write("UD-Q4_K_M/a.gguf", named_gguf("child"));
    d.write("x/y/too-deep.gguf", named_gguf("deep"));
    EXPECT_EQ(open(d.path())->meta_string("general.name"), "child");
    d.write("top-F16.gguf", named_gguf("top"));
    EXPECT_EQ(open(d.path())->meta_string("general.name"), "top");
    EXPECT_EQ(open(d.path(), {.prefer = "UD-Q4"})->meta_string("general.name"), "child");
}

TEST(Locate, GgufComesBeforeSafetensorsAndSafetensorsBeforeTheIndex) {
    temp_dir d;
    d.write("config.json", R"({"model_type":"qwen3"})");
    d.write("model.safetensors.index.json", R"({"weight_map":{"a":"gone.safetensors"}})");
    EXPECT_TRUE(says(refused(d.path()), "gone.safetensors"));
    d.write("model.safetensors", good_st().build());
    auto w = open(d.path());
    EXPECT_EQ(w->format(), "safetensors");
    EXPECT_EQ(w->path(), d.path());
    EXPECT_EQ(w->architecture(), "qwen3");
    EXPECT_EQ(open(d.path() / "config.json")->architecture(), "qwen3");
    d.write("m.gguf", named_gguf("g"));
    EXPECT_EQ(open(d.path())->format(), "gguf");
    EXPECT_EQ(open(d.path() / "model.safetensors")->format(), "safetensors");
}

TEST(Locate, WhatIsNotThereOrNoWeightsIsSaidSo) {
    temp_dir d;
    EXPECT_EQ(refused(d.path() / "nope").code, std::uint32_t{RLX_NOT_FOUND});
    EXPECT_TRUE(says(refused(d.path()), "no weights here"));
    EXPECT_EQ(refused(d.write("x.txt", "hello")).code, std::uint32_t{RLX_UNSUPPORTED});
    EXPECT_TRUE(says(refused(d.write("pytorch_model.bin", "PK")), "convert it to safetensors"));
    EXPECT_TRUE(says(refused(d.write("empty.gguf", "")), "0 bytes"));
    EXPECT_TRUE(says(refused(d.write("empty.safetensors", "")), "0 bytes"));
    d.write("mlx/model.safetensors", good_st().build());
    d.write("mlx/config.json", R"({"quantization":{"bits":4,"group_size":64}})");
    EXPECT_TRUE(says(refused(d.path() / "mlx"), "MLX"));
    d.write("other/a.safetensors", good_st().build());
    EXPECT_EQ(open(d.path() / "other")->format(), "safetensors");
    d.write("other/b.safetensors", good_st().build());
    EXPECT_TRUE(says(refused(d.path() / "other"), "2 .safetensors files"));
}

TEST(Locate, FilesAreKnownByTheirFirstBytes) {
    temp_dir d;
    EXPECT_EQ(open(d.write("blob1", good_gguf().build()))->format(), "gguf");
    EXPECT_EQ(open(d.write("blob2", good_st().build()))->format(), "safetensors");
}

// -- split GGUF --

std::string
part(std::uint16_t no, std::uint16_t count, const std::string& tensor, std::int32_t total = 2) {
    gguf_builder b;
    if (no == 0) b.text("general.architecture", "llama").add("split.tensors.count", 5, raw(total));
    b.add("split.no", 2, raw(no)).add("split.count", 2, raw(count));
    b.tensor(tensor, {2}, RLX_F32, floats({float(no), 1}));
    return b.build();
}

TEST(Split, PartsAreMergedWhicheverIsNamed) {
    temp_dir d;
    d.write("m-00001-of-00002.gguf", part(0, 2, "a"));
    d.write("m-00002-of-00002.gguf", part(1, 2, "b"));
    for (fs::path p :
         {d.path(), d.path() / "m-00001-of-00002.gguf", d.path() / "m-00002-of-00002.gguf"}) {
        auto w = open(p);
        ASSERT_EQ(w->tensors().size(), 2u);
        EXPECT_EQ(w->architecture(), "llama");
        EXPECT_EQ(w->tensors()[1].file.filename(), "m-00002-of-00002.gguf");
        float v[2];
        EXPECT_EQ(rlx::weights_table()->read_f32(w->handle(), rlx::str("b"), 0, 1, v), nullptr);
        EXPECT_EQ(v[0], 1);
    }
}

TEST(Split, MissingOrWrongPartsAreNamed) {
    temp_dir d;
    d.write("m-00001-of-00003.gguf", part(0, 3, "a"));
    d.write("m-00003-of-00003.gguf", part(2, 3, "c"));
    rlx::error e = refused(d.path() / "m-00003-of-00003.gguf");
    EXPECT_EQ(e.code, std::uint32_t{RLX_NOT_FOUND});
    EXPECT_TRUE(says(e, "m-00002-of-00003.gguf") && says(e, "1 of 3")) << e.message;
    d.write("m-00002-of-00003.gguf", part(2, 3, "b"));
    EXPECT_TRUE(says(refused(d.path()), "part 2 of 3 (counted from 0), expected part 1 of 3"));
    d.write("m-00002-of-00003.gguf", part(1, 4, "b"));
    EXPECT_TRUE(says(refused(d.path()), "part 1 of 4"));
    d.write("m-00002-of-00003.gguf", part(1, 3, "a"));
    EXPECT_TRUE(says(refused(d.path()), "'split.tensors.count' says 2"));
    d.write("m-00001-of-00003.gguf", part(0, 3, "a", 3));
    EXPECT_TRUE(says(refused(d.path()), "tensor 'a' is in"));
    d.write("renamed.gguf", part(0, 2, "a"));
    EXPECT_TRUE(says(refused(d.path() / "renamed.gguf"), "-00001-of-00002.gguf"));
}

// -- sharded safetensors --

std::string one_tensor(const std::string& name, float v) {
    st_builder b;
    b.tensors = {{name, "F32", "[1]", floats({v})}};
    return b.build();
}

TEST(Shards, TheIndexSaysWhereATensorIs) {
    temp_dir d;
    d.write("s1.safetensors", one_tensor("a.b", 1));
    d.write("s2.safetensors", one_tensor("c", 2));
    d.write(
        "model.safetensors.index.json",
        R"({"metadata":{"total_size":8},"weight_map":{"a.b":"s1.safetensors","c":"s2.safetensors"}})"
    );
    auto w = open(d.path());
    ASSERT_EQ(w->tensors().size(), 2u);
    float v = 0;
    EXPECT_EQ(rlx::weights_table()->read_f32(w->handle(), rlx::str("c"), 0, 1, &v), nullptr);
    EXPECT_EQ(v, 2);
}

TEST(Shards, BadIndicesAreRefused) {
    temp_dir d;
    d.write("s1.safetensors", one_tensor("a", 1));
    d.write("sub/s2.safetensors", one_tensor("b", 2));
    auto with = [&](std::string_view index) {
        return refused(d.write("model.safetensors.index.json", index));
    };
    for (const char* name :
         {"../s1.safetensors",
          "/etc/passwd",
          "sub/s2.safetensors",
          "..",
          ".",
          "",
          "a\\\\b",
          "a\\u0000b"}) {
        rlx::error e = with(R"({"weight_map":{"a":")" + std::string(name) + "\"}}");
        EXPECT_EQ(e.code, std::uint32_t{RLX_CORRUPT_DATA}) << name;
        EXPECT_TRUE(says(e, "without directories")) << e.message;
    }
    EXPECT_TRUE(says(
        with(R"({"weight_map":{"a":"s1.safetensors","b":"gone.safetensors"}})"), "gone.safetensors"
    ));
    EXPECT_TRUE(says(
        with(R"({"weight_map":{"a":"s1.safetensors","zz":"s1.safetensors"}})"),
        "'zz' is not in s1.safetensors"
    ));
    EXPECT_TRUE(says(with(R"({"weight_map":{"a":3}})"), "no file name"));
    EXPECT_TRUE(says(with(R"({"weight_map":{}})"), "no weight_map"));
    EXPECT_TRUE(
        says(with(R"({"weight_map":{"a":"s1.safetensors","a":"s1.safetensors"}})"), "duplicate key")
    );
    EXPECT_TRUE(says(with("[1,2"), "byte"));
    EXPECT_TRUE(says(with(""), "byte"));
}

// -- names and transformations --

struct rule {
    const char *hf, *gguf;
    std::uint32_t transform = RLX_TX_NONE;
    const char* param = "";
};

void add(rlx::weights& w, std::vector<rule> rules) {
    std::vector<rlx_name_rule> out;
    for (const rule& r : rules)
        out.push_back({rlx::str(r.hf), rlx::str(r.gguf), r.transform, 0, rlx::str(r.param)});
    rlx_error* e =
        rlx::weights_table()->add_names(w.handle(), out.data(), out.size(), sizeof(rlx_name_rule));
    EXPECT_EQ(e, nullptr) << rlx::from_wall(e).message;
}

rlx_tensor_desc require(rlx::weights& w, std::string_view name) {
    rlx_tensor_desc d{};
    d.size = sizeof d;
    rlx_error* e = rlx::weights_table()->require(w.handle(), rlx::str(name), &d);
    EXPECT_EQ(e, nullptr) << rlx::from_wall(e).message;
    return d;
}

std::vector<float> read(
    rlx::weights& w,
    std::string_view name,
    std::uint64_t first,
    std::uint64_t n,
    std::uint64_t width
) {
    std::vector<float> out(n * width);
    rlx_error* e = rlx::weights_table()->read_f32(w.handle(), rlx::str(name), first, n, out.data());
    EXPECT_EQ(e, nullptr) << rlx::from_wall(e).message;
    return out;
}

rlx::error failure(rlx_error* e) {
    return e ? rlx::from_wall(e) : rlx::error{RLX_OK, ""};
}

std::vector<float> counting(std::size_t n, float from = 0) {
    std::vector<float> v(n);
    std::iota(v.begin(), v.end(), from);
    return v;
}

// What a converter does to q and k: per head of n rows, row i n/2 + j becomes row 2 j + i.
std::vector<float> permuted(const std::vector<float>& rows, std::size_t heads, std::size_t width) {
    std::vector<float> out(rows.size());
    std::size_t n = rows.size() / width / heads;
    for (std::size_t h = 0; h < heads; h++) {
        for (std::size_t i = 0; i < 2; i++) {
            for (std::size_t j = 0; j < n / 2; j++) {
                std::size_t from = h * n + i * (n / 2) + j, to = h * n + 2 * j + i;
                std::copy_n(
                    rows.begin() + static_cast<std::ptrdiff_t>(from * width),
                    width,
                    out.begin() + static_cast<std::ptrdiff_t>(to * width)
                );
            }
        }
    }
    return out;
}

TEST(Names, RotaryRowsOfAGgufComeBackInTheirOriginalOrder) {
    temp_dir d;
    const std::size_t heads = 2, rows = 12, width = 4;
    std::vector<float> original = counting(rows * width), bias = counting(rows, 100);
    gguf_builder b;
    b.text("general.architecture", "llama").u32("llama.attention.head_count", heads);
    b.tensor(
        "blk.0.attn_q.weight", {width, rows}, RLX_F32, floats(permuted(original, heads, width))
    );
    b.tensor("blk.0.attn_q.bias", {rows}, RLX_F32, floats(permuted(bias, heads, 1)));
    auto w = open(d.write("m.gguf", b.build()));
    const std::string q = "model.layers.0.self_attn.q_proj.";
    add(*w,
        {{"model.layers.{}.self_attn.q_proj.weight",
          "blk.{}.attn_q.weight",
          RLX_TX_ROPE_ROWS,
          "num_attention_heads"},
         {"model.layers.{}.self_attn.q_proj.bias",
          "blk.{}.attn_q.bias",
          RLX_TX_ROPE_ROWS,
          "num_attention_heads"}});
    rlx_tensor_desc desc = require(*w, q + "weight");
    EXPECT_EQ(desc.dim[0], 12);
    EXPECT_EQ(desc.dim[1], 4);
    EXPECT_EQ(read(*w, q + "weight", 0, rows, width), original);
    EXPECT_EQ(read(*w, q + "bias", 0, 1, rows), bias);
    EXPECT_EQ(
        read(*w, q + "weight", 7, 2, width),
        std::vector<float>(original.begin() + 28, original.begin() + 36)
    );
    std::vector<float> raw_rows(rows * width);
    EXPECT_EQ(
        rlx::weights_table()->read_rows(
            w->handle(), rlx::str(q + "weight"), 0, rows, raw_rows.data(), rows * width * 4
        ),
        nullptr
    );
    EXPECT_EQ(raw_rows, original);
    EXPECT_NE(read(*w, "blk.0.attn_q.weight", 0, rows, width), original)
        << "the raw name is the stored order";
    rlx_bytes view{};
    EXPECT_EQ(rlx::weights_table()->view(w->handle(), rlx::str(q + "weight"), &view), nullptr);
    EXPECT_EQ(view.p, nullptr);
    EXPECT_EQ(
        rlx::weights_table()->view(w->handle(), rlx::str("blk.0.attn_q.weight"), &view), nullptr
    );
    EXPECT_EQ(view.n, rows * width * 4);
}

TEST(Names, PackedRotaryRowsMoveWhole) {
    temp_dir d;
    gguf_builder b;
    std::string rows; // 4 rows of one Q8_0 block, told apart by their bytes
    for (char c : {'a', 'b', 'c', 'd'})
        rows += std::string(34, c);
    b.text("general.architecture", "llama").u32("llama.attention.head_count", 1);
    b.tensor("blk.3.attn_k.weight", {32, 4}, RLX_Q8_0, rows);
    auto w = open(d.write("m.gguf", b.build()));
    add(*w, {{"l.{}.k", "blk.{}.attn_k.weight", RLX_TX_ROPE_ROWS, "num_attention_heads"}});
    std::string got(4 * 34, ' ');
    EXPECT_EQ(
        rlx::weights_table()->read_rows(
            w->handle(), rlx::str("l.3.k"), 0, 4, got.data(), got.size()
        ),
        nullptr
    );
    EXPECT_EQ(std::string({got[0], got[34], got[68], got[102]}), "acbd");
}

TEST(Names, RotaryRowsThatCannotBeUndoneAreErrors) {
    temp_dir d;
    gguf_builder b;
    b.text("general.architecture", "llama").u32("llama.attention.head_count", 4);
    b.tensor("odd", {1, 6}, RLX_F32, floats(counting(6)));
    auto w = open(d.write("m.gguf", b.build()));
    add(*w,
        {{"q", "odd", RLX_TX_ROPE_ROWS, "num_attention_heads"},
         {"k", "odd", RLX_TX_ROPE_ROWS, "no_such_key"}});
    rlx::error e = failure(rlx::weights_table()->require(w->handle(), rlx::str("q"), nullptr));
    EXPECT_EQ(e.code, std::uint32_t{RLX_CORRUPT_DATA});
    EXPECT_TRUE(says(e, "6 rows") && says(e, "4 heads") && says(e, "'odd'")) << e.message;
    e = failure(rlx::weights_table()->require(w->handle(), rlx::str("k"), nullptr));
    EXPECT_EQ(e.code, std::uint32_t{RLX_MISSING_METADATA});
    EXPECT_TRUE(says(e, "no_such_key")) << e.message;
}

TEST(Names, NormsStoredPlusOneAreReadAsTheyWere) {
    temp_dir d;
    gguf_builder b;
    b.text("general.architecture", "gemma").tensor("n", {3}, RLX_F32, floats({1.5f, 1, -1}));
    b.tensor("h", {2}, RLX_F16, std::string(4, '\0'));
    auto w = open(d.write("m.gguf", b.build()));
    add(*w, {{"norm.weight", "n", RLX_TX_PLUS_ONE}, {"half", "h", RLX_TX_PLUS_ONE}});
    EXPECT_EQ(read(*w, "norm.weight", 0, 1, 3), (std::vector<float>{0.5f, 0, -2}));
    std::vector<float> rows(3);
    EXPECT_EQ(
        rlx::weights_table()->read_rows(
            w->handle(), rlx::str("norm.weight"), 0, 1, rows.data(), 12
        ),
        nullptr
    );
    EXPECT_EQ(rows[0], 0.5f);
    rlx_bytes view{};
    EXPECT_EQ(rlx::weights_table()->view(w->handle(), rlx::str("norm.weight"), &view), nullptr);
    EXPECT_EQ(view.p, nullptr);
    EXPECT_TRUE(says(
        failure(rlx::weights_table()->require(w->handle(), rlx::str("half"), nullptr)),
        "expected F32"
    ));
}

const std::vector<rule> expert_rules = {
    {"m.{}.experts.{}.up.weight", "blk.{}.ffn_up_exps.weight", RLX_TX_STACK, "num_experts"}};

st_builder expert_file(int experts) {
    st_builder b;
    for (int e = 0; e < experts; e++) {
        b.tensors.push_back(
            {"m.5.experts." + std::to_string(e) + ".up.weight",
             "F32",
             "[2,3]",
             floats(counting(6, float(10 * e)))}
        );
    }
    return b;
}

TEST(Names, ExpertsAreOneStackInBothFormats) {
    temp_dir hf, gg;
    hf.write("model.safetensors", expert_file(12).build());
    hf.write("config.json", R"({"model_type":"x","num_local_experts":12})");
    gguf_builder b;
    std::string data;
    for (int e = 0; e < 12; e++)
        data += floats(counting(6, float(10 * e)));
    b.text("general.architecture", "x")
        .u32("x.expert_count", 12)
        .tensor("blk.5.ffn_up_exps.weight", {3, 2, 12}, RLX_F32, data);
    gg.write("m.gguf", b.build());
    for (const fs::path& p : {hf.path(), gg.path()}) {
        auto w = open(p);
        add(*w, expert_rules);
        rlx_tensor_desc desc = require(*w, "m.5.experts.up.weight");
        ASSERT_EQ(desc.rank, 3);
        EXPECT_EQ(desc.dim[0], 12);
        EXPECT_EQ(desc.dim[1], 2);
        EXPECT_EQ(desc.dim[2], 3);
        EXPECT_EQ(desc.n_bytes, 12u * 24);
        EXPECT_EQ(
            read(*w, "m.5.experts.up.weight", 21, 2, 3),
            (std::vector<float>{103, 104, 105, 110, 111, 112})
        );
        EXPECT_TRUE(w->unused().empty()) << "all experts are used";
        rlx::weights_table()->release(w->handle(), rlx::str("m.5.experts.up.weight"));
        EXPECT_EQ(read(*w, "m.5.experts.up.weight", 0, 1, 3), (std::vector<float>{0, 1, 2}));
    }
}

TEST(Names, ASingleExpertIsAStackOfOne) {
    temp_dir d;
    d.write("model.safetensors", expert_file(1).build());
    auto w = open(d.path());
    add(*w, expert_rules);
    EXPECT_EQ(require(*w, "m.5.experts.up.weight").rank, 3);
}

// Experts whose matrices lie in one, expert after expert: NomicBERT's w1 [E * F, D] and w2, which
// is stored as w1 is and used the other way round.
const std::vector<rule> joined_rules = {
    {"m.w1", "blk.0.ffn_up_exps.weight", RLX_TX_EXPERTS, "num_experts"},
    {"m.w2", "blk.0.ffn_down_exps.weight", RLX_TX_EXPERTS_TRANSPOSED, "num_experts"}};

TEST(Names, JoinedExpertsAreTheStackThatGgufHolds) {
    temp_dir hf, gg;
    st_builder b; // two experts, F 3, D 4
    b.tensors.push_back({"m.w1", "F32", "[6,4]", floats(counting(24, 0))});
    b.tensors.push_back({"m.w2", "F32", "[6,4]", floats(counting(24, 100))});
    hf.write("model.safetensors", b.build());
    hf.write("config.json", R"({"model_type":"x","num_experts":2})");
    std::vector<float> down;
    for (int e = 0; e < 2; e++)
        for (int d = 0; d < 4; d++)
            for (int f = 0; f < 3; f++)
                down.push_back(float(100 + (e * 3 + f) * 4 + d));
    gguf_builder g;
    g.text("general.architecture", "x")
        .u32("x.expert_count", 2)
        .tensor("blk.0.ffn_up_exps.weight", {4, 3, 2}, RLX_F32, floats(counting(24, 0)))
        .tensor("blk.0.ffn_down_exps.weight", {3, 4, 2}, RLX_F32, floats(down));
    gg.write("m.gguf", g.build());
    for (const fs::path& p : {hf.path(), gg.path()}) {
        auto w = open(p);
        add(*w, joined_rules);
        rlx_tensor_desc desc = require(*w, "m.w1");
        EXPECT_EQ(
            std::vector<std::int64_t>(desc.dim, desc.dim + desc.rank),
            (std::vector<std::int64_t>{2, 3, 4})
        );
        EXPECT_EQ(read(*w, "m.w1", 2, 2, 4), counting(8, 8));
        desc = require(*w, "m.w2");
        EXPECT_EQ(
            std::vector<std::int64_t>(desc.dim, desc.dim + desc.rank),
            (std::vector<std::int64_t>{2, 4, 3})
        );
        EXPECT_EQ(desc.n_bytes, 96u);
        EXPECT_EQ(read(*w, "m.w2", 0, 8, 3), down);
        EXPECT_EQ(
            read(*w, "m.w2", 3, 2, 3), std::vector<float>(down.begin() + 9, down.begin() + 15)
        ) << "over the border";
        std::vector<float> bytes(6);
        EXPECT_EQ(
            rlx::weights_table()->read_rows(w->handle(), rlx::str("m.w2"), 3, 2, bytes.data(), 24),
            nullptr
        );
        EXPECT_EQ(bytes, std::vector<float>(down.begin() + 9, down.begin() + 15));
        EXPECT_TRUE(w->unused().empty());
    }
}

// GPT-2's Conv1D: [in, out] in the checkpoint, [out, in] in GGUF. No parameter: no experts.
TEST(Names, ATransposedMatrixIsWhatGgufHoldsAndItsBiasStays) {
    temp_dir hf, gg;
    st_builder b;
    b.tensors.push_back({"h.3.fc.weight", "F32", "[2,3]", floats({0, 1, 2, 10, 11, 12})});
    b.tensors.push_back({"h.3.fc.bias", "F32", "[3]", floats({7, 8, 9})});
    b.tensors.push_back({"h.4.fc.weight", "F32", "[1,2,3]", floats(counting(6, 0))});
    hf.write("model.safetensors", b.build());
    gguf_builder g;
    g.text("general.architecture", "x")
        .tensor("blk.3.up.weight", {2, 3}, RLX_F32, floats({0, 10, 1, 11, 2, 12}))
        .tensor("blk.3.up.bias", {3}, RLX_F32, floats({7, 8, 9}));
    gg.write("m.gguf", g.build());
    for (const fs::path& p : {hf.path(), gg.path()}) {
        auto w = open(p);
        add(*w,
            {{"h.{}.fc.weight", "blk.{}.up.weight", RLX_TX_EXPERTS_TRANSPOSED},
             {"h.{}.fc.bias", "blk.{}.up.bias", RLX_TX_EXPERTS_TRANSPOSED}});
        const rlx_tensor_desc desc = require(*w, "h.3.fc.weight");
        EXPECT_EQ(
            std::vector<std::int64_t>(desc.dim, desc.dim + desc.rank),
            (std::vector<std::int64_t>{3, 2})
        );
        EXPECT_EQ(read(*w, "h.3.fc.weight", 0, 3, 2), (std::vector<float>{0, 10, 1, 11, 2, 12}));
        EXPECT_EQ(read(*w, "h.3.fc.weight", 1, 2, 2), (std::vector<float>{1, 11, 2, 12}));
        EXPECT_EQ(require(*w, "h.3.fc.bias").rank, 1);
        EXPECT_EQ(read(*w, "h.3.fc.bias", 0, 1, 3), (std::vector<float>{7, 8, 9}));
    }
    auto w = open(hf.path());
    add(*w, {{"h.{}.fc.weight", "", RLX_TX_EXPERTS_TRANSPOSED}});
    EXPECT_TRUE(says(
        failure(rlx::weights_table()->require(w->handle(), rlx::str("h.4.fc.weight"), nullptr)),
        "'h.4.fc.weight': [1, 2, 3] is no matrix that could be transposed"
    ));
}

TEST(Names, JoinedExpertsThatDoNotSplitAreErrors) {
    temp_dir d;
    st_builder b;
    b.tensors.push_back({"m.w1", "F32", "[6,4]", floats(counting(24, 0))});
    d.write("model.safetensors", b.build());
    const auto attempt = [&](const char* config) {
        d.write("config.json", config);
        auto w = open(d.path());
        add(*w, joined_rules);
        return failure(rlx::weights_table()->require(w->handle(), rlx::str("m.w1"), nullptr));
    };
    EXPECT_TRUE(says(attempt(R"({"model_type":"x"})"), "config key 'num_experts' is needed"));
    EXPECT_TRUE(says(attempt(R"({"num_experts":4})"), "[6, 4] does not split into 4 experts"));
    EXPECT_TRUE(says(attempt(R"({"num_experts":0})"), "does not split into 0 experts"));
}

TEST(Names, MissingOrUnequalExpertsAreNamed) {
    temp_dir d;
    d.write("config.json", R"({"num_experts":4})");
    auto attempt = [&](st_builder b) {
        auto w = open(d.write("model.safetensors", b.build()));
        add(*w, expert_rules);
        return failure(
            rlx::weights_table()->require(w->handle(), rlx::str("m.5.experts.up.weight"), nullptr)
        );
    };
    EXPECT_TRUE(says(attempt(expert_file(3)), "'m.5.experts.3.up.weight' not found"));
    EXPECT_TRUE(says(attempt(expert_file(5)), "says 4 experts"));
    st_builder unequal = expert_file(4);
    unequal.tensors[2].shape = "[3,2]";
    EXPECT_TRUE(says(attempt(unequal), "m.5.experts.2.up.weight' is F32 [3, 2]"));
    st_builder missing_first = expert_file(4);
    missing_first.tensors.erase(missing_first.tensors.begin());
    EXPECT_EQ(attempt(missing_first).code, std::uint32_t{RLX_NOT_FOUND});
}

TEST(Names, UnusedTensorsAreThoseNobodyRequired) {
    temp_dir d;
    auto w = open(d.write("m.gguf", good_gguf().build()));
    rlx_tensor_desc desc{};
    desc.size = sizeof desc;
    std::uint32_t found = 0;
    EXPECT_EQ(
        rlx::weights_table()->find(w->handle(), rlx::str("q.weight"), &desc, &found), nullptr
    );
    EXPECT_EQ(found, 1u);
    EXPECT_EQ(w->unused().size(), 4u) << "looking is not using";
    require(*w, "q.weight");
    EXPECT_EQ(w->unused(), (std::vector<std::string>{"token_embd.weight", "k.weight", "scalar"}));
}

TEST(Names, AMissingTensorIsNamedWithWhatWasLookedFor) {
    temp_dir d;
    auto w = open(d.write("m.gguf", good_gguf().build()));
    add(*w,
        {{"model.layers.{}.mlp.up.weight", "blk.{}.ffn_up.weight"},
         {"model.layers.{}.mlp.up.weight", "layer{}.up"}});
    rlx::error e = failure(rlx::weights_table()->require(
        w->handle(), rlx::str("model.layers.17.mlp.up.weight"), nullptr
    ));
    EXPECT_EQ(e.code, std::uint32_t{RLX_NOT_FOUND});
    for (const char* part :
         {"model.layers.17.mlp.up.weight", "m.gguf", "blk.17.ffn_up.weight", "layer17.up"}) {
        EXPECT_TRUE(says(e, part)) << e.message;
    }
    std::uint32_t found = 9;
    EXPECT_EQ(
        rlx::weights_table()->find(
            w->handle(), rlx::str("model.layers.17.mlp.up.weight"), nullptr, &found
        ),
        nullptr
    );
    EXPECT_EQ(found, 0u);
    // A hole matches digits only.
    EXPECT_FALSE(says(
        failure(rlx::weights_table()->require(
            w->handle(), rlx::str("model.layers.1x.mlp.up.weight"), nullptr
        )),
        "looked for"
    ));
}

TEST(Names, BadRulesAreRefused) {
    temp_dir d;
    auto w = open(d.write("m.gguf", good_gguf().build()));
    for (const rule& r : std::vector<rule>{
             {"", "x"},
             {"a.{}", "b"},
             {"a.{}.{}", "b.{}"},
             {"a", "b", 99},
             {"a", "b", RLX_TX_ROPE_ROWS},
             {"a", "b", RLX_TX_STACK},
             {"a", "b", RLX_TX_EXPERTS},
             {"a.{}.{}.{}", "b.{}", RLX_TX_STACK},
             {"{}", "b", RLX_TX_STACK}}) {
        rlx_name_rule c{rlx::str(r.hf), rlx::str(r.gguf), r.transform, 0, rlx::str(r.param)};
        rlx::error e = failure(rlx::weights_table()->add_names(w->handle(), &c, 1, sizeof c));
        EXPECT_EQ(e.code, std::uint32_t{RLX_INVALID_ARGUMENT}) << r.hf;
    }
}

// -- the wall --

TEST(WeightsTable, SmallerAndLargerCallersAreServed) {
    temp_dir d;
    auto w = open(d.write("m.gguf", good_gguf().build()));

    struct large {
        rlx_tensor_desc known;
        char beyond[32];
    } big{};

    std::memset(big.beyond, 'x', sizeof big.beyond);
    big.known.size = sizeof big;
    EXPECT_EQ(
        rlx::weights_table()->require(w->handle(), rlx::str("q.weight"), &big.known), nullptr
    );
    EXPECT_EQ(big.known.size, sizeof big);
    EXPECT_EQ(big.beyond[0], 'x');
    rlx_tensor_desc little{};
    little.size = 8; // knows dtype and rank only
    little.dim[0] = -1;
    EXPECT_EQ(rlx::weights_table()->require(w->handle(), rlx::str("q.weight"), &little), nullptr);
    EXPECT_EQ(little.dtype, RLX_Q8_0);
    EXPECT_EQ(little.dim[0], -1);

    struct larger_rule {
        rlx_name_rule known;
        std::uint64_t future;
    } rules[2] = {
        {{rlx::str("one"), rlx::str("q.weight"), 0, 0, {}}, 7},
        {{rlx::str("two"), rlx::str("k.weight"), 0, 0, {}}, 7}};

    EXPECT_EQ(
        rlx::weights_table()->add_names(w->handle(), &rules[0].known, 2, sizeof(larger_rule)),
        nullptr
    );
    EXPECT_EQ(require(*w, "two").dtype, RLX_Q4_K);
    EXPECT_EQ(
        failure(rlx::weights_table()->add_names(w->handle(), &rules[0].known, 2, 8)).code,
        std::uint32_t{RLX_VERSION_MISMATCH}
    );
}

TEST(WeightsTable, RangesAreChecked) {
    temp_dir d;
    auto w = open(d.write("m.gguf", good_gguf().build()));
    const rlx_weights_v1* t = rlx::weights_table();
    float out[64];
    auto bad = [&](rlx_error* e) { return failure(e).code == RLX_INVALID_ARGUMENT; };
    EXPECT_TRUE(bad(t->read_f32(w->handle(), rlx::str("token_embd.weight"), 3, 1, out)));
    EXPECT_TRUE(bad(t->read_f32(w->handle(), rlx::str("token_embd.weight"), UINT64_MAX, 2, out)));
    EXPECT_TRUE(bad(t->read_f32(w->handle(), rlx::str("token_embd.weight"), 0, 1, nullptr)));
    EXPECT_TRUE(bad(t->read_rows(w->handle(), rlx::str("token_embd.weight"), 0, 1, out, 15)));
    EXPECT_TRUE(bad(
        t->read_rows(w->handle(), rlx::str("token_embd.weight"), 0, UINT64_MAX / 16 + 2, out, 16)
    ));
    EXPECT_TRUE(bad(t->read_rows(w->handle(), rlx::str("token_embd.weight"), 2, 2, out, 32)));
    EXPECT_TRUE(bad(t->require(nullptr, rlx::str("x"), nullptr)));
    EXPECT_EQ(
        failure(t->view(w->handle(), rlx::str("nope"), nullptr)).code,
        std::uint32_t{RLX_INVALID_ARGUMENT}
    );
    EXPECT_EQ(
        failure(t->read_f32(w->handle(), rlx::str("nope"), 0, 1, out)).code,
        std::uint32_t{RLX_NOT_FOUND}
    );
    t->release(w->handle(), rlx::str("nope"));
    EXPECT_EQ(t->read_f32(w->handle(), rlx::str("token_embd.weight"), 3, 0, nullptr), nullptr);
    EXPECT_EQ(read(*w, "scalar", 0, 1, 1), std::vector<float>{1.5f});
}

TEST(WeightsTable, ATypeThatCannotBeReadIsAnErrorThatNamesTheTensor) {
    temp_dir d;
    gguf_builder b;
    b.tensor("w", {256}, 16, std::string(66, 'x'));
    auto w = open(d.write("m.gguf", b.build()));
    float out[256];
    rlx::error e = failure(rlx::weights_table()->read_f32(w->handle(), rlx::str("w"), 0, 1, out));
    EXPECT_EQ(e.code, std::uint32_t{RLX_UNSUPPORTED});
    EXPECT_TRUE(says(e, "'w'") && says(e, "IQ2_XXS")) << e.message;
}

TEST(WeightsTable, ManyThreadsMayLookUpAndRead) {
    temp_dir d;
    d.write("model.safetensors", expert_file(4).build());
    auto w = open(d.path());
    add(*w, expert_rules);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) {
        threads.emplace_back([&] {
            for (int k = 0; k < 50; k++) {
                for (int e = 0; e < 4; e++) {
                    std::string one = "m.5.experts." + std::to_string(e) + ".up.weight";
                    EXPECT_EQ(read(*w, one, 1, 1, 3)[0], float(10 * e + 3));
                }
                EXPECT_EQ(read(*w, "m.5.experts.up.weight", 7, 1, 3)[0], 33);
            }
        });
    }
    for (auto& t : threads)
        t.join();
}

TEST(WeightsTable, UnalignedSafetensorsDataIsNotGivenInPlace) {
    temp_dir d;
    st_builder b;
    b.tensors = {{"a", "F32", "[1]", floats({7})}};
    for (int spaces = 0; spaces < 8; spaces++) {
        b.trailing_spaces = std::string(static_cast<std::size_t>(spaces), ' ');
        auto w = open(d.write("a.safetensors", b.build()));
        rlx_bytes view{};
        EXPECT_EQ(rlx::weights_table()->view(w->handle(), rlx::str("a"), &view), nullptr);
        EXPECT_EQ(view.p != nullptr, w->tensors()[0].offset % 4 == 0);
        EXPECT_EQ(read(*w, "a", 0, 1, 1), std::vector<float>{7});
    }
}

TEST(Sidecar, TextBesideTheWeightsIsReadAndNothingElse) {
    temp_dir d;
    d.write("m.gguf", good_gguf().build());
    d.write("tokenizer.json", "{}");
    auto w = open(d.path());
    EXPECT_EQ(w->sidecar("tokenizer.json").value(), "{}");
    EXPECT_EQ(w->sidecar("chat_template.jinja").value(), std::nullopt);
    for (const char* bad : {"../x", "/etc/passwd", "", "..", "a/b"})
        EXPECT_FALSE(w->sidecar(bad).ok()) << bad;
}

} // namespace
