// SPDX-License-Identifier: GPL-3.0-only
// Speed of the CPU backend's packed matrix products beside what the machine can do in the same run:
// read bandwidth over the same footprint, peak float multiply-adds and peak int8 dot products.
//   matmul_bench [--threads N] [--tier NAME] [--dtype NAME] [--shape OUTxIN] [--rows T] [--mode
//   auto|f32]
//                [--footprint MIB] [--seconds S] [--avx-vnni 0|1] [--amx 0|1]
#include "matmul.hpp"

#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace rlx::cpu;

struct options {
    unsigned threads = 2;
    std::string tier;
    std::string dtype;
    std::string mode;
    std::int64_t out = 0;
    std::int64_t in = 0;
    std::int64_t rows = 0;
    std::uint64_t footprint = 192;
    double seconds = 0.25;
    bool avx_vnni = true;
    bool amx = true;
};

double now() {
    using clock = std::chrono::steady_clock;
    return std::chrono::duration<double>(clock::now().time_since_epoch()).count();
}

// Threads that spin between the calls of run(): the cost of waking them is no part of a
// measurement.
class team {
public:
    explicit team(unsigned n) : n_(n) {
        for (unsigned i = 1; i < n; ++i) {
            threads_.emplace_back([this, i] {
                for (unsigned seen = 0;;) {
                    while (epoch_.load(std::memory_order_acquire) == seen)
                        _mm_pause();
                    ++seen;
                    if (stop_) return;
                    (*body_)(i);
                    done_.fetch_add(1, std::memory_order_release);
                }
            });
        }
    }

    ~team() {
        stop_ = true;
        epoch_.fetch_add(1, std::memory_order_release);
        for (std::thread& t : threads_)
            t.join();
    }

    team(const team&) = delete;
    team& operator=(const team&) = delete;

    void run(const std::function<void(unsigned)>& body) {
        body_ = &body;
        done_.store(0, std::memory_order_relaxed);
        epoch_.fetch_add(1, std::memory_order_release);
        body(0);
        while (done_.load(std::memory_order_acquire) != n_ - 1)
            _mm_pause();
    }

    unsigned size() const { return n_; }

private:
    unsigned n_;
    std::vector<std::thread> threads_;
    std::atomic<unsigned> epoch_{0};
    std::atomic<unsigned> done_{0};
    const std::function<void(unsigned)>* body_ = nullptr;
    bool stop_ = false;
};

// Best time of one call over repeated calls for about `seconds`: neighbours on the machine only
// ever add.
double best_time(double seconds, const std::function<void()>& call) {
    call();
    double best = 1e30;
    const double end = now() + seconds;
    int n = 0;
    do {
        const double t0 = now();
        call();
        best = std::min(best, now() - t0);
    } while (now() < end || ++n < 3);
    return best;
}

struct free_deleter {
    void operator()(void* p) const { std::free(p); }
};

using buffer = std::unique_ptr<std::uint8_t, free_deleter>;

buffer make_buffer(std::uint64_t bytes) {
    const std::uint64_t n = (bytes + 4095) / 4096 * 4096;
    return buffer(static_cast<std::uint8_t*>(std::aligned_alloc(4096, n)));
}

__attribute__((target("avx2"))) std::uint64_t read_all(const std::uint8_t* p, std::uint64_t n) {
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    const __m256i* v = reinterpret_cast<const __m256i*>(p);
    for (std::uint64_t i = 0; i + 4 <= n / 32; i += 4) {
        a = _mm256_xor_si256(a, _mm256_load_si256(v + i));
        b = _mm256_xor_si256(b, _mm256_load_si256(v + i + 1));
        c = _mm256_xor_si256(c, _mm256_load_si256(v + i + 2));
        d = _mm256_xor_si256(d, _mm256_load_si256(v + i + 3));
    }
    a = _mm256_xor_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(c, d));
    return static_cast<std::uint64_t>(_mm256_extract_epi64(a, 0));
}

constexpr int probe_loops = 200000;

