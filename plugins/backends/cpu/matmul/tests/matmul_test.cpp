// SPDX-License-Identifier: GPL-3.0-only
// Every weight type x kernel tier x mode against the scalar oracle, at sizes around every tile
// edge.
#include "layout.hpp"
#include "matmul.hpp"
#include "reference.hpp"

#include <gtest/gtest.h>

#include <cpuid.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

#include <sys/mman.h>

namespace rlx::cpu::test {
namespace {

// Memory that ends, rounded up to `align`, at a page nobody may touch: the kernels are built
// without sanitizers.
class guarded {
public:
    guarded() = default;

    explicit guarded(std::uint64_t bytes, std::uint64_t align = 64) {
        constexpr std::uint64_t page = 4096;
        const std::uint64_t used = (bytes + align - 1) / align * align;
        mapped_ = (used + page - 1) / page * page + page;
        void* p =
            mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) std::abort();
        base_ = static_cast<std::uint8_t*>(p);
        if (mprotect(base_ + mapped_ - page, page, PROT_NONE) != 0) std::abort();
        data_ = base_ + mapped_ - page - used;
        std::memset(data_, 0xcd, used);
    }

    guarded(guarded&& o) noexcept { swap(o); }

    guarded& operator=(guarded&& o) noexcept {
        swap(o);
        return *this;
    }

    ~guarded() {
        if (base_) munmap(base_, mapped_);
    }

    std::uint8_t* get() const { return data_; }

private:
    void swap(guarded& o) {
        std::swap(base_, o.base_);
        std::swap(data_, o.data_);
        std::swap(mapped_, o.mapped_);
    }

    std::uint8_t* base_ = nullptr;
    std::uint8_t* data_ = nullptr;
    std::uint64_t mapped_ = 0;
};

bool machine_has(tier t) {
    switch (t) {
    case tier::baseline: return true;
    case tier::avx2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
               __builtin_cpu_supports("f16c");
    case tier::avx512:
        return machine_has(tier::avx2) && __builtin_cpu_supports("avx512f") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512dq");
    default: return machine_has(tier::avx512) && __builtin_cpu_supports("avx512vnni"); // amx: below
    }
}

// The tiers, and two of them with a feature on top.
enum class set { baseline, avx2, avx2_vnni, avx512, avx512_vnni, avx512_bf16, amx };

const char* name_of(set s) {
    const char* names[] = {
        "baseline", "avx2", "avx2_vnni", "avx512", "avx512_vnni", "avx512_bf16", "amx"};
    return names[static_cast<int>(s)];
}

bool has_avx_vnni() {
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}

bool has_amx() {
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1) && (d >> 24 & 1) &&
           (d >> 25 & 1) && mm_permit_tiles();
}

bool configure(set s, bool exact, mm_config* cfg) {
    const tier tiers[] = {
        tier::baseline,
        tier::avx2,
        tier::avx2,
        tier::avx512,
        tier::avx512_vnni,
        tier::avx512_vnni,
        tier::amx};
    cfg->exact = exact;
    cfg->isa = tiers[static_cast<int>(s)];
    cfg->features.avx_vnni = s == set::avx2_vnni;
    cfg->features.avx512_bf16 = s == set::avx512_bf16;
    cfg->features.amx = s == set::amx;
    return machine_has(cfg->isa) && (s != set::avx2_vnni || has_avx_vnni()) &&
           (s != set::avx512_bf16 || __builtin_cpu_supports("avx512bf16")) &&
           (s != set::amx || has_amx());
}

struct problem {
    std::uint16_t dtype = 0;
    std::int64_t rows = 0; // T
    std::int64_t out = 0;
    std::int64_t in = 0;
    std::int64_t groups = 1;
    std::vector<std::uint8_t> file;
    std::vector<float> x;
};

problem make_problem(
    std::uint16_t dtype, std::int64_t rows, std::int64_t out, std::int64_t in, unsigned seed
) {
    std::mt19937 rng(seed);
    problem p{dtype, rows, out, in, 1, random_file(dtype, out, in, rng), {}};
    std::normal_distribution<float> normal(0.0f, 1.0f);
    p.x.resize(static_cast<std::size_t>(rows * in));
    for (float& v : p.x)
        v = normal(rng);
    return p;
}

