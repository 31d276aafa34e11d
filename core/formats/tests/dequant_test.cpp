// SPDX-License-Identifier: GPL-3.0-only
// Every element type against values computed by the gguf package and torch
// (make_dequant_fixture.py).
#include "rlx/formats/dequant.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <set>
#include <vector>

namespace {

struct fixture {
    std::uint32_t dtype;
    std::vector<std::byte> raw;
    std::vector<float> expected;
};

std::vector<fixture> load() {
    std::ifstream in(RLX_TEST_DATA "/dequant.bin", std::ios::binary);
    std::vector<char> bytes((std::istreambuf_iterator<char>(in)), {});
    std::vector<fixture> out;
    for (std::size_t at = 0; at + 12 <= bytes.size();) {
        std::uint32_t head[3];
        std::memcpy(head, bytes.data() + at, 12);
        at += 12;
        fixture f{head[0], std::vector<std::byte>(head[2]), std::vector<float>(head[1])};
        std::memcpy(f.raw.data(), bytes.data() + at, head[2]);
        at += head[2];
        std::memcpy(f.expected.data(), bytes.data() + at, head[1] * 4);
        at += head[1] * 4;
        out.push_back(std::move(f));
    }
    return out;
}

std::size_t differences(const fixture& f, const std::vector<float>& got) {
    std::size_t n = 0;
    for (std::size_t i = 0; i < got.size(); i++) {
        bool same =
            std::bit_cast<std::uint32_t>(got[i]) == std::bit_cast<std::uint32_t>(f.expected[i]);
        if (!same && !(std::isnan(got[i]) && std::isnan(f.expected[i]))) n++;
    }
    return n;
}

TEST(Dequant, EveryTypeEqualsTheReferenceBitForBit) {
    std::vector<fixture> all = load();
    std::set<std::uint32_t> seen;
    for (const fixture& f : all) {
        std::vector<float> got(f.expected.size(), -77);
        auto r = rlx::dequantize(f.dtype, f.raw.data(), got.size(), got.data());
        ASSERT_TRUE(r.ok()) << r.error().message;
        EXPECT_EQ(differences(f, got), 0u) << rlx::dtype_name(f.dtype);
        seen.insert(f.dtype);
    }
    for (std::uint32_t t = 0; t < 0x200; t++) {
        const rlx::dtype_traits* traits = rlx::dtype_find(t);
        if (traits && traits->readable) {
            EXPECT_TRUE(seen.count(t)) << traits->name << " has no fixture";
        }
    }
}

TEST(Dequant, OneChangedBitOfAPackedBlockIsSeen) {
    for (fixture f : load()) {
        if (rlx::dtype_find(f.dtype)->block == 1) continue;
        f.raw[f.raw.size() / 2] ^= std::byte{1};
        std::vector<float> got(f.expected.size());
        ASSERT_TRUE(rlx::dequantize(f.dtype, f.raw.data(), got.size(), got.data()).ok());
        EXPECT_GT(differences(f, got), 0u) << rlx::dtype_name(f.dtype);
    }
}

TEST(Dequant, SourceNeedsNoAlignment) {
    for (const fixture& f : load()) {
        std::vector<std::byte> shifted(f.raw.size() + 1);
        std::memcpy(shifted.data() + 1, f.raw.data(), f.raw.size());
        std::vector<float> got(f.expected.size());
        ASSERT_TRUE(rlx::dequantize(f.dtype, shifted.data() + 1, got.size(), got.data()).ok());
        EXPECT_EQ(differences(f, got), 0u) << rlx::dtype_name(f.dtype);
    }
}

TEST(Dequant, SizesAgreeWithTheFixture) {
    for (const fixture& f : load()) {
        const rlx::dtype_traits* t = rlx::dtype_find(f.dtype);
        ASSERT_NE(t, nullptr);
        EXPECT_EQ(rlx::dtype_bytes(*t, f.expected.size()), f.raw.size()) << t->name;
    }
    const rlx::dtype_traits* q = rlx::dtype_find(RLX_Q4_K);
    EXPECT_FALSE(rlx::dtype_bytes(*q, 255));
    EXPECT_FALSE(rlx::dtype_bytes(*rlx::dtype_find(RLX_F64), UINT64_MAX / 4));
}

TEST(Dequant, TypesThatCannotBeReadAreNamed) {
    float out[256];
    char raw[256] = {};
    auto iq = rlx::dequantize(16, raw, 256, out);
    ASSERT_FALSE(iq.ok());
    EXPECT_EQ(iq.error().code, std::uint32_t{RLX_UNSUPPORTED});
    EXPECT_NE(iq.error().message.find("IQ2_XXS"), std::string::npos);
    EXPECT_EQ(
        rlx::dequantize(RLX_Q8_0, raw, 31, out).error().code, std::uint32_t{RLX_INVALID_ARGUMENT}
    );
    EXPECT_EQ(rlx::dtype_name(77), "type 77");
}

} // namespace