__attribute__((target("avx512f,avx512vnni"))) void vnni_loop() {
    __m512i acc[12];
#pragma GCC unroll 12
    for (auto& a : acc)
        a = _mm512_setzero_si512();
    const __m512i x = _mm512_set1_epi8(3);
    for (int i = 0; i < probe_loops; ++i) {
#pragma GCC unroll 12
        for (int j = 0; j < 12; ++j) {
            acc[j] = _mm512_dpbusd_epi32(acc[j], x, x);
            asm volatile("" : "+v"(acc[j]));
        }
    }
}

__attribute__((target("avx512f"))) void fma512_loop() {
    __m512 acc[12];
#pragma GCC unroll 12
    for (auto& a : acc)
        a = _mm512_setzero_ps();
    const __m512 x = _mm512_set1_ps(0.5f);
    for (int i = 0; i < probe_loops; ++i) {
#pragma GCC unroll 12
        for (int j = 0; j < 12; ++j) {
            acc[j] = _mm512_fmadd_ps(x, x, acc[j]);
            asm volatile("" : "+v"(acc[j]));
        }
    }
}

__attribute__((target("avx2,fma"))) void fma256_loop() {
    __m256 acc[12];
#pragma GCC unroll 12
    for (auto& a : acc)
        a = _mm256_setzero_ps();
    const __m256 x = _mm256_set1_ps(0.5f);
    for (int i = 0; i < probe_loops; ++i) {
#pragma GCC unroll 12
        for (int j = 0; j < 12; ++j) {
            acc[j] = _mm256_fmadd_ps(x, x, acc[j]);
            asm volatile("" : "+x"(acc[j]));
        }
    }
}

// Four sums in tile registers, no loads: 16 x 16 x 32 products each.
void tiles_loop() {
    alignas(64) std::uint8_t config[64] = {1};
    for (int i = 0; i < 8; ++i) {
        config[16 + 2 * i] = 64;
        config[48 + i] = 16;
    }
    asm volatile("ldtilecfg %0\n\ttilezero %%tmm4\n\ttilezero %%tmm6" : : "m"(config) : "memory");
    for (int i = 0; i < probe_loops / 10; ++i)
        asm volatile("tdpbf16ps %%tmm6, %%tmm4, %%tmm0\n\t"
                     "tdpbf16ps %%tmm6, %%tmm4, %%tmm1\n\t"
                     "tdpbf16ps %%tmm6, %%tmm4, %%tmm2\n\t"
                     "tdpbf16ps %%tmm6, %%tmm4, %%tmm3"
                     :
                     :
                     : "memory");
    asm volatile("tilerelease" : : : "memory");
}

bool has_tiles() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1) && (d >> 24 & 1) &&
           mm_permit_tiles();
}

void probe(team& t, const options& o) {
    const std::uint64_t bytes = o.footprint << 20;
    const buffer b = make_buffer(bytes);
    std::memset(b.get(), 1, bytes);
    std::atomic<std::uint64_t> sink{0};
    const std::uint64_t part = bytes / t.size() / 4096 * 4096;
    const double s = best_time(1.0, [&] {
        t.run([&](unsigned i) { sink += read_all(b.get() + part * i, part); });
    });
    std::printf(
        "probe: read %.1f GB/s over %llu MiB with %u threads\n",
        1e-9 * bytes / s,
        static_cast<unsigned long long>(o.footprint),
        t.size()
    );
    const auto peak = [&](const char* name, void (*loop)(), double ops) {
        const double time = best_time(0.2, [&] { t.run([&](unsigned) { loop(); }); });
        std::printf(
            "probe: %s %.0f Gop/s\n", name, 1e-9 * ops * 12 * probe_loops * t.size() / time
        );
    };
    if (__builtin_cpu_supports("fma")) peak("float multiply-add, 256 bits", fma256_loop, 16);
    if (__builtin_cpu_supports("avx512f")) peak("float multiply-add, 512 bits", fma512_loop, 32);
    if (has_tiles()) // four tile products stand for the 12 vector ones, a tenth as often
        peak("bf16 tiles", tiles_loop, 4 * 2.0 * 16 * 16 * 32 / 120);
    if (__builtin_cpu_supports("avx512vnni")) peak("int8 dot product, 512 bits", vnni_loop, 128);
}