// A packed weight with its memory.
struct weight {
    mm_packed packed;
    guarded data;
};

weight pack(const mm_config& cfg, const problem& p, std::int64_t rows_per_call = 48) {
    weight w;
    const char* reason = nullptr;
    EXPECT_TRUE(mm_layout(cfg, {p.dtype, p.groups, p.out, p.in}, &w.packed, &reason)) << reason;
    w.data = guarded(w.packed.bytes);
    w.packed.data = w.data.get();
    const dtype_info& info = info_of(p.dtype);
    const std::int64_t row_bytes = p.in / info.cols * info.bytes;
    for (std::int64_t g = 0; g < p.groups; ++g) {
        for (std::int64_t r = 0; r < p.out; r += rows_per_call) {
            const std::int64_t n = std::min(rows_per_call, p.out - r);
            // The source of a packing call may lie anywhere.
            std::vector<std::uint8_t> odd(static_cast<std::size_t>(n * row_bytes + 1));
            std::memcpy(odd.data() + 1, p.file.data() + (g * p.out + r) * row_bytes, n * row_bytes);
            mm_pack(w.packed, g, r, n, odd.data() + 1);
        }
    }
    return w;
}

constexpr float canary = 12345.5f;

struct cut {
    std::int64_t rows = 0; // 0: mm_tile_size decides
    std::int64_t cols = 0;
    std::uint32_t threads = 2;
};

// The whole product, cut into tiles; `out` rows have `stride` floats, those beyond p.out must stay
// untouched.
std::vector<float> multiply(const mm_config& cfg, const weight& w, const problem& p, cut c = {}) {
    const std::uint64_t stride = act_row_bytes(w.packed.form, p.in);
    const guarded act(stride * static_cast<std::uint64_t>(p.rows));
    for (std::int64_t t = 0; t < p.rows; ++t) {
        act_make(cfg, w.packed.form, p.x.data() + t * p.in, p.in, act.get() + stride * t);
    }
    const std::int64_t out_stride = p.out + 3;
    const std::int64_t out_floats = p.rows * out_stride;
    const guarded out(static_cast<std::uint64_t>(out_floats) * 4, 4);
    auto* y = reinterpret_cast<float*>(out.get());
    std::fill(y, y + out_floats, canary);
    const guarded space(mm_workspace(w.packed));
    const mm_tiling size = mm_tile_size(w.packed, p.rows, c.threads);
    const std::int64_t tile_rows = c.rows ? c.rows : size.tile_rows;
    const std::int64_t tile_cols = c.cols ? c.cols : size.tile_cols;
    for (std::int64_t r = 0; r < p.rows; r += tile_rows) {
        for (std::int64_t col = 0; col < p.out; col += tile_cols) {
            mm_tile t;
            t.act = act.get() + stride * r;
            t.act_stride = stride;
            t.out = y + r * out_stride + col;
            t.out_stride = out_stride;
            t.n_rows = std::min(tile_rows, p.rows - r);
            t.col0 = col;
            t.n_cols = std::min(tile_cols, p.out - col);
            t.workspace = space.get();
            mm_run(w.packed, t);
        }
    }
    std::vector<float> dense;
    for (std::int64_t t = 0; t < p.rows; ++t) {
        const float* row = y + t * out_stride;
        dense.insert(dense.end(), row, row + p.out);
        for (std::int64_t i = p.out; i < out_stride; ++i)
            EXPECT_EQ(row[i], canary) << "row " << t;
    }
    return dense;
}

struct expectation {
    std::vector<double> value; // [rows, out]
    std::vector<double>
        size; // [rows]: root mean square over outputs of the norm of the summed terms
};

