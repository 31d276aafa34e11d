// SPDX-License-Identifier: GPL-3.0-only
// The oracle against the gguf package (blocks.bin, make_blocks.py), and packed weights against the
// oracle: a unit activation vector must give back the file's own float32 value, bit for bit.
#include "matmul.hpp"
#include "reference.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>

namespace rlx::cpu::test {
namespace {

struct sample {
    std::uint16_t dtype = 0;
    std::vector<std::uint8_t> blocks;
    std::vector<float> values;
};

std::vector<sample> load_samples() {
    std::ifstream in(RLX_MATMUL_TEST_DIR "/blocks.bin", std::ios::binary);
    std::vector<sample> samples;
    std::uint32_t head[3];
    while (in.read(reinterpret_cast<char*>(head), sizeof head)) {
        sample s;
        s.dtype = static_cast<std::uint16_t>(head[0]);
        s.blocks.resize(head[1]);
        s.values.resize(head[2]);
        in.read(reinterpret_cast<char*>(s.blocks.data()), head[1]);
        in.read(reinterpret_cast<char*>(s.values.data()), head[2] * 4);
        EXPECT_TRUE(in) << "truncated fixture";
        samples.push_back(std::move(s));
    }
    return samples;
}

// Equal numbers; the signs of zeros do not matter.
void expect_same(const std::vector<float>& a, const std::vector<float>& b, const char* what) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i)
        ASSERT_EQ(a[i], b[i]) << what << " element " << i;
}

TEST(matmul_blocks, the_oracle_dequantises_as_the_gguf_package_does) {
    const std::vector<sample> samples = load_samples();
    ASSERT_EQ(samples.size(), 12u);
    for (const sample& s : samples) {
        expect_same(
            dequantise(s.dtype, s.blocks.data(), static_cast<std::int64_t>(s.values.size())),
            s.values,
            info_of(s.dtype).name
        );
    }
}

TEST(matmul_blocks, packed_weights_are_the_files_numbers_exactly) {
    std::mt19937 rng(3);
    mm_config exact;
    exact.exact = true;
    for (const dtype_info& i : all_dtypes) {
        constexpr std::int64_t out = 21;
        const std::int64_t in = i.cols == 1 ? 131 : 512;
        const std::vector<std::uint8_t> file = random_file(i.dtype, out, in, rng);
        mm_packed p;
        const char* reason = nullptr;
        ASSERT_TRUE(mm_layout(exact, {i.dtype, 1, out, in}, &p, &reason)) << reason;
        const auto buffer = [](std::uint64_t n) {
            return std::unique_ptr<void, decltype(&std::free)>(
                std::aligned_alloc(64, (n + 127) / 64 * 64), &std::free
            );
        };
        const auto data = buffer(p.bytes);
        p.data = data.get();
        mm_pack(p, 0, 0, out, file.data());
        const auto space = buffer(mm_workspace(p));
        std::vector<float> unit(static_cast<std::size_t>(in));
        std::vector<float> column(out);
        std::vector<std::vector<float>> rows(out, std::vector<float>(static_cast<std::size_t>(in)));
        for (std::int64_t k = 0; k < in; ++k) {
            unit.assign(unit.size(), 0.0f);
            unit[static_cast<std::size_t>(k)] = 1.0f;
            mm_tile t;
            t.act = unit.data();
            t.act_stride = unit.size() * 4;
            t.out = column.data();
            t.out_stride = out;
            t.n_rows = 1;
            t.n_cols = out;
            t.workspace = space.get();
            mm_run(p, t);
            for (std::int64_t o = 0; o < out; ++o)
                rows[o][k] = column[o];
        }
        const std::size_t row_bytes = file.size() / out;
        for (std::int64_t o = 0; o < out; ++o) {
            expect_same(rows[o], dequantise(i.dtype, file.data() + o * row_bytes, in), i.name);
        }
    }
}

} // namespace
} // namespace rlx::cpu::test