struct dtype_info {
    std::uint16_t id;
    const char* name;
    int cols;
    int bytes;
};

constexpr dtype_info dtypes[] = {
    {3, "Q4_1", 32, 20},
    {8, "Q8_0", 32, 34},
    {2, "Q4_0", 32, 18},
    {6, "Q5_0", 32, 22},
    {7, "Q5_1", 32, 24},
    {10, "Q2_K", 256, 84},
    {11, "Q3_K", 256, 110},
    {12, "Q4_K", 256, 144},
    {13, "Q5_K", 256, 176},
    {14, "Q6_K", 256, 210},
    {20, "IQ4_NL", 32, 18},
    {23, "IQ4_XS", 256, 136},
    {1, "F16", 1, 2},
    {30, "BF16", 1, 2},
    {0, "F32", 1, 4},
};

struct shape {
    std::int64_t out;
    std::int64_t in;
};

constexpr shape shapes[] = {
    {576, 576}, {192, 576}, {1536, 576}, {576, 1536}, {49152, 576}, {2048, 2048}, {8192, 2048}};

mm_config configure(const options& o, bool exact) {
    mm_config cfg;
    cfg.exact = exact;
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    const bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
    cfg.isa = vnni ? tier::avx512_vnni : avx512 ? tier::avx512 : avx2 ? tier::avx2 : tier::baseline;
    cfg.features.avx512_bf16 = __builtin_cpu_supports("avx512bf16");
    unsigned a = 0, b = 0, c = 0, d = 0;
    cfg.features.avx_vnni = o.avx_vnni && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
    cfg.features.amx = o.amx && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 24 & 1);
    if (vnni && cfg.features.amx && cfg.features.avx512_bf16 && mm_permit_tiles())
        cfg.isa = tier::amx;
    const char* names[] = {"baseline", "avx2", "avx512", "avx512_vnni", "amx"};
    for (int i = 0; i < n_tiers; ++i) {
        if (o.tier == names[i])
            cfg.isa = static_cast<tier>(std::min<int>(i, static_cast<int>(cfg.isa)));
    }
    return cfg;
}

// Enough copies of one weight to fill the footprint, so that each call streams from memory as a
// model does.
struct weights {
    std::vector<mm_packed> copies;
    std::vector<buffer> data;
};

weights make_weights(const mm_config& cfg, const dtype_info& d, shape s, std::uint64_t footprint) {
    weights w;
    mm_packed p;
    const char* reason = nullptr;
    if (!mm_layout(cfg, {d.id, 1, s.out, s.in}, &p, &reason)) {
        std::printf("%s: %s\n", d.name, reason);
        return w;
    }
    const std::uint64_t n = std::max<std::uint64_t>(1, (footprint << 20) / p.bytes);
    for (std::uint64_t i = 0; i < n; ++i) {
        w.data.push_back(make_buffer(p.bytes));
        std::memset(w.data.back().get(), 0x11, p.bytes);
        p.data = w.data.back().get();
        w.copies.push_back(p);
    }
    return w;
}