expectation oracle(const problem& p, act_form form) {
    const dtype_info& info = info_of(p.dtype);
    expectation y;
    y.value.resize(static_cast<std::size_t>(p.rows * p.out));
    y.size.resize(static_cast<std::size_t>(p.rows));
    std::vector<std::vector<double>> x;
    for (std::int64_t t = 0; t < p.rows; ++t) {
        const float* row = p.x.data() + t * p.in;
        x.push_back(
            form == act_form::q8     ? q8_values(row, p.in)
            : form == act_form::bf16 ? bf16_values(row, p.in)
                                     : std::vector<double>(row, row + p.in)
        );
    }
    for (std::int64_t o = 0; o < p.out; ++o) {
        const auto w =
            dequantise(p.dtype, p.file.data() + o * (p.in / info.cols * info.bytes), p.in);
        for (std::int64_t t = 0; t < p.rows; ++t) {
            double sum = 0;
            for (std::size_t k = 0; k < w.size(); ++k) {
                const double term = x[t][k] * static_cast<double>(w[k]);
                sum += term;
                y.size[t] += term * term / static_cast<double>(p.out);
            }
            y.value[t * p.out + o] = sum;
        }
    }
    for (double& s : y.size)
        s = std::sqrt(s);
    return y;
}

// Largest difference relative to the size of the row's terms; NaN counts as infinite.
double worst(const problem& p, const std::vector<float>& y, const expectation& e) {
    double result = 0;
    for (std::int64_t t = 0; t < p.rows; ++t) {
        for (std::int64_t o = 0; o < p.out; ++o) {
            const double d =
                std::fabs(y[t * p.out + o] - e.value[t * p.out + o]) / std::max(e.size[t], 1e-30);
            result = std::isnan(d) ? INFINITY : std::max(result, d);
        }
    }
    return result;
}

double nmse(const std::vector<float>& y, const std::vector<double>& expected) {
    double error = 0;
    double power = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
        error += (y[i] - expected[i]) * (y[i] - expected[i]);
        power += expected[i] * expected[i];
    }
    return power > 0 ? error / power : error;
}

struct shape {
    std::int64_t out;
    std::int64_t in;
};

std::vector<shape> shapes_for(std::uint16_t dtype) {
    switch (info_of(dtype).cols) {
    // 1024 floats: rows a page apart are copied first.
    case 1: return {{1, 1}, {17, 33}, {33, 127}, {64, 300}, {47, 257}, {20, 2100}, {36, 1024}};
    case 32: return {{1, 32}, {17, 96}, {33, 544}, {64, 576}, {47, 1088}};
    default: return {{1, 256}, {17, 512}, {33, 768}, {64, 256}, {47, 1280}};
    }
}

using param = std::tuple<std::uint16_t, set>;

std::string param_name(const ::testing::TestParamInfo<param>& i) {
    return std::string(info_of(std::get<0>(i.param)).name) + "_" + name_of(std::get<1>(i.param));
}

class matmul : public ::testing::TestWithParam<param> {
protected:
    void SetUp() override {
        mm_config ignored;
        if (!configure(kernels(), true, &ignored)) GTEST_SKIP() << "this machine lacks the tier";
    }

    std::uint16_t dtype() const { return std::get<0>(GetParam()); }

    set kernels() const { return std::get<1>(GetParam()); }

    mm_config config(bool exact) const {
        mm_config cfg;
        configure(kernels(), exact, &cfg);
        return cfg;
    }
};

constexpr std::int64_t row_counts[] = {0, 1, 2, 3, 4, 5, 7, 8, 16, 17, 33, 64};

TEST_P(matmul, exact_mode_equals_the_oracle) {
    const mm_config cfg = config(true);
    unsigned seed = 1;
    for (const shape s : shapes_for(dtype())) {
        for (const std::int64_t rows : row_counts) {
            const problem p = make_problem(dtype(), rows, s.out, s.in, seed++);
            const weight w = pack(cfg, p);
            ASSERT_EQ(w.packed.form, act_form::f32);
            EXPECT_LE(worst(p, multiply(cfg, w, p), oracle(p, act_form::f32)), 4e-6)
                << "T=" << rows << " out=" << s.out << " in=" << s.in;
        }
    }
}

TEST_P(matmul, fast_mode_equals_the_oracle_fed_with_its_activation_form) {
    const mm_config cfg = config(false);
    unsigned seed = 100;
    for (const shape s : shapes_for(dtype())) {
        for (const std::int64_t rows : row_counts) {
            const problem p = make_problem(dtype(), rows, s.out, s.in, seed++);
            const weight w = pack(cfg, p);
            EXPECT_LE(worst(p, multiply(cfg, w, p), oracle(p, w.packed.form)), 4e-6)
                << "T=" << rows << " out=" << s.out << " in=" << s.in;
        }
    }
}

