// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/formats/npy.hpp"

#include <cstring>
#include <gtest/gtest.h>

namespace rlx {
namespace {

std::span<const std::byte> bytes_of(const std::string& s) {
    return {reinterpret_cast<const std::byte*>(s.data()), s.size()};
}

std::string file_of(std::string_view type, std::vector<std::int64_t> shape, std::size_t floats) {
    std::string out = npy_header(type, shape);
    for (std::size_t i = 0; i < floats; ++i) {
        const float v = static_cast<float>(i) + 0.5F;
        out.append(reinterpret_cast<const char*>(&v), sizeof v);
    }
    return out;
}

std::string said(const std::string& file) {
    const auto r = parse_npy(bytes_of(file), "x.npy");
    if (r) return "no error";
    EXPECT_EQ(r.error().code, RLX_CORRUPT_DATA);
    return r.error().message;
}

// A header as other writers spell it.
std::string with_dict(std::string dict, char version, std::size_t data) {
    std::string out("\x93NUMPY", 6);
    out += version;
    out += '\0';
    const auto n = static_cast<std::uint32_t>(dict.size());
    out.append(reinterpret_cast<const char*>(&n), version == 1 ? 2 : 4);
    return out + dict + std::string(data, '\0');
}

TEST(npy, reads_what_it_writes) {
    for (const std::vector<std::int64_t>& shape :
         {std::vector<std::int64_t>{2, 3}, {6}, {1, 6, 1}, {0, 4}, {}}) {
        std::size_t n = 1;
        for (const auto s : shape)
            n *= static_cast<std::size_t>(s);
        const auto r = parse_npy(bytes_of(file_of("<f4", shape, n)), "x.npy");
        ASSERT_TRUE(r.ok()) << r.error().message;
        EXPECT_EQ(r->shape, shape);
        ASSERT_EQ(r->values.size(), n);
        if (n > 0) {
            EXPECT_EQ(r->values.back(), static_cast<float>(n) - 0.5F);
        }
    }
}

TEST(npy, headers_are_whole_lines_of_64_and_leave_the_room_asked_for) {
    const std::int64_t few[] = {1, 384}, many[] = {1'000'000'000, 384};
    EXPECT_EQ(npy_header("<f4", few).size() % 64, 0u);
    EXPECT_EQ(npy_header("<f4", few).back(), '\n');
    EXPECT_EQ(npy_header("<f4", few, 128).size(), npy_header("<f4", many, 128).size());
    EXPECT_NE(npy_header("|i1", few).find("'|i1'"), std::string::npos);
}

TEST(npy, other_versions_and_spellings_are_read) {
    for (const char version : {1, 2, 3}) {
        const auto file =
            with_dict("{\"shape\": (2L, 1), 'fortran_order': False, 'descr': '<f4'}\n", version, 8);
        const auto r = parse_npy(bytes_of(file), "x.npy");
        ASSERT_TRUE(r.ok()) << r.error().message;
        EXPECT_EQ(r->shape, (std::vector<std::int64_t>{2, 1}));
    }
}

TEST(npy, what_is_no_float32_array_says_what_it_is) {
    const std::string good = file_of("<f4", {2, 3}, 6);
    EXPECT_EQ(said("PNG"), "x.npy: is no .npy file (it does not begin with \\x93NUMPY)");
    EXPECT_EQ(said(""), said("PNG"));
    EXPECT_EQ(said("PK\3\4"), "x.npy: is an .npz archive; save one array with numpy.save");
    EXPECT_EQ(said(good.substr(0, 9)), "x.npy: ends in its header, after 9 bytes");
    EXPECT_EQ(said(good.substr(0, 40)), "x.npy: ends in its header: 40 of 128 bytes");
    EXPECT_EQ(
        said(good.substr(0, good.size() - 1)),
        "x.npy: shape (2, 3) of float32 needs 24 bytes behind the header, the file has 23"
    );
    EXPECT_EQ(
        said(good + "x"),
        "x.npy: shape (2, 3) of float32 needs 24 bytes behind the header, the file has 25"
    );
    EXPECT_EQ(
        said(file_of("<f8", {3}, 6)),
        "x.npy: elements are '<f8', expected float32 ('<f4'); save it with .astype('float32')"
    );
    EXPECT_NE(said(file_of("<f4", {1LL << 62, 16}, 0)).find("too many"), std::string::npos);
    EXPECT_NE(
        said(with_dict("{'descr': '<f4', 'fortran_order': True, 'shape': (1,)}", 1, 4))
            .find("Fortran order"),
        std::string::npos
    );
    for (const char* dict :
         {"",
          "{}",
          "{'descr': '<f4', 'fortran_order': False, 'shape': (1",
          "{'descr': '<f4'",
          "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
          "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}",
          "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}"})
        EXPECT_NE(said(with_dict(dict, 1, 4)).find("not understood"), std::string::npos) << dict;
    EXPECT_NE(
        said(with_dict("", 2, 0).replace(8, 4, "\xff\xff\xff\xff")).find("ends in"),
        std::string::npos
    );
}

} // namespace
} // namespace rlx
