// SPDX-License-Identifier: GPL-3.0-only
// The safetensors reader: what a good file means, and that every damaged one is an error that says
// where.
#include "rlx/formats/safetensors.hpp"

#include "build_files.hpp"
#include "rlx/formats/dequant.hpp"

#include <functional>
#include <gtest/gtest.h>

namespace {

using namespace rlx_test;

rlx::result<rlx::safetensors_header> parse(const std::string& file) {
    exact_bytes bytes(file);
    auto h = rlx::safetensors_parse(bytes.span(), "x.safetensors");
    if (!h.ok()) return h;
    std::vector<float> out;
    for (const auto& t : h->tensors) {
        EXPECT_LE(t.offset + t.n_bytes, file.size()) << t.name;
        std::uint64_t n = t.n_bytes / rlx::dtype_find(t.dtype)->block_bytes;
        out.resize(n);
        EXPECT_TRUE(rlx::dequantize(t.dtype, bytes.span().data() + t.offset, n, out.data()).ok());
    }
    return h;
}

TEST(Safetensors, TensorsAndMetadataAreRead) {
    st_builder b = good_st();
    auto h = parse(b.build());
    ASSERT_TRUE(h.ok()) << h.error().message;
    ASSERT_EQ(h->tensors.size(), 4u);
    EXPECT_EQ(h->tensors[0].name, "a");
    EXPECT_EQ(h->tensors[0].dims, (std::vector<std::int64_t>{2, 3}));
    EXPECT_EQ(h->tensors[0].offset, b.edges[0]);
    EXPECT_EQ(h->tensors[0].dtype, RLX_F32);
    EXPECT_EQ(h->metadata, (std::vector<std::pair<std::string, std::string>>{{"format", "pt"}}));
}

TEST(Safetensors, EveryElementTypeOfTheFormatIsKnown) {
    for (auto [name, bytes] :
         {std::pair("F64", 8),
          {"F32", 4},
          {"F16", 2},
          {"BF16", 2},
          {"I8", 1},
          {"I16", 2},
          {"I32", 4},
          {"I64", 8},
          {"U8", 1},
          {"BOOL", 1},
          {"F8_E4M3", 1},
          {"F8_E5M2", 1}}) {
        st_builder b;
        b.tensors = {{"t", name, "[3]", std::string(static_cast<std::size_t>(3 * bytes), '\0')}};
        auto h = parse(b.build());
        EXPECT_TRUE(h.ok()) << name << ": " << (h.ok() ? "" : h.error().message);
    }
}

TEST(Safetensors, TrailingSpacesAndOrderInTheHeaderDoNotMatter) {
    st_builder b = good_st();
    b.trailing_spaces = "     ";
    EXPECT_TRUE(parse(b.build()).ok());
    st_builder swapped;
    swapped.tensors = {{"late", "U8", "[2]", "ab", "[2,4]"}, {"early", "U8", "[2]", "cd", "[0,2]"}};
    auto h = parse(swapped.build());
    ASSERT_TRUE(h.ok()) << h.error().message;
    EXPECT_EQ(h->tensors[0].name, "early");
    st_builder none;
    EXPECT_TRUE(parse(none.build()).ok());
}

struct defect {
    const char* what;
    std::function<void(st_builder&)> damage;
    std::uint32_t code;
    std::vector<const char*> says;
};

const defect defects[] = {
    {"header of 2^64-1 bytes",
     [](auto& b) { b.length = UINT64_MAX; },
     RLX_CORRUPT_DATA,
     {"limit", "byte 0"}},
    {"header of 2^64-8 bytes",
     [](auto& b) { b.length = UINT64_MAX - 7; },
     RLX_CORRUPT_DATA,
     {"limit"}},
    {"header longer than the file",
     [](auto& b) { b.length = 5000; },
     RLX_CORRUPT_DATA,
     {"5000", "truncated"}},
    {"empty header", [](auto& b) { b.length = 0; }, RLX_CORRUPT_DATA, {"begin with '{'"}},
    {"header cut short", [](auto& b) { b.length = 40; }, RLX_CORRUPT_DATA, {"end with '}'"}},
    {"space before the header",
     [](auto& b) {
         b.extra = "";
         b.tensors.clear();
         b.length = 2;
         b.tail = "x";
     },
     RLX_CORRUPT_DATA,
     {}},
    {"newline after the header",
     [](auto& b) { b.trailing_spaces = "\n"; },
     RLX_CORRUPT_DATA,
     {"end with '}'"}},
    {"not JSON", [](auto& b) { b.extra = "\"a\":,"; }, RLX_CORRUPT_DATA, {"header byte"}},
    {"not UTF-8",
     [](auto& b) { b.tensors[0].name = "a\xff"; },
     RLX_CORRUPT_DATA,
     {"UTF-8", "byte"}},
    {"duplicate tensor",
     [](auto& b) { b.tensors[1].name = "a"; },
     RLX_CORRUPT_DATA,
     {"duplicate tensor 'a'"}},
    {"duplicate tensor by escape",
     [](auto& b) { b.tensors[1].name = "\\u0061"; },
     RLX_CORRUPT_DATA,
     {"duplicate tensor 'a'"}},
    {"duplicate field",
     [](auto& b) { b.tensors[0].shape = "[2,3],\"dtype\":\"F32\""; },
     RLX_CORRUPT_DATA,
     {"duplicate field 'dtype'"}},
    {"unknown field",
     [](auto& b) { b.tensors[0].shape = "[2,3],\"x\":1"; },
     RLX_CORRUPT_DATA,
     {"'a'", "unknown field 'x'"}},
    {"field missing",
     [](auto& b) { b.extra = R"("z":{"dtype":"F32","shape":[]},)"; },
     RLX_CORRUPT_DATA,
     {"'z'", "data_offsets"}},
    {"tensor is no object",
     [](auto& b) { b.extra = R"("z":3,)"; },
     RLX_CORRUPT_DATA,
     {"'z'", "unexpected"}},
    {"metadata not text",
     [](auto& b) { b.extra = R"("__metadata__":{"k":1},)"; },
     RLX_CORRUPT_DATA,
     {"unexpected a number"}},
    {"metadata nested",
     [](auto& b) { b.extra = R"("__metadata__":{"k":{}},)"; },
     RLX_CORRUPT_DATA,
     {"unexpected an object"}},
    {"duplicate metadata",
     [](auto& b) { b.extra = R"("__metadata__":{"k":"1","k":"2"},)"; },
     RLX_CORRUPT_DATA,
     {"duplicate field 'k'"}},
    {"two metadata objects",
     [](auto& b) { b.extra += R"("__metadata__":{},)"; },
     RLX_CORRUPT_DATA,
     {"duplicate"}},
    {"deep nesting",
     [](auto& b) { b.extra = "\"z\":" + std::string(100000, '[') + ","; },
     RLX_CORRUPT_DATA,
     {"unexpected an array"}},
    {"unknown element type",
     [](auto& b) { b.tensors[0].dtype = "F4"; },
     RLX_UNSUPPORTED,
     {"'a'", "'F4'"}},
    {"empty element type", [](auto& b) { b.tensors[0].dtype = ""; }, RLX_UNSUPPORTED, {"'a'"}},
    {"packed element type",
     [](auto& b) { b.tensors[0].dtype = "Q4_K"; },
     RLX_UNSUPPORTED,
     {"'Q4_K'"}},
    {"negative dimension",
     [](auto& b) { b.tensors[0].shape = "[-2,3]"; },
     RLX_CORRUPT_DATA,
     {"'a'", "negative"}},
    {"fractional dimension",
     [](auto& b) { b.tensors[0].shape = "[2.0,3]"; },
     RLX_CORRUPT_DATA,
     {"'a'", "fraction"}},
    {"text dimension",
     [](auto& b) { b.tensors[0].shape = "[\"2\",3]"; },
     RLX_CORRUPT_DATA,
     {"'a'", "unexpected text"}},
    {"nested shape", [](auto& b) { b.tensors[0].shape = "[[2],3]"; }, RLX_CORRUPT_DATA, {"'a'"}},
    {"nine dimensions",
     [](auto& b) { b.tensors[0].shape = "[1,1,1,1,1,1,1,1,6]"; },
     RLX_CORRUPT_DATA,
     {"'a'", "8 dimensions"}},
    {"dimension 2^64-1",
     [](auto& b) { b.tensors[0].shape = "[18446744073709551615]"; },
     RLX_CORRUPT_DATA,
     {"'a'", "absurd"}},
    {"dimension 2^65",
     [](auto& b) { b.tensors[0].shape = "[36893488147419103232]"; },
     RLX_CORRUPT_DATA,
     {"'a'"}},
    {"size wraps to the right one",
     [](auto& b) { b.tensors[0].shape = "[4611686018427387910]"; },
     RLX_CORRUPT_DATA,
     {"'a'", "overflows"}},
    {"product wraps",
     [](auto& b) { b.tensors[0].shape = "[4294967296,4294967296,4]"; },
     RLX_CORRUPT_DATA,
     {"'a'", "overflows"}},
    {"shape larger than its bytes",
     [](auto& b) { b.tensors[0].shape = "[2,4]"; },
     RLX_CORRUPT_DATA,
     {"'a'", "needs 32 bytes", "span 24"}},
    {"shape smaller than its bytes",
     [](auto& b) { b.tensors[0].shape = "[1,3]"; },
     RLX_CORRUPT_DATA,
     {"'a'", "needs 12 bytes", "span 24"}},
    {"begin after end",
     [](auto& b) { b.tensors[0].offsets = "[24,0]"; },
     RLX_CORRUPT_DATA,
     {"'a'", "begins at 24"}},
    {"three offsets",
     [](auto& b) { b.tensors[0].offsets = "[0,24,30]"; },
     RLX_CORRUPT_DATA,
     {"'a'"}},
    {"one offset",
     [](auto& b) { b.tensors[0].offsets = "[0]"; },
     RLX_CORRUPT_DATA,
     {"'a'", "two data_offsets"}},
    {"past the end",
     [](auto& b) {
         b.tensors[3].offsets = "[28,999996]";
         b.tensors[3].shape = "[124996]";
     },
     RLX_CORRUPT_DATA,
     {"'scalar'", "truncated"}},
    {"offset near 2^64",
     [](auto& b) { b.tensors[3].offsets = "[18446744073709551600,18446744073709551608]"; },
     RLX_CORRUPT_DATA,
     {"'scalar'"}},
    {"overlap",
     [](auto& b) { b.tensors[1].offsets = "[20,24]"; },
     RLX_CORRUPT_DATA,
     {"'b'", "overlap"}},
    {"hole",
     [](auto& b) {
         b.tensors.erase(b.tensors.begin() + 1);
         b.tensors[0].data += "gap!";
         b.tensors[0].offsets = "[0,24]";
     },
     RLX_CORRUPT_DATA,
     {"hole"}},
    {"bytes after the last tensor",
     [](auto& b) { b.tail = "x"; },
     RLX_CORRUPT_DATA,
     {"1 bytes after the last tensor"}},
    {"name too long",
     [](auto& b) { b.tensors[0].name = std::string(513, 'n'); },
     RLX_CORRUPT_DATA,
     {"513 bytes"}},
    {"empty name", [](auto& b) { b.tensors[0].name = ""; }, RLX_CORRUPT_DATA, {"0 bytes"}},
};

TEST(Safetensors, EveryDefectIsAnErrorThatSaysWhatAndWhere) {
    for (const defect& d : defects) {
        st_builder b = good_st();
        d.damage(b);
        auto h = parse(b.build());
        ASSERT_FALSE(h.ok()) << d.what;
        EXPECT_EQ(h.error().code, d.code) << d.what << ": " << h.error().message;
        EXPECT_NE(h.error().message.find("x.safetensors"), std::string::npos) << d.what;
        EXPECT_NE(h.error().message.find("byte"), std::string::npos)
            << d.what << ": " << h.error().message;
        for (const char* part : d.says) {
            EXPECT_NE(h.error().message.find(part), std::string::npos)
                << d.what << ": " << h.error().message;
        }
    }
}

TEST(Safetensors, AFileCutAtAnyByteIsAnError) {
    const std::string file = good_st().build();
    ASSERT_TRUE(parse(file).ok());
    for (std::size_t n = 0; n < file.size(); n++)
        EXPECT_FALSE(parse(file.substr(0, n)).ok()) << n;
    EXPECT_FALSE(parse(file + "x").ok());
}

TEST(Safetensors, NoChangedBitIsDangerous) {
    st_builder b = good_st();
    const std::string file = b.build();
    int refused = 0;
    for (std::size_t i = 0; i < b.edges[0] * 8; i++) {
        std::string bad = file;
        bad[i / 8] = static_cast<char>(bad[i / 8] ^ (1 << (i % 8)));
        refused += !parse(bad).ok();
    }
    EXPECT_GT(refused, 1000) << "the flips are not reaching the checks";
}

TEST(Safetensors, TheHeaderLimitIsAnOption) {
    exact_bytes bytes(good_st().build());
    EXPECT_FALSE(rlx::safetensors_parse(bytes.span(), "x", {.max_header = 10}).ok());
}

} // namespace