TEST_P(matmul, fast_mode_is_close_to_the_true_product) {
    const mm_config cfg = config(false);
    const problem p = make_problem(dtype(), 9, 65, 2048, 7);
    const weight w = pack(cfg, p);
    EXPECT_LE(nmse(multiply(cfg, w, p), oracle(p, act_form::f32).value), 5e-4);
}

TEST_P(matmul, long_rows_keep_their_precision_in_exact_mode) {
    const mm_config cfg = config(true);
    const problem p = make_problem(dtype(), 2, 33, 4096, 8);
    const weight w = pack(cfg, p);
    EXPECT_LE(worst(p, multiply(cfg, w, p), oracle(p, act_form::f32)), 1e-5);
}

TEST_P(matmul, a_row_has_the_same_bits_alone_in_a_batch_and_under_any_cut) {
    for (const bool exact : {true, false}) {
        const mm_config cfg = config(exact);
        const problem all = make_problem(dtype(), 163, 83, 1536, 9);
        const weight w = pack(cfg, all);
        const std::vector<float> y = multiply(cfg, w, all);
        for (const cut c : {cut{1, 16}, cut{4, 32}, cut{5, 48}, cut{163, 96}, cut{33, 16, 7}}) {
            EXPECT_EQ(std::memcmp(multiply(cfg, w, all, c).data(), y.data(), y.size() * 4), 0)
                << "tile " << c.rows << " x " << c.cols << " exact=" << exact;
        }
        for (const std::int64_t t : {0, 11, 162}) {
            problem one = all;
            one.rows = 1;
            one.x.assign(all.x.begin() + t * all.in, all.x.begin() + (t + 1) * all.in);
            const std::vector<float> alone = multiply(cfg, w, one);
            EXPECT_EQ(std::memcmp(alone.data(), y.data() + t * all.out, alone.size() * 4), 0)
                << "row " << t << " exact=" << exact;
        }
    }
}

TEST_P(matmul, largest_codes_do_not_saturate) {
    const mm_config cfg = config(false);
    for (const std::int64_t rows : {1, 3, 8}) {
        problem p = make_problem(dtype(), rows, 20, 512, 10);
        std::mt19937 rng(11);
        p.file = random_file(dtype(), p.out, p.in, rng, {.extreme = true});
        for (std::size_t i = 0; i < p.x.size(); ++i)
            p.x[i] = i / p.in % 2 ? -3.0f : 3.0f;
        const weight w = pack(cfg, p);
        EXPECT_LE(worst(p, multiply(cfg, w, p), oracle(p, w.packed.form)), 1e-5) << "T=" << rows;
    }
}

TEST_P(matmul, zero_and_tiny_rows_give_zero_or_tiny_results) {
    for (const bool exact : {true, false}) {
        const mm_config cfg = config(exact);
        problem p = make_problem(dtype(), 6, 20, 512, 12);
        std::fill(p.x.begin(), p.x.begin() + 512, 0.0f);
        std::fill(p.x.begin() + 512, p.x.begin() + 1024, 1e-39f);
        const std::vector<float> y = multiply(cfg, pack(cfg, p), p);
        for (int o = 0; o < 20; ++o) {
            EXPECT_EQ(y[o], 0.0f);
            EXPECT_LE(std::fabs(y[20 + o]), 1e-34f);
        }
    }
}

TEST_P(matmul, a_nan_or_infinity_reaches_its_own_row_only) {
    for (const bool exact : {true, false}) {
        const mm_config cfg = config(exact);
        problem p = make_problem(dtype(), 6, 20, 512, 13);
        p.x[512 + 37] = std::numeric_limits<float>::quiet_NaN();
        p.x[3 * 512 + 300] = std::numeric_limits<float>::infinity();
        const std::vector<float> y = multiply(cfg, pack(cfg, p), p);
        for (int t = 0; t < 6; ++t) {
            for (int o = 0; o < 20; ++o) {
                EXPECT_EQ(std::isfinite(y[t * 20 + o]), t != 1 && t != 3) << t << " " << o;
            }
        }
    }
}