void measure(
    team& team,
    const options& o,
    const mm_config& cfg,
    const dtype_info& d,
    shape s,
    std::int64_t rows
) {
    const weights w = make_weights(cfg, d, s, rows <= 4 ? o.footprint : 1);
    if (w.copies.empty()) return;
    const mm_packed& first = w.copies[0];
    const std::uint64_t stride = act_row_bytes(first.form, s.in);
    const buffer act = make_buffer(stride * static_cast<std::uint64_t>(rows));
    const std::vector<float> x(static_cast<std::size_t>(s.in), 0.25f);
    for (std::int64_t r = 0; r < rows; ++r) {
        act_make(
            cfg, first.form, x.data(), s.in, act.get() + stride * static_cast<std::uint64_t>(r)
        );
    }
    const buffer y = make_buffer(static_cast<std::uint64_t>(rows * s.out) * 4);
    std::vector<buffer> spaces;
    for (unsigned i = 0; i < team.size(); ++i)
        spaces.push_back(make_buffer(mm_workspace(first)));
    const mm_tiling size = mm_tile_size(first, rows, team.size());
    const std::int64_t col_tiles = (s.out + size.tile_cols - 1) / size.tile_cols;
    const std::int64_t tiles = (rows + size.tile_rows - 1) / size.tile_rows * col_tiles;
    std::atomic<std::int64_t> next{0};
    const auto product = [&](const mm_packed& p) {
        next.store(0, std::memory_order_relaxed);
        team.run([&](unsigned thread) {
            for (std::int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < tiles;) {
                const std::int64_t r = i / col_tiles * size.tile_rows;
                mm_tile t;
                t.col0 = i % col_tiles * size.tile_cols;
                t.act = act.get() + stride * static_cast<std::uint64_t>(r);
                t.act_stride = stride;
                t.out = reinterpret_cast<float*>(y.get()) + r * s.out + t.col0;
                t.out_stride = s.out;
                t.n_rows = std::min(size.tile_rows, rows - r);
                t.n_cols = std::min(size.tile_cols, s.out - t.col0);
                t.workspace = spaces[thread].get();
                mm_run(p, t);
            }
        });
    };
    const double time = best_time(
                            o.seconds,
                            [&] {
                                for (const mm_packed& p : w.copies)
                                    product(p);
                            }
                        ) /
                        static_cast<double>(w.copies.size());
    const double ops = 2.0 * static_cast<double>(rows) * static_cast<double>(s.out * s.in);
    std::printf(
        "%-7s %-4s %6lld x %-5lld T=%-4lld %9.1f us %7.1f GB/s %8.1f GFLOP/s\n",
        d.name,
        cfg.exact ? "f32" : "auto",
        static_cast<long long>(s.out),
        static_cast<long long>(s.in),
        static_cast<long long>(rows),
        1e6 * time,
        1e-9 * static_cast<double>(first.bytes) / time,
        1e-9 * ops / time
    );
    std::fflush(stdout);
}

bool parse(int argc, char** argv, options& o) {
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string key = argv[i];
        const char* value = argv[i + 1];
        if (key == "--threads")
            o.threads = static_cast<unsigned>(std::max(1, std::atoi(value)));
        else if (key == "--tier")
            o.tier = value;
        else if (key == "--dtype")
            o.dtype = value;
        else if (key == "--avx-vnni")
            o.avx_vnni = std::atoi(value) != 0;
        else if (key == "--amx")
            o.amx = std::atoi(value) != 0;
        else if (key == "--mode")
            o.mode = value;
        else if (key == "--rows")
            o.rows = std::atoll(value);
        else if (key == "--footprint")
            o.footprint = std::strtoull(value, nullptr, 10);
        else if (key == "--seconds")
            o.seconds = std::atof(value);
        else if (key == "--shape" && std::strchr(value, 'x')) {
            o.out = std::atoll(value);
            o.in = std::atoll(std::strchr(value, 'x') + 1);
        } else
            return false;
    }
    return argc % 2 == 1;
}

} // namespace

int main(int argc, char** argv) {
    options o;
    if (!parse(argc, argv, o)) {
        std::fprintf(
            stderr,
            "usage: %s [--threads N] [--tier NAME] [--dtype NAME] [--shape OUTxIN] [--rows T]\n"
            "       [--mode auto|f32] [--footprint MIB] [--seconds S] [--avx-vnni 0|1] [--amx "
            "0|1]\n",
            argv[0]
        );
        return 2;
    }
    std::vector<shape> wanted_shapes(std::begin(shapes), std::end(shapes));
    if (o.out) wanted_shapes = {{o.out, o.in}};
    std::vector<std::int64_t> wanted_rows = {1, 2, 4, 8, 32, 512};
    if (o.rows) wanted_rows = {o.rows};
    team t(o.threads);
    probe(t, o);
    for (const dtype_info& d : dtypes) {
        if (!o.dtype.empty() && o.dtype != d.name) continue;
        for (const bool exact : {false, true}) {
            if (!o.mode.empty() && (o.mode == "f32") != exact) continue;
            for (const shape s : wanted_shapes) {
                for (const std::int64_t rows : wanted_rows) {
                    if (!o.rows && rows == 512 && s.out > 10000) continue;
                    measure(t, o, configure(o, exact), d, s, rows);
                }
            }
        }
    }
    return 0;
}
