// SPDX-License-Identifier: GPL-3.0-only
// The GGUF reader: what a good file means, and that every damaged one is an error that says where.
#include "rlx/formats/gguf.hpp"

#include "build_files.hpp"
#include "rlx/formats/dequant.hpp"

#include <functional>
#include <gtest/gtest.h>

namespace {

using namespace rlx_test;
using rlx::gguf_file;

// Touches everything the parser handed out.
void walk(const gguf_file& f, std::span<const std::byte> bytes) {
    for (const rlx::gguf_entry& e : f.entries()) {
        e.value.integer();
        e.value.number();
        e.value.boolean();
        e.value.string();
        e.value.strings();
        e.value.numbers();
        e.value.integers();
        if (e.value.count) e.value.at(e.value.count - 1);
    }
    std::vector<float> out;
    for (const rlx::gguf_tensor& t : f.tensors()) {
        const rlx::dtype_traits* traits = rlx::dtype_find(t.type);
        ASSERT_NE(traits, nullptr);
        ASSERT_LE(t.offset + t.n_bytes, bytes.size()) << t.name;
        std::uint64_t n = t.n_bytes / traits->block_bytes * traits->block;
        out.resize(n);
        auto done = rlx::dequantize(t.type, bytes.data() + t.offset, n, out.data());
        EXPECT_EQ(done.ok(), traits->readable || n == 0);
    }
}

rlx::result<gguf_file> parse(const std::string& file) {
    exact_bytes bytes(file);
    auto f = gguf_file::parse(bytes.span(), "x.gguf");
    if (f.ok()) walk(*f, bytes.span());
    return f;
}

TEST(Gguf, MetadataOfEveryTypeIsRead) {
    exact_bytes bytes(good_gguf().build());
    auto f = gguf_file::parse(bytes.span(), "x.gguf");
    ASSERT_TRUE(f.ok()) << f.error().message;
    auto get = [&](std::string_view key) { return *f->find(key); };
    EXPECT_EQ(get("general.architecture").string(), "llama");
    EXPECT_EQ(get("u8").integer(), 200);
    EXPECT_EQ(get("i8").integer(), -5);
    EXPECT_EQ(get("u16").integer(), 65535);
    EXPECT_EQ(get("i16").integer(), -300);
    EXPECT_EQ(get("llama.block_count").integer(), 2);
    EXPECT_EQ(get("i32").integer(), -70000);
    EXPECT_EQ(get("i64").integer(), INT64_MIN);
    EXPECT_EQ(get("u64").integer(), std::nullopt) << "must not wrap to a negative number";
    EXPECT_EQ(get("u64").number(), 18446744073709551616.0);
    EXPECT_EQ(get("llama.rope.freq_base").number(), 10000);
    EXPECT_EQ(get("f64").number(), 0.25);
    EXPECT_EQ(get("llama.flag").boolean(), true);
    EXPECT_EQ(get("words").strings(), (std::vector<std::string_view>{"a", "", "ccc"}));
    EXPECT_EQ(get("words").at(2)->string(), "ccc");
    EXPECT_FALSE(get("words").at(3));
    EXPECT_EQ(get("ints").integers(), (std::vector<std::int64_t>{7, -7}));
    EXPECT_EQ(get("ints").at(1)->integer(), -7);
    EXPECT_FALSE(get("words").integers());
    EXPECT_EQ(get("nested").count, 2u);
    EXPECT_FALSE(get("nested").strings());
    EXPECT_EQ(get("empty").numbers()->size(), 0u);
    EXPECT_EQ(f->find("nope"), nullptr);
    EXPECT_EQ(f->version(), 3u);
}

TEST(Gguf, DimsAreOutermostFirstAndOffsetsAreInTheFile) {
    gguf_builder b = good_gguf();
    std::string file = b.build();
    auto f = parse(file);
    ASSERT_TRUE(f.ok()) << f.error().message;
    ASSERT_EQ(f->tensors().size(), 4u);
    const rlx::gguf_tensor& t = f->tensors()[0];
    EXPECT_EQ(t.dims, (std::vector<std::int64_t>{3, 4}));
    EXPECT_EQ(t.offset, b.edges[0]);
    float second_row = 0;
    std::memcpy(&second_row, file.data() + t.offset + 16, 4);
    EXPECT_EQ(second_row, 4);
    EXPECT_TRUE(f->tensors()[3].dims.empty());
    EXPECT_EQ(f->tensors()[1].n_bytes, 68u);
}

TEST(Gguf, VersionTwoAndOtherAlignmentsAreRead) {
    gguf_builder b = good_gguf();
    b.version = 2;
    b.alignment = 256;
    b.u32("general.alignment", 256);
    auto f = parse(b.build());
    ASSERT_TRUE(f.ok()) << f.error().message;
    EXPECT_EQ(f->alignment(), 256u);
    EXPECT_EQ(f->data_offset() % 256, 0u);
}

TEST(Gguf, AFileWithoutTensorsOrWithTypesWeOnlyMeasureIsRead) {
    gguf_builder none;
    none.text("general.architecture", "llama");
    EXPECT_TRUE(parse(none.build()).ok());
    gguf_builder iq;
    iq.tensor("w", {256}, 16, std::string(66, 'x'));
    auto f = parse(iq.build());
    ASSERT_TRUE(f.ok()) << f.error().message;
    EXPECT_EQ(f->tensors()[0].n_bytes, 66u);
}

struct defect {
    const char* what;
    std::function<void(gguf_builder&)> damage;
    std::uint32_t code;
    std::vector<const char*> says; // the message must contain all of these
};

const defect defects[] = {
    {"wrong magic",
     [](auto& b) { b.magic = "GGML"; },
     RLX_CORRUPT_DATA,
     {"x.gguf", "not a GGUF", "byte 0"}},
    {"version 1", [](auto& b) { b.version = 1; }, RLX_UNSUPPORTED, {"x.gguf", "version 1"}},
    {"version 4",
     [](auto& b) { b.version = 4; },
     RLX_UNSUPPORTED,
     {"version 4", "expected 2 or 3"}},
    {"big-endian", [](auto& b) { b.version = 0x03000000; }, RLX_UNSUPPORTED, {"big-endian"}},
    {"absurd tensor count",
     [](auto& b) { b.n_tensors = UINT64_MAX; },
     RLX_CORRUPT_DATA,
     {"tensors announced", "byte 8"}},
    {"one tensor too many", [](auto& b) { b.n_tensors = 5; }, RLX_CORRUPT_DATA, {"x.gguf"}},
    {"absurd metadata count",
     [](auto& b) { b.n_kv = std::uint64_t{1} << 62; },
     RLX_CORRUPT_DATA,
     {"metadata entries", "byte 16"}},
    {"duplicate key", [](auto& b) { b.u32("u8", 1); }, RLX_CORRUPT_DATA, {"duplicate", "'u8'"}},
    {"empty key",
     [](auto& b) { b.u32("", 1); },
     RLX_CORRUPT_DATA,
     {"key of metadata entry", "empty"}},
    {"key too long",
     [](auto& b) { b.u32(std::string(513, 'k'), 1); },
     RLX_CORRUPT_DATA,
     {"513", "limit is 512"}},
    {"key not UTF-8",
     [](auto& b) { b.u32("bad\xff", 1); },
     RLX_CORRUPT_DATA,
     {"UTF-8", "bad\\xff"}},
    {"unknown value type",
     [](auto& b) { b.add("t", 13, "1234"); },
     RLX_CORRUPT_DATA,
     {"'t'", "value type 13"}},
    {"bool of 2", [](auto& b) { b.flag("b", 2); }, RLX_CORRUPT_DATA, {"'b'", "no bool"}},
    {"bool of 2 in an array",
     [](auto& b) { b.add("b", 9, gguf_array(7, 2, "\1\2")); },
     RLX_CORRUPT_DATA,
     {"'b'", "no bool"}},
    {"text not UTF-8",
     [](auto& b) { b.text("t", "\xc0\xaf"); },
     RLX_CORRUPT_DATA,
     {"'t'", "UTF-8", "byte"}},
    {"text longer than the file",
     [](auto& b) { b.add("t", 8, raw<std::uint64_t>(1 << 20)); },
     RLX_CORRUPT_DATA,
     {"'t'", "1048576"}},
    {"text of 2^63 bytes",
     [](auto& b) { b.add("t", 8, raw<std::uint64_t>(std::uint64_t{1} << 63)); },
     RLX_CORRUPT_DATA,
     {"'t'", "limit"}},
    {"array longer than the file",
     [](auto& b) { b.add("a", 9, gguf_array(4, 1 << 20, "")); },
     RLX_CORRUPT_DATA,
     {"'a'", "1048576 elements"}},
    {"array whose size wraps",
     [](auto& b) { b.add("a", 9, gguf_array(10, (std::uint64_t{1} << 61) + 1, "")); },
     RLX_CORRUPT_DATA,
     {"'a'", "elements"}},
    {"array of unknown type",
     [](auto& b) { b.add("a", 9, gguf_array(99, 0, "")); },
     RLX_CORRUPT_DATA,
     {"'a'", "value type 99"}},
    {"arrays nested too deep",
     [](auto& b) {
         std::string v = gguf_array(4, 0, "");
         for (int i = 0; i < 6; i++)
             v = gguf_array(9, 1, v);
         b.add("deep", 9, v);
     },
     RLX_CORRUPT_DATA,
     {"'deep'", "deeper than"}},
    {"alignment of wrong type",
     [](auto& b) { b.add("general.alignment", 10, raw<std::uint64_t>(32)); },
     RLX_CORRUPT_DATA,
     {"general.alignment", "u64", "expected u32"}},
    {"alignment zero",
     [](auto& b) { b.u32("general.alignment", 0); },
     RLX_CORRUPT_DATA,
     {"general.alignment", "power of two"}},
    {"alignment 48",
     [](auto& b) { b.u32("general.alignment", 48); },
     RLX_CORRUPT_DATA,
     {"power of two"}},
    {"alignment 2^31",
     [](auto& b) { b.u32("general.alignment", 1u << 31); },
     RLX_CORRUPT_DATA,
     {"power of two"}},
    {"duplicate tensor",
     [](auto& b) { b.tensor("scalar", {1}, RLX_F32, "abcd"); },
     RLX_CORRUPT_DATA,
     {"duplicate tensor 'scalar'"}},
    {"empty tensor name",
     [](auto& b) { b.tensor("", {1}, RLX_F32, "abcd"); },
     RLX_CORRUPT_DATA,
     {"name of tensor 4", "empty"}},
    {"tensor name not UTF-8",
     [](auto& b) { b.tensor("\xed\xa0\x80", {1}, RLX_F32, "abcd"); },
     RLX_CORRUPT_DATA,
     {"UTF-8"}},
    {"too many dimensions",
     [](auto& b) { b.tensor("t", std::vector<std::uint64_t>(9, 1), RLX_F32, "abcd"); },
     RLX_CORRUPT_DATA,
     {"'t'", "9 dimensions"}},
    {"dimension 2^63",
     [](auto& b) { b.tensor("t", {std::uint64_t{1} << 63}, RLX_F32, ""); },
     RLX_CORRUPT_DATA,
     {"'t'", "absurd dimension"}},
    {"product of dimensions wraps",
     [](auto& b) {
         b.tensor("t", {std::uint64_t{1} << 32, std::uint64_t{1} << 32, 4}, RLX_F32, "");
     },
     RLX_CORRUPT_DATA,
     {"'t'", "absurd dimension"}},
    {"size in bytes wraps",
     [](auto& b) {
         b.tensor("t", {std::uint64_t{1} << 30, std::uint64_t{1} << 32}, RLX_F64, "");
     },
     RLX_CORRUPT_DATA,
     {"'t'"}},
    {"row of half a block",
     [](auto& b) { b.tensor("t", {48}, RLX_Q8_0, std::string(51, 'x')); },
     RLX_CORRUPT_DATA,
     {"'t'", "48", "blocks of 32"}},
    {"unknown tensor type",
     [](auto& b) { b.tensor("t", {32}, 77, "x"); },
     RLX_UNSUPPORTED,
     {"'t'", "unknown type 77", "byte"}},
    {"type that is ours, not the file's",
     [](auto& b) { b.tensor("t", {4}, RLX_U8, "abcd"); },
     RLX_UNSUPPORTED,
     {"'t'", "256"}},
    {"type 4 of old files",
     [](auto& b) { b.tensor("t", {32}, 4, "x"); },
     RLX_UNSUPPORTED,
     {"unknown type 4"}},
    {"offset not aligned",
     [](auto& b) { b.tensors[1].offset = 49; },
     RLX_CORRUPT_DATA,
     {"'q.weight'", "alignment 32"}},
    {"overlapping tensors",
     [](auto& b) { b.tensors[2].offset = 64; },
     RLX_CORRUPT_DATA,
     {"'k.weight'", "overlap"}},
    {"two tensors at one place",
     [](auto& b) { b.tensors[1].offset = 0; },
     RLX_CORRUPT_DATA,
     {"overlap"}},
    {"hole between tensors",
     [](auto& b) { b.tensors[3].offset = 4096; },
     RLX_CORRUPT_DATA,
     {"'scalar'", "hole"}},
    {"first tensor not at the start",
     [](auto& b) {
         b.tensors.resize(1);
         b.tensors[0].offset = 32;
     },
     RLX_CORRUPT_DATA,
     {"'token_embd.weight'", "hole", "header"}},
    {"offset near 2^64",
     [](auto& b) { b.tensors[3].offset = UINT64_MAX - 31; },
     RLX_CORRUPT_DATA,
     {"'scalar'"}},
    {"data missing",
     [](auto& b) { b.tensors[3].data = "ab"; },
     RLX_CORRUPT_DATA,
     {"'scalar'", "truncated", "byte"}},
    {"large tensor without data",
     [](auto& b) {
         b.tensor("t", {1 << 20, 1 << 20}, RLX_F32, "");
     },
     RLX_CORRUPT_DATA,
     {"'t'", "end of the file"}},
};

TEST(Gguf, EveryDefectIsAnErrorThatSaysWhatAndWhere) {
    for (const defect& d : defects) {
        gguf_builder b = good_gguf();
        d.damage(b);
        auto f = parse(b.build());
        ASSERT_FALSE(f.ok()) << d.what;
        EXPECT_EQ(f.error().code, d.code) << d.what << ": " << f.error().message;
        EXPECT_NE(f.error().message.find("x.gguf"), std::string::npos)
            << d.what << ": " << f.error().message;
        for (const char* part : d.says) {
            EXPECT_NE(f.error().message.find(part), std::string::npos)
                << d.what << ": " << f.error().message;
        }
    }
}

TEST(Gguf, AFileCutAtAnyByteIsAnError) {
    gguf_builder b = good_gguf();
    const std::string file = b.build();
    ASSERT_TRUE(parse(file).ok());
    for (std::size_t n = 0; n < file.size(); n++) {
        auto f = parse(file.substr(0, n));
        ASSERT_FALSE(f.ok()) << n;
        EXPECT_NE(f.error().message.find("byte"), std::string::npos)
            << n << ": " << f.error().message;
    }
    for (std::uint64_t edge : b.edges) {
        for (int delta : {-1, 0, 1}) {
            std::size_t n =
                std::min<std::size_t>(edge + static_cast<std::uint64_t>(delta), file.size());
            EXPECT_EQ(parse(file.substr(0, n)).ok(), n == file.size()) << n;
        }
    }
    EXPECT_TRUE(parse(file + "trailing bytes are padding").ok());
}

// Any single changed bit either is an error or leaves a file that can be read within its bounds.
TEST(Gguf, NoChangedBitIsDangerous) {
    gguf_builder b = good_gguf();
    const std::string file = b.build();
    int refused = 0, taken = 0;
    for (std::size_t i = 0; i < b.header_bytes * 8; i++) {
        std::string bad = file;
        bad[i / 8] = static_cast<char>(bad[i / 8] ^ (1 << (i % 8)));
        (parse(bad).ok() ? taken : refused)++;
    }
    EXPECT_GT(refused, 2000) << "the flips are not reaching the checks";
    EXPECT_GT(taken, 100);
}

TEST(Gguf, NoChangedByteIsDangerous) {
    gguf_builder b = good_gguf();
    const std::string file = b.build();
    for (std::size_t i = 0; i < b.header_bytes; i++) {
        for (unsigned char v : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
            std::string bad = file;
            bad[i] = static_cast<char>(v);
            static_cast<void>(parse(bad)); // must only not crash
        }
    }
}

} // namespace