TEST_P(matmul, rows_and_outputs_may_be_scattered_and_weights_grouped) {
    for (const bool exact : {true, false}) {
        const mm_config cfg = config(exact);
        problem p = make_problem(dtype(), 9, 3 * 21, 512, 14);
        const expectation all = oracle(p, [&] {
            problem q = p;
            return pack(cfg, q).packed.form;
        }());
        const std::vector<double>& expected = all.value;
        p.groups = 3;
        p.out = 21;
        const weight w = pack(cfg, p);
        const std::uint64_t stride = act_row_bytes(w.packed.form, p.in);
        const guarded act(stride * 9);
        for (int t = 0; t < 9; ++t) {
            act_make(cfg, w.packed.form, p.x.data() + t * p.in, p.in, act.get() + stride * t);
        }
        const guarded space(mm_workspace(w.packed));
        using list = std::vector<std::int32_t>;
        // Activation rows may repeat, output rows may not; row 3 is nobody's output.
        const std::pair<list, list> cases[] = {
            {{7, 2, 2}, {7, 2, 0}}, {{8, 1, 6, 1, 5, 4}, {8, 1, 6, 0, 5, 4}}};
        for (const auto& [rows, outs] : cases) {
            for (std::int64_t g = 0; g < 3; ++g) {
                std::vector<float> y(9 * 21, canary);
                mm_tile t;
                t.act = act.get();
                t.act_stride = stride;
                t.act_rows = rows.data();
                t.out = y.data();
                t.out_stride = 21;
                t.out_rows = outs.data();
                t.n_rows = static_cast<std::int64_t>(rows.size());
                t.group = g;
                t.n_cols = 21;
                t.workspace = space.get();
                mm_run(w.packed, t);
                for (std::size_t i = 0; i < rows.size(); ++i) {
                    for (int o = 0; o < 21; ++o) {
                        EXPECT_NEAR(y[outs[i] * 21 + o], expected[rows[i] * 63 + g * 21 + o], 2e-5);
                    }
                }
                EXPECT_EQ(y[3 * 21], canary);
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(
    types,
    matmul,
    ::testing::Combine(
        ::testing::Values<std::uint16_t>(0, 1, 30, 2, 3, 6, 7, 8, 10, 11, 12, 13, 14, 20, 23),
        ::testing::Values(
            set::baseline,
            set::avx2,
            set::avx2_vnni,
            set::avx512,
            set::avx512_vnni,
            set::avx512_bf16,
            set::amx
        )
    ),
    param_name
);

TEST(matmul_layout, packed_weights_stay_near_the_files_size) {
    for (const dtype_info& i : all_dtypes) {
        mm_packed p;
        const char* reason = nullptr;
        ASSERT_TRUE(mm_layout({}, {i.dtype, 2, 1024, 2048}, &p, &reason));
        const double file = 2.0 * 1024 * 2048 / i.cols * i.bytes;
        EXPECT_LE(static_cast<double>(p.bytes), 1.04 * file) << i.name;
        EXPECT_GE(static_cast<double>(p.bytes), file) << i.name;
    }
}

TEST(matmul_layout, what_cannot_be_computed_is_refused_with_a_reason) {
    const mm_weight cases[] = {
        {0x102, 1, 16, 32},
        {2, 1, 16, 33},
        {12, 1, 16, 128},
        {0, 1, -1, 32},
        {0, std::int64_t{1} << 39, std::int64_t{1} << 39, std::int64_t{1} << 39},
        {0, 1, std::int64_t{1} << 62, 32},
    };
    for (const mm_weight& w : cases) {
        mm_packed p;
        const char* reason = nullptr;
        EXPECT_FALSE(mm_layout({}, w, &p, &reason));
        ASSERT_NE(reason, nullptr);
    }
}

TEST(matmul_check, a_wrong_code_or_scale_is_caught) {
    mm_config cfg;
    for (const dtype_info& i : all_dtypes) {
        const problem p = make_problem(i.dtype, 5, 33, 512, 15);
        const weight w = pack(cfg, p);
        const auto expected = oracle(p, w.packed.form);
        ASSERT_LE(worst(p, multiply(cfg, w, p), expected), 1e-5) << i.name;
        // The top bit of the very first stored number of the first row.
        w.data.get()[i.dtype == 0 ? 3 : 1] ^= i.cols == 1 ? 0x80 : 0x03;
        EXPECT_GT(worst(p, multiply(cfg, w, p), expected), 1e-4) << i.name;
    }
}

} // namespace
} // namespace rlx::cpu::test
